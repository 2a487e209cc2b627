"""What the command line says about one execution and the config does not: no result depends on it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RunOptions:
    """Options of one execution.

    Attributes
    ----------
    threads : threads and processes to use at most, None for all; the config's own numbers stand where it is None
    """

    threads: int | None = None
