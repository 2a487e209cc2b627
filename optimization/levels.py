"""The lexicographic levels of a plan by chance of quota: pool by pool, the lowest chance and what bounds it.

Levels go from the lowest chance to the highest. The bound of each holds for every plan that changes at most the step of
the linear problem (a share of a quota's worth of each book) and leaves each earlier pool its achieved lowest chance
minus an epsilon, ``level_epsilon_points``. Pools share no account, so
earlier levels bind only through budgets over the whole plan. A bound certifies the chances made linear around the plan;
the chances themselves are verified by counting, never called optimal. A pool whose bound lies below the last level's
chance is saturated and left out of it, as is a rep whose attainable interval does not hold the level
(`linearise.saturated`). Source: Ogryczak (1997), On the lexicographic minimax approach to location problems, European
Journal of Operational Research 100, 566-585.
"""

from dataclasses import dataclass, replace

import numpy as np

from optimization.audit import EARLIER_LEVEL, Evidence, audit, raw_scores
from optimization.pools import pools_of
from optimization.problem import Bools, Floats, Ints
from optimization.pulp_model import Effort
from optimization.relaxation import Relaxer, relax_model
from optimization.rules import Case, Row
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


def levels_of(
    case: Case, linear: Linear, rep: Ints, step_share: float, effort: Effort, relaxer: Relaxer = relax_model
) -> Levels:
    """Level by level: the lowest chance of the pool and its bound, both in points.

    Parameters
    ----------
    linear : chances made linear around the plan
    rep : [account] the plan
    step_share : see `optimization.audit.Evidence`
    relaxer : solves the relaxations
    """
    problem, counted = case.problem, linear.goal.counted
    scores, pool = raw_scores(problem, case.settings, rep), pools_of(case.blocks.allowed)
    size = np.bincount(pool, counted & linear.goal.extreme)
    largest = np.argsort(-size, kind="stable")[:MOST_LEVELS]
    pools = [counted & linear.goal.extreme & (pool == number) for number in largest[size[largest] > 0]]
    pools.sort(key=lambda inside: float(scores[inside].min()))
    floors = np.full(len(scores), -np.inf)
    found: list[tuple[dict[str, float | str], Bools]] = []
    for inside in pools:
        lowest = float(scores[inside].min())
        bound = _bound(case, _alone(linear, inside), (rep, floors, step_share), effort, relaxer)
        ids = problem.rep_ids[inside]
        name = f"lowest chance of quota of {len(ids)} reps who share accounts ({ids[0]} to {ids[-1]}), points"
        row: dict[str, float | str] = {"name": name, "value": lowest, "bound": bound}
        row |= {"spread": float(np.ptp(scores[inside])), "reps": float(len(ids))}
        row |= {"epsilon": case.settings.level_epsilon_points}
        found.append((row, inside))
        floors = np.where(inside, lowest - case.settings.level_epsilon_points, floors)
    saturated = counted & ~linear.goal.extreme
    for row, inside in found[:-1]:
        if float(row["bound"]) < float(found[-1][0]["value"]):
            saturated = saturated | inside
    return Levels(tuple(row for row, _ in found), saturated)


def _alone(linear: Linear, inside: Bools) -> Linear:
    """The linear problem whose only aim is the lowest score of some reps."""
    return replace(linear, goal=_lowest(inside), cost=np.zeros_like(linear.cost))


def _bound(case: Case, own: Linear, plan: tuple[Ints, Floats, float], effort: Effort, relaxer: Relaxer) -> float:
    """Highest lowest chance of the reps of ``own``, points: no linear plan that keeps the earlier levels has more.

    Parameters
    ----------
    plan : [account] the plan, [rep] least scores that earlier levels leave, and the step share
    """
    rep, floors, step_share = plan
    free = case.settings.model_copy(update={"weights": AllocationWeights(move_cost=0.0, potential=0.0)})
    further = []
    for r in np.flatnonzero(np.isfinite(floors)):
        key, least = str(case.problem.rep_ids[r]), float(floors[r] - own.base[r])
        further.append(Row(EARLIER_LEVEL, key, int(r), own.gain[:, r], ">=", least, 1.0))
    solved = relaxer(replace(case, settings=free), own, further, effort)
    evidence = Evidence(case.blocks.block, own.goal, own.gain, step_share, solved.prices, floors)
    return float(min(CEILING - audit(case.problem, free, rep, evidence).bound, 100.0))
