"""Rechecks a banded plan and its bound from raw arrays. Knows no solver, no prices' source and no search.

For any prices ``y`` [rep, metric] of any sign no feasible plan can cost less than

    sum over accounts of  min over candidate reps of  (cost + sum over metrics of y * use)
        - sum over reps and metrics of  (y * high where y > 0, else y * low)

so a wrong price only weakens the bound. Prices whose sign asks for a limit that is not there are set to zero. The sum
is exact (``math.fsum``) and lowered by the largest error its terms can have; whole costs let it be rounded up then.
Source: Geoffrion (1974), Lagrangean relaxation for integer programming, doi:10.1007/BFb0120690.
"""

import math
from dataclasses import dataclass

import numpy as np

from optimization.problem import BandedProblem, Floats, Ints

TOLERANCE = 1e-9
"""Violation of a band, relative to its limit, that is taken for rounding in summation."""

NAMED = 20
"""Violations put into words; the rest are counted."""


@dataclass(frozen=True)
class BandedCertificate:
    """What anybody can recheck about a plan without knowing the solver.

    Attributes
    ----------
    objective : cost of the plan from raw arrays
    bound : lower bound on the cost of any plan, recomputed from prices and raw arrays, rounded down
    bound_solver : the bound the search itself worked with
    bound_kind : in words, what the bound rests on
    gap : (objective - bound) / max(abs(objective), 1e-9)
    feasible : every account has one candidate rep and every band holds
    violations : in words, one per band that does not hold
    """

    objective: float
    bound: float
    bound_solver: float
    bound_kind: str
    gap: float
    feasible: bool
    violations: tuple[str, ...]


def certify(problem: BandedProblem, rep: Ints, bound: float, reported: tuple[float, str]) -> BandedCertificate:
    """Recheck a plan ``rep`` [account] beside a recomputed bound; ``reported``: the search's bound, and its kind."""
    broken = violations(problem, rep)
    objective = plan_cost(problem, rep)
    gap = (objective - bound) / max(abs(objective), 1e-9)
    return BandedCertificate(objective, bound, *reported, gap, not broken, broken)


def plan_cost(problem: BandedProblem, rep: Ints) -> float:
    """Cost of a plan ``rep`` [account]; infinite where an account is not with a candidate."""
    pair = plan_pairs(problem, rep)
    return math.inf if pair is None else math.fsum(problem.cost[pair])


def plan_pairs(problem: BandedProblem, rep: Ints) -> Ints | None:
    """[account] pair that a plan uses; None where an account is not with exactly one of its candidates."""
    if len(rep) != len(problem.account_ids):
        return None
    account = np.repeat(np.arange(len(rep)), np.diff(problem.start))
    used = np.flatnonzero(problem.pair_rep == np.asarray(rep)[account])
    return used if np.array_equal(account[used], np.arange(len(rep))) else None


def violations(problem: BandedProblem, rep: Ints) -> tuple[str, ...]:
    """What a plan ``rep`` [account] breaks, in words; empty when every rule holds."""
    pair = plan_pairs(problem, rep)
    if pair is None:
        return ("coverage: an account is not with exactly one of its candidate reps",)
    broken = []
    reps = len(problem.rep_ids)
    for k, metric in enumerate(problem.metric_ids):
        use = problem.use[pair, k]
        amount = np.bincount(rep, use, reps)
        size = np.bincount(rep, np.abs(use), reps)  # what rounding in the sum is relative to
        for limit, sign in ((problem.high[:, k], 1.0), (problem.low[:, k], -1.0)):
            known = np.isfinite(limit)
            slack = np.where(known, TOLERANCE * np.maximum(size, np.abs(np.where(known, limit, 0.0))), np.inf)
            for r in np.flatnonzero(known & (sign * (amount - np.where(known, limit, 0.0)) > slack)):
                broken.append(f"{metric}: {problem.rep_ids[r]} has {amount[r]:.9g}, the limit is {limit[r]:.9g}")
    if len(broken) > NAMED:
        broken = [*broken[:NAMED], f"and {len(broken) - NAMED} more"]
    return tuple(broken)


def price_bound(problem: BandedProblem, price: Floats) -> float:
    """Lower bound on the cost of every feasible plan from any prices [rep, metric], rounded down.

    Where all costs are whole numbers, so is the cost of every plan, and the bound is rounded up to the next one.
    """
    price = project(problem, price)
    priced = price[problem.pair_rep] * problem.use
    least = np.minimum.reduceat(problem.cost + priced.sum(axis=1), problem.start[:-1])
    limit = np.where(price > 0, problem.high, problem.low)
    constant = np.where(price != 0, price * np.where(np.isfinite(limit), limit, 0.0), 0.0)
    metrics = problem.use.shape[1]
    largest = np.maximum.reduceat(np.abs(problem.cost) + np.abs(priced).sum(axis=1), problem.start[:-1])
    error = (metrics + 3) * np.finfo(float).eps * (math.fsum(largest) + math.fsum(np.abs(constant).ravel()))
    value = math.fsum(least) - math.fsum(constant.ravel()) - error
    return round_up(problem, value)


def project(problem: BandedProblem, price: Floats) -> Floats:
    """[rep, metric] prices with those set to zero that are not finite or ask for a limit that is not there."""
    wrong = ~np.isfinite(price) | ((price > 0) & ~np.isfinite(problem.high)) | ((price < 0) & ~np.isfinite(problem.low))
    return np.where(wrong, 0.0, price)


def round_up(problem: BandedProblem, bound: float) -> float:
    """The bound, or the next whole number where every cost is one."""
    whole = np.array_equal(problem.cost, np.round(problem.cost))
    return float(math.ceil(bound)) if whole and math.isfinite(bound) else bound
