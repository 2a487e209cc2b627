"""Pools: reps who can exchange accounts with each other, directly or through others.

No assignment moves revenue between pools, so a difference of chances between two pools is a matter of quotas, hires or
eligibility; evening it by accounts could only waste the revenue of the richer pool. Chances are evened within pools.
"""

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from optimization.problem import Bools, Floats, Ints
from optimization.scores import Goal, fair_level


def pools_of(allowed: Bools) -> Ints:
    """[rep] number of the pool, counted from 0 in order of the first rep.

    Parameters
    ----------
    allowed : [block, rep] who may own what; a block that only one rep may own joins nobody
    """
    blocks, reps = allowed.shape
    rows, columns = np.nonzero(allowed)
    graph = csr_matrix((np.ones(len(rows)), (rows, columns + blocks)), shape=(blocks + reps, blocks + reps))
    label = connected_components(graph, directed=False)[1][blocks:]
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first, kind="stable"), kind="stable")[inverse].astype(np.int64)


def pool_levels(score: Floats, goal: Goal, pool: Ints) -> Floats:
    """[rep] fair level of the rep's own pool under present scores [rep], points."""
    level = np.zeros_like(score)
    for number in np.unique(pool):
        inside = pool == number
        if (goal.counted & inside).any():
            own = replace(goal, counted=goal.counted & inside, extreme=goal.extreme & inside, offset=0.0)
            level[inside] = fair_level(score, own)
    return level
