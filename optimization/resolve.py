"""A plan changed as little as possible after people decided about it: locks, rejections and assignments.

The order is feasibility, then the fewest accounts that change against the earlier plan without having to, then the
cost of the pairs. What has to change (an account whose earlier rep may no longer own it) is not counted.

The earlier plan breaks few rules after a handful of decisions, so the integer program is built around the reps that
break one, and grows only when that has no answer. A Lagrangian value of the relaxation's prices over *all* pairs says
how far the number of changes can be from the least possible one (Geoffrion 1974, doi:10.1007/BFb0120690).
"""

import time
from dataclasses import dataclass, replace

import numpy as np

from optimization.audit import violations
from optimization.problem import NONE, Bools, Floats, Ints, TerritoryProblem
from optimization.pulp_model import Effort, Key, Solution, build, relax, solve_integral
from optimization.rules import Case, Row, build_case, rows_of
from optimization.scores import pair_costs
from optimization.settings import AllocationSettings

MOST_PAIRS = 20_000
"""Pairs up to which the integer program has all of them, so that its answer is the least number of changes."""

NEIGHBOURS = (2, 8, 32)
"""Cheapest other reps that a block of a touched rep may go to, in the first, second and third attempt."""

LEAST_SPAN = 1e-9
"""Points between the dearest and the cheapest pairs, below which cost decides nothing."""

NODES = 1_000_000
"""Branch-and-bound nodes; the clock usually comes first."""


@dataclass(frozen=True)
class Resolved:
    """The changed plan.

    Attributes
    ----------
    rep : [account] in the plan
    forced : [account] changed because the earlier rep may no longer own it
    changes : accounts that change without having to
    bound : least number of such changes that any plan can have, recomputed from prices and raw arrays
    exact : the solver had all pairs and ended by itself
    repeatable : no clock had a part in it
    """

    rep: Ints
    forced: Bools
    changes: int
    bound: int
    exact: bool
    repeatable: bool


@dataclass(frozen=True)
class _Task:
    """What is minimised: ``changes`` and ``cost`` [block, rep], from the earlier plan ``start`` [block]."""

    case: Case
    changes: Floats
    cost: Floats
    start: Ints
    effort: Effort


def resolve(
    problem: TerritoryProblem, settings: AllocationSettings, earlier: Ints, seed: int = 0, seconds: float = 10.0
) -> Resolved | None:
    """Change an earlier plan as little as the rules and decisions of the problem allow.

    Parameters
    ----------
    problem : with locks and eligibility as people decided
    earlier : [account] rep in the earlier plan, NONE for an account that it did not know
    seconds : time for the integer programs

    Returns
    -------
    None when no plan was found in time; `optimization.infeasible.explain` says whether there is one
    """
    case = build_case(problem, settings)
    if not case.blocks.allowed.any(axis=1).all():
        return None
    task = _task(case, earlier, Effort(0.0, NODES, time.monotonic() + seconds, seed))
    found, exact, bound, repeatable = _search(task)
    if found is None:
        return None
    rep = case.blocks.to_accounts(found)
    counted = float(task.changes[np.arange(len(found)), found].sum())
    forced = (rep != earlier) & ~_earlier_allowed(case, earlier)
    return Resolved(rep, forced, round(counted), min(bound, round(counted)), exact, repeatable)


def _earlier_allowed(case: Case, earlier: Ints) -> Bools:
    """[account] whether its block may stay with the account's earlier rep."""
    return case.blocks.allowed[case.blocks.block, earlier] & (earlier != NONE)


def _task(case: Case, earlier: Ints, effort: Effort) -> _Task:
    blocks = case.blocks
    stays = _earlier_allowed(case, earlier)
    kept = np.zeros_like(blocks.worth)
    np.add.at(kept, (blocks.block[stays], earlier[stays]), 1.0)
    changes = kept.sum(axis=1, keepdims=True) - kept
    costs = pair_costs(case)
    span = np.where(blocks.allowed, costs, -np.inf).max(axis=1) - np.where(blocks.allowed, costs, np.inf).min(axis=1)
    small = 0.5 / max(float(span.sum()), LEAST_SPAN)  # all costs together weigh less than one change
    cost = changes + small * costs
    start = np.where(blocks.allowed, cost, np.inf).argmin(axis=1)
    return _Task(case, changes, cost, start, effort)


def _search(task: _Task) -> tuple[Ints | None, bool, int, bool]:
    """Plan [block], whether it is proven least, the bound, and whether no clock had a part in it."""
    case, allowed = task.case, task.case.blocks.allowed
    rows = rows_of(case)
    touched = _touched(rows, task.start, allowed.shape[1])
    if not touched.any():
        return task.start, True, round(float(task.changes[np.arange(len(task.start)), task.start].sum())), True
    bound, repeatable = 0, True
    attempts = (None,) if allowed.sum() <= MOST_PAIRS else (*NEIGHBOURS, None)
    for number, neighbours in enumerate(attempts):
        arcs = allowed if neighbours is None else _around(task, touched, neighbours)
        bound = max(bound, _bound(task, rows, arcs))
        share = (task.effort.deadline - time.monotonic()) / (len(attempts) - number)
        effort = replace(task.effort, deadline=time.monotonic() + max(share, 0.1))
        answer = solve_integral(case, build(case, None, arcs, cost=task.cost), effort, None)
        repeatable = repeatable and answer.status in ("optimal", "limit", "infeasible")
        if _holds(case, answer):
            return answer.plan, neighbours is None and answer.status == "optimal", bound, repeatable
    return None, False, bound, repeatable


def _holds(case: Case, answer: Solution) -> bool:
    """Whether a plan came back that keeps every rule; the solver's word is not enough."""
    plan = answer.plan
    return plan is not None and not violations(case.problem, case.settings, case.blocks.to_accounts(plan))


def _use(row: Row, plan: Ints) -> float:
    """Left side of a row for a plan [block]."""
    if row.rep is None:
        return float(row.coefficient[np.arange(len(plan)), plan].sum())
    return float(row.coefficient[plan == row.rep].sum())


def _touched(rows: list[Row], plan: Ints, reps: int) -> Bools:
    """[rep] whose rows the plan breaks; every rep where a row about all of them is broken."""
    touched = np.zeros(reps, dtype=bool)
    for row in rows:
        slack = row.limit - _use(row, plan) if row.sense == "<=" else _use(row, plan) - row.limit
        if slack < -1e-9 * max(1.0, abs(row.limit)):
            touched[slice(None) if row.rep is None else row.rep] = True
    return touched


def _around(task: _Task, touched: Bools, neighbours: int) -> Bools:
    """[block, rep] pairs near the broken rows.

    Blocks of touched reps may go to every touched rep and to their cheapest others; every other block may come to a
    touched rep.
    """
    allowed, start = task.case.blocks.allowed, task.start
    blocks = np.arange(len(start))
    arcs = np.zeros_like(allowed)
    arcs[:, touched] = allowed[:, touched]
    ours = touched[start]
    price = np.where(allowed, task.cost, np.inf)
    price[blocks, start] = np.inf
    order = np.argsort(price[ours], axis=1, kind="stable")[:, :neighbours]
    near = np.zeros((int(ours.sum()), allowed.shape[1]), dtype=bool)
    np.put_along_axis(near, order, values=True, axis=1)
    arcs[ours] |= near & allowed[ours]
    arcs[blocks, start] = True
    return arcs


def _bound(task: _Task, rows: list[Row], arcs: Bools) -> int:
    """Least number of changes by the prices of the relaxation over some pairs, valid over all pairs."""
    relaxed = relax(task.case, build(task.case, None, arcs, cost=task.cost), task.effort)
    return lagrangian(task.case.blocks.allowed, task.changes, rows, relaxed.prices)


def lagrangian(allowed: Bools, changes: Floats, rows: list[Row], prices: dict[Key, float]) -> int:
    """Lower bound on the sum of ``changes`` [block, rep] of any plan, from any prices by (rule, key).

    A price of the wrong sign counts as zero, so no solver can make the bound too high.
    """
    priced, constant = np.array(changes, dtype=float), 0.0
    for row in rows:
        price = prices.get((row.rule, row.key), 0.0)
        price = min(price, 0.0) if row.sense == "<=" else max(price, 0.0)
        if price == 0.0:
            continue
        constant += price * row.limit
        if row.rep is None:
            priced -= price * row.coefficient
        else:
            priced[:, row.rep] -= price * row.coefficient
    value = constant + float(np.where(allowed, priced, np.inf).min(axis=1).sum())
    return max(int(np.ceil(value - 1e-6 * max(1.0, abs(value)))), 0)
