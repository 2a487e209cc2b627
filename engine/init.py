"""A config from an export: ``python -m engine.init DIR``."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.command import exit_code

if TYPE_CHECKING:
    from engine.recognition.proposal import Proposal

PRESETS = ("plain", "salesforce", "salesforce_report", "hubspot", "dynamics")
"""The presets, named here so that --help needs nothing; a test holds them equal to those of the config."""


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    options = argparse.ArgumentParser(
        prog="python -m engine.init",
        description="Look at the files of an export in DIR and write a commented config that reads them.",
        epilog="Exit codes: 0 written (edits that remain are named), 2 nothing in DIR that can be forecast.",
    )
    options.add_argument("folder", metavar="DIR", type=Path, help="folder with the files of an export")
    options.add_argument("--preset", choices=PRESETS, help="whose names the export has (found by itself otherwise)")
    options.add_argument("--out", metavar="FILE", type=Path, help="config to write (default: the folder's name .yaml)")
    options.add_argument("--debug", action="store_true", help="show tracebacks")
    return options


def run(arguments: argparse.Namespace) -> int:
    """Look, write, check what was written, and say what is left to do.

    Raises
    ------
    EngineError
        When the folder holds nothing that can be forecast, or the file is there already.
    """
    from datetime import date

    from engine.config import load_config
    from engine.errors import InputRefusedError, Problem
    from engine.recognition.config_text import config_text
    from engine.recognition.proposal import propose

    called = arguments.folder.resolve().name if arguments.out is None else arguments.out.stem
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", called).strip("._-")[:64] or "forecast"
    out = arguments.out or Path(f"{name}.yaml")
    if out.exists():
        raise InputRefusedError([Problem(str(out), "a file that is there", "a new file", "take another --out")])
    proposal = propose(arguments.folder, arguments.preset)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(config_text(proposal, name, out, date.today()), encoding="utf-8")
    print(_summary(proposal, out))
    from engine import pipeline

    try:
        print(pipeline.check(load_config(out)).splitlines()[0])
    except InputRefusedError as error:
        print(f"not yet readable, for {len(error.problems)} reasons; the first:\n  {error.problems[0]}")
    print(f"next: python -m engine.forecast {out} --check")
    return 0


def _summary(proposal: "Proposal", out: Path) -> str:
    """What was found and what is left to do."""
    lines = [f"{out} written: {proposal.preset} export, currency {proposal.currency[0]}"]
    lines += [f"  {table}: {config.path}" for table, config in proposal.tables.items()]
    lines += [f"  not used: {path}: {why}" for path, why in proposal.unused.items()]
    lines += [f"  worth a look: {hint}" for hint in proposal.hints]
    if not proposal.owned:
        lines.append("  no plan: nobody owns an account here, many reps sell to each (allocation.enabled: false)")
    lines.append("nothing to edit" if not proposal.edits else f"{len(proposal.edits)} to edit:")
    lines += [f"  {number}. {edit}" for number, edit in enumerate(proposal.edits, 1)]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and turn what goes wrong into a message and an exit code."""
    return exit_code(run, parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
