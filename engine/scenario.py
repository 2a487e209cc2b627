"""What-if on a finished run: ``python -m engine.scenario RUN FILE.yaml ...``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.command import add_machine_options, exit_code


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    options = argparse.ArgumentParser(
        prog="python -m engine.scenario",
        description="Answer what-if questions against a finished run, on the random numbers of its forecast.",
        epilog="Exit codes: 0 done, 2 run or files refused, 3 the run had not converged, 130 interrupted. "
        "docs/scenarios.md lists the changes; configs/scenarios/ has examples.",
    )
    options.add_argument("run", metavar="RUN", help="path, NAME, NAME@2026-06-30 or NAME~1")
    options.add_argument("files", metavar="FILE.yaml", type=Path, nargs="+", help="one scenario each")
    options.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="change a key; repeatable")
    options.add_argument("--out", metavar="DIR", type=Path, default=Path("runs"), help="parent folder of all runs")
    options.add_argument("--seed", metavar="N", type=int, help="root of what is drawn for a scenario alone")
    add_machine_options(options)
    return options


def run(arguments: argparse.Namespace) -> int:
    """Answer the scenarios and print what came of it.

    Returns
    -------
    exit code

    Raises
    ------
    EngineError
        for everything the user can mend.
    """
    # Imported late, so that --help answers at once.
    from engine.scenarios.job import Request, answer

    asked = tuple(arguments.set), arguments.seed, arguments.threads
    request = Request(arguments.run, tuple(arguments.files), arguments.out, *asked)
    return answer(request, lambda text: print(text, flush=True))


def main(argv: Sequence[str] | None = None) -> int:
    """Parse and run."""
    return exit_code(run, parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
