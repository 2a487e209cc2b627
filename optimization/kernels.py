"""Compiled loops of the search: chances counted on paths, and the most promising changes of a plan.

Counts are whole numbers and every candidate is rated on its own, so nothing here depends on threads or on the order of
sums. A candidate is up to `PARTS` blocks and the reps they go to; an unused part has block -1.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from optimization.problem import Bools, Floats, Ints, Paths

PARTS = 3
"""Most blocks that one change moves."""

TOUCHED = 2 * PARTS
"""Most reps whose score one change alters."""

CHUNK = 2048
"""Paths handled at once: the sums stay in the first-level cache."""


EVERY = -2
"""In `Accounts.steady`: no rep disturbs the account."""


class Accounts(NamedTuple):
    """Revenue of accounts on paths, as `optimization.futures.Futures` has it.

    Attributes
    ----------
    revenue, fit : [row, path] money, [row, rep] its multiplier
    steady : [row] rep under whom the account is not disturbed, or `EVERY`
    factor : [path] further multiplier of a disturbed account
    """

    revenue: Paths
    fit: Paths
    steady: Ints
    factor: Paths


@njit(cache=True, error_model="numpy", nogil=True)
def add_books(accounts: Accounts, owner: Ints, above: Paths) -> None:
    """Add to ``above`` [rep, path] the revenue of every row [row, path] under its ``owner`` [row]."""
    revenue = accounts.revenue
    for row in range(len(owner)):
        rep, steady = owner[row], accounts.steady[row]
        fit = accounts.fit[row, rep]
        if steady in (rep, EVERY):
            for path in range(revenue.shape[1]):
                above[rep, path] += fit * revenue[row, path]
        else:
            for path in range(revenue.shape[1]):
                above[rep, path] += fit * revenue[row, path] * accounts.factor[path]


@njit(cache=True, error_model="numpy", nogil=True)
def count_after(accounts: Accounts, edge: Ints, above: Paths, rep: Ints, block: Ints, sign: Ints) -> Ints:
    """[case] on how many paths a rep reaches quota when blocks join or leave the book.

    Parameters
    ----------
    edge : the first row of each block, and the number of rows at the end
    above : [rep, path] revenue above quota now
    rep : [case]
    block, sign : [case, part] which block, and 1 where it joins, -1 where it leaves, 0 for an unused part
    """
    found, buffer = np.zeros(len(rep), np.int64), np.empty(CHUNK, np.float32)
    revenue, paths = accounts.revenue, accounts.revenue.shape[1]
    for case in range(len(rep)):
        r = rep[case]
        for first in range(0, paths, CHUNK):
            size = min(CHUNK, paths - first)
            for i in range(size):
                buffer[i] = above[r, first + i]
            for part in range(block.shape[1]):
                if sign[case, part] == 0:
                    continue
                for row in range(edge[block[case, part]], edge[block[case, part] + 1]):
                    fit, steady = np.float32(sign[case, part]) * accounts.fit[row, r], accounts.steady[row]
                    if steady in (r, EVERY):
                        for i in range(size):
                            buffer[i] += fit * revenue[row, first + i]
                    else:
                        for i in range(size):
                            buffer[i] += fit * revenue[row, first + i] * accounts.factor[first + i]
            reached = 0
            for i in range(size):
                reached += buffer[i] >= 0
            found[case] += reached
    return found


@njit(cache=True, error_model="numpy", nogil=True)
def least_unfairness(
    score: Floats,
    who: tuple[Bools, Bools],
    half: float,
    weights: tuple[float, float],
    box: tuple[float, float],
) -> float:
    """Twin of `scores.unfairness`: unfairness at the best common level, points.

    Parameters
    ----------
    score : [rep] points without the offset of the rep's pool
    who : [rep] who counts in the mean deviation, and who in the spread
    half, weights, box : ``half_band``, ``mean_weight`` and ``floor_weight``, ``low`` and ``high`` of the goal
    """
    (counted, extreme), (mean_weight, floor_weight), (low, high) = who, weights, box
    best = np.inf
    for at in range(2 * len(score) + 2):
        rep = at // 2
        if rep == len(score):
            level = low if at % 2 else high
        elif counted[rep]:
            level = min(max(score[rep] + (half if at % 2 else -half), low), high)
        else:
            continue
        over, under, deviation = 0.0, 0.0, 0.0
        for other in range(len(score)):
            above, below = score[other] - level - half, level - half - score[other]
            if extreme[other]:
                over, under = max(over, above), max(under, below)
            if counted[other]:
                deviation += max(above, below, 0.0)
        floor = floor_weight * (high - (level - half - under))
        best = min(best, over + under + mean_weight * deviation + floor)
    return best


class Rating(NamedTuple):
    """What rates a candidate: the goal, the plan with its scores, and the rules; see `optimization.search`.

    Attributes
    ----------
    score : [rep] points now
    counted, extreme : [rep] who counts in the mean deviation, and in the spread
    high_first, low_first : [extreme rep] extreme reps by falling and by rising score
    deviation : sum of the deviations beyond the band at ``level``, points
    level, half_band, mean_weight, floor_weight, top : as `optimization.scores.Goal`, at the present fair level
    gain, cost : [block, rep] points
    plan, home : [block] rep who holds it, and who held it at first (-1: nobody)
    allowed : [block, rep]
    book_use, book_limit : [row, rep] what books use of each rule about books, and the most they may use
    book_amount : [row, block, rep] what a block uses
    plan_use, plan_limit, plan_amount : [row], [row], [row, block, rep] the same for rules about the whole plan
    """

    score: Floats
    counted: Bools
    extreme: Bools
    high_first: Ints
    low_first: Ints
    deviation: float
    level: float
    half_band: float
    mean_weight: float
    floor_weight: float
    top: float
    gain: Floats
    cost: Floats
    plan: Ints
    home: Ints
    allowed: Bools
    book_use: Floats
    book_limit: Floats
    book_amount: Floats
    plan_use: Floats
    plan_limit: Floats
    plan_amount: Floats


class Shortlist(NamedTuple):
    """The best candidates so far.

    Attributes
    ----------
    value : [place] objective without what the present plan costs, points
    worst : [1] place of the largest value
    block, rep : [place, part]
    """

    value: Floats
    worst: Ints
    block: Ints
    rep: Ints


@njit(cache=True, error_model="numpy", nogil=True)
def _touch(touched: Ints, change: Floats, count: int, rep: int, points: float) -> int:
    """Add points to a rep's change; returns how many reps are touched."""
    for slot in range(count):
        if touched[slot] == rep:
            change[slot] += points
            return count
    touched[count], change[count] = rep, points
    return count + 1


@njit(cache=True, error_model="numpy", nogil=True)
def _without(order: Ints, touched: Ints, count: int) -> int:
    """First rep of an order that is not touched, -1 when all are."""
    for rep in order:
        free = True
        for slot in range(count):
            if touched[slot] == rep:
                free = False
                break
        if free:
            return rep
    return -1


@njit(cache=True, error_model="numpy", nogil=True)
def _unfair(rating: Rating, touched: Ints, change: Floats, count: int) -> float:
    """Unfairness after a change, the mean deviation at the present level; see `scores.unfairness_at`."""
    half, most, least, level = rating.half_band, -1e30, 1e30, rating.level
    other = _without(rating.high_first, touched, count)
    if other >= 0:
        most = rating.score[other]
    other = _without(rating.low_first, touched, count)
    if other >= 0:
        least = rating.score[other]
    deviation = rating.deviation
    for slot in range(count):
        rep = touched[slot]
        before = rating.score[rep]
        after = before + change[slot]
        if rating.extreme[rep]:
            most = max(most, after)
            least = min(least, after)
        if rating.counted[rep]:
            deviation += max(abs(after - level) - half, 0.0) - max(abs(before - level) - half, 0.0)
    if most >= least:
        low, high = min(most - half, least + half), max(most - half, least + half)
        level = min(max(level, low), high)
    spread = max(most - level - half, 0.0) + max(level - half - least, 0.0)
    floor = min(level - half, least)
    return spread + rating.floor_weight * (rating.top - floor) + rating.mean_weight * deviation


@njit(cache=True, error_model="numpy", nogil=True)
def _keeps_rules(rating: Rating, block: Ints, rep: Ints, touched: Ints, count: int) -> bool:
    for row in range(len(rating.plan_limit)):
        use = rating.plan_use[row]
        for part in range(PARTS):
            if block[part] >= 0:
                amount = rating.plan_amount[row, block[part]]
                use += amount[rep[part]] - amount[rating.plan[block[part]]]
        if use > rating.plan_limit[row]:
            return False
    for row in range(len(rating.book_limit)):
        for slot in range(count):
            r = touched[slot]
            if not np.isfinite(rating.book_limit[row, r]):
                continue
            use = rating.book_use[row, r]
            for part in range(PARTS):
                if block[part] >= 0:
                    amount = rating.book_amount[row, block[part], r]
                    use += amount * (rep[part] == r) - amount * (rating.plan[block[part]] == r)
            if use > rating.book_limit[row, r]:
                return False
    return True


@njit(cache=True, error_model="numpy", nogil=True)
def _offer(rating: Rating, best: Shortlist, block: Ints, rep: Ints, touched: Ints, change: Floats) -> None:
    """Put a candidate on the shortlist if it is better than the worst there and keeps every rule."""
    count, value = 0, 0.0
    for part in range(PARTS):
        b = block[part]
        if b < 0:
            break
        old, new = rating.plan[b], rep[part]
        count = _touch(touched, change, count, old, -rating.gain[b, old])
        count = _touch(touched, change, count, new, rating.gain[b, new])
        value += rating.cost[b, new] - rating.cost[b, old]
    value += _unfair(rating, touched, change, count)
    worst = best.worst[0]
    if value < best.value[worst] and _keeps_rules(rating, block, rep, touched, count):
        best.value[worst] = value
        best.block[worst] = block
        best.rep[worst] = rep
        best.worst[0] = np.argmax(best.value)


@njit(cache=True, error_model="numpy", nogil=True)
def offer_moves(rating: Rating, best: Shortlist) -> None:
    """Every block to every rep."""
    block, rep = np.full(PARTS, -1), np.full(PARTS, -1)
    touched, change = np.full(TOUCHED, -1), np.zeros(TOUCHED)
    for b in range(len(rating.plan)):
        for r in range(len(rating.score)):
            if rating.allowed[b, r] and r != rating.plan[b]:
                block[0], rep[0] = b, r
                _offer(rating, best, block, rep, touched, change)


@njit(cache=True, error_model="numpy", nogil=True)
def _free(rating: Rating) -> Ints:
    """Blocks that somebody else than their holder may own."""
    free, count = np.empty(len(rating.plan), np.int64), 0
    for b in range(len(rating.plan)):
        for r in range(len(rating.score)):
            if rating.allowed[b, r] and r != rating.plan[b]:
                free[count] = b
                count += 1
                break
    return free[:count]


@njit(cache=True, error_model="numpy", nogil=True)
def offer_trades(rating: Rating, best: Shortlist) -> None:
    """Two blocks trade places."""
    block, rep = np.full(PARTS, -1), np.full(PARTS, -1)
    touched, change = np.full(TOUCHED, -1), np.zeros(TOUCHED)
    free = _free(rating)
    for place, one in enumerate(free):
        a = rating.plan[one]
        for two in free[place + 1 :]:
            b = rating.plan[two]
            if a != b and rating.allowed[one, b] and rating.allowed[two, a]:
                block[0], block[1], rep[0], rep[1] = one, two, b, a
                _offer(rating, best, block, rep, touched, change)


@njit(cache=True, error_model="numpy", nogil=True)
def offer_pushes(rating: Rating, best: Shortlist, far: Bools) -> None:
    """One block takes the place of another, which moves on; or one goes home, and another moves in its stead.

    Parameters
    ----------
    far : [rep] one of the books that lose or gain on balance is among these
    """
    block, rep = np.full(PARTS, -1), np.full(PARTS, -1)
    touched, change = np.full(TOUCHED, -1), np.zeros(TOUCHED)
    for one in range(len(rating.plan)):
        a, home = rating.plan[one], rating.home[one]
        back = home >= 0 and home != a and rating.allowed[one, home]
        block[0] = one
        for two in range(len(rating.plan)):
            b = rating.plan[two]
            if two == one:
                continue
            block[1] = two
            for c in range(len(rating.score)):
                if c == b or not rating.allowed[two, c]:
                    continue
                rep[1] = c
                if a not in (b, c) and rating.allowed[one, b] and (far[a] or far[b] or far[c]):
                    rep[0] = b
                    _offer(rating, best, block, rep, touched, change)
                elif back and (far[a] or far[b] or far[c]):
                    rep[0] = home
                    _offer(rating, best, block, rep, touched, change)


@njit(cache=True, error_model="numpy", nogil=True)
def offer_rings(rating: Rating, best: Shortlist, far: Bools) -> None:
    """Three blocks of three books change places in a ring; one of the books is ``far`` [rep]."""
    block, rep = np.full(PARTS, -1), np.full(PARTS, -1)
    touched, change = np.full(TOUCHED, -1), np.zeros(TOUCHED)
    count = len(rating.plan)
    for one in range(count):
        a = rating.plan[one]
        if not far[a]:
            continue
        for two in range(count):
            b = rating.plan[two]
            if a == b or not rating.allowed[one, b]:
                continue
            for three in range(count):
                c = rating.plan[three]
                if c in (a, b) or not rating.allowed[two, c] or not rating.allowed[three, a]:
                    continue
                block[0], block[1], block[2] = one, two, three
                rep[0], rep[1], rep[2] = b, c, a
                _offer(rating, best, block, rep, touched, change)
