"""Stages of a run: seconds of each, a live line on a terminal and plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class StageClock:
    """Times the stages of a run and says where it is, on standard error.

    Attributes
    ----------
    seconds : wall seconds by stage, in order
    """

    def __init__(self, stages: int) -> None:
        self.seconds: dict[str, float] = {}
        self._stages = stages
        self._console = Console(stderr=True, highlight=False)

    @contextmanager
    def stage(self, name: str, detail: str) -> Iterator[None]:
        """Run one stage under a name that goes into the manifest and a detail for people."""
        number = f"[{len(self.seconds) + 1}/{self._stages}]"
        start = time.perf_counter()
        if self._console.is_terminal:
            with self._console.status(f"{detail} ..."):
                yield
        else:
            yield
        self.seconds[name] = time.perf_counter() - start
        self._console.print(f"{number} {detail}: {self.seconds[name]:.1f} s", markup=False)
