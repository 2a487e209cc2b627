"""Prices of accounts by ascent: the bound in which every rep's book holds its bands exactly.

Coverage is priced instead of the bands: each rep takes its cheapest book within its bands, an account wanted by two
becomes dearer, one wanted by nobody cheaper. Steps go along a running mean of the shortfalls and are as long as the
distance to the target says; after steps without gain they get shorter and begin from the best prices again.
Sources: Held, Wolfe and Crowder (1974), Validation of subgradient optimization, doi:10.1007/BF01580223; Barahona and
Anbil (2000), The volume algorithm, doi:10.1007/s101070050002.
"""

import time
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from optimization.large_scale.books import least_books
from optimization.problem import BandedProblem, Floats, Ints

SETS = 2_000
"""Sets of accounts listed for each half of a book."""

STEPS = 300
"""Most steps."""

FIRST, LAST = 0.4, 1e-3
"""Length of the first steps, as a part of the way to the target, and below which the ascent ends."""

PATIENCE, SHORTER = 5, 0.8
"""Steps without gain after which steps get shorter, and the factor."""

RECENT = 0.4
"""Weight of the newest shortfall in the running mean."""

NEAR = 1e-4
"""Least distance of the target from the bound, relative."""

SIDES = 2
"""Jobs in which the books are dealt; the number of threads changes only how long they take."""


@dataclass(frozen=True)
class AccountPrices:
    """Prices of accounts and what they bound.

    Attributes
    ----------
    worth : [account]
    price : [rep, metric] prices of the bands that go with them
    bound : value of the relaxation, not rounded
    ended : no clock had a part in it
    """

    worth: Floats
    price: Floats
    bound: float
    ended: bool


def price_accounts(
    problem: BandedProblem, price: Floats, target: float, deadline: float, pool: Executor
) -> AccountPrices:
    """Prices of accounts near the best bound, from optimal prices of bands.

    Parameters
    ----------
    price : [rep, metric]
    target : cost of a plan, or what one may cost
    deadline : on the monotonic clock
    """
    books = _Books(problem, price)
    priced = problem.cost + (price[problem.pair_rep] * problem.use).sum(axis=1)
    worth = np.minimum.reduceat(priced, problem.start[:-1])
    best, mean = AccountPrices(worth, price, -np.inf, True), np.zeros(len(worth))
    length, dry, now = FIRST, 0, worth
    for step in range(STEPS):
        value, shortfall = books.take(now, pool)
        if value > best.bound:
            best, dry = AccountPrices(now, books.price.copy(), value, True), 0
        else:
            dry += 1
        if not np.isfinite(value) or best.bound >= target or length < LAST or not shortfall.any():
            return best
        if time.monotonic() > deadline:
            return AccountPrices(best.worth, best.price, best.bound, False)
        if dry >= PATIENCE:
            length, dry, now = length * SHORTER, 0, best.worth
        mean = shortfall if step == 0 else (1 - RECENT) * mean + RECENT * shortfall
        distance = max(target, best.bound + NEAR * abs(best.bound)) - value
        now = now + length * distance / max(float((mean**2).sum()), 1e-9) * mean
    return best


class _Books:
    """Pairs in the order of reps, and what the last search for cheapest books left for the next one."""

    def __init__(self, problem: BandedProblem, price: Floats) -> None:
        reps = len(problem.rep_ids)
        order = np.argsort(problem.pair_rep, kind="stable")
        self.problem, self.price = problem, price.copy()
        self.edge = np.searchsorted(problem.pair_rep[order], np.arange(reps + 1))
        self.account = np.repeat(np.arange(len(problem.account_ids)), np.diff(problem.start))[order]
        self.cost, self.use = problem.cost[order], np.ascontiguousarray(problem.use[order])
        self.floor = 1e-5 * float(np.abs(problem.cost).mean() + 1e-9) * len(problem.account_ids) / reps
        self.loss, self.value = np.full(reps, self.floor), np.zeros(reps)
        self.inside = np.zeros(len(order), dtype=np.bool_)

    def take(self, worth: Floats, pool: Executor) -> tuple[float, Floats]:
        """Bound at these prices [account], and by how much each account is in too few books [account]."""
        net, problem = self.cost - worth[self.account], self.problem

        def side(reps: Ints) -> None:
            given = (self.edge, net, self.use, problem.low, problem.high, self.price, self.loss)
            least_books(*given, SETS, self.value, self.inside, reps)

        reps = np.arange(len(self.value))
        list(pool.map(side, [reps[k::SIDES] for k in range(SIDES)]))
        self.loss = np.where(np.isfinite(self.loss), np.maximum(self.loss, self.floor), self.floor)
        taken = np.bincount(self.account, self.inside, len(worth))
        return float(worth.sum() + self.value.sum()), 1.0 - taken
