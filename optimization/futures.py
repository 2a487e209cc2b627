"""Simulated futures of books: which revenue each rep has on each path under a plan."""

from dataclasses import dataclass

import numpy as np

from optimization.problem import Floats, Ints, Paths
from optimization.rules import Case


@dataclass(frozen=True)
class Futures:
    """Paths laid out for speed: one row per account, accounts of a block side by side.

    Attributes
    ----------
    revenue : [account in block order, path] money
    fit : [account in block order, rep] multiplier of that revenue
    start : [block] first row of each block
    singles : every block is one account
    surplus : [rep, path] fixed revenue less quota, money
    """

    revenue: Paths
    fit: Floats
    start: Ints
    singles: bool
    surplus: Paths

    @property
    def paths(self) -> int:
        """Number of paths."""
        return self.revenue.shape[1]

    def under(self, rep: int, blocks: Ints) -> Paths:
        """Revenue of some blocks if ``rep`` owns them, [block of blocks, path]."""
        if self.singles:
            return self.revenue[blocks] * self.fit[blocks, rep, None].astype(np.float32)
        stop = np.append(self.start[1:], len(self.revenue))[blocks]
        length = stop - self.start[blocks]
        first = np.cumsum(length) - length
        rows = np.arange(length.sum()) + np.repeat(self.start[blocks] - first, length)
        money = self.revenue[rows] * self.fit[rows, rep, None].astype(np.float32)
        return np.add.reduceat(money, first, axis=0) if len(blocks) else money


def choose_paths(paths: int, wanted: int) -> Ints:
    """Return indices of ``wanted`` evenly spread paths, or of all when there are fewer."""
    return np.unique(np.linspace(0, paths - 1, min(paths, wanted)).round().astype(np.int64))


def lay_out(case: Case, paths: Ints) -> Futures:
    """Futures on the given paths [path]."""
    problem, blocks = case.problem, case.blocks
    every = len(paths) == len(problem.value)
    value, fixed = (problem.value, problem.fixed) if every else (problem.value[paths], problem.fixed[paths])
    return Futures(
        revenue=np.ascontiguousarray(value.T[blocks.order], dtype=np.float32),
        fit=problem.fit[blocks.order],
        start=blocks.start,
        singles=len(blocks) == len(blocks.order),
        surplus=np.ascontiguousarray((fixed - problem.quota).T, dtype=np.float32),
    )


def margins(futures: Futures, plan: Ints) -> Paths:
    """[rep, path] revenue above quota of every rep under a plan [block]."""
    above = futures.surplus.copy()
    for rep in np.unique(plan):
        above[rep] += futures.under(int(rep), np.flatnonzero(plan == rep)).sum(axis=0)
    return above


def chances(above: Paths) -> Floats:
    """[rep] points of chance that revenue reaches quota."""
    return 100.0 * np.count_nonzero(above >= 0, axis=1) / above.shape[1]
