"""The audit knows no solver, catches wrong answers, and its bound is a bound whatever the prices are."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pulp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization import pulp_model
from optimization.audit import Evidence, Finding, audit, violations
from optimization.futures import choose_paths, lay_out
from optimization.linearise import by_chance, by_hours, by_money
from optimization.plan import Infeasible, TerritoryPlan
from optimization.problem import Ints
from optimization.pulp_model import Effort, build, relax
from optimization.restated import limits
from optimization.rules import RULES, Case, build_case, rows_of
from optimization.scores import Linear, build_goal
from optimization.settings import AllocationSettings, Fairness
from optimization.solve import solve
from tests.ruled_territories import MOST_PLANS, Scored, every_plan, keeps_rules, objectives, ruled_problem
from tests.territories import best_value, keeps_step, plans, random_problem

ALL_RULES = AllocationSettings(
    max_moved_accounts_share=0.6,
    max_moved_value_share=0.7,
    max_move_cost=40.0,
    min_accounts=1,
    max_accounts=5,
    value_band_is_rule=True,
    value_band_share=0.8,
)
EFFORT = Effort(0.0, 1000, np.inf)


def linear_of(case: Case) -> tuple[Linear, float]:
    """Linear problem around the first plan that brute force finds, and its step."""
    return linear_around(case, case.blocks.to_blocks(next(plans(case.problem, case.settings))))


def linear_around(case: Case, plan: Ints) -> tuple[Linear, float]:
    """Linear problem around a plan [block], and its step."""
    goal = build_goal(case, np.zeros(len(case.problem.rep_ids), dtype=bool))
    if case.settings.fairness == "attainment":
        futures = lay_out(case, choose_paths(len(case.problem.value), 1000))
        return by_chance(case, goal, futures, plan, 0.8), 0.8
    make = by_hours if case.settings.fairness == "hours" else by_money
    return make(case, goal, plan), np.inf


def evidence_of(case: Case, linear: Linear, step: float, prices: dict[tuple[str, str], float]) -> Evidence:
    return Evidence(case.blocks.block, linear.goal, linear.gain, step, prices)


def test_audit_imports_no_solver() -> None:
    code = "import sys, optimization.audit; sys.exit('pulp' in sys.modules or 'highspy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@settings(max_examples=60)
@given(
    st.integers(0, 10**6),
    st.integers(2, 6),
    st.integers(1, 4),
    st.sampled_from(["attainment", "potential", "hours"]),
    st.booleans(),
)
def test_bound_is_never_above_the_true_optimum(
    seed: int, accounts: int, reps: int, fairness: Fairness, rules: bool
) -> None:
    problem = random_problem(seed, accounts, reps)
    wanted = (ALL_RULES if rules else AllocationSettings()).model_copy(update={"fairness": fairness})
    case = build_case(problem, wanted)
    if next(plans(problem, wanted), None) is None:
        return
    linear, step = linear_of(case)
    best = best_value(case, linear)
    relaxed = relax(case, build(case, linear, case.blocks.allowed), EFFORT)
    assert relaxed.status == "optimal"
    rep = case.blocks.to_accounts(linear.around)
    finding = audit(problem, wanted, rep, evidence_of(case, linear, step, relaxed.prices))
    assert finding.violations == ()
    assert finding.objective == pytest.approx(linear.value(linear.around), abs=1e-6)
    assert finding.bound <= best + 1e-7
    assert finding.bound >= relaxed.bound - 1e-4 * (1 + abs(relaxed.bound)), "prices of the relaxation give its bound"
    rng = np.random.default_rng(seed)
    wild = {key: float(rng.normal(0, 2)) for key in relaxed.prices}
    assert audit(problem, wanted, rep, evidence_of(case, linear, step, wild)).bound <= best + 1e-7


@pytest.mark.parametrize(("first", "number"), [(0, 15), pytest.param(100, 500, marks=pytest.mark.slow)])
def test_certificates_hold_on_small_problems_with_every_rule(first: int, number: int) -> None:
    """Brute force over all assignments, at most a million; a plan exists, since a hidden one keeps every rule."""
    with_choice = 0
    for seed in range(first, first + number):
        problem, wanted = ruled_problem(seed)
        fairness: Fairness = ("potential", "hours", "attainment")[seed % 3]
        wanted = wanted.model_copy(update={"fairness": fairness})
        everything = every_plan(problem)
        assert len(everything) <= MOST_PLANS
        kept = everything[keeps_rules(problem, wanted, everything)]
        with_choice += len(kept) > 1
        answer = solve(problem, wanted, seed)
        assert isinstance(answer, TerritoryPlan), (seed, answer)
        assert answer.certificate.feasible, (seed, answer.certificate.violations)
        assert keeps_rules(problem, wanted, answer.rep[None])[0], seed
        case = build_case(problem, wanted)
        linear, step, finding = certificate_of(case, answer.rep)
        at = case.blocks.order[case.blocks.start]  # an account of each block
        best = objectives(Scored(linear.base, linear.gain, linear.cost, linear.goal), kept[:, at])
        inside = np.array([keeps_step(linear, plan) for plan in kept[:, at]])
        assert finding.bound <= best[inside].min() + 1e-7, seed
        assert finding.objective == pytest.approx(linear.value(linear.around), abs=1e-6)
        if fairness != "attainment":
            assert step == np.inf
            assert answer.certificate.bound <= best.min() + 1e-7, seed
            assert answer.certificate.objective >= best.min() - 1e-6, seed
    assert with_choice > number // 3


def certificate_of(case: Case, rep: Ints) -> tuple[Linear, float, Finding]:
    """Linear problem around a plan [account], its step, and what the audit says with the prices of the relaxation."""
    linear, step = linear_around(case, case.blocks.to_blocks(rep))
    relaxed = relax(case, build(case, linear, case.blocks.allowed), EFFORT)
    return linear, step, audit(case.problem, case.settings, rep, evidence_of(case, linear, step, relaxed.prices))


def test_limits_of_the_audit_are_the_rows_of_the_builders() -> None:
    """Two statements of every rule, one over families merged and one over single accounts, mean the same."""
    seen = set()
    for seed in range(30):
        problem, wanted = ruled_problem(seed)
        case = build_case(problem, wanted)
        rows = {(row.rule, row.key, row.rep): row for row in rows_of(case)}
        found = {(limit.rule, limit.key, limit.rep): limit for limit in limits(problem, wanted)}
        assert rows.keys() == found.keys()
        for key, limit in found.items():
            turn = 1.0 if rows[key].sense == "<=" else -1.0
            assert (turn == -1.0) == limit.turned
            np.testing.assert_allclose(turn * rows[key].coefficient, case.blocks.sums(limit.amount), atol=1e-6)
            assert turn * rows[key].limit == pytest.approx(limit.most, abs=1e-6), key
        seen |= {rule for rule, *_ in rows}
        for rep in every_plan(problem)[:: max(1, case.blocks.allowed.shape[1] ** len(case.blocks) // 50)]:
            assert (violations(problem, wanted, rep) == ()) == keeps_rules(problem, wanted, rep[None])[0], (seed, rep)
    assert seen == {name for name, rule in RULES.items() if rule.rows is not None}


def example() -> tuple[Case, Linear, dict[tuple[str, str], float]]:
    case = build_case(random_problem(5, 7, 3), AllocationSettings(fairness="potential"))
    linear, _ = linear_of(case)
    return case, linear, relax(case, build(case, linear, case.blocks.allowed), EFFORT).prices


def test_tampered_gains_are_found() -> None:
    case, linear, prices = example()
    rep = case.blocks.to_accounts(linear.around)
    tampered = replace(linear, gain=linear.gain * 0.9)
    finding = audit(case.problem, case.settings, rep, evidence_of(case, tampered, np.inf, prices))
    assert finding.violations == ("evidence: gains differ from the raw arrays",)


def test_tampered_chances_are_found() -> None:
    case = build_case(random_problem(5, 7, 3), AllocationSettings())
    linear, step = linear_of(case)
    rep = case.blocks.to_accounts(linear.around)
    assert audit(case.problem, case.settings, rep, evidence_of(case, linear, step, {})).violations == ()
    tampered = replace(linear, gain=linear.gain + 1.0)
    found = audit(case.problem, case.settings, rep, evidence_of(case, tampered, step, {})).violations
    assert len(found) == 1
    assert found[0].startswith("evidence: ")


def test_accounts_that_pretend_to_be_a_family_are_found() -> None:
    case, linear, prices = example()
    evidence = replace(evidence_of(case, linear, np.inf, prices), block=np.zeros_like(case.blocks.block))
    rep = case.blocks.to_accounts(linear.around)
    assert "evidence: blocks are not the families" in audit(case.problem, case.settings, rep, evidence).violations


def test_account_without_rep_or_with_a_rep_that_is_none_is_found() -> None:
    case, linear, prices = example()
    rep = case.blocks.to_accounts(linear.around)
    for wrong in (-1, 3):
        rep[2] = wrong
        finding = audit(case.problem, case.settings, rep, evidence_of(case, linear, np.inf, prices))
        assert finding.violations == ("coverage: account A2 has no rep",)
        assert not np.isfinite(finding.objective)


def test_each_broken_rule_is_named() -> None:
    problem = random_problem(0, 6, 3, hard=False)
    problem = replace(
        problem,
        owner=np.array([0, 0, 0, 1, 1, 2]),
        eligible=np.array([[1, 0, 1]] + [[1, 1, 1]] * 5, dtype=bool),
        locked=np.array([False, True, False, False, False, False]),
        family=np.array([0, 1, 2, 2, 4, 5]),
        capacity=np.array([1.0, 1.0, 0.0]),
        max_hours=np.array([0.5, 0.5, 0.5]),
    )
    strict = ALL_RULES.model_copy(
        update={"max_moved_accounts_share": 0.0, "max_moved_value_share": 0.0, "max_move_cost": 0.0, "min_accounts": 4}
    )
    strict = strict.model_copy(update={"max_accounts": 2, "value_band_share": 0.001})
    found = violations(problem, strict, np.array([1, 1, 1, 0, 1, 2]))
    named = {text.split(":")[0] for text in found}
    assert named == {
        "eligibility", "active reps", "locks", "families", "hours", "minimum accounts", "maximum accounts",
        "value band", "moved accounts", "moved value", "move cost",
    }  # fmt: skip


class Liar(pulp.HiGHS):
    """Solves, then reports the wrong plan as optimal: every account goes to nobody or to everybody."""

    value = 0.0

    def findSolutionValues(self, lp: pulp.LpProblem) -> tuple[object, bool]:
        _, found = super().findSolutionValues(lp)
        for variable in lp.variables():
            if variable.name.startswith("assign"):
                variable.varValue = self.value
        return pulp.const.LpSolveStatus.Optimal, found


class Doubling(Liar):
    value = 1.0


class NotRun(pulp.HiGHS):
    """Never runs, as HiGHS does when its threads change within a process."""

    def callSolver(self, lp: pulp.LpProblem) -> None:  # noqa: ARG002
        return


class AllToLast(pulp.HiGHS):
    """Reports a plan that is integral and breaks rules as optimal."""

    def findSolutionValues(self, lp: pulp.LpProblem) -> tuple[object, bool]:
        super().findSolutionValues(lp)
        for variable in lp.variables():
            if variable.name.startswith("assign"):
                variable.varValue = float(variable.name.endswith("_r0"))
        return pulp.const.LpSolveStatus.Optimal, True


@pytest.mark.parametrize("wrong", [Liar, Doubling, NotRun, AllToLast])
@pytest.mark.parametrize("fairness", ["attainment", "potential"])
def test_wrong_answers_of_the_solver_never_become_a_plan(
    monkeypatch: pytest.MonkeyPatch, wrong: type, fairness: Fairness
) -> None:
    monkeypatch.setattr(pulp_model.pulp, "HiGHS", wrong)
    problem = random_problem(3, 7, 3, hard=False)
    problem = replace(problem, max_hours=np.full(3, problem.hours.sum() / 2))
    answer = solve(problem, AllocationSettings(fairness=fairness), seed=0)
    if isinstance(answer, Infeasible):
        assert answer.conflicts == ()
        assert "not proven" in answer.repairs[0]
        return
    assert isinstance(answer, TerritoryPlan)
    assert violations(problem, AllocationSettings(fairness=fairness), answer.rep) == ()
    assert answer.certificate.bound <= answer.certificate.objective + 1e-9
