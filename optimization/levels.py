"""The lexicographic levels of a plan by chance of quota: pool by pool, the lowest chance and what bounds it.

Pools share no account, so raising the lowest chance of one neither needs nor limits that of another; only budgets over
the whole plan join them, and a level's bound leaves the earlier levels out of account, which can only weaken it (the
epsilon that earlier levels may lose is infinite). A bound certifies the chances made linear around the plan; the
chances themselves are verified by counting, never called optimal.
"""

from dataclasses import dataclass, replace

import numpy as np

from optimization.audit import Evidence, audit, raw_scores
from optimization.pools import pools_of
from optimization.problem import Bools, Ints
from optimization.pulp_model import Effort, build, relax
from optimization.rules import Case
from optimization.scores import Goal, Linear
from optimization.settings import AllocationWeights

CEILING = 300.0
"""Points above any chance, from which the lowest one is taken: see `_lowest`."""

MOST_LEVELS = 6
"""Pools with a row of their own, the largest."""


@dataclass(frozen=True)
class Levels:
    """Rows of the certificate, from the lowest chance to the highest, and [rep] who cannot reach the last level."""

    rows: tuple[dict[str, float | str], ...]
    saturated: Bools


def _lowest(inside: Bools) -> Goal:
    """Goal whose unfairness is `CEILING` less the lowest score of the reps ``inside``: nothing lies above the band."""
    return Goal(inside, inside, half_band=100.0, mean_weight=0.0, floor_weight=1.0, low=0.0, high=CEILING)


def levels_of(case: Case, linear: Linear, rep: Ints, step_share: float, effort: Effort) -> Levels:
    """Level by level: the lowest chance of the pool and its bound, both in points.

    Parameters
    ----------
    linear : chances made linear around the plan
    rep : [account] the plan
    step_share : see `optimization.audit.Evidence`
    """
    problem, counted = case.problem, linear.goal.counted
    free = case.settings.model_copy(update={"weights": AllocationWeights(move_cost=0.0, potential=0.0)})
    scores, pool = raw_scores(problem, case.settings, rep), pools_of(case.blocks.allowed)
    size = np.bincount(pool, counted & linear.goal.extreme)
    largest = np.argsort(-size, kind="stable")[:MOST_LEVELS]
    found: list[tuple[dict[str, float | str], Bools]] = []
    for number in largest[size[largest] > 0]:
        inside = counted & linear.goal.extreme & (pool == number)
        own = replace(linear, goal=_lowest(inside), cost=np.zeros_like(linear.cost))
        solved = relax(case, build(replace(case, settings=free), own, case.blocks.allowed), effort)
        evidence = Evidence(case.blocks.block, own.goal, own.gain, step_share, solved.prices)
        bound = min(CEILING - audit(problem, free, rep, evidence).bound, 100.0)
        ids = problem.rep_ids[inside]
        name = f"lowest chance of quota of {len(ids)} reps who share accounts ({ids[0]} to {ids[-1]}), points"
        row: dict[str, float | str] = {"name": name, "value": float(scores[inside].min()), "bound": float(bound)}
        row |= {"spread": float(np.ptp(scores[inside])), "reps": float(len(ids))}
        found.append((row, inside))
    found.sort(key=lambda item: float(item[0]["value"]))
    saturated = counted & ~linear.goal.extreme
    for row, inside in found[:-1]:
        if float(row["bound"]) < float(found[-1][0]["value"]):
            saturated = saturated | inside
    return Levels(tuple(row for row, _ in found), saturated)
