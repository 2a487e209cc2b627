"""The large path of `optimization.solve`: relaxation, a whole plan near it, search on the paths around the worst books.

The chance of quota is made linear by `target.by_target` first, which holds at any distance, then by the simulated
chance itself within the step of a round; only plans that are better on the simulated paths are accepted. Potential and
hours are linear as they are: one round, whose bands `chance_bands` narrows as far as a whole plan is found.
"""

import time
from dataclasses import dataclass, replace

import numpy as np

from optimization import linearise
from optimization.audit import violations
from optimization.families import active_reps
from optimization.futures import Futures, choose_paths, lay_out
from optimization.large_scale.chance_bands import Effort, nearest, plan_near, within_budgets
from optimization.large_scale.fair_relaxation import FairRelaxation, Lifted, lift, relax_fair
from optimization.large_scale.focus import focused_linear, focused_on_paths
from optimization.large_scale.lift import least_per_block, refuse
from optimization.large_scale.target import by_target
from optimization.problem import Bools, Ints
from optimization.scores import Linear, build_goal
from optimization.search import LEAST_GAIN
from optimization.work import Found, Interval, Work, goal_around, present, worth

CANDIDATES = 8
"""Pairs of a block, by reduced cost, that a banded problem and the search on the paths look at, besides its owner."""

BANDED_ROUNDS = 6
"""Rounds of one banded search: few, so that mostly no clock has a part in it; where one has, the plan says so."""

SEARCH_SHARE = 0.75
"""Share of the time after which the search ends; the rest is for the certificate."""

MOST_FAILURES = 2
"""Rounds in a row without a gain after which the work ends; each halves the step of the next."""

PLAN_SHARE = 0.4
"""Most of the time left that one whole plan may take."""

STAY_POINTS = 1.0
"""Points an account's move costs while a first plan that keeps the rules is sought."""


@dataclass(frozen=True)
class Made:
    """A whole plan near a relaxation.

    Attributes
    ----------
    plan : [block], None without one
    near : [block, rep] pairs worth a look
    repeatable : no clock had a part in it
    relaxation : the problem and its answer, None where there was no time for one
    """

    plan: Ints | None
    near: Bools
    repeatable: bool
    relaxation: tuple[Lifted, FairRelaxation] | None = None


def searching(work: Work, began: float) -> Work:
    """The work with its deadline moved forward, so that time is left for the certificate."""
    return replace(work, deadline=began + SEARCH_SHARE * (work.deadline - began))


def first_large(work: Work) -> Found | None:
    """Present plan, or mended with few moves where it breaks a rule; None when no plan was found.

    Raises
    ------
    ValueError
        A rule in force is not supported here.
    """
    refuse(work.case)
    found = present(work.case)
    if found is not None:
        return Found(found, repeatable=True)
    allowed = work.case.blocks.allowed
    if not allowed.any(axis=1).all():
        return None
    goal = replace(build_goal(work.case, np.zeros(allowed.shape[1], dtype=bool)), mean_weight=0.0, floor_weight=0.0)
    nobody = np.zeros(allowed.shape[1], dtype=bool)
    goal = replace(goal, counted=nobody, extreme=nobody)
    linear = linearise.by_money(work.case, goal, allowed.argmax(axis=1))
    stay = replace(linear, cost=linear.cost + STAY_POINTS * work.case.blocks.moved_accounts)
    owner = work.case.blocks.to_blocks(work.case.problem.owner).clip(min=0)
    own = allowed[np.arange(len(owner)), owner]
    made = make_plan(work, stay, np.where(own, owner, allowed.argmax(axis=1)))
    return None if made.plan is None else Found(made.plan, made.repeatable)


def make_plan(work: Work, linear: Linear, begun: Ints) -> Made:
    """Whole plan near the relaxation of a linear problem: its rounding, mended where that breaks a rule.

    Parameters
    ----------
    begun : [block] plan to begin from
    """
    case, allowed = work.case, work.case.blocks.allowed
    now = time.monotonic()
    deadline = now + PLAN_SHARE * max(work.deadline - now, 0.0)
    lifted, own = lift(case, linear), np.zeros_like(allowed)
    own[np.arange(len(begun)), begun] = True
    relaxed = relax_fair(lifted, deadline, own)
    if relaxed is None:
        return Made(None, own, repeatable=False)
    timely, blocks = relaxed.status == "optimal", np.arange(len(begun))
    near = (least_per_block(relaxed.reduced, allowed, CANDIDATES) | own | (relaxed.share > 0)) & allowed
    homes = case.blocks.to_blocks(case.problem.owner).clip(min=0)
    near[blocks, homes] |= allowed[blocks, homes]
    plan = within_budgets(lifted, relaxed, relaxed.share.argmax(axis=1), begun)
    if lifted.keeps(plan):
        return Made(_kept(work, plan), near, timely, (lifted, relaxed))
    mended = nearest(lifted, relaxed, deadline, work.seed)
    timely &= mended.repeatable
    if mended.plan is None:
        mended = plan_near(lifted, relaxed, begun, Effort(CANDIDATES, BANDED_ROUNDS, deadline, work.seed))
        timely &= mended.repeatable
    return Made(None if mended.plan is None else _kept(work, mended.plan), near, timely, (lifted, relaxed))


def _kept(work: Work, plan: Ints) -> Ints | None:
    """A plan [block] that the audit finds to keep every rule, else none."""
    case = work.case
    return None if violations(case.problem, case.settings, case.blocks.to_accounts(plan)) else plan


def sums_large(work: Work, linear: Linear, first: Found) -> Found:
    """Plan for fairness by potential or hours, whose scores are exactly linear."""
    made = make_plan(work, linear, first.plan)
    best, repeatable = first.plan, first.repeatable and made.repeatable
    for begun in (first.plan,) if made.plan is None else (made.plan, first.plan):
        found, ended = focused_linear(work.case, linear, begun, made.near, work.deadline)
        best, repeatable = min((best, found, begun), key=linear.value), repeatable and ended
        if linear.value(best) < linear.value(first.plan):
            break
    if made.relaxation is None:
        return Found(best, repeatable=False)
    lifted, relaxed = made.relaxation
    value = linear.value(best)
    if value - relaxed.objective > work.case.settings.mip_gap * abs(value):
        effort = Effort(CANDIDATES, BANDED_ROUNDS, work.deadline, work.seed)
        narrower = plan_near(lifted, relaxed, best, effort)
        repeatable &= narrower.repeatable
        if narrower.plan is not None and (plan := _kept(work, narrower.plan)) is not None:
            found, ended = focused_linear(work.case, linear, plan, made.near, work.deadline)
            best, repeatable = min((best, plan, found), key=linear.value), repeatable and ended
    return Found(best, repeatable, relaxed.solution)


def rounds_large(work: Work, futures: Futures, interval: Interval, first: Found) -> Found:
    """Linearise, solve, search on the paths; accept only what is better there. Two failures in a row end the work."""
    return _rounds(work, futures, interval, first)[0]


def _rounds(work: Work, futures: Futures, interval: Interval, first: Found) -> tuple[Found, Bools]:
    case, step, failed = work.case, work.case.settings.step_share, 0
    plan, repeatable, around = first.plan, first.repeatable, first.plan
    near = least_per_block(case.blocks.moved_cost, case.blocks.allowed, CANDIDATES)
    best = worth(work, futures, interval, plan)
    for number in range(case.settings.rounds):
        goal = goal_around(work, futures, interval, around)
        if number:
            linear = linearise.by_chance(case, goal, futures, around, step)
        else:
            linear = by_target(case, goal, futures, around)
        made = make_plan(work, linear, around)
        near, repeatable = near | made.near, repeatable and made.repeatable
        tried = around if made.plan is None else made.plan
        goal = goal_around(work, futures, interval, tried)
        tried, ended = focused_on_paths(case, goal, futures, tried, made.near, work.deadline)
        repeatable &= ended
        value = worth(work, futures, interval, tried)
        if value < best - LEAST_GAIN:
            plan, best, around, failed = tried, value, tried, 0
        else:
            step, failed, around = step / 2, failed + 1, plan
        if failed == MOST_FAILURES or time.monotonic() > work.deadline:
            break
    return Found(plan, repeatable), near


def chance_large(work: Work, first: Found) -> tuple[Found, Futures, Interval]:
    """Plan for fairness by the chance of quota, and the paths and intervals it rests on."""
    case, paths = work.case, len(work.case.problem.value)
    futures = lay_out(case, choose_paths(paths, case.settings.search_paths))
    interval = attainable(work, futures)
    found, near = _rounds(work, futures, interval, first)
    if futures.paths < paths:
        futures = lay_out(case, np.arange(paths))
        goal = goal_around(work, futures, interval, found.plan)
        plan, ended = focused_on_paths(case, goal, futures, found.plan, near, work.deadline)
        found = Found(plan, found.repeatable and ended)
    plan = min((found.plan, first.plan), key=lambda one: worth(work, futures, interval, one))
    return Found(plan, found.repeatable), futures, interval


def attainable(work: Work, futures: Futures) -> Interval:
    """[rep] lowest and highest chance over all books the rep may own, other rules aside, points, as `linearise` has it.

    Losses and gains of a family are not netted here, so the interval may be a little wider.
    """
    allowed = np.repeat(work.case.blocks.allowed, np.diff(futures.edge), axis=0)
    forced = allowed & (allowed.sum(axis=1) == 1)[:, None]
    low, high = futures.surplus.copy(), futures.surplus.copy()
    gains, losses = np.maximum(futures.revenue, 0), np.minimum(futures.revenue, 0)
    for r in np.flatnonzero(active_reps(work.case.problem)):
        for side, part, rows in (
            (low, futures.revenue, forced[:, r]),
            (low, losses, allowed[:, r] & ~forced[:, r]),
            (high, futures.revenue, forced[:, r]),
            (high, gains, allowed[:, r] & ~forced[:, r]),
        ):
            book = replace(futures, revenue=part[rows], fit=futures.fit[rows], steady=futures.steady[rows])
            book.add_books(np.full(int(rows.sum()), r), side)
    return linearise.chances(low), linearise.chances(high)
