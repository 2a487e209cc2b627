"""Rechecks a banded plan and its bound from raw arrays. Knows no solver, no prices' source and no search.

For any prices ``y`` [rep, metric] of any sign no feasible plan can cost less than

    sum over accounts of  min over candidate reps of  (cost + sum over metrics of y * use)
        - sum over reps and metrics of  (y * high where y > 0, else y * low)

so a wrong price only weakens the bound. Prices whose sign asks for a limit that is not there are set to zero. The sum
is exact (``math.fsum``) and lowered by the largest error its terms can have; whole costs let it be rounded up then.

A better bound prices the accounts instead and keeps the bands: for any prices ``w`` [account] no feasible plan can cost
less than the sum of ``w`` and, over reps, of the cheapest book at ``cost - w`` that holds the rep's bands. Cheapest
books come from an own enumeration (`books`), whose cut-off search still gives a bound.
Sources: Geoffrion (1974), Lagrangean relaxation for integer programming, doi:10.1007/BFb0120690; Jornsten and Nasberg
(1986), A new Lagrangian relaxation approach to the generalized assignment problem, doi:10.1016/0377-2217(86)90318-X.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from optimization.large_scale.books import least_books
from optimization.problem import BandedProblem, Floats, Ints

TOLERANCE = 1e-9
"""Violation of a band, relative to its limit, that is taken for rounding in summation."""

SETS = 8_000
"""Sets of accounts listed for each half of a book when a bound is recomputed."""

NAMED = 20
"""Violations put into words; the rest are counted."""


@dataclass(frozen=True)
class BandedCertificate:
    """What anybody can recheck about a plan without knowing the solver.

    Attributes
    ----------
    objective : cost of the plan from raw arrays
    bound : lower bound on the cost of any plan, recomputed from prices and raw arrays, rounded down; infinite where
        prices prove that no plan holds all bands
    bound_solver : the bound the search itself worked with
    bound_kind : in words, what the bound rests on
    gap : (objective - bound) / max(abs(objective), 1e-9); infinite where the bound is not finite
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
    gap = (objective - bound) / max(abs(objective), 1e-9) if math.isfinite(bound) else math.inf
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


def price_bound(problem: BandedProblem, price: Floats, whole: bool = True) -> float:
    """Lower bound on the cost of every feasible plan from any prices [rep, metric], rounded down.

    Where all costs are whole numbers, so is the cost of every plan; with ``whole`` the bound is rounded up to the next.
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
    return round_up(problem, value) if whole else value


def book_bound(problem: BandedProblem, worth: Floats, price: Floats) -> float:
    """Lower bound on the cost of every feasible plan from any prices of accounts, rounded down.

    Infinite where some rep has no book at all within the bands.

    Parameters
    ----------
    worth : [account] price of each account
    price : [rep, metric] prices of bands from which the search for cheapest books begins; they only make it shorter
    """
    worth = np.where(np.isfinite(worth), worth, 0.0)
    account = np.repeat(np.arange(len(problem.account_ids)), np.diff(problem.start))
    order, reps = np.argsort(problem.pair_rep, kind="stable"), len(problem.rep_ids)
    edge = np.searchsorted(problem.pair_rep[order], np.arange(reps + 1))
    use, net = np.ascontiguousarray(problem.use[order]), problem.cost[order] - worth[account[order]]
    price, value = project(problem, price), np.zeros(reps)
    loss = np.full(reps, 1e-4 * math.fsum(np.abs(worth)) / reps)
    inside = np.zeros(len(order), dtype=np.bool_)
    least_books(edge, net, use, problem.low, problem.high, price, loss, SETS, value, inside, np.arange(reps))
    if np.isposinf(value).any():
        return math.inf
    owner = problem.pair_rep[order]
    size = math.fsum(np.abs(net)) + math.fsum((np.abs(price[owner]) * np.abs(use)).ravel())
    band = np.where(price > 0, problem.high, np.where(price < 0, problem.low, 0.0))
    size += math.fsum(np.abs(price * band).ravel()) + math.fsum(np.abs(worth))
    error = (int(np.diff(edge).max(initial=0)) + 200) * np.finfo(float).eps * 4 * size
    return round_up(problem, math.fsum(worth) + math.fsum(value) - error)


def impossible(problem: BandedProblem, price: Floats) -> bool:
    """Whether prices [rep, metric] prove that no plan holds all bands: at no cost at all, the bound is above zero.

    Bands are widened by more than the audit's tolerance first.

    Source: Farkas' lemma on the relaxation; Schrijver (1986), Theory of linear and integer programming, section 7.3.
    """
    reps = len(problem.rep_ids)
    all_use = [np.bincount(problem.pair_rep, np.abs(use), reps) for use in problem.use.T]
    room = 10 * TOLERANCE * np.stack(all_use, axis=1) if all_use else np.zeros((reps, 0))
    room += 10 * TOLERANCE * np.maximum(*(np.where(np.isfinite(x), np.abs(x), 0) for x in (problem.low, problem.high)))
    free = replace(problem, cost=np.zeros_like(problem.cost), low=problem.low - room, high=problem.high + room)
    return price_bound(free, price, whole=False) > 0


def project(problem: BandedProblem, price: Floats) -> Floats:
    """[rep, metric] prices with those set to zero that are not finite or ask for a limit that is not there."""
    wrong = ~np.isfinite(price) | ((price > 0) & ~np.isfinite(problem.high)) | ((price < 0) & ~np.isfinite(problem.low))
    return np.where(wrong, 0.0, price)


def round_up(problem: BandedProblem, bound: float) -> float:
    """The bound, or the next whole number where every cost is one."""
    whole = np.array_equal(problem.cost, np.round(problem.cost))
    return float(math.ceil(bound)) if whole and math.isfinite(bound) else bound
