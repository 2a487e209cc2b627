"""Errors of the engine: each knows its exit code and says what came, what is allowed and how to mend it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a config or a table.

    Attributes
    ----------
    where : file, and key or row and column
    came : what was found, shortened
    allowed : what would be right
    mend : what to do about it
    """

    where: str
    came: str
    allowed: str
    mend: str

    def __str__(self) -> str:
        return f"{self.where}: got {self.came}; allowed: {self.allowed}; {self.mend}"


class EngineError(Exception):
    """Base of all errors a user can mend; the command prints it as it is, without a traceback."""

    exit_code = 1


class InputRefusedError(EngineError, ValueError):
    """Config or data cannot be used. Lists every problem found, not only the first."""

    exit_code = 2

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        head = f"{len(problems)} problem{'s' if len(problems) != 1 else ''} found, nothing was run:"
        super().__init__("\n".join([head, *(f"  {i}. {p}" for i, p in enumerate(problems, 1))]))


class RunNotFoundError(EngineError, LookupError):
    """No finished run answers to the name."""

    exit_code = 2
