"""Plan once more from a finished run: ``python -m engine.allocate RUN``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.command import add_machine_options, exit_code, positive


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
    options.add_argument(
        "--decisions", metavar="FILE", type=Path, help="what people decided: a CSV file or a filled-in plan.xlsx"
    )
    options.add_argument("--sign", metavar="NAME", help="sign the plan of RUN as it is, and plan nothing")
    options.add_argument("--note", metavar="TEXT", default="", help="what the signature says")
    start = options.add_mutually_exclusive_group()
    start.add_argument("--anew", action="store_true", help="plan from the present owners, not from the plan of RUN")
    start.add_argument(
        "--frontier-point",
        metavar="K",
        type=positive,
        help="take plan K of RUN's frontier.csv; no budget of moves holds but one that is set",
    )
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
    if arguments.sign is not None:
        from engine.signoff import sign

        done = sign(arguments.run, arguments.out, arguments.sign, arguments.note)
        print(f"signed by {', '.join(one['by'] for one in done.signed)}: {done.path}")
        return 0
    # Imported late: arrays, Numba and the solver take seconds, and --help needs none of them.
    from engine.config import RunOptions
    from engine.reallocation import Start, reallocate

    decisions = None if arguments.decisions is None else arguments.decisions.resolve()
    given = {"seed": arguments.seed, "decisions": None if decisions is None else str(decisions)}
    given = {key: value for key, value in given.items() if value is not None}
    options = RunOptions(threads=arguments.threads)
    start = Start(arguments.anew, arguments.frontier_point)
    summary = reallocate((arguments.run, arguments.out), (arguments.set, given), options, start)
    print(summary.text)
    return summary.exit_code


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and turn what goes wrong into a message and an exit code."""
    return exit_code(run, parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
