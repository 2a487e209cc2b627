"""Single moves and swaps that improve a plan, judged on the simulated paths themselves."""

import time
from dataclasses import dataclass, replace

import numpy as np

from optimization.futures import Futures, chances, margins
from optimization.linearise import chance_gains
from optimization.problem import Bools, Floats, Ints, Paths
from optimization.rules import Case, Row, rows_of
from optimization.scores import Goal, Linear, fair_level, pair_costs, unfairness

SWAPS_TRIED = 40
"""Swaps checked exactly in one step, the most promising by the single gains of their two halves."""

LEAST_GAIN = 1e-6
"""Points by which a change must improve the objective to be made."""


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
    """Blocks and the reps they go to, [part] each: one part is a move, two are a swap."""

    block: Ints
    rep: Ints


@dataclass(frozen=True)
class Search:
    """What does not change during a search.

    Attributes
    ----------
    case, goal : the problem
    futures : None where the scores are linear
    cost : [block, rep] points
    rows : rules that are rows
    """

    case: Case
    goal: Goal
    futures: Futures | None
    cost: Floats
    rows: list[Row]


def improve_on_paths(case: Case, goal: Goal, futures: Futures, plan: Ints, deadline: float) -> tuple[Ints, bool]:
    """Improve a feasible plan [block] by moves and swaps whose chances of quota are counted on the paths.

    Returns
    -------
    the plan [block], and whether the search ended by itself (not by the clock)
    """
    search = Search(case, goal, futures, pair_costs(case), rows_of(case))
    above = margins(futures, plan)
    gain = chance_gains(futures, above, plan, case.blocks.allowed, np.arange(len(above)))
    score = chances(above)
    return _descend(search, Position(plan, score, gain, above, objective_on_paths(search, plan, score)), deadline)


def improve_linear(case: Case, linear: Linear, plan: Ints, deadline: float) -> tuple[Ints, bool]:
    """Improve a feasible plan [block] by moves and swaps where scores are linear. Returns as `improve_on_paths`."""
    search = Search(case, linear.goal, None, linear.cost, rows_of(case))
    return _descend(search, Position(plan, linear.scores(plan), linear.gain, None, linear.value(plan)), deadline)


def objective_on_paths(search: Search, plan: Ints, score: Floats) -> float:
    """Objective of a plan [block] with simulated scores [rep], points."""
    return unfairness(score, search.goal) + float(search.cost[np.arange(len(plan)), plan].sum())


def _descend(search: Search, position: Position, deadline: float) -> tuple[Ints, bool]:
    for _ in range(search.case.settings.polish_steps):
        if time.monotonic() > deadline:
            return position.plan, False
        change = _best_move(search, position) or _best_swap(search, position)
        if change is None:
            return position.plan, True
        position = _apply(search, position, change)
    return position.plan, True


def _others_worst(excess: Floats, extreme: Bools) -> Floats:
    """[rep, rep] largest excess (at least zero) over all extreme reps but these two."""
    counted = np.where(extreme, excess, 0.0)
    top = np.argsort(-counted, kind="stable")[:3]
    worst = np.zeros((len(excess), len(excess)))
    rows, columns = np.arange(len(excess))[:, None], np.arange(len(excess))[None, :]
    for one in top[::-1]:  # the largest that is neither of the two wins, because it is written last
        worst = np.where((rows != one) & (columns != one), max(counted[one], 0.0), worst)
    return worst


def changed_unfairness(goal: Goal, present: Floats, reps: tuple[Ints, Ints], scores: tuple[Floats, Floats]) -> Floats:
    """Unfairness [candidate] at the fair level of the present scores when two reps of each candidate get new scores.

    Parameters
    ----------
    present : [rep] scores now, points
    reps, scores : for each of the two, [candidate] which rep and its new score
    """
    level = fair_level(present, goal)
    above, below = present - level - goal.half_band, level - goal.half_band - present
    over = _others_worst(above, goal.extreme)[reps]
    under = _others_worst(below, goal.extreme)[reps]
    deviation = np.maximum(np.maximum(above, below), 0.0) * goal.counted
    mean = np.full(len(reps[0]), deviation.sum())
    for rep, score in zip(reps, scores, strict=True):
        high, low = score - level - goal.half_band, level - goal.half_band - score
        over = np.where(goal.extreme[rep], np.maximum(over, high), over)
        under = np.where(goal.extreme[rep], np.maximum(under, low), under)
        mean += np.maximum(np.maximum(high, low), 0.0) * goal.counted[rep] - deviation[rep]
    lacking = goal.high - level + goal.half_band + under
    return over + under + goal.mean_weight * mean + goal.floor_weight * lacking


def _best_move(search: Search, position: Position) -> Change | None:
    """Return the best single move, or None when none improves. Both scores of a move are exact."""
    allowed = search.case.blocks.allowed & _rows_allow_move(search, position)
    allowed[np.arange(len(position.plan)), position.plan] = False
    block, rep = np.nonzero(allowed)
    if not len(block):
        return None
    old = position.plan[block]
    scores = position.score[old] - position.gain[block, old], position.score[rep] + position.gain[block, rep]
    delta = (
        changed_unfairness(search.goal, position.score, (old, rep), scores)
        + search.cost[block, rep]
        - search.cost[block, old]
    )
    best = int(np.argmin(delta))
    now = unfairness(position.score, search.goal)
    return Change(block[best : best + 1], rep[best : best + 1]) if delta[best] < now - LEAST_GAIN else None


def _best_swap(search: Search, position: Position) -> Change | None:
    """Return the best swap of two blocks among the most promising, or None when none improves."""
    first, second = _swap_pairs(search, position)
    if not len(first):
        return None
    plan, gain, cost = position.plan, position.gain, search.cost
    a, b = plan[first], plan[second]
    guess = position.score[a] - gain[first, a] + gain[second, a], position.score[b] - gain[second, b] + gain[first, b]
    extra = cost[first, b] + cost[second, a] - cost[first, a] - cost[second, b]
    delta = changed_unfairness(search.goal, position.score, (a, b), guess) + extra
    best, least = None, unfairness(position.score, search.goal) - LEAST_GAIN
    for i in np.argsort(delta, kind="stable")[:SWAPS_TRIED]:
        change = Change(np.array([first[i], second[i]]), np.array([b[i], a[i]]))
        if not _rows_allow(search, position, change):
            continue
        exact = _scores_after(search, position, change)
        value = unfairness(exact, search.goal) + float(extra[i])
        if value < least:
            best, least = change, value
    return best


def _swap_pairs(search: Search, position: Position) -> tuple[Ints, Ints]:
    """Pairs of blocks that may trade places, one of each pair held by one of the reps farthest from the level."""
    plan, allowed, goal = position.plan, search.case.blocks.allowed, search.goal
    level = fair_level(position.score, goal)
    off = np.where(goal.counted, np.abs(position.score - level), -1.0)
    worst = np.argsort(-off, kind="stable")[: max(4, len(off) // 5)]
    mine = np.flatnonzero(np.isin(plan, worst))
    can = allowed[mine][:, plan] & allowed[:, plan[mine]].T & (plan[mine][:, None] != plan[None, :])
    one, two = np.nonzero(can)
    return mine[one], two


def _scores_after(search: Search, position: Position, change: Change) -> Floats:
    """Exact scores [rep] after a change."""
    score, old = position.score.copy(), position.plan[change.block]
    if position.above is None or search.futures is None:
        np.add.at(score, old, -position.gain[change.block, old])
        np.add.at(score, change.rep, position.gain[change.block, change.rep])
        return score
    reps = np.unique(np.concatenate([old, change.rep]))
    score[reps] = chances(_margins_after(search.futures, position, change, reps))
    return score


def _margins_after(futures: Futures, position: Position, change: Change, reps: Ints) -> Paths:
    """Revenue above quota of ``reps`` after a change, [rep of reps, path]."""
    assert position.above is not None
    rows = []
    for rep in reps:
        row = position.above[rep].copy()
        for block, new in zip(change.block, change.rep, strict=True):
            if new == rep:
                row += futures.under(int(rep), np.array([block]))[0]
            if position.plan[block] == rep:
                row -= futures.under(int(rep), np.array([block]))[0]
        rows.append(row)
    return np.stack(rows)


def _apply(search: Search, position: Position, change: Change) -> Position:
    score = _scores_after(search, position, change)
    reps = np.unique(np.concatenate([position.plan[change.block], change.rep]))
    plan = position.plan.copy()
    plan[change.block] = change.rep
    after = replace(position, plan=plan, score=score, objective=objective_on_paths(search, plan, score))
    if position.above is None or search.futures is None:
        return after
    above, gain = position.above.copy(), position.gain.copy()
    above[reps] = _margins_after(search.futures, position, change, reps)
    gain[:, reps] = chance_gains(search.futures, above, plan, search.case.blocks.allowed, reps)
    return replace(after, above=above, gain=gain)


def _row_sums(row: Row, plan: Ints) -> float:
    if row.rep is None:
        return float(row.coefficient[np.arange(len(plan)), plan].sum())
    return float(row.coefficient[plan == row.rep].sum())


def _slack(row: Row, total: Floats | float) -> Floats | float:
    """Room left (negative: broken)."""
    return row.limit - total if row.sense == "<=" else total - row.limit


def _tolerance(row: Row) -> float:
    return 1e-9 * max(1.0, abs(row.limit))


def _rows_allow(search: Search, position: Position, change: Change) -> bool:
    """Whether every row holds after a change (or is at least not worse than before)."""
    plan = position.plan.copy()
    plan[change.block] = change.rep
    return all(_slack(row, _row_sums(row, plan)) >= -_tolerance(row) for row in search.rows)


def _rows_allow_move(search: Search, position: Position) -> Bools:
    """[block, rep] whether every row holds after this single move."""
    plan, blocks = position.plan, np.arange(len(position.plan))
    allowed = np.ones(search.cost.shape, dtype=bool)
    for row in search.rows:
        total = _row_sums(row, plan)
        if row.rep is None:
            after = total + row.coefficient - row.coefficient[blocks, plan][:, None]
            allowed &= np.asarray(_slack(row, after) >= -_tolerance(row))
            continue
        leaves, joins = total - row.coefficient, total + row.coefficient
        held = plan == row.rep
        allowed[held] &= np.asarray(_slack(row, leaves[held]) >= -_tolerance(row))[:, None]
        allowed[~held, row.rep] &= np.asarray(_slack(row, joins[~held]) >= -_tolerance(row))
    return allowed
