"""Scores of books made linear around a plan: the simulated chance of quota itself, a normal stand-in, or exact sums."""

import numpy as np

from optimization.families import active_reps
from optimization.futures import Futures, chances, margins
from optimization.problem import Bools, Floats, Ints, Paths
from optimization.rules import Case, fair_value
from optimization.scores import Goal, Linear, pair_costs

POINTS_PER_DEVIATION = 40.0
"""Points of chance per standard deviation near an even chance: 100 times the normal density at zero."""

SMALLEST_DEVIATION_SHARE = 0.05
"""A book's standard deviation is taken to be at least this share of quota, so that empty books have a slope."""


def chance_gains(futures: Futures, above: Paths, plan: Ints, wanted: Bools, reps: Ints) -> Floats:
    """Exact effect of every single change on the simulated chance of quota of ``reps``, points [block, rep of reps].

    With ``S`` the revenue of rep r under the plan, ``A`` that of block b under r, and ``Q`` the quota:

        g = P(S + A >= Q) - P(S >= Q)   if r does not hold b
        g = P(S >= Q) - P(S - A >= Q)   if r holds b

    on the same paths, so that skew, shared shocks and the posterior dependence of accounts are in.

    Parameters
    ----------
    above : [rep, path] revenue above quota under the plan
    plan : [block] rep who holds the block
    wanted : [block, rep] pairs to compute; others are zero
    """
    column = np.full(len(above), -1)
    column[reps] = np.arange(len(reps))
    block, rep = np.nonzero((wanted | (plan[:, None] == np.arange(len(above)))) & (column >= 0))
    held = plan[block] == rep
    sign = np.where(held, -1, 1)
    now = np.count_nonzero(above >= 0, axis=1)
    after = futures.reached(above, rep, block[:, None], sign[:, None])
    gain = np.zeros((len(plan), len(reps)))
    gain[block, column[rep]] = 100.0 * sign * (after - now[rep]) / futures.paths
    return gain


def _step(case: Case, share: float) -> tuple[Floats, Floats]:
    """Money of a book a pair changes [block, rep], and how much may change in one round [rep]."""
    return np.abs(case.blocks.worth), share * np.abs(case.problem.quota)


def _around(case: Case, goal: Goal, plan: Ints, level: Floats, gain: Floats, share: float) -> Linear:
    """Linear problem whose scores at the plan are ``level`` [rep]."""
    held = np.zeros_like(level)
    np.add.at(held, plan, gain[np.arange(len(plan)), plan])
    step, limit = _step(case, share)
    return Linear(goal, level - held, gain, pair_costs(case), step, plan, limit)


def by_chance(case: Case, goal: Goal, futures: Futures, plan: Ints, share: float) -> Linear:
    """Linear problem of the simulated chance of quota around a plan [block]; ``share`` limits the step."""
    above = margins(futures, plan)
    gain = chance_gains(futures, above, plan, case.blocks.allowed, np.arange(len(above)))
    return _around(case, goal, plan, chances(above), gain, share)


def by_normal(case: Case, goal: Goal, futures: Futures, plan: Ints, share: float) -> Linear:
    """Linear problem of the standardised margin ``(mean - quota) / deviation`` in points, for the first rounds.

    Its slope does not vanish where the chance is near 0 or 100, which is where the simulated chance knows no direction.
    """
    above = margins(futures, plan).astype(np.float64)
    mean = above.mean(axis=1)
    spread = above - mean[:, None]
    least = (SMALLEST_DEVIATION_SHARE * case.problem.quota) ** 2
    variance = np.maximum(np.square(spread).mean(axis=1), least)
    score = mean / np.sqrt(variance)
    # one typical multiplier per pair: families mix members of different fit, and this is only a guide
    single = np.add.reduceat(futures.revenue, futures.start, axis=0).astype(np.float64)
    centre = single.mean(axis=1)
    multiplier = np.divide(
        case.blocks.worth, centre[:, None], out=np.ones_like(case.blocks.worth), where=centre[:, None] != 0
    )
    single -= centre[:, None]
    # einsum without BLAS: its sums are the same on any number of threads
    covariance = multiplier * np.einsum("bp,rp->br", single, spread, optimize=False) / futures.paths
    own = np.square(multiplier) * np.square(single).mean(axis=1)[:, None]
    sign = np.where(plan[:, None] == np.arange(len(mean)), -1.0, 1.0)
    after = np.maximum(variance + 2 * sign * covariance + own, least)
    moved = (mean + sign * multiplier * centre[:, None]) / np.sqrt(after)
    gain = POINTS_PER_DEVIATION * sign * (moved - score)
    return _around(case, goal, plan, 50.0 + POINTS_PER_DEVIATION * score, gain, share)


def by_money(case: Case, goal: Goal, plan: Ints) -> Linear:
    """Linear problem of expected revenue in percent of the fair share: exact, without a limit on the step."""
    fair, active = fair_value(case.problem), active_reps(case.problem)
    percent = np.divide(100.0, fair, out=np.zeros_like(fair), where=active & (fair != 0))
    fixed = case.problem.fixed.mean(axis=0, dtype=np.float64)
    return _exact(case, goal, plan, percent * fixed, percent * case.blocks.worth)


def by_hours(case: Case, goal: Goal, plan: Ints) -> Linear:
    """Linear problem of hours in percent of the fair share (by hours of the reps, else by capacity): exact."""
    problem, active = case.problem, active_reps(case.problem)
    known = np.isfinite(problem.max_hours[active]).all() and problem.max_hours[active].sum() > 0
    weight = np.where(active, problem.max_hours if known else problem.capacity, 0.0)
    fair = weight / max(weight.sum(), np.finfo(float).tiny) * case.blocks.hours.sum()
    percent = np.divide(100.0, fair, out=np.zeros_like(fair), where=fair > 0)
    return _exact(case, goal, plan, np.zeros_like(fair), percent * case.blocks.hours[:, None])


def _exact(case: Case, goal: Goal, plan: Ints, base: Floats, gain: Floats) -> Linear:
    free = np.full_like(base, np.inf)
    return Linear(goal, base, gain, pair_costs(case), np.abs(case.blocks.worth), plan, free)


def attainable(case: Case, futures: Futures) -> tuple[Floats, Floats]:
    """[rep] lowest and highest chance of quota over all books the rep may own, other rules aside, points.

    The extremes are the book of everything that can only be the rep's and the book of everything that may be the rep's,
    where revenue is not negative.
    """
    allowed = case.blocks.allowed
    forced = allowed & (allowed.sum(axis=1) == 1)[:, None]
    low, high = futures.surplus.copy(), futures.surplus.copy()
    for block in range(len(allowed)):
        rows = range(futures.edge[block], futures.edge[block + 1])
        for rep in np.flatnonzero(allowed[block]):
            money = np.sum([futures.money(row, int(rep)) for row in rows], axis=0)
            low[rep] += money if forced[block, rep] else np.minimum(money, 0)
            high[rep] += money if forced[block, rep] else np.maximum(money, 0)
    return chances(low), chances(high)


def saturated(case: Case, interval: tuple[Floats, Floats], level: Floats) -> Bools:
    """[rep] active reps for whom no eligible book has the chance ``level`` [rep] (points) give or take half a band."""
    half = case.settings.attainment_band_points / 2
    low, high = interval
    return active_reps(case.problem) & ((high < level - half) | (low > level + half))
