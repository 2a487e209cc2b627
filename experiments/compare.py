"""What differs between finished runs: ``python -m experiments.compare RUN [RUN ...]``."""

import argparse
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from engine.command import add_machine_options, exit_code

if TYPE_CHECKING:
    from engine.deals.waterfall import Waterfall
    from experiments.run_differences import Difference

MOST_LINES = 12
"""Rows of a table that the terminal shows."""


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    options = argparse.ArgumentParser(
        prog="python -m experiments.compare",
        description="Differences in config, data, forecast, plan and scores from each RUN to the next, and what moved "
        "the number; a single RUN against the one before.",
        epilog="Exit codes: 0 done, 2 there is nothing to compare.",
    )
    options.add_argument("run", metavar="RUN", nargs="+", help="a path, NAME, NAME@2026-06-30 or NAME~1")
    options.add_argument("--out", metavar="DIR", type=Path, default=Path("runs"), help="parent folder of all runs")
    options.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="tracking.*: where the last run was recorded"
    )
    options.add_argument("--html", metavar="FILE", type=Path, help="page to write (default: beside the last run)")
    options.add_argument("--no-tracking", action="store_true", help="attach nothing to the last run in MLflow")
    options.add_argument("--seed", metavar="N", type=int, default=1, help="of the shocks behind what the model learned")
    add_machine_options(options)
    return options


def run(arguments: argparse.Namespace) -> int:
    """Compare, print, write the page, and attach it to the last run in MLflow.

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
    from engine.finished import config_of
    from engine.tracking import attach
    from experiments.comparison_page import write_comparison
    from experiments.run_differences import differences

    parts = []
    for earlier, later in pairwise(folders):
        found = differences(earlier, later)
        moved, why_not, currency = moved_between(earlier, later, arguments.seed)
        parts.append((found, moved))
        if moved is not None:
            print(text_of(moved, later.name, currency))
        print(differences_text(found, why_not))
    last = folders[-1]
    page = arguments.html or last.with_name(f"{last.name}.compare.html")
    write_comparison(parts, page)
    print(f"page       {page}")
    config = config_of(last, arguments.out, arguments.set)
    if config.tracking.enabled and not arguments.no_tracking:
        problem = attach(f"{last.parent.name}/{last.name}", page, config.tracking, arguments.out)
        print(f"MLflow     {problem or 'the page is an artifact of the last run, under comparisons/'}")
    return 0


def moved_between(earlier: Path, later: Path, seed: int) -> tuple["Waterfall | None", str, str]:
    """Waterfall between two runs, or why there is none, and the currency."""
    from engine.deals.snapshot import NotComparableError, read_snapshot
    from engine.deals.waterfall import compare

    try:
        first, second = read_snapshot(earlier), read_snapshot(later)
        return compare(first, second, seed), "", second.currency
    except NotComparableError as error:
        return None, str(error), ""


def differences_text(found: "Difference", why_not: str) -> str:
    """The tables for the terminal, cut to their first rows."""
    lines = [f"From {found.earlier} to {found.later}"]
    if why_not:
        lines.append(f"  no waterfall: {why_not}")
    for title, frame in found.sections.items():
        if not len(frame):
            lines.append(f"  {title}: nothing differs")
            continue
        lines.append(f"  {title}:")
        shown = frame.head(MOST_LINES).to_string(index=False, float_format=lambda x: f"{x:,.4g}", max_colwidth=48)
        lines += [f"    {line}" for line in shown.splitlines()]
        if len(frame) > MOST_LINES:
            lines.append(f"    ... {len(frame) - MOST_LINES} more on the page")
    return "\n".join(lines)


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
