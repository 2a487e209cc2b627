"""Annealing over ejection chains, on reduced costs.

With prices of the bands, the cost of a plan is the bound plus, account by account, the reduced cost of its pair, plus,
rep by rep, the price of the distance from the band's end that the price asks for. All terms are at least zero inside
the bands, so what a plan loses is seen where it is lost. Outside a band the distance costs more than the price.

A step takes an account out of a book into another, lets that book push out one of its own, and so on through different
books until the chain ends where there is room or closes where it began. The search goes depth first and gives a branch
up as soon as the books behind it have lost more than the step may lose and the two ends can bring: nothing at
temperature zero (the gain criterion of Lin and Kernighan), else an exponential amount at the temperature.
Sources: Lin and Kernighan (1973), doi:10.1287/opre.21.2.498; Yagiura, Ibaraki, Glover (2004),
doi:10.1287/ijoc.1030.0036; xoroshiro128+ of Blackman and Vigna (2021), doi:10.1145/3460772.
"""

import numba
import numpy as np

from optimization.problem import Floats, Ints

DEPTH = 6
"""Most accounts of a chain."""


@numba.njit(cache=True, nogil=True)
def _next(state: np.ndarray) -> np.uint64:  # pragma: no cover
    a, b = state[0], state[1]
    out = a + b
    b ^= a
    state[0] = ((a << np.uint64(24)) | (a >> np.uint64(40))) ^ b ^ (b << np.uint64(16))
    state[1] = (b << np.uint64(37)) | (b >> np.uint64(27))
    return out


@numba.njit(cache=True, nogil=True)
def _below(state: np.ndarray, count: int) -> int:  # pragma: no cover
    """Whole number from 0 to ``count - 1``."""
    return np.int64(((_next(state) >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32))  # type: ignore[return-value]


@numba.njit(cache=True, nogil=True)
def _uniform(state: np.ndarray) -> float:  # pragma: no cover
    return np.float64((_next(state) >> np.uint64(11)) + np.uint64(1)) * (1.0 / 9007199254740993.0)


@numba.njit(cache=True, nogil=True, inline="always")
def _loss(amount: float, low: float, high: float, price: float, outside: float) -> float:  # pragma: no cover
    """What a book loses by the amount of one metric."""
    if amount > high:
        return (amount - high) * outside
    if amount < low:
        return (low - amount) * outside
    if price > 0.0:
        return (high - amount) * price
    if price < 0.0:
        return (low - amount) * price
    return 0.0


@numba.njit(cache=True, nogil=True)
def _book_loss(
    load: Floats, sign: float, one: Floats, two: Floats, low: Floats, high: Floats, price: Floats, outside: Floats
) -> float:  # pragma: no cover
    """Loss of a book after ``sign`` times ``one`` came and ``two`` left."""
    total = 0.0
    for k in range(len(load)):
        total += _loss(load[k] + sign * one[k] - two[k], low[k], high[k], price[k], outside[k])
    return total


@numba.njit(cache=True, nogil=True)
def _most_wanted(load: Floats, low: Floats, high: Floats, price: Floats, outside: Floats) -> float:  # pragma: no cover
    """Most that one book can gain by what comes in: the end of a chain may still bring that much."""
    most = 0.0
    for r in range(load.shape[0]):
        total = 0.0
        for k in range(load.shape[1]):
            if load[r, k] < low[r, k]:
                total += (low[r, k] - load[r, k]) * outside[r, k]
            elif price[r, k] > 0.0 and load[r, k] < high[r, k]:
                total += (high[r, k] - load[r, k]) * price[r, k]
        most = max(most, total)
    return most


@numba.njit(cache=True, nogil=True)
def run(
    start: Ints, account: Ints, rep: Ints, reduced: Floats, use: Floats, low: Floats, high: Floats, price: Floats,
    outside: Floats, arc: Ints, best: Ints, value: Floats, random: np.ndarray, heat: float, steps: int, nodes: int,
) -> None:  # fmt: skip  # pragma: no cover
    """Take ``steps`` steps at one temperature, each of at most ``nodes`` looks at an account.

    ``arc`` [account] is the plan and changes; ``value`` [0] is the least loss of a plan within all bands, kept in
    ``best``; value[1] becomes the loss of ``arc``; value[2] the number of steps taken.
    """
    accounts, reps, metrics = len(start) - 1, low.shape[0], low.shape[1]
    room = np.zeros(reps + 1, dtype=np.int64)
    for a in range(len(rep)):
        room[rep[a] + 1] += 1
    for r in range(reps):
        room[r + 1] += room[r]
    book, place = np.empty(len(rep), dtype=np.int64), np.empty(accounts, dtype=np.int64)
    size = np.zeros(reps, dtype=np.int64)
    load, loss = np.zeros((reps, metrics)), np.zeros(reps)
    now, none = 0.0, np.zeros(metrics)
    for i in range(accounts):
        r = rep[arc[i]]
        place[i] = size[r]
        book[room[r] + size[r]] = i
        size[r] += 1
        now += reduced[arc[i]]
        for k in range(metrics):
            load[r, k] += use[arc[i], k]
    broken = 0
    for r in range(reps):
        loss[r] = _book_loss(load[r], 0.0, none, none, low[r], high[r], price[r], outside[r])
        now += loss[r]
        broken += _out(load[r], low[r], high[r])
    visited = np.zeros(reps, dtype=np.bool_)
    into = np.zeros(DEPTH + 1, dtype=np.int64)  # arc that enters at each depth
    lost = np.zeros(DEPTH + 1)  # by books that are settled
    at, arm = np.zeros(DEPTH + 1, dtype=np.int64), np.zeros(DEPTH + 1, dtype=np.int64)  # account, arc looked at
    first = np.zeros(DEPTH + 1, dtype=np.int64)  # where in its book a look began
    taken = 0
    tail = _most_wanted(load, low, high, price, outside)
    for _ in range(steps):
        e = _below(random, len(rep))
        i = account[e]
        old = arc[i]
        if old == e:
            continue
        budget = -heat * np.log(_uniform(random)) if heat > 0.0 else -1e-9
        r, s = rep[old], rep[e]
        hole = _book_loss(load[r], 0.0, none, use[old], low[r], high[r], price[r], outside[r]) - loss[r]
        lost[0] = reduced[e] - reduced[old]
        spare = budget + loss[r]  # what may be lost before the books at both ends are counted
        if (_next(random) >> np.uint64(40)) & np.uint64(15) == np.uint64(0):
            spare += tail  # the far end is counted now and then only: searches that hope for it are long
        if lost[0] > spare:
            continue
        into[0] = e
        total = lost[0] + hole + _book_loss(load[s], 1.0, use[e], none, low[s], high[s], price[s], outside[s]) - loss[s]
        depth, found = 0, -1
        if total <= budget:
            found = 0
        else:
            visited[r] = visited[s] = True
            arm[0] = at[0] = 0
            first[0] = _below(random, size[s]) if size[s] > 0 else 0
            left = nodes
            while depth >= 0 and found < 0 and left > 0:
                e = into[depth]
                s = rep[e]
                if at[depth] >= size[s]:
                    if depth > 0:
                        visited[s] = False
                    depth -= 1
                    continue
                spot = first[depth] + at[depth]
                j = book[room[s] + (spot - size[s] if spot >= size[s] else spot)]
                g = arc[j]
                if arm[depth] == 0:
                    left -= 1
                    settled = (
                        lost[depth]
                        - reduced[g]
                        - loss[s]
                        + _book_loss(load[s], 1.0, use[e], use[g], low[s], high[s], price[s], outside[s])
                    )
                    if settled > spare:
                        at[depth] += 1
                        continue
                else:
                    settled = (
                        lost[depth]
                        - reduced[g]
                        - loss[s]
                        + _book_loss(load[s], 1.0, use[e], use[g], low[s], high[s], price[s], outside[s])
                    )
                pushed = False
                while start[j] + arm[depth] < start[j + 1]:
                    f = start[j] + arm[depth]
                    arm[depth] += 1
                    if f == g:
                        continue
                    after = settled + reduced[f]
                    if after > spare:
                        continue
                    t = rep[f]
                    if t == r:
                        total = (
                            after
                            - loss[r]
                            + _book_loss(load[r], 1.0, use[f], use[old], low[r], high[r], price[r], outside[r])
                        )
                        if total <= budget:
                            found = depth + 1
                            into[depth + 1] = f
                            break
                        continue
                    if visited[t]:
                        continue
                    total = (
                        after
                        + hole
                        - loss[t]
                        + _book_loss(load[t], 1.0, use[f], none, low[t], high[t], price[t], outside[t])
                    )
                    if total <= budget:
                        found = depth + 1
                        into[depth + 1] = f
                        break
                    if depth + 2 < DEPTH and size[t] > 0:
                        depth += 1
                        into[depth] = f
                        lost[depth] = after
                        at[depth] = arm[depth] = 0
                        first[depth] = _below(random, size[t])
                        visited[t] = True
                        pushed = True
                        break
                if not pushed and found < 0:
                    at[depth] += 1
                    arm[depth] = 0
            visited[r] = False
            for d in range(max(depth, 0) + 1):
                visited[rep[into[d]]] = False
            visited[rep[into[0]]] = False
        if found < 0:
            continue
        taken += 1
        for d in range(found + 1):
            f = into[d]
            j = account[f]
            g = arc[j]
            m = rep[g]
            broken -= _out(load[m], low[m], high[m])
            size[m] -= 1
            other = book[room[m] + size[m]]
            book[room[m] + place[j]] = other
            place[other] = place[j]
            for k in range(metrics):
                load[m, k] -= use[g, k]
            broken += _out(load[m], low[m], high[m])
            m = rep[f]
            broken -= _out(load[m], low[m], high[m])
            place[j] = size[m]
            book[room[m] + size[m]] = j
            size[m] += 1
            for k in range(metrics):
                load[m, k] += use[f, k]
            broken += _out(load[m], low[m], high[m])
            arc[j] = f
            now += reduced[f] - reduced[g]
            for m in (rep[f], rep[g]):
                now -= loss[m]
                loss[m] = _book_loss(load[m], 0.0, none, none, low[m], high[m], price[m], outside[m])
                now += loss[m]
        tail = _most_wanted(load, low, high, price, outside)
        if broken == 0 and now < value[0] - 1e-9 * abs(now):
            value[0] = now
            best[:] = arc
    value[1] = now
    value[2] = taken


@numba.njit(cache=True, nogil=True)
def _out(load: Floats, low: Floats, high: Floats) -> int:  # pragma: no cover
    """1 if a book lies outside a band."""
    for k in range(len(load)):
        slack = 1e-11 * abs(load[k])
        if load[k] > high[k] + slack or load[k] < low[k] - slack:
            return 1
    return 0
