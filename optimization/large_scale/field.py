"""What every search over one problem shares: prices, reduced costs, and how much heat moves how much."""

from dataclasses import dataclass

import numpy as np

from optimization.large_scale.dual import reduced_costs
from optimization.large_scale.pricing import Relaxation
from optimization.problem import BandedProblem, Floats, Ints

OUTSIDE = 3.0
"""Least cost of a unit outside a band, against its price and against the mean price of the metric."""

UNIT_LOSS = 1e-3
"""Loss, as a share of the plan's cost, that free accounts would suffer at a heat of one unit."""


@dataclass(frozen=True)
class Field:
    """A problem seen through its prices.

    Attributes
    ----------
    problem : see `BandedProblem`
    price : [rep, metric]
    bound : value of the dual function at the prices
    account : [pair]
    reduced : [pair] reduced costs, at least zero
    outside : [rep, metric] least cost of a unit outside a band
    heat : unit of temperature, in the unit of cost
    first : [account] pairs of the rounded relaxation
    exact : the prices are optimal
    doubtful : no shares of accounts that hold all bands are known
    """

    problem: BandedProblem
    price: Floats
    bound: float
    account: Ints
    reduced: Floats
    outside: Floats
    heat: float
    first: Ints
    exact: bool
    doubtful: bool = True


def make_field(problem: BandedProblem, relaxation: Relaxation) -> Field:
    """Prices applied to a problem."""
    price, accounts = relaxation.price, len(problem.account_ids)
    reduced = reduced_costs(problem.start, problem.pair_rep, problem.cost, problem.use, price)
    account = np.repeat(np.arange(accounts), np.diff(problem.start))
    size = np.abs(problem.use).mean(axis=0)
    spread = np.abs(problem.cost).mean() + 1e-9
    mean = np.abs(price).mean(axis=0)
    outside = np.maximum(OUTSIDE * np.abs(price), mean + 1e-3 * spread / np.where(size > 0, size, 1.0))
    order = np.lexsort((reduced, -np.round(relaxation.share, 6), account))
    scale = max(abs(relaxation.bound) if np.isfinite(relaxation.bound) else 0.0, 1e-3 * spread * accounts)
    heat = _heat(reduced, problem.start, UNIT_LOSS * scale)
    first = order[problem.start[:-1]]
    return Field(
        problem, price, relaxation.bound, account, reduced, outside, heat, first, relaxation.exact, relaxation.doubtful
    )


def _heat(reduced: Floats, start: Ints, loss: float) -> float:
    """Temperature at which accounts that choose freely lose this much in expectation, all together."""
    first = start[:-1]
    low, high = loss / len(first) * 1e-6, max(float(reduced.max()), loss) * 1e3
    for _ in range(50):
        middle = float(np.sqrt(low * high))
        weight = np.exp(-np.minimum(reduced / middle, 700.0))
        expected = np.add.reduceat(weight * reduced, first) / np.add.reduceat(weight, first)
        low, high = (low, middle) if expected.sum() > loss else (middle, high)
    return middle


def reach_limit(field: Field, per_account: float) -> float:
    """Reduced cost below which there are this many pairs per account."""
    keep = min(len(field.reduced) - 1, int(per_account * len(field.first)))
    return float(np.partition(field.reduced, keep)[keep])
