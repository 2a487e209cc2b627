"""The certificate of a plan that came from elsewhere: same objective, same audit, same checks as a plan of our own."""

import time

import numpy as np

from optimization import linearise
from optimization.aim import aimed
from optimization.checks import check
from optimization.futures import choose_paths, lay_out
from optimization.infeasible import explain
from optimization.plan import Infeasible, TerritoryPlan
from optimization.problem import Ints, TerritoryProblem
from optimization.resolve import resolve
from optimization.rules import build_case
from optimization.scores import build_goal
from optimization.settings import AllocationSettings
from optimization.solve import Found, Work, certified, certified_by_chance
from optimization.sums import counted


def replan(
    problem: TerritoryProblem, settings: AllocationSettings, earlier: Ints, seed: int
) -> TerritoryPlan | Infeasible:
    """Change an earlier plan ``earlier`` [account] as little as decisions and rules ask, and certify it."""
    check(problem)
    found = None if counted(problem, settings) else resolve(problem, settings, earlier, seed, settings.time_limit)
    if found is None:
        return explain(problem, settings)
    return certify(problem, settings, (found.rep, found.repeatable), seed)


def certify(
    problem: TerritoryProblem, settings: AllocationSettings, given: tuple[Ints, bool], seed: int
) -> TerritoryPlan:
    """Verify a plan on the fresh paths, and recheck it and its bound from raw arrays.

    Parameters
    ----------
    given : [account] rep in the plan, and whether no clock had a part in it

    Raises
    ------
    ValueError
        The arrays do not describe a problem; every fault is listed.
    """
    check(problem)
    case = build_case(problem, settings)
    work = Work(case, time.monotonic() + settings.time_limit, seed)
    rep, repeatable = given
    found = Found(case.blocks.to_blocks(rep), repeatable)
    if settings.fairness == "attainment":
        work = aimed(work, found.plan)
        case = work.case
        futures = lay_out(case, choose_paths(len(problem.value), len(problem.value)))
        return certified_by_chance(work, futures, linearise.attainable(case, futures), found)
    make = linearise.by_money if settings.fairness == "potential" else linearise.by_hours
    goal = build_goal(case, np.zeros(len(problem.rep_ids), dtype=bool))
    return certified(work, found, make(case, goal, found.plan), np.inf)
