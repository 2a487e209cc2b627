"""Cheapest book of one rep within its bands, when every account has a price: an exact knapsack by halves.

With prices of the bands, an account wants to be in the book or not, and every wish that is not granted costs something;
the room that a priced band leaves costs something too. What is sought is the least of both together. Only the accounts
whose wish is cheap matter: they are dealt into two halves, the sets of unfulfilled wishes of each half are listed up to
a limit, and for each set of the first half the second is searched, sorted by the use of one metric, for what completes
it. A limit below which nothing was found is a proven least cost, so a search that is cut short still gives a bound.
Source: Horowitz and Sahni (1974), Computing partitions with applications to the knapsack problem,
doi:10.1145/321812.321823.
"""

import numba
import numpy as np

from optimization.problem import Floats, Ints

SLACK = 1e-8
"""Share of a book's possible use by which bands are widened, so that no rounding can cut off a plan."""

HALF = 60
"""Most accounts in a half."""

TRIES = 24
"""Most limits tried for one book."""

WIDER, PATIENCE = 1.5, 8
"""Factor from one limit to the next, and limits after which it is taken four times: the book may be impossible."""


@numba.njit(cache=True, nogil=True)
def _list_half(
    cost: Floats, use: Floats, limit: float, most: int, dev: Floats, load: Floats, mask: np.ndarray
) -> int:  # pragma: no cover
    """Sets of a half whose cost stays below ``limit``; their number, or -1 where there are more than ``most``."""
    count = 1
    dev[0] = 0.0
    mask[0] = np.uint64(0)
    load[0, :] = 0.0
    for j in range(len(cost)):
        for e in range(count):
            total = dev[e] + cost[j]
            if total < limit:
                if count >= most:
                    return -1
                dev[count] = total
                mask[count] = mask[e] | (np.uint64(1) << np.uint64(j))
                for k in range(use.shape[1]):
                    load[count, k] = load[e, k] + use[j, k]
                count += 1
    return count


@numba.njit(cache=True, nogil=True)
def _complete(
    base: Floats, one: tuple, two: tuple, band: tuple, metric: int, limit: float, chosen: np.ndarray
) -> float:  # pragma: no cover
    """Least cost below ``limit`` of two sets that together hold all bands (masks in ``chosen``), else ``limit``."""
    dev1, load1, mask1 = one
    dev2, load2, mask2 = two
    low, high, price = band
    metrics = len(low)
    order = np.argsort(load2[:, metric])
    key = load2[order, metric]
    best, y = limit, price[metric]
    for e in range(len(dev1)):
        spare = best - dev1[e]
        if spare <= 0.0:
            continue
        begun = base[metric] + load1[e, metric]
        least, most = low[metric] - begun, high[metric] - begun
        if y > 0.0:
            least = max(least, most - spare / y)
        elif y < 0.0:
            most = min(most, least - spare / y)
        at = int(np.searchsorted(key, least))
        while at < len(key) and key[at] <= most:
            f = order[at]
            at += 1
            total = dev1[e] + dev2[f]
            for k in range(metrics):
                if total >= best:
                    break
                amount = base[k] + load1[e, k] + load2[f, k]
                if amount > high[k] or amount < low[k]:
                    total = np.inf
                elif price[k] > 0.0:
                    total += price[k] * (high[k] - amount)
                elif price[k] < 0.0:
                    total += price[k] * (low[k] - amount)
            if total < best:
                best = total
                chosen[0], chosen[1] = mask1[e], mask2[f]
    return best


@numba.njit(cache=True, nogil=True)
def _price_bands(worth: Floats, use: Floats, low: Floats, high: Floats, price: Floats) -> None:  # pragma: no cover
    """Better prices of one book's bands, in place: each in turn at its best for the others."""
    accounts, metrics = use.shape
    turn = np.empty(accounts)
    for k in range(metrics):
        amount, bent = 0.0, False
        for i in range(accounts):
            value = worth[i]
            for other in range(metrics):
                if other != k:
                    value += price[other] * use[i, other]
            turn[i] = -value / use[i, k] if use[i, k] > 0.0 else 0.0
            bent |= use[i, k] < 0.0
            if value < 0.0:
                amount += use[i, k]
        if bent:
            continue  # the price where a negative use turns is not sought: any price is a right one
        if low[k] <= amount <= high[k]:
            price[k] = 0.0
            continue
        order = np.argsort(-turn)
        total, price[k] = 0.0, 0.0
        for a in range(accounts):
            total += use[order[a], k]
            if total > high[k] if amount > high[k] else total >= low[k]:
                price[k] = turn[order[a]]
                break


@numba.njit(cache=True, nogil=True)
def _least_book(
    worth: Floats, use: Floats, low: Floats, high: Floats, price: Floats, guess: float, most: int, inside: np.ndarray
) -> tuple[float, float]:  # pragma: no cover
    """Bound on the cost of a book and the loss in it; ``inside`` [account] becomes the book that was found."""
    accounts, metrics = use.shape
    _price_bands(worth, use, low, high, price)
    wish, base, value = np.empty(accounts), np.zeros(metrics), 0.0
    for i in range(accounts):
        wish[i] = worth[i]
        for k in range(metrics):
            wish[i] += price[k] * use[i, k]
        inside[i] = wish[i] < 0.0
        if inside[i]:
            value += wish[i]
            base += use[i]
    metric, heaviest, fits = 0, -1.0, True
    for k in range(metrics):
        if price[k] > 0.0:
            value -= price[k] * high[k]
        elif price[k] < 0.0:
            value -= price[k] * low[k]
        fits &= low[k] <= base[k] <= high[k]
        weight = abs(price[k]) * abs(base[k]) + 1e-9 * (base[k] > high[k] or base[k] < low[k])
        if weight > heaviest:
            metric, heaviest = k, weight
    if fits and heaviest <= 0.0:
        return value, 0.0
    size = np.abs(wish)
    order = np.argsort(size)
    band, chosen = (low, high, price), np.zeros(2, dtype=np.uint64)
    dev, mask = np.empty((2, most)), np.empty((2, most), dtype=np.uint64)
    load = np.empty((2, most, metrics))
    everything = size.sum() * (1.0 + 1e-9) + 1e-300  # more than any book can lose
    for k in range(metrics):
        end = high[k] if price[k] > 0.0 else low[k] if price[k] < 0.0 else 0.0
        everything += abs(price[k]) * (abs(end) + np.abs(use[:, k]).sum())
    proven, over, limit = 0.0, np.inf, guess
    for attempt in range(TRIES):
        reach = int(np.searchsorted(size[order], limit))
        count = np.zeros(2, dtype=np.int64)
        listed = reach <= 2 * HALF
        for h in range(2):
            mine = order[h:reach:2]
            if listed:
                change = use[mine].copy()
                for j in range(len(mine)):
                    if inside[mine[j]]:
                        change[j] = -change[j]
                count[h] = _list_half(size[mine], change, limit, most, dev[h], load[h], mask[h])
                listed = count[h] > 0
        if not listed:
            over = limit
            limit = 0.5 * (proven + over)
        else:
            a, b = count[0], count[1]
            found = _complete(
                base, (dev[0, :a], load[0, :a], mask[0, :a]), (dev[1, :b], load[1, :b], mask[1, :b]), band, metric,
                limit, chosen,
            )  # fmt: skip
            proven = limit
            if found < limit:
                for h in range(2):
                    mine = order[h:reach:2]
                    for j in range(len(mine)):
                        if (chosen[h] >> np.uint64(j)) & np.uint64(1):
                            inside[mine[j]] = not inside[mine[j]]
                return value + found, found
            if limit >= everything:
                return np.inf, np.inf
            limit = min(limit * (WIDER if attempt < PATIENCE else WIDER**4), 0.5 * (limit + over))
        if over - proven < 0.05 * over:
            break
    return value + proven, proven


@numba.njit(cache=True, nogil=True)
def least_books(
    edge: Ints, worth: Floats, use: Floats, low: Floats, high: Floats, price: Floats, loss: Floats, most: int,
    value: Floats, inside: np.ndarray, reps: Ints,
) -> None:  # fmt: skip  # pragma: no cover
    """Bounds ``value`` [rep] on the cost of the book of each of some reps, and the books that were found.

    Pairs are in the order of reps, those of rep r from ``edge[r]`` to ``edge[r + 1] - 1``. ``price`` [rep, metric] and
    ``loss`` [rep] are where the search begins and are changed; neither can make a bound wrong. A value is infinite
    where no book holds the bands. ``most`` sets of a half are listed. Bands are widened by `SLACK` of the use that all
    candidates have together.
    """
    metrics = use.shape[1]
    for r in reps:
        mine = slice(edge[r], edge[r + 1])
        wide = np.zeros(metrics)
        for a in range(edge[r], edge[r + 1]):
            wide += np.abs(use[a])
        least, most_use, guess = low[r] - SLACK * wide, high[r] + SLACK * wide, max(loss[r] * 1.05, 1e-300)
        value[r], loss[r] = _least_book(worth[mine], use[mine], least, most_use, price[r], guess, most, inside[mine])
