"""Exact prices of the relaxation: a linear program over few pairs that takes in pairs of negative reduced cost."""

import time
from dataclasses import dataclass, replace

import numpy as np

from optimization.large_scale.dual import Dual, climb, reduced_costs
from optimization.large_scale.programs import relax, whole_part
from optimization.problem import BandedProblem, Floats, Ints

ROUNDS = 12
"""Most linear programs."""

LARGEST_ROWS = 25_000
"""Accounts above which the linear program takes longer than it is worth and the smoothed dual stands alone."""


@dataclass(frozen=True)
class Relaxation:
    """What is known of the relaxed problem.

    Attributes
    ----------
    price : [rep, metric] best prices
    bound : value of the dual function at them
    share : [pair] share of the account the rep has in the relaxed plan; NaN-free, zero where unknown
    exact : the prices are optimal
    doubtful : no shares of accounts that hold all bands were found
    """

    price: Floats
    bound: float
    share: Floats
    exact: bool
    doubtful: bool = True


def solve_relaxation(problem: BandedProblem, deadline: float) -> Relaxation:
    """Prices by smoothed ascent, then exactly by column generation where the size allows it."""
    dual = climb(problem, deadline)
    share = np.zeros(len(problem.cost))
    if len(problem.account_ids) > LARGEST_ROWS or time.monotonic() > deadline:
        return Relaxation(dual.price, dual.bound, share, exact=False)
    return _generate(problem, dual, deadline)


def _generate(problem: BandedProblem, dual: Dual, deadline: float) -> Relaxation:
    reduced = _reduced(problem, dual.price)
    chosen = _first_pairs(problem, reduced)
    elastic = _elastic(problem, dual.price)
    best, share, exact, doubtful = dual, np.zeros(len(problem.cost)), False, True
    for _ in range(ROUNDS):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        pair = np.flatnonzero(chosen)
        answer = relax(problem, whole_part(problem, pair), left, elastic)
        if not answer.solved or not np.isfinite(answer.price).all():
            break
        share = np.zeros(len(problem.cost))
        share[pair], doubtful = answer.value, answer.outside > 0
        bound = dual_value(problem, answer.price)
        if bound > best.bound:
            best = Dual(answer.price, bound)
        exact = answer.objective - best.bound <= 1e-9 * max(1.0, abs(best.bound))
        entering = _entering(problem, answer.price, pair, ~chosen)
        if exact or not entering.any():
            break
        chosen |= entering
    return Relaxation(best.price, best.bound, share, exact, doubtful)


def dual_value(problem: BandedProblem, price: Floats) -> float:
    """Value of the dual function, in plain floating point."""
    price = np.where((price > 0) & ~np.isfinite(problem.high), 0.0, price)
    price = np.where((price < 0) & ~np.isfinite(problem.low), 0.0, price)
    value = problem.cost + (price[problem.pair_rep] * problem.use).sum(axis=1)
    band = np.where(price > 0, problem.high, problem.low)
    least = np.minimum.reduceat(value, problem.start[:-1]).sum()
    return float(least - (price * np.where(price != 0, band, 0.0)).sum())


def infeasibility_prices(problem: BandedProblem, deadline: float) -> Floats:
    """[rep, metric] prices that show that no shares of accounts hold all bands, where that is so; else any prices.

    The program asks, at no cost, for the least that must lie outside the bands, each metric in its own unit.
    """
    free = replace(problem, cost=np.zeros_like(problem.cost))
    typical = np.abs(problem.use).mean(axis=0) if len(problem.use) else np.ones(problem.use.shape[1])
    elastic = 1.0 / np.where(typical > 0, typical, 1.0)
    if len(problem.account_ids) > LARGEST_ROWS:
        return climb(free, deadline).price
    return relax(free, whole_part(free, np.arange(len(free.cost))), deadline - time.monotonic(), elastic).price


def _reduced(problem: BandedProblem, price: Floats) -> Floats:
    return reduced_costs(problem.start, problem.pair_rep, problem.cost, problem.use, price)


def _first_pairs(problem: BandedProblem, reduced: Floats) -> np.ndarray:
    """Pairs of the first program: three per account on average, by reduced cost, the cheapest always."""
    keep = min(len(reduced) - 1, 3 * len(problem.account_ids))
    return (reduced <= np.partition(reduced, keep)[keep]) | (reduced <= 0)


def _elastic(problem: BandedProblem, price: Floats) -> Floats:
    """[metric] cost of a unit outside a band: well above any price seen."""
    typical = np.abs(problem.use).mean(axis=0)
    unit = np.ptp(problem.cost) / np.where(typical > 0, typical, 1.0) + 1e-6
    return 10.0 * np.maximum(np.abs(price).max(axis=0, initial=0.0), unit)


def _entering(problem: BandedProblem, price: Floats, pair: Ints, outside: np.ndarray) -> np.ndarray:
    """Pairs outside the program that are cheaper than the program's own for the account."""
    value = problem.cost + (price[problem.pair_rep] * problem.use).sum(axis=1)
    account = np.repeat(np.arange(len(problem.account_ids)), np.diff(problem.start))
    least = np.full(len(problem.account_ids), np.inf)
    np.minimum.at(least, account[pair], value[pair])
    return outside & (value < least[account] - 1e-9)
