"""The page of a finished run once more: ``python -m engine.report RUN --set report.language=nl --to FILE``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.command import exit_code


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    options = argparse.ArgumentParser(
        prog="python -m engine.report",
        description="Write the page of a finished run again, in another language, without names, or with what "
        "planning questions about the run have answered since. The run folder stays as it is.",
        epilog="Exit codes: 0 done, 2 run or settings refused, 130 interrupted.",
    )
    options.add_argument("run", metavar="RUN", help="path, NAME, NAME@2026-06-30 or NAME~1")
    options.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="such as report.language=de")
    options.add_argument("--out", metavar="DIR", type=Path, default=Path("runs"), help="parent folder of all runs")
    options.add_argument("--to", metavar="FILE", type=Path, default=Path("report.html"), help="default: report.html")
    options.add_argument("--cards", metavar="DIR", type=Path, help="also write the book cards, into this folder")
    options.add_argument("--debug", action="store_true", help="show tracebacks")
    return options


def run(arguments: argparse.Namespace) -> int:
    """Write the page.

    Raises
    ------
    EngineError
        for everything the user can mend.
    """
    # Imported late, so that --help answers at once.
    from engine.finished import open_run
    from engine.report.cards import write_cards
    from engine.report.html import write_report
    from engine.report.reopened import reopen

    opened = reopen(open_run(arguments.run, arguments.out, tuple(arguments.set)))
    arguments.to.parent.mkdir(parents=True, exist_ok=True)
    write_report(opened.result, opened.tables, arguments.to)
    print(f"{arguments.to} ({arguments.to.stat().st_size / 1e6:.1f} MB)")
    if arguments.cards is not None:
        count = write_cards(opened.result, opened.tables, arguments.cards)
        print(f"{arguments.cards} ({count} book cards)")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Parse and run."""
    return exit_code(run, parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
