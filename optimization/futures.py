"""Simulated futures of books: which revenue each rep has on each path under a plan."""

from dataclasses import dataclass

import numpy as np

from optimization.kernels import EVERY, Accounts, add_books, count_after
from optimization.problem import Floats, Ints, Paths
from optimization.rules import Case


@dataclass(frozen=True)
class Futures:
    """Paths laid out for speed: one row per account, accounts of a block side by side.

    Attributes
    ----------
    revenue : [account in block order, path] money
    fit : [account in block order, rep] multiplier of that revenue
    edge : [block + 1] first row of each block, and the number of rows
    surplus : [rep, path] fixed revenue less quota, money
    steady : [account in block order] rep under whom the account is not disturbed, `EVERY` where nobody disturbs it
    factor : [path] what the revenue of a disturbed account is to its mean; see `TerritoryProblem.moved_factor`
    """

    revenue: Paths
    fit: Paths
    edge: Ints
    surplus: Paths
    steady: Ints
    factor: Paths

    @property
    def paths(self) -> int:
        """Number of paths."""
        return self.revenue.shape[1]

    @property
    def start(self) -> Ints:
        """[block] first row of each block."""
        return self.edge[:-1]

    def reached(self, above: Paths, rep: Ints, block: Ints, sign: Ints) -> Ints:
        """[case] on how many paths a rep reaches quota when blocks join or leave; see `kernels.count_after`."""
        return count_after(self._accounts, self.edge, above, rep, block, sign)

    def money(self, row: int, rep: int) -> Paths:
        """[path] revenue of one account under a rep."""
        single = self.fit[row, rep] * self.revenue[row]
        return single if self.steady[row] in (rep, EVERY) else single * self.factor

    def add_books(self, owner: Ints, above: Paths) -> None:
        """Add the revenue of every account under its ``owner`` [account in block order] to ``above`` [rep, path]."""
        add_books(self._accounts, owner, above)

    @property
    def _accounts(self) -> Accounts:
        return Accounts(self.revenue, self.fit, self.steady, self.factor)


def choose_paths(paths: int, wanted: int) -> Ints:
    """Return indices of ``wanted`` evenly spread paths, or of all when there are fewer."""
    return np.unique(np.linspace(0, paths - 1, min(paths, wanted)).round().astype(np.int64))


def lay_out(case: Case, paths: Ints) -> Futures:
    """Futures on the given paths [path]."""
    problem, blocks = case.problem, case.blocks
    every = len(paths) == len(problem.value)
    value, fixed = (problem.value, problem.fixed) if every else (problem.value[paths], problem.fixed[paths])
    factor = problem.moved_factor
    steady = np.where((problem.move_cost > 0) & (factor is not None), problem.owner, EVERY)
    return Futures(
        revenue=np.ascontiguousarray(value.T[blocks.order], dtype=np.float32),
        fit=np.ascontiguousarray(problem.fit[blocks.order], dtype=np.float32),
        edge=np.append(blocks.start, len(blocks.order)).astype(np.int64),
        surplus=np.ascontiguousarray((fixed - problem.quota).T, dtype=np.float32),
        steady=steady[blocks.order].astype(np.int64),
        factor=np.ones(len(paths), dtype=np.float32) if factor is None else factor[paths].astype(np.float32),
    )


def margins(futures: Futures, plan: Ints) -> Paths:
    """[rep, path] revenue above quota of every rep under a plan [block]."""
    above = futures.surplus.copy()
    futures.add_books(np.repeat(plan, np.diff(futures.edge)), above)
    return above


def chances(above: Paths) -> Floats:
    """[rep] points of chance that revenue reaches quota."""
    return 100.0 * np.count_nonzero(above >= 0, axis=1) / above.shape[1]
