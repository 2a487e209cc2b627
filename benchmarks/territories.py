"""Territories in bands at any size: this project's large path and the plain PuLP model on the same drawn instance.

Each method runs in a process of its own, which draws the instance, so that `peak_mb` is the method's own memory.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.territory_instances import Size

METHODS = ("engine", "plain")


@dataclass(frozen=True)
class Row:
    """One method on one instance.

    Attributes
    ----------
    method : ``engine`` or ``plain``
    accounts, reps, candidates, seed : the instance
    objective : cost of the plan from raw arrays; None where no plan holds
    bound : engine: recomputed from prices and raw arrays; plain: the solver's word; None where there is none
    gap : (objective - bound) / objective
    seconds : wall time of solving, drawing and compilation apart, building of the model included
    feasible : by the audit
    peak_mb : most memory of the method's process, MiB
    """

    method: str
    accounts: int
    reps: int
    candidates: int
    seed: int
    objective: float | None
    bound: float | None
    gap: float | None
    seconds: float
    feasible: bool
    peak_mb: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print it; gives the exit code."""
    options = _parser().parse_args(arguments)
    if options.candidates > options.reps:
        print(f"--candidates {options.candidates}: at most the number of reps, {options.reps}", file=sys.stderr)
        return 2
    if options.only:
        print(json.dumps(asdict(_run(options.only, options))), flush=True)
        return 0
    for number, method in enumerate(METHODS):
        row = _in_a_process(method, options)
        if row is None:
            return 1
        print(json.dumps(asdict(row)) if options.json else _text(row, header=number == 0), flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.territories", description=__doc__)
    parser.add_argument("--accounts", type=_positive, required=True, help="number of accounts")
    parser.add_argument("--reps", type=_positive, required=True, help="number of reps")
    parser.add_argument("--candidates", type=_positive, required=True, help="candidate reps of each account")
    parser.add_argument("--seconds", type=float, default=60.0, help="wall time of each method (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the instance and the search (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    parser.add_argument("--only", choices=METHODS, help="run this method in this process and print its row as JSON")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {number}")
    return number


def _in_a_process(method: str, options: argparse.Namespace) -> Row | None:
    """Row of a method; None, with what it said on standard error, where it failed."""
    given = {name: getattr(options, name) for name in ("accounts", "reps", "candidates", "seconds", "seed")}
    command = [sys.executable, "-m", "benchmarks.territories", "--only", method]
    command += [part for name, value in given.items() for part in (f"--{name}", str(value))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{method} ended with exit code {done.returncode}:\n{done.stderr[-2000:]}", file=sys.stderr)
        return None
    return Row(**json.loads(done.stdout.splitlines()[-1]))


def _run(method: str, options: argparse.Namespace) -> Row:
    import math

    from benchmarks.territory_instances import Size, make_instance
    from optimization.large_scale.plain import solve_plain
    from optimization.large_scale.settings import BandedSettings
    from optimization.large_scale.solve import solve_banded

    size = Size(options.accounts, options.reps, options.candidates)
    solve = solve_banded if method == "engine" else solve_plain
    if method == "engine":
        _warm_up(size)
    plan = solve(make_instance(size, options.seed), BandedSettings(seconds=options.seconds), options.seed)
    found = plan.certificate
    return Row(
        method=method,
        accounts=size.accounts,
        reps=size.reps,
        candidates=size.candidates,
        seed=options.seed,
        objective=found.objective if found.feasible else None,
        bound=found.bound if math.isfinite(found.bound) else None,
        gap=found.gap if found.feasible and math.isfinite(found.gap) else None,
        seconds=round(plan.seconds, 2),
        feasible=found.feasible,
        peak_mb=round(_peak_mb(), 1),
    )


def _warm_up(size: "Size") -> None:
    """Compile on a small instance, so that the clock starts with compiled code."""
    from benchmarks.territory_instances import Size, make_instance
    from optimization.large_scale.settings import BandedSettings
    from optimization.large_scale.solve import solve_banded

    small = make_instance(Size(60, min(size.reps, 4), min(size.candidates, 3, size.reps)), seed=0)
    solve_banded(small, BandedSettings(seconds=5.0, rounds=3))


def _peak_mb() -> float:
    """Most memory this process has held, MiB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _text(row: Row, header: bool) -> str:
    cells = ["-" if v is None else f"{v:.6g}" if isinstance(v, float) else str(v) for v in asdict(row).values()]
    line = f"| {' | '.join(cells)} |"
    names = list(asdict(row))
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}\n{line}" if header else line


if __name__ == "__main__":
    sys.exit(main())
