"""What all commands share: their common options, and how what goes wrong becomes a message and an exit code."""

import argparse
import sys
import traceback
from collections.abc import Callable

from engine.errors import EngineError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def positive(text: str) -> int:
    """Read a number of threads."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def add_machine_options(options: argparse.ArgumentParser) -> None:
    """Add the options that change no result."""
    options.add_argument("--threads", metavar="N", type=positive, help="threads (default: all); changes no result")
    options.add_argument("--debug", action="store_true", help="show tracebacks")


def exit_code(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Do what the arguments ask; what the user can mend is printed as it is, everything else in one line.

    Parameters
    ----------
    run : gives the exit code of what went well
    arguments : with ``debug``
    """
    try:
        return run(arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except EngineError as error:
        print(traceback.format_exc() if arguments.debug else error, file=sys.stderr)
        return error.exit_code
    except Exception as error:
        line = " ".join(str(error).split())
        short = f"{type(error).__name__}: {line} (--debug shows where)"
        print(traceback.format_exc() if arguments.debug else short, file=sys.stderr)
        return 1
