"""What moved the number from one finished run to the next: ``python -m experiments.compare RUN [RUN ...]``."""

import argparse
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from engine.command import add_machine_options, exit_code

if TYPE_CHECKING:
    from engine.deals.waterfall import Waterfall


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    options = argparse.ArgumentParser(
        prog="python -m experiments.compare",
        description="Explain what moved the number from each RUN to the next; a single RUN against the one before.",
        epilog="Exit codes: 0 done, 2 there is nothing to compare.",
    )
    options.add_argument("run", metavar="RUN", nargs="+", help="a path, NAME, NAME@2026-06-30 or NAME~1")
    options.add_argument("--out", metavar="DIR", type=Path, default=Path("runs"), help="parent folder of all runs")
    options.add_argument("--seed", metavar="N", type=int, default=1, help="of the shocks behind what the model learned")
    add_machine_options(options)
    return options


def run(arguments: argparse.Namespace) -> int:
    """Compare and print; nothing is written.

    Raises
    ------
    EngineError
        for everything the user can mend.
    """
    from engine.runs import find_run

    folders = [find_run(text, arguments.out) for text in arguments.run]
    if len(folders) == 1:
        folders.insert(0, before(folders[0]))
    # Imported late: arrays, pandas and Numba take seconds.
    from engine.deals.snapshot import read_snapshot
    from engine.deals.waterfall import compare

    sides = [read_snapshot(folder) for folder in folders]
    for earlier, later in pairwise(sides):
        print(text_of(compare(earlier, later, arguments.seed), later.run, later.currency))
    return 0


def before(folder: Path) -> Path:
    """The run before a run, of the same months if there is one.

    Raises
    ------
    RunNotFoundError
        When it is the first.
    """
    from datetime import date

    from engine.deals.previous import EarlierRun, earlier_run, horizon_of
    from engine.errors import RunNotFoundError

    horizon, day = horizon_of(folder), date.fromisoformat(folder.name[:10])
    found: EarlierRun | None = None
    if horizon is not None:
        found = earlier_run(folder.parent.parent, folder.parent.name, day, horizon)
    if found is None:
        raise RunNotFoundError(f"there is no run before {folder}: name two runs")
    return found.folder


def text_of(found: "Waterfall", later: str, currency: str) -> str:
    """The steps as a table for the terminal."""
    lines = [f"From {found.run} to {later}, {currency}"]
    for row in found.steps.to_dict("records"):
        if row["amount"] or row["step"] in ("start", "end"):
            sign = "" if row["step"] in ("start", "end") else "+"
            lines.append(f"  {row['measure']:5}{row['amount']:>{sign}20,.2f}  {row['what']}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and turn what goes wrong into a message and an exit code."""
    return exit_code(run, parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
