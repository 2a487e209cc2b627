"""Planning questions on a finished run: ``python -m engine.planning RUN QUESTION``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.command import add_machine_options, exit_code
from engine.planning.questions import QUESTIONS, read_settings, settings_class


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    listed = "\n".join(f"  {name:14}{question.summary}" for name, question in QUESTIONS.items())
    options = argparse.ArgumentParser(
        prog="python -m engine.planning",
        description="Answer a planning question on the posterior draws of a finished run.",
        epilog=f"questions:\n{listed}\n\nExit codes: 0 done, 2 refused, 3 the run did not converge, 130 interrupted.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("run", metavar="RUN", nargs="?", help="a path, NAME, NAME@2026-06-30 or NAME~1")
    options.add_argument("question", metavar="QUESTION", nargs="?", help="one of the questions below")
    options.add_argument("--list", metavar="QUESTION", dest="listed", help="print the settings of a question")
    options.add_argument("--file", metavar="YAML", type=Path, help="settings of the question in a file")
    options.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="change a setting; repeatable")
    options.add_argument("--out", metavar="DIR", type=Path, default=Path("runs"), help="parent folder of all runs")
    options.add_argument("--seed", metavar="N", type=int, help="root of all random numbers (default: the run's)")
    add_machine_options(options)
    return options


def settings_text(name: str) -> str:
    """Settings of a question with their defaults and meaning."""
    lines = [f"{name}: {QUESTIONS[name].summary}" if name in QUESTIONS else name]
    for key, field in settings_class(name).model_fields.items():
        default = "required" if field.is_required() else f"default {field.get_default(call_default_factory=True)!r}"
        lines.append(f"  {key} ({default}): {' '.join(str(field.description or '').split())}")
    return "\n".join(lines)


def run(arguments: argparse.Namespace) -> int:
    """Do what the arguments ask and print the answer.

    Raises
    ------
    EngineError
        for everything the user can mend.
    """
    if arguments.listed:
        print(settings_text(arguments.listed))
        return 0
    settings = read_settings(arguments.question, arguments.file, arguments.set)
    # Imported late: arrays, pandas and Numba take seconds, and refused settings need none of them.
    from engine.config import RunOptions
    from engine.finished import open_run
    from engine.planning.answers import keep_answer

    given = {} if arguments.seed is None else {"seed": arguments.seed}
    finished = open_run(arguments.run, arguments.out, (), given)
    text, code = keep_answer(finished, arguments.question, settings, RunOptions(threads=arguments.threads))
    print(text)
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and turn what goes wrong into a message and an exit code."""
    options = parser()
    arguments = options.parse_args(argv)
    if arguments.listed is None and (arguments.run is None or arguments.question is None):
        options.error("the following arguments are required: RUN, QUESTION")
    return exit_code(run, arguments)


if __name__ == "__main__":
    sys.exit(main())
