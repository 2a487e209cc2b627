"""Plan once more from a finished run: ``python -m engine.allocate RUN``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.command import add_machine_options, exit_code


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    options = argparse.ArgumentParser(
        prog="python -m engine.allocate",
        description="Change the plan of RUN as little as its decisions and rules ask, on the same posterior draws; "
        "writes a new run that names RUN as its parent.",
        epilog="Exit codes: 0 done, 2 something refused, 3 not converged, 4 infeasible, 130 interrupted.",
    )
    options.add_argument("run", metavar="RUN", help="a path, NAME, NAME@2026-06-30 or NAME~1")
    options.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="change allocation.* or decisions; repeatable"
    )
    options.add_argument("--decisions", metavar="CSV", type=Path, help="what people decided (config: decisions)")
    options.add_argument("--anew", action="store_true", help="plan from the present owners, not from the plan of RUN")
    options.add_argument("--out", metavar="DIR", type=Path, default=Path("runs"), help="parent folder of all runs")
    options.add_argument("--seed", metavar="N", type=int, help="root of all random numbers (default: the run's)")
    add_machine_options(options)
    return options


def run(arguments: argparse.Namespace) -> int:
    """Do what the arguments ask and print what came of it.

    Raises
    ------
    EngineError
        for everything the user can mend.
    """
    # Imported late: arrays, Numba and the solver take seconds, and --help needs none of them.
    from engine.config import RunOptions
    from engine.reallocation import reallocate

    decisions = None if arguments.decisions is None else arguments.decisions.resolve()
    given = {"seed": arguments.seed, "decisions": None if decisions is None else str(decisions)}
    given = {key: value for key, value in given.items() if value is not None}
    options = RunOptions(threads=arguments.threads)
    summary = reallocate((arguments.run, arguments.out), (arguments.set, given), options, anew=arguments.anew)
    print(summary.text)
    return summary.exit_code


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and turn what goes wrong into a message and an exit code."""
    return exit_code(run, parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
