"""The assignment as one PuLP model, and its solution by HiGHS. The only module that touches a solver."""

import time
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise

import numpy as np
import pulp  # before highspy, whose symbols it must load first

import highspy  # isort: skip

from optimization.atoms import Atom, left_out
from optimization.problem import Bools, Floats, Ints
from optimization.rules import Case, Row, atom_of, rows_of
from optimization.scores import Linear

SOLVER = f"HiGHS {version('highspy')} through PuLP {version('pulp')}"

type Key = tuple[str, str]
"""Name of a row: its rule, and the rep or block it speaks of."""


@dataclass(frozen=True)
class Model:
    """A model and the way back from it to arrays.

    Attributes
    ----------
    program : the PuLP problem
    block, rep : [arc] pairs that have a variable
    assign : [arc] their variables
    given : [block] rep of blocks that only one rep may own, NONE (-1) where there is a choice
    rows : constraint by (rule, key)
    """

    program: pulp.LpProblem
    block: Ints
    rep: Ints
    assign: list[pulp.LpVariable]
    given: Ints
    rows: dict[Key, pulp.LpConstraint]


@dataclass(frozen=True)
class Solution:
    """What the solver answered, not to be trusted before the audit.

    Attributes
    ----------
    status : "optimal", "infeasible", "limit" (stopped early, nothing proven) or "time" (stopped by the clock)
    plan : [block] rep, None without an integral solution
    share : [block, rep] value of the variables, None without a solution
    reduced : [block, rep] reduced costs of a linear program, infinite for pairs without a variable
    prices : dual price of each row of a linear program
    bound : what the solver claims as a lower bound
    """

    status: str
    plan: Ints | None
    share: Floats | None
    reduced: Floats | None
    prices: dict[Key, float]
    bound: float


def build(
    case: Case,
    linear: Linear | None,
    arcs: Bools,
    *,
    relaxed: frozenset[Atom] = frozenset(),
    cost: Floats | None = None,
    most: float | None = None,
    apart: bool = False,
) -> Model:
    """Build the model.

    Parameters
    ----------
    linear : scores and costs; None asks only for any plan
    arcs : [block, rep] pairs to consider, a subset of what is allowed
    relaxed : rows that may give way, those of one rule together; see `Row.relaxed`
    most : by how much a rule may at most; without a limit the least sum is sought
    apart : rows of one rule give way each by its own amount
    cost : [block, rep] cost of the pairs where there are no scores
    """
    program = pulp.LpProblem("territories", pulp.LpMinimize)
    choice = arcs.sum(axis=1) > 1
    given = np.where(choice, -1, arcs.argmax(axis=1))
    block, rep = np.nonzero(arcs & choice[:, None])
    names = [(int(b), int(r)) for b, r in zip(block, rep, strict=True)]
    assign = list(program.add_variable_dict("assign_b%s_r%s", names, 0, 1, "Integer").values()) if names else []
    model = Model(program, block, rep, assign, given, {})
    objective = pulp.LpAffineExpression.empty()
    give: dict[str, pulp.LpVariable] = {}
    _cover(model)
    for number, row in enumerate(rows_of(case)):
        gives = left_out(relaxed, atom_of(case, row))
        name = f"{row.rule}_{number}" if apart else row.rule
        if gives and name not in give:
            give[name] = program.add_variable(f"give_way_{len(give)}", 0, 1e12 if most is None else most)
            if most is None:
                objective += give[name]
        add_row(model, row, give[name] if gives else None)
    if linear is not None:
        objective += _fair(model, linear)
        objective += _sum(model, linear.cost)
        for step in step_rows(case, linear):
            add_row(model, step, None)
    if cost is not None:
        objective += _sum(model, cost)
    program.setObjective(objective)
    return model


def _sum(model: Model, coefficient: Floats, rep: int | None = None) -> pulp.LpAffineExpression:
    """Sum of coefficient [block, rep], or [block] for one rep, over the assigned pairs, given ones as a constant."""
    if rep is not None:
        where = np.flatnonzero(model.rep == rep)
        values = coefficient[model.block[where]]
        constant = float(coefficient[model.given == rep].sum())
    else:
        where = np.arange(len(model.block))
        values = coefficient[model.block, model.rep]
        known = np.flatnonzero(model.given >= 0)
        constant = float(coefficient[known, model.given[known]].sum())
    pairs = [(model.assign[w], float(v)) for w, v in zip(where, values, strict=True) if v != 0.0]
    return pulp.lpSum_vars_coefs(pairs) + constant


def _cover(model: Model) -> None:
    """Coverage: every block with a choice has exactly one rep."""
    edges = np.append(np.flatnonzero(np.diff(model.block, prepend=-1)), len(model.block))
    for first, stop in pairwise(edges):
        name = f"coverage_b{model.block[first]}"
        model.program.addConstraint(pulp.lpSum_vars(model.assign[first:stop]) == 1, name)


def add_row(model: Model, row: Row, give: pulp.LpVariable | None) -> None:
    """Add one row of a rule; ``give`` lets it give way. A row about nothing but given blocks is checked, too."""
    left = _sum(model, row.coefficient, row.rep)
    if give is not None:
        left = left + (give * row.relaxed if row.sense == ">=" else give * -row.relaxed)
    if left.isNumericalConstant():
        # a row without variables would be dropped silently: keep it as a bound on a variable that is fixed at zero
        left = left + model.program.add_variable(f"nothing_{len(model.rows)}", 0, 0)
    expression = left <= row.limit if row.sense == "<=" else left >= row.limit
    name = f"{row.rule}_{row.key}" if row.rep is None else f"{row.rule}_r{row.rep}_{len(model.rows)}"
    model.rows[row.rule, row.key] = model.program.addConstraint(expression, name.replace(" ", "_"))


def step_rows(case: Case, linear: Linear) -> list[Row]:
    """Round step: the money of a book that changes against the plan the scores were linearised around is limited."""
    held = linear.around[:, None] == np.arange(len(linear.base))
    coefficient = np.where(held, -linear.step, linear.step)
    limit = linear.step_limit - (linear.step * held).sum(axis=0)  # what joins less what stays
    return [
        Row("round step", str(case.problem.rep_ids[r]), int(r), coefficient[:, r], "<=", float(limit[r]), 1.0)
        for r in np.flatnonzero(np.isfinite(linear.step_limit))
    ]


def _fair(model: Model, linear: Linear) -> pulp.LpAffineExpression:
    """Fairness: scores, the common level, and what lies beyond the band around it (see `optimization.scores`)."""
    goal, program = linear.goal, model.program
    base = linear.base - goal.offset
    bottom = base + np.minimum(linear.gain, 0).sum(axis=0)
    top = base + np.maximum(linear.gain, 0).sum(axis=0)
    span = float(max(top.max(initial=0), goal.high) - min(bottom.min(initial=0), goal.low))
    level = program.add_variable("level", goal.low, goal.high)
    over, under = program.add_variable("over", 0, span), program.add_variable("under", 0, span)
    objective = over + under + goal.floor_weight * (goal.high - level + goal.half_band + under)
    for r in np.flatnonzero(goal.counted):
        score = program.add_variable(f"score_r{r}", float(bottom[r]), float(top[r]))
        excess = program.add_variable(f"excess_r{r}", 0, span)
        program.addConstraint(score - _sum(model, linear.gain[:, r], int(r)) == float(base[r]), f"score_r{r}")
        objective += goal.mean_weight * excess
        for word, side in (("mean", excess), *([("", None)] if goal.extreme[r] else [])):
            high, low = (side, side) if side is not None else (over, under)
            for name, row in (
                (f"{word}over", high - score + level >= -goal.half_band),
                (f"{word}under", low + score - level >= -goal.half_band),
            ):
                model.rows[name, str(r)] = program.addConstraint(row, f"{name}_r{r}")
    return objective


@dataclass(frozen=True)
class Effort:
    """When the solver stops: relative gap, nodes, and the clock (a `time.monotonic` reading); and its random seed."""

    gap: float
    nodes: int
    deadline: float
    seed: int = 0


def _run(model: Model, effort: Effort, integral: bool, start: Ints | None) -> tuple[pulp.LpSolveStats, str]:
    if integral and start is not None:
        for variable, chosen in zip(model.assign, start[model.block] == model.rep, strict=True):
            variable.setInitialValue(float(chosen))
    solver = pulp.HiGHS(
        mip=integral,
        msg=False,
        threads=1,  # more threads may answer differently, and a process must never change the number
        gapRel=effort.gap,
        timeLimit=max(effort.deadline - time.monotonic(), 0.01),
        warmStart=integral and start is not None,
        random_seed=effort.seed % 2**31,
        mip_max_nodes=effort.nodes,
    )
    stats = model.program.solve(solver)
    status = pulp.const.LpSolveStatus
    if model.program.solverModel.getModelStatus() == highspy.HighsModelStatus.kUnboundedOrInfeasible:
        return stats, "infeasible"  # every variable has finite bounds, so nothing is unbounded
    words = {
        status.Optimal: "optimal",
        status.Infeasible: "infeasible",
        status.TimeLimit: "time",
        status.SolutionLimit: "limit",
    }
    return stats, words.get(stats.status, "failed")


def relax(case: Case, model: Model, effort: Effort) -> Solution:
    """Solve the linear relaxation: shares, reduced costs and prices."""
    stats, status = _run(model, effort, integral=False, start=None)
    if status != "optimal":
        return Solution(status, None, None, None, {}, -np.inf)
    share, reduced = _given_share(case, model), np.full(case.blocks.allowed.shape, np.inf)
    share[model.block, model.rep] = [v.varValue for v in model.assign]
    reduced[model.block, model.rep] = [v.dj for v in model.assign]
    prices = {key: float(row.pi or 0.0) for key, row in model.rows.items()}
    return Solution(status, None, share, reduced, prices, float(stats.objective))


def solve_integral(case: Case, model: Model, effort: Effort, start: Ints | None) -> Solution:
    """Solve the integer program, from a starting plan [block] where one is known."""
    if not model.program.numVariables():
        return Solution("optimal", model.given, None, None, {}, -np.inf)
    if not model.assign:
        # HiGHS has nothing to choose; the linear program says whether the given blocks hold together
        stats, status = _run(model, effort, integral=False, start=None)
        plan = model.given if status == "optimal" else None
        return Solution(status, plan, None, None, {}, float(stats.objective or 0.0) if plan is not None else -np.inf)
    stats, status = _run(model, effort, integral=True, start=start)
    bound = -np.inf if stats.best_bound is None else float(stats.best_bound)
    if status in ("infeasible", "failed") or not stats.has_solution:
        return Solution(status, None, None, None, {}, bound)
    share = _given_share(case, model)
    share[model.block, model.rep] = [v.varValue for v in model.assign]
    integral = bool((np.abs(share - share.round()) < 1e-4).all() and (share.round().sum(axis=1) == 1).all())
    return Solution(status, share.argmax(axis=1) if integral else None, share, None, {}, bound)


def _given_share(case: Case, model: Model) -> Floats:
    share = np.zeros(case.blocks.allowed.shape)
    known = np.flatnonzero(model.given >= 0)
    share[known, model.given[known]] = 1.0
    return share
