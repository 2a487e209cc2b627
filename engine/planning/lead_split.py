"""How n equal things are split over reps, given what each number of them does for each rep."""

import heapq
from collections.abc import Sequence

import numpy as np

from models.panel import Floats, Ints


def raise_the_lowest(chance: Sequence[Floats], count: int) -> Ints:
    """[rep] numbers that make the lowest chance as high as it can be, then the next lowest among those still able.

    Each thing goes to the rep with the lowest chance so far who can take another. Chances never fall with more things,
    so nobody else could raise the minimum: the greedy rule is optimal for it.

    Parameters
    ----------
    chance : for every rep [0 to most] non-decreasing; the length less one is the most a rep can take
    count : things to hand out; what nobody can take is left over
    """
    given = np.zeros(len(chance), dtype=np.int64)
    heap = [(float(row[0]), i) for i, row in enumerate(chance) if len(row) > 1]
    heapq.heapify(heap)
    for _ in range(count):
        if not heap:
            break
        _, i = heapq.heappop(heap)
        given[i] += 1
        if given[i] + 1 < len(chance[i]):
            heapq.heappush(heap, (float(chance[i][given[i]]), i))
    return given


def most_in_sum(worth: Sequence[Floats], count: int) -> Ints:
    """[rep] numbers with the largest sum of worth; exact, by dynamic programming over reps.

    Needs no concavity, which chances of quota do not have (the first things may do nothing, the third everything).
    Bellman 1957, Dynamic Programming, chapter I (allocation processes).

    Parameters
    ----------
    worth : for every rep [0 to most]
    count : things to hand out; what nobody can take, or what would lower the sum, is left over
    """
    best = np.zeros(count + 1)
    choices = []
    for row in worth:
        most = min(len(row) - 1, count)
        options = np.full((most + 1, count + 1), -np.inf)
        for taken in range(most + 1):
            options[taken, taken:] = best[: count + 1 - taken] + row[taken]
        choices.append(options.argmax(axis=0))
        best = options.max(axis=0)
    left, given = int(best.argmax()), np.zeros(len(worth), dtype=np.int64)
    for i in reversed(range(len(worth))):
        given[i] = choices[i][left]
        left -= int(given[i])
    return given
