"""Wall seconds and peak memory of the main job, from empty caches and again with full ones.

Cold is what a fresh clone meets: no bytecode, nothing compiled by Numba or PyTensor, no MLflow database. Warm is the
next run of the same person: the caches are there, the seed is another one, so that nothing is "unchanged".
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

POLL_SECONDS = 0.2
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Usage:
    """What one process and its children took.

    Attributes
    ----------
    returncode : exit code
    wall_seconds : from start to end
    peak_mb : largest memory of the whole tree at one time, MiB; memory that processes share counts once
    """

    returncode: int
    wall_seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Case:
    """One line of the benchmark.

    Attributes
    ----------
    case : cold or warm
    wall_seconds, peak_mb : see `Usage`
    stages : wall seconds per stage as the run's manifest has them
    """

    case: str
    wall_seconds: float
    peak_mb: float
    stages: dict[str, float]


def measure(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Usage:
    """Run a command to its end, with its output in a file, and look at its process tree all the while."""
    peak = 0.0
    start = time.perf_counter()
    with log.open("wb") as file:
        process = psutil.Popen(
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
        while process.poll() is None:
            peak = max(peak, _tree_bytes(process))
            time.sleep(POLL_SECONDS)
    return Usage(process.returncode, time.perf_counter() - start, peak / MEBIBYTE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print it; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.end_to_end", description=__doc__)
    parser.add_argument("config", nargs="?", default="configs/q3.yaml", help="config of the job (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="end_to_end_") as scratch:
        try:
            for number, case in enumerate(_cases(options.config, Path(scratch))):
                print(json.dumps(asdict(case)) if options.json else _text(case, header=number == 0), flush=True)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def _cases(config: str, scratch: Path) -> Iterator[Case]:
    """Cold, then warm: the second run finds what the first left in the same scratch folder.

    Raises
    ------
    RuntimeError
        When a run fails, with the end of what it said.
    """
    caches = {
        "NUMBA_CACHE_DIR": str(scratch / "numba"),
        "PYTENSOR_FLAGS": ",".join(
            filter(None, [os.environ.get("PYTENSOR_FLAGS"), f"base_compiledir={scratch / 'pytensor'}"])
        ),
        "PYTHONPYCACHEPREFIX": str(scratch / "bytecode"),
    }
    known: set[Path] = set()
    for seed, case in enumerate(("cold", "warm"), start=1):
        command = [sys.executable, "-m", "engine.forecast", config, "--seed", str(seed), "--out", str(scratch / "runs")]
        usage = measure(command, {**os.environ, **caches}, scratch / "log")
        if usage.returncode:
            said = (scratch / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"the {case} run ended with exit code {usage.returncode}:\n{said}")
        manifests = set((scratch / "runs").glob("*/*/manifest.json"))
        (manifest,) = manifests - known
        known = manifests
        seconds = json.loads(manifest.read_text(encoding="utf-8"))["seconds"]
        stages = {stage: round(value, 1) for stage, value in seconds.items()}
        yield Case(case, round(usage.wall_seconds, 1), round(usage.peak_mb), stages)


def _tree_bytes(process: psutil.Process) -> float:
    """Memory of a process and all its descendants; those that end meanwhile count nothing."""
    total = 0
    try:
        tree = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in tree:
        try:
            memory = member.memory_full_info()
        except psutil.Error:  # it ended, or is ending, between two looks
            continue
        total += getattr(memory, "pss", memory.uss)  # shares of shared pages where the system tells them
    return total


def _text(case: Case, header: bool) -> str:
    stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in case.stages.items())
    row = f"{case.case:<6}{case.wall_seconds:>8.1f}{case.peak_mb:>10.0f}  {stages}"
    return f"{'case':<6}{'wall s':>8}{'peak MiB':>10}  seconds per stage\n{row}" if header else row


if __name__ == "__main__":
    sys.exit(main())
