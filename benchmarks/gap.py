"""Generalised assignment: cost, recomputed bound and gap on files of instances, beside the best known values.

A file holds numbers only: reps m and accounts n, m rows of n costs, m rows of n resources, m capacities; all of it is
minimised. `best_known.csv` beside the files (columns instance and best_value) gives the last two columns.
"""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import EngineError, InputRefusedError, Problem

if TYPE_CHECKING:
    from optimization.problem import BandedProblem

BEST_KNOWN = "best_known.csv"
"""File of best known values beside the instances."""


@dataclass(frozen=True)
class Row:
    """One instance solved.

    Attributes
    ----------
    instance : name of the file
    objective : cost of the plan from raw arrays; None where no plan holds
    bound : recomputed from prices or multipliers and raw arrays, rounded down, then up where all costs are whole
    gap_bound : (objective - bound) / objective
    seconds : wall time of the search, reading and compilation apart
    feasible : every account has one rep and every capacity holds, by the audit
    best_known, gap_best_known : of `best_known.csv`; None where it has none
    settled : the solver says that nothing better exists; only said, never used for the bound
    """

    instance: str
    objective: float | None
    bound: float
    gap_bound: float | None
    seconds: float
    feasible: bool
    best_known: float | None
    gap_best_known: float | None
    settled: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print it; gives the exit code."""
    options = _parser().parse_args(arguments)
    try:
        files = _files(options.paths)
        instances = _read_all(files)
    except EngineError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    _warm_up()
    for number, (file, problem) in enumerate(instances):
        row = _solve(file, problem, options)
        print(json.dumps(asdict(row)) if options.json else _text(row, header=number == 0), flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gap", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files of instances, or folders of them")
    parser.add_argument("--seconds", type=float, default=60.0, help="wall time per instance (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="root seed (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    return parser


def read_instance(file: Path) -> "BandedProblem":
    """Problem of a file.

    Raises
    ------
    ValueError
        The file does not hold the numbers that its first two announce.
    """
    import numpy as np

    from optimization.problem import BandedProblem

    numbers = np.array(file.read_text(encoding="utf-8").split(), dtype=np.float64)
    if len(numbers) < 2 or numbers[0] < 1 or numbers[1] < 1 or (numbers[:2] % 1).any():
        raise ValueError("it does not begin with the numbers of reps and accounts")
    reps, accounts = int(numbers[0]), int(numbers[1])
    if len(numbers) != 2 + 2 * reps * accounts + reps:
        raise ValueError(f"{reps} reps and {accounts} accounts need {2 + 2 * reps * accounts + reps} numbers, "
                         f"the file has {len(numbers)}")  # fmt: skip
    if not np.isfinite(numbers).all():
        raise ValueError("it has numbers that are not finite")
    cost, use = numbers[2 : 2 + 2 * reps * accounts].reshape(2, reps, accounts)
    return BandedProblem.from_table(cost, use, numbers[2 + 2 * reps * accounts :])


def _files(paths: Sequence[Path]) -> list[Path]:
    files = []
    for path in paths:
        inside = sorted(path.iterdir(), key=_by_number) if path.is_dir() else [path]
        files += [f for f in inside if f.is_file() and not f.name.startswith(".")
                  and (f == path or f.suffix not in (".csv", ".md"))]  # fmt: skip
    missing = [
        Problem(str(path), "nothing", "a file of an instance or a folder of them", "check the path")
        for path in paths
        if not path.exists()
    ]
    if missing or not files:
        nothing = Problem(", ".join(map(str, paths)), "no file", "files of instances", "check the path")
        raise InputRefusedError(missing or [nothing])
    return files


def _by_number(path: Path) -> tuple[str, int, str]:
    """gap2 before gap10."""
    head = path.name.rstrip("0123456789-")
    tail = path.name[len(head) :].split("-")[0]
    return head, int(tail) if tail.isdigit() else 0, path.name


def _read_all(files: Sequence[Path]) -> "list[tuple[Path, BandedProblem]]":
    """All instances; every file that cannot be read is named."""
    instances, problems = [], []
    for file in files:
        try:
            instances.append((file, read_instance(file)))
        except (ValueError, OSError) as error:
            problems.append(
                Problem(
                    str(file), str(error)[:200], "numbers: m n, m rows of n costs, m of n resources, m capacities",
                    "mend or leave out the file",
                )
            )  # fmt: skip
    if problems:
        raise InputRefusedError(problems)
    return instances


def _best_known(file: Path) -> float | None:
    table = file.parent / BEST_KNOWN
    if not table.is_file():
        return None
    with table.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            if row.get("instance") in (file.name, file.stem) and row.get("best_value"):
                return float(row["best_value"])
    return None


def _warm_up() -> None:
    """Load libraries and compile, so that the first instance does not pay for it."""
    import numpy as np

    from optimization.large_scale.settings import BandedSettings
    from optimization.large_scale.solve import solve_banded
    from optimization.problem import BandedProblem

    rng = np.random.default_rng(0)
    use = rng.integers(5, 25, (3, 12)).astype(float)
    problem = BandedProblem.from_table(rng.integers(10, 50, (3, 12)).astype(float), use, 0.8 * use.sum(axis=1) / 3)
    solve_banded(problem, BandedSettings(seconds=5.0, rounds=3))


def _solve(file: Path, problem: "BandedProblem", options: argparse.Namespace) -> Row:
    from optimization.large_scale.settings import BandedSettings
    from optimization.large_scale.solve import solve_banded

    plan = solve_banded(problem, BandedSettings(seconds=options.seconds), options.seed)
    found, known = plan.certificate, _best_known(file)
    held = found.feasible
    against = None if known is None or not held else (found.objective - known) / max(abs(known), 1e-9)
    return Row(
        instance=file.name,
        objective=found.objective if held else None,
        bound=found.bound,
        gap_bound=found.gap if held else None,
        seconds=round(plan.seconds, 2),
        feasible=held,
        best_known=known,
        gap_best_known=against,
        settled=plan.settled,
    )


def _text(row: Row, header: bool) -> str:
    cells = ["-" if v is None else f"{v:.6g}" if isinstance(v, float) else str(v) for v in asdict(row).values()]
    line = f"| {' | '.join(cells)} |"
    names = list(asdict(row))
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}\n{line}" if header else line


if __name__ == "__main__":
    sys.exit(main())
