"""What each decision costs: the plan with all decisions against the plan without that one."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.planning.decisions import Decision, Decisions
from models.panel import Floats, Ints
from optimization.fairness import p_attain, spread
from optimization.families import active_reps
from optimization.problem import NONE, TerritoryProblem
from optimization.resolve import resolve
from optimization.settings import AllocationSettings

MOST_DECISIONS = 40
"""Decisions whose cost is worked out; a plan is sought without each of them."""

SECONDS = 2.0
"""Time of one such plan."""


@dataclass(frozen=True)
class DecisionCost:
    """By how much the plan with all decisions differs from the plan without this one.

    Attributes
    ----------
    decision : the row of the file
    changes : accounts more that leave the earlier plan because of it
    spread : points by which it widens the spread of the chance of quota, fresh paths
    revenue : expected revenue of all books that it costs, money
    move_cost : money at risk from moves that it adds
    """

    decision: Decision
    changes: int
    spread: float
    revenue: float
    move_cost: float


def decision_costs(
    settings: AllocationSettings,
    plans: tuple[Ints, Ints],
    decisions: Decisions,
    obeyed: Callable[[Decisions], TerritoryProblem],
) -> tuple[tuple[DecisionCost, ...], bool]:
    """Cost of each decision, leaving one out at a time; one without which no plan was found in time has none.

    Parameters
    ----------
    plans : [account] the earlier plan, and the plan with all decisions
    obeyed : the problem under some of the decisions: locks, eligibility, and what each of them excuses

    Returns
    -------
    the costs, and whether no clock had a part in them
    """
    (earlier, plan), problem = plans, obeyed(decisions)
    now = _measures(problem, earlier, plan)
    found, repeatable = [], True
    for decision in decisions[:MOST_DECISIONS]:
        others = obeyed(tuple(other for other in decisions if other is not decision))
        without = resolve(others, settings, earlier, 0, SECONDS)
        repeatable = repeatable and without is not None and without.repeatable
        if without is not None:
            changes, width, revenue, cost = now - _measures(problem, earlier, without.rep)
            found.append(DecisionCost(decision, round(changes), float(width), float(-revenue), float(cost)))
    return tuple(found), repeatable


def _measures(problem: TerritoryProblem, earlier: Ints, rep: Ints) -> Floats:
    """Changes against the earlier plan, spread in points, expected revenue and money at risk of a plan [account]."""
    worth = problem.value.mean(axis=0, dtype=np.float64) * problem.fit[np.arange(len(rep)), rep]
    moved = (rep != problem.owner) & (problem.owner != NONE)
    width = 100 * spread(p_attain(problem, rep, fresh=True), active_reps(problem))
    return np.array([(rep != earlier).sum(), width, worth.sum(), problem.move_cost[moved].sum()])
