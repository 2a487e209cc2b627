"""The banded problem as one plain PuLP model: for small problems, and as the yardstick of the large path."""

import time

import numpy as np
import pulp

from optimization.large_scale.certificate import certify
from optimization.large_scale.checks import check
from optimization.large_scale.settings import BandedSettings
from optimization.large_scale.solve import BandedPlan
from optimization.problem import NONE, BandedProblem, Ints


def solve_plain(problem: BandedProblem, settings: BandedSettings, seed: int = 0) -> BandedPlan:
    """Solve the whole problem with PuLP and HiGHS; building the model counts as time. One thread.

    The bound of the certificate is the solver's word here: nothing is recomputed but the plan.

    Raises
    ------
    ValueError
        The arrays do not describe a problem; every fault is listed.
    """
    began = time.monotonic()
    check(problem)
    program, assign = _build(problem)
    solver = pulp.HiGHS(
        msg=False, threads=1, gapRel=settings.gap, random_seed=seed % 2**31,
        timeLimit=max(settings.seconds - (time.monotonic() - began), 0.01),
    )  # fmt: skip
    stats = program.solve(solver)
    value = [variable.varValue for variable in assign] if stats.has_solution else []
    rep = _plan(problem, np.array([0.0 if v is None else v for v in value]))
    bound = -np.inf if stats.best_bound is None else float(stats.best_bound)
    certificate = certify(problem, rep, bound, (bound, "the solver's word"))
    seconds = time.monotonic() - began
    return BandedPlan(rep, certificate, seconds, seconds < settings.seconds)


def _build(problem: BandedProblem) -> tuple[pulp.LpProblem, list[pulp.LpVariable]]:
    program = pulp.LpProblem("banded", pulp.LpMinimize)
    account = np.repeat(np.arange(len(problem.account_ids)), np.diff(problem.start))
    names = list(zip(account.tolist(), problem.pair_rep.tolist(), strict=True))
    assign = list(program.add_variable_dict("assign_a%s_r%s", names, 0, 1, "Integer").values())
    program.setObjective(pulp.lpSum_vars_coefs(list(zip(assign, problem.cost.tolist(), strict=True))))
    for i, (first, last) in enumerate(zip(problem.start[:-1], problem.start[1:], strict=True)):
        program.addConstraint(pulp.lpSum_vars(assign[first:last]) == 1, f"coverage_a{i}")
    order = np.argsort(problem.pair_rep, kind="stable")
    edges = np.searchsorted(problem.pair_rep[order], np.arange(len(problem.rep_ids) + 1))
    for r, (first, last) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        mine = order[first:last]
        variables = [assign[a] for a in mine]
        for k in range(len(problem.metric_ids)):
            left = pulp.lpSum_vars_coefs(list(zip(variables, problem.use[mine, k].tolist(), strict=True)))
            if left.isNumericalConstant():  # a row without variables would be dropped silently
                left = left + program.add_variable(f"nothing_r{r}_m{k}", 0, 0)
            if np.isfinite(problem.high[r, k]):
                program.addConstraint(left <= float(problem.high[r, k]), f"high_r{r}_m{k}")
            if np.isfinite(problem.low[r, k]):
                program.addConstraint(left >= float(problem.low[r, k]), f"low_r{r}_m{k}")
    return program, assign


def _plan(problem: BandedProblem, value: np.ndarray) -> Ints:
    """[account] rep whose pair has the largest value; NONE for all without a solution."""
    if not len(value):
        return np.full(len(problem.account_ids), NONE)
    account = np.repeat(np.arange(len(problem.account_ids)), np.diff(problem.start))
    order = np.lexsort((-value, account))
    return problem.pair_rep[order[problem.start[:-1]]]
