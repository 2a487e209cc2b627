"""Moves, trades, pushes and rings that improve a plan, judged on the simulated paths themselves.

One step of the descent rates every change of a kind by the single gains of its parts (exact for a move of one block,
an estimate otherwise), counts the chances of the most promising ones on the paths, and makes the best if it improves.
Kinds are tried from cheap to dear: moves, pairs, rings of three. Source: Yagiura, Ibaraki and Glover (2004), An
ejection chain approach for the generalized assignment problem, doi:10.1287/ijoc.1030.0036.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from optimization.futures import Futures, chances, margins
from optimization.kernels import (
    PARTS,
    Rating,
    Shortlist,
    least_unfairness,
    offer_moves,
    offer_pushes,
    offer_rings,
    offer_trades,
)
from optimization.linearise import chance_gains
from optimization.problem import Bools, Floats, Ints, Paths
from optimization.rules import Case, Row, rows_of
from optimization.scores import Goal, Linear, fair_level, pair_costs

LEAST_GAIN = 1e-6
"""Points by which a change must improve the objective to be made."""

PLACES = 64
"""Changes counted on the paths in one step."""

HOPE = 1.0
"""Points by which a change may seem to make the plan worse and still be counted: ratings of several parts err."""

FAR = 4
"""Books, the farthest from the fair level, one of which takes part in every pair and ring."""


@dataclass(frozen=True)
class Position:
    """A plan and all that a step needs to know about it.

    Attributes
    ----------
    plan : [block] rep
    score : [rep] points
    gain : [block, rep] points the block adds to (or, held, takes from) the rep's score
    above : [rep, path] revenue above quota; None where scores are linear
    objective : points, on these scores
    """

    plan: Ints
    score: Floats
    gain: Floats
    above: Paths | None
    objective: float


@dataclass(frozen=True)
class Change:
    """Blocks and the reps they go to, [part] each."""

    block: Ints
    rep: Ints


@dataclass(frozen=True)
class Limits:
    """Rules that are rows, as amounts used and most amounts: what is asked at least is stated with the sign turned.

    Attributes
    ----------
    book_amount, book_limit : [row, block, rep], [row, rep] rules about single books; infinite where there is none
    plan_amount, plan_limit : [row, block, rep], [row] rules about the whole plan
    """

    book_amount: Floats
    book_limit: Floats
    plan_amount: Floats
    plan_limit: Floats


@dataclass(frozen=True)
class Search:
    """What does not change during a search.

    Attributes
    ----------
    case, goal : the problem
    futures : None where the scores are linear
    cost : [block, rep] points
    limits : the rules
    home : [block] present rep, -1 where nobody owns it or members have different owners
    thorough : whether pushes and rings are tried, too
    """

    case: Case
    goal: Goal
    futures: Futures | None
    cost: Floats
    limits: Limits
    home: Ints
    thorough: bool


def improve_on_paths(
    case: Case, goal: Goal, futures: Futures, plan: Ints, deadline: float, *, thorough: bool = True
) -> tuple[Ints, bool]:
    """Improve a feasible plan [block] by changes whose chances of quota are counted on the paths.

    Parameters
    ----------
    thorough : try pushes and rings of three where moves and trades end

    Returns
    -------
    the plan [block], and whether the search ended by itself (not by the clock)
    """
    search = _search(case, goal, futures, pair_costs(case), thorough)
    above = margins(futures, plan)
    gain = chance_gains(futures, above, plan, case.blocks.allowed, np.arange(len(above)))
    score = chances(above)
    return _descend(search, Position(plan, score, gain, above, _objective(search, plan, score)), deadline)


def improve_linear(case: Case, linear: Linear, plan: Ints, deadline: float) -> tuple[Ints, bool]:
    """Improve a feasible plan [block] where scores are linear. Returns as `improve_on_paths`."""
    search = _search(case, linear.goal, None, linear.cost, thorough=True)
    return _descend(search, Position(plan, linear.scores(plan), linear.gain, None, linear.value(plan)), deadline)


def _search(case: Case, goal: Goal, futures: Futures | None, cost: Floats, thorough: bool) -> Search:
    owner, blocks = case.problem.owner, case.blocks
    first = blocks.to_blocks(owner)
    together = np.ones(len(first), dtype=bool)
    np.logical_and.at(together, blocks.block, owner == first[blocks.block])
    return Search(case, goal, futures, cost, limits_of(case), np.where(together, first, -1), thorough)


def limits_of(case: Case) -> Limits:
    """Rules of a case as arrays. A limit gives way by rounding only."""
    shape, books, plans = case.blocks.allowed.shape, dict[tuple[str, str], tuple[Floats, Floats]](), list[Row]()
    for row in rows_of(case):
        if row.rep is None:
            plans.append(row)
            continue
        turn = 1.0 if row.sense == "<=" else -1.0
        amount, limit = books.setdefault((row.rule, row.sense), (np.zeros(shape), np.full(shape[1], np.inf)))
        amount[:, row.rep] = turn * row.coefficient
        limit[row.rep] = turn * row.limit + _rounding(row)
    signs = [1.0 if row.sense == "<=" else -1.0 for row in plans]
    return Limits(
        book_amount=np.array([amount for amount, _ in books.values()]).reshape(len(books), *shape),
        book_limit=np.array([limit for _, limit in books.values()]).reshape(len(books), shape[1]),
        plan_amount=np.array([s * r.coefficient for s, r in zip(signs, plans, strict=True)]).reshape(
            len(plans), *shape
        ),
        plan_limit=np.array([s * r.limit + _rounding(r) for s, r in zip(signs, plans, strict=True)]),
    )


def _rounding(row: Row) -> float:
    return 1e-9 * max(1.0, abs(row.limit))


def _objective(search: Search, plan: Ints, score: Floats) -> float:
    """Objective of a plan [block] with scores [rep], points."""
    return _unfair(search, score) + float(search.cost[np.arange(len(plan)), plan].sum())


def _unfair(search: Search, score: Floats) -> float:
    goal = search.goal
    return least_unfairness(
        score - goal.offset,
        (goal.counted, goal.extreme),
        float(goal.half_band),
        (float(goal.mean_weight), float(goal.floor_weight)),
        (float(goal.low), float(goal.high)),
    )


def _descend(search: Search, position: Position, deadline: float) -> tuple[Ints, bool]:
    for _ in range(search.case.settings.polish_steps):
        if time.monotonic() > deadline:
            return position.plan, False
        after = _step(search, position)
        if after is None:
            return position.plan, True
        position = after
    return position.plan, True


def _step(search: Search, position: Position) -> Position | None:
    """Make changes of the cheapest kind that has an improving one; None when no kind has."""
    rating, far = _rating(search, position), _far(search.goal, position.score)
    kinds: list[Callable[[Shortlist], None]] = [
        lambda best: offer_moves(rating, best),
        lambda best: offer_trades(rating, best),
        lambda best: offer_pushes(rating, best, far),
        lambda best: offer_rings(rating, best, far),
    ]
    for offer in kinds[: 4 if search.thorough else 2]:
        enough = position.objective - float(search.cost[np.arange(len(position.plan)), position.plan].sum()) + HOPE
        best = Shortlist(
            np.full(PLACES, enough),
            np.zeros(1, np.int64),
            np.full((PLACES, PARTS), -1),
            np.zeros((PLACES, PARTS), np.int64),
        )
        offer(best)
        after = _make(search, position, _changes(best))
        if after is not None:
            return after
    return None


def _changes(best: Shortlist) -> list[Change]:
    """Changes of a shortlist, the most promising first."""
    order = np.lexsort((*best.rep.T, *best.block.T, best.value))
    used = best.block >= 0
    return [Change(best.block[p][used[p]], best.rep[p][used[p]]) for p in order if used[p].any()]


def _make(search: Search, position: Position, changes: list[Change]) -> Position | None:
    """Make one improving change after another, each the best left by its counted scores; None when none improves."""
    start = position.plan
    while True:
        found, least = None, position.objective - LEAST_GAIN
        left, cost = [], float(search.cost[np.arange(len(position.plan)), position.plan].sum())
        for change in changes:
            if (position.plan[change.block] != start[change.block]).any():
                continue
            old = position.plan[change.block]
            dearer = float((search.cost[change.block, change.rep] - search.cost[change.block, old]).sum())
            value = _unfair(search, _scores_after(search, position, change)) + cost + dearer
            if value >= position.objective - LEAST_GAIN:
                continue
            left.append(change)
            plan = position.plan.copy()
            plan[change.block] = change.rep
            if value < least and _keeps_limits(search.limits, plan):
                found, least = change, value
        if found is None:
            return None if position.plan is start else _with_gains(search, position, start)
        position, changes = _apply(search, position, found), left


def _keeps_limits(limits: Limits, plan: Ints) -> bool:
    """Whether every rule holds for a plan [block]."""
    blocks = np.arange(len(plan))
    for amount, limit in zip(limits.book_amount, limits.book_limit, strict=True):
        if (np.bincount(plan, amount[blocks, plan], len(limit)) > limit).any():
            return False
    return bool((limits.plan_amount[:, blocks, plan].sum(axis=1) <= limits.plan_limit).all())


def _far(goal: Goal, score: Floats) -> Bools:
    """[rep] the counted reps farthest from the fair level."""
    off = np.where(goal.counted, np.abs(score - goal.offset - fair_level(score, goal)), -1.0)
    far = np.zeros(len(off), dtype=bool)
    far[np.argsort(-off, kind="stable")[:FAR]] = True
    return far


def _rating(search: Search, position: Position) -> Rating:
    goal, limits, plan = search.goal, search.limits, position.plan
    score, level = position.score - goal.offset, fair_level(position.score, goal)
    blocks, extreme = np.arange(len(plan)), np.flatnonzero(goal.extreme)
    beyond = np.maximum(np.abs(score - level) - goal.half_band, 0.0)
    book_use = np.zeros_like(limits.book_limit)
    for use, amount in zip(book_use, limits.book_amount, strict=True):
        np.add.at(use, plan, amount[blocks, plan])
    return Rating(
        score=score,
        counted=goal.counted,
        extreme=goal.extreme,
        high_first=extreme[np.argsort(-score[extreme], kind="stable")],
        low_first=extreme[np.argsort(score[extreme], kind="stable")],
        deviation=float(beyond[goal.counted].sum()),
        level=level,
        half_band=float(goal.half_band),
        mean_weight=float(goal.mean_weight),
        floor_weight=float(goal.floor_weight),
        top=float(goal.high),
        gain=position.gain,
        cost=search.cost,
        plan=plan,
        home=search.home,
        allowed=search.case.blocks.allowed,
        book_use=book_use,
        book_limit=limits.book_limit,
        book_amount=limits.book_amount,
        plan_use=limits.plan_amount[:, blocks, plan].sum(axis=1),
        plan_limit=limits.plan_limit,
        plan_amount=limits.plan_amount,
    )


def _scores_after(search: Search, position: Position, change: Change) -> Floats:
    """Exact scores [rep] after a change."""
    score, old = position.score.copy(), position.plan[change.block]
    if position.above is None or search.futures is None:
        np.add.at(score, old, -position.gain[change.block, old])
        np.add.at(score, change.rep, position.gain[change.block, change.rep])
        return score
    reps = np.unique(np.concatenate([old, change.rep]))
    sign = (change.rep == reps[:, None]).astype(np.int64) - (old == reps[:, None])
    block = np.broadcast_to(change.block, sign.shape)
    score[reps] = 100.0 * search.futures.reached(position.above, reps, block, sign) / search.futures.paths
    return score


def _apply(search: Search, position: Position, change: Change) -> Position:
    """Position after a change, but for the gains; see `_with_gains`."""
    old = position.plan[change.block]
    plan, score = position.plan.copy(), _scores_after(search, position, change)
    plan[change.block] = change.rep
    above = position.above
    if above is not None and search.futures is not None:
        futures, above = search.futures, above.copy()
        for block, leaves, joins in zip(change.block, old, change.rep, strict=True):
            for row in range(futures.edge[block], futures.edge[block + 1]):
                above[leaves] -= futures.money(row, leaves)
                above[joins] += futures.money(row, joins)
    return replace(position, plan=plan, score=score, above=above, objective=_objective(search, plan, score))


def _with_gains(search: Search, position: Position, start: Ints) -> Position:
    """Position with the gains and scores of all reps whose book differs from the plan ``start`` [block]."""
    if position.above is None or search.futures is None:
        return position
    moved = np.flatnonzero(position.plan != start)
    reps = np.unique(np.concatenate([start[moved], position.plan[moved]]))
    gain, score = position.gain.copy(), position.score.copy()
    score[reps] = chances(position.above[reps])
    gain[:, reps] = chance_gains(search.futures, position.above, position.plan, search.case.blocks.allowed, reps)
    return replace(position, gain=gain, score=score, objective=_objective(search, position.plan, score))
