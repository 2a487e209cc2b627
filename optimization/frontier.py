"""The frontier of fairness against money at risk from moves: plans, each the fairest found under its budget.

The method is an augmented epsilon-constraint: unfairness is minimised under a bound on the money at risk, with a small
weight on potential so that of equally fair plans the one worth more is taken. Budgets rise, and each search starts from
the plan of the budget before, which is still allowed. Source: Mavrotas (2009), Effective implementation of the
epsilon-constraint method in multi-objective mathematical programming problems, doi:10.1016/j.amc.2009.03.037.
"""

import time
from dataclasses import dataclass, replace

import numpy as np

from optimization import linearise
from optimization.checks import check
from optimization.fairness import p_attain, spread
from optimization.families import active_reps
from optimization.futures import choose_paths, lay_out
from optimization.pools import pools_of
from optimization.problem import NONE, Bools, Floats, Ints, TerritoryProblem
from optimization.rules import Case, build_case
from optimization.settings import AllocationSettings, AllocationWeights
from optimization.solve import Work, first_plan, rounds

POTENTIAL_WEIGHT = 0.05
"""Points that one point of money given up costs: only between plans that are about as fair."""

MENDING_WEIGHT = 100.0
"""Points that one point of money at risk costs while the first plan is mended to keep the rules."""

ROUNDS = 2
"""Rounds of linearising and solving a point."""


@dataclass(frozen=True)
class FrontierPoint:
    """One plan of the frontier; it keeps every rule but the budgets of moved accounts and money.

    Attributes
    ----------
    rep : [account] the plan
    budget : most money at risk it was allowed
    spread : largest spread of the chance of quota within a pool (see `optimization.pools`), on the fresh paths
    spread_planned : the same on the planning paths, by which points are compared
    spread_all : highest less lowest chance over all active reps, on the fresh paths
    p_attain_min : lowest chance of quota, on the fresh paths
    moves : accounts that leave their owner
    moved_share : the same as a share of all accounts
    move_cost : money at risk from these moves
    potential : expected revenue of all accounts under the plan, money
    knee : the point after which further money buys least: farthest from the line between the two ends
    """

    rep: Ints
    budget: float
    spread: float
    spread_planned: float
    spread_all: float
    p_attain_min: float
    moves: int
    moved_share: float
    move_cost: float
    potential: float
    knee: bool


def frontier(
    problem: TerritoryProblem, settings: AllocationSettings, seed: int, points: int = 12
) -> tuple[FrontierPoint, ...]:
    """Plans from the fewest moves to the fairest, dominated ones left out, by rising money at risk.

    Deterministic unless ``settings.time_limit`` cuts it off: it then ends with the points found so far. Moves are
    limited by money at risk alone, so budgets of the settings do not hold; every other rule does.

    Parameters
    ----------
    seed : of the solver
    points : budgets tried, at least 2

    Returns
    -------
    empty where fairness is not the chance of quota, nothing can move at a cost, or no plan was found

    Raises
    ------
    ValueError
        The arrays do not describe a problem, or ``points`` is below 2.
    """
    check(problem)
    if points < 2:
        raise ValueError(f"points must be at least 2, got {points}")
    free = _free(settings)
    work = Work(build_case(problem, free), time.monotonic() + settings.time_limit, seed)
    first = first_plan(_careful(work)) if settings.fairness == "attainment" and len(problem.account_ids) else None
    if first is None:
        return ()
    futures = lay_out(work.case, choose_paths(len(problem.value), settings.search_paths))
    interval = linearise.attainable(work.case, futures)
    last = rounds(work, futures, interval, first)
    least, most = (_cost(work.case, found.plan) for found in (first, last))
    plans, warm = [(first.plan, least)], first
    for share in (np.arange(1, points - 1) / (points - 1)) ** 2 if most > least else ():
        if time.monotonic() > work.deadline:
            break
        budget = least + share * (most - least)
        at = replace(
            work, case=build_case(problem, free.model_copy(update={"max_move_cost": budget, "rounds": ROUNDS}))
        )
        warm = rounds(at, futures, interval, warm)
        plans.append((warm.plan, budget))
    again = rounds(work, futures, interval, warm)
    plans += [(found.plan, np.inf) for found in (last, again)]
    found = [_point(work.case, plan, budget) for plan, budget in plans]
    return _with_knee(_undominated(found))


def frontier_rows(points: tuple[FrontierPoint, ...]) -> list[dict[str, float | int | bool]]:
    """One row a point, for frontier.csv: shares are 0 to 1, money in the currency of the problem."""
    columns = ("spread", "spread_planned", "spread_all", "p_attain_min", "moves", "moved_share", "move_cost")
    return [
        {"point": number, **{name: getattr(point, name) for name in (*columns, "potential", "knee")}}
        for number, point in enumerate(points, 1)
    ]


def _free(settings: AllocationSettings) -> AllocationSettings:
    """Settings of the frontier: no budget but the one that is varied, no weight on money but the small one."""
    weights = settings.weights.model_dump() | {"move_cost": 0.0, "potential": POTENTIAL_WEIGHT}
    none = dict.fromkeys(("max_moved_accounts_share", "max_moved_value_share", "max_move_cost"))
    return settings.model_copy(update={**none, "weights": AllocationWeights(**weights)})


def _careful(work: Work) -> Work:
    """Work that mends a plan with little money at risk, whatever that does to fairness."""
    weights = work.case.settings.weights.model_copy(update={"move_cost": MENDING_WEIGHT})
    settings = work.case.settings.model_copy(update={"weights": weights})
    return replace(work, case=build_case(work.case.problem, settings))


def _cost(case: Case, plan: Ints) -> float:
    """Money at risk from the moves of a plan [block] that count against a budget."""
    return float(case.blocks.moved_cost[np.arange(len(plan)), plan].sum())


def _within(chance: Floats, counted: Bools, pool: Ints) -> float:
    """Largest spread within a pool."""
    return max((spread(chance, counted & (pool == number)) for number in np.unique(pool)), default=0.0)


def _point(case: Case, plan: Ints, budget: float) -> FrontierPoint:
    problem, rep = case.problem, case.blocks.to_accounts(plan)
    planned, fresh = (p_attain(problem, rep, fresh=new) for new in (False, True))
    active, pool = active_reps(problem), pools_of(case.blocks.allowed)
    moved = (rep != problem.owner) & (problem.owner != NONE)
    return FrontierPoint(
        rep=rep,
        budget=budget,
        spread=_within(fresh, active, pool),
        spread_planned=_within(planned, active, pool),
        spread_all=spread(fresh, active),
        p_attain_min=float(fresh[active].min(initial=1.0)),
        moves=int(moved.sum()),
        moved_share=float(moved.mean()),
        move_cost=float(problem.move_cost[moved].sum()),
        potential=float(case.blocks.worth[np.arange(len(plan)), plan].sum()),
        knee=False,
    )


def _undominated(points: list[FrontierPoint]) -> list[FrontierPoint]:
    """Points that no other beats or equals in spread, money at risk and potential at once; of equal ones the first."""
    values = np.array([[one.spread_planned, one.move_cost, -one.potential] for one in points])
    kept = []
    for number, value in enumerate(values):
        better = (values <= value).all(axis=1)
        strictly = better & (values < value).any(axis=1)
        if not strictly.any() and not better[:number].any():
            kept.append(points[number])
    return sorted(kept, key=lambda one: (one.move_cost, one.spread_planned))


def _with_knee(points: list[FrontierPoint]) -> tuple[FrontierPoint, ...]:
    """Mark the point farthest below the line between the ends, spread and money each scaled to their range.

    Source: Satopaa et al. (2011), Finding a "kneedle" in a haystack, doi:10.1109/ICDCSW.2011.20.
    """
    if len(points) < 3:
        return tuple(points)
    money, fair = (np.array([getattr(one, name) for one in points]) for name in ("move_cost", "spread_planned"))
    scaled = [(axis - axis.min()) / max(float(np.ptp(axis)), np.finfo(float).tiny) for axis in (money, fair)]
    knee = int(np.argmin(scaled[0] + scaled[1]))
    return tuple(replace(one, knee=number == knee) for number, one in enumerate(points))
