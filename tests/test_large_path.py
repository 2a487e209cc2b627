"""The large path of territory problems: agrees with the model, keeps every rule, refuses what it does not know."""

import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from engine.report.tables import allocation_table
from optimization import linearise
from optimization.audit import violations
from optimization.fairness import p_attain
from optimization.futures import lay_out
from optimization.large_scale import chance_bands
from optimization.large_scale.certificate import certify
from optimization.large_scale.fair_relaxation import lift, relax_columns, relax_fair
from optimization.large_scale.lift import SUPPORTED, bands_of, refuse
from optimization.large_scale.paths import Made, make_plan
from optimization.large_scale.settings import BandedSettings
from optimization.large_scale.solve import BandedPlan
from optimization.large_scale.target import by_target
from optimization.plan import Infeasible, TerritoryPlan
from optimization.problem import BandedProblem, Ints, TerritoryProblem
from optimization.pulp_model import Effort
from optimization.relaxation import relax_model
from optimization.rules import RULES, Row, build_case
from optimization.scores import build_goal
from optimization.settings import AllocationSettings, Fairness
from optimization.solve import Work, solve
from tests.finished import finished_result
from tests.territories import problem_of, random_problem

LARGE = AllocationSettings(method="large", confidence_groups=0, max_moved_accounts_share=0.5)
ALL: list[Fairness] = ["potential", "hours", "attainment"]

FAR = 1e12
"""A reading of the clock that no test reaches."""


def company(accounts: int, reps: int, seed: int = 0, paths: int = 400) -> TerritoryProblem:
    """Accounts and reps on a map, each account with its eight nearest reps and one of the nearest two as owner."""
    rng = np.random.default_rng(seed)
    mean = np.minimum(rng.lognormal(0, 1, accounts), 0.3 * accounts / reps * np.exp(0.5)) * 10_000
    distance = ((rng.random((accounts, 1, 2)) - rng.random((reps, 2))) ** 2).sum(axis=2)
    near = np.argsort(distance, axis=1)
    eligible = np.zeros((accounts, reps), dtype=bool)
    np.put_along_axis(eligible, near[:, :8], values=True, axis=1)
    owner = near[np.arange(accounts), rng.integers(0, 2, accounts)]
    locked = rng.random(accounts) < 0.05
    quota = np.full(reps, mean.sum() / reps)
    hours = 2 * np.sqrt(mean / 10_000)
    return problem_of(mean, owner, quota, seed=seed, paths=paths, eligible=eligible, locked=locked, hours=hours)


@pytest.mark.parametrize("fairness", ALL)
@pytest.mark.parametrize("seed", range(3))
def test_both_paths_agree_within_the_sum_of_their_gaps(seed: int, fairness: Fairness) -> None:
    problem = random_problem(seed, 14, 4)
    wanted = LARGE.model_copy(update={"fairness": fairness, "min_accounts": 1, "max_accounts": 8})
    ours, model = solve(problem, wanted, seed), solve(problem, wanted.model_copy(update={"method": "model"}), seed)
    if isinstance(ours, Infeasible) or isinstance(model, Infeasible):
        assert isinstance(ours, Infeasible)
        assert isinstance(model, Infeasible)
        return
    one, two = ours.certificate, model.certificate
    assert one.feasible
    assert two.feasible
    assert one.bound <= one.objective + 1e-9
    assert "column generation" in one.bound_kind
    room = (one.objective - one.bound) + (two.objective - two.bound)
    assert abs(one.objective - two.objective) <= room + 1e-6
    if fairness != "attainment":  # one and the same linear problem: neither plan lies below the other's bound
        assert max(one.bound, two.bound) <= min(one.objective, two.objective) + 1e-6


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 4), st.sampled_from(ALL))
def test_column_generation_has_the_optimum_of_the_model(
    seed: int, accounts: int, reps: int, fairness: Fairness
) -> None:
    problem = random_problem(seed, accounts, reps)
    wanted = LARGE.model_copy(update={"fairness": fairness, "value_band_is_rule": True, "value_band_share": 5.0})
    case = build_case(problem, wanted)
    if not case.blocks.allowed.any(axis=1).all():
        return
    goal, futures = build_goal(case, np.zeros(reps, dtype=bool)), lay_out(case, np.arange(200))
    plan = case.blocks.allowed.argmax(axis=1)
    make = {"potential": linearise.by_money, "hours": linearise.by_hours}.get(fairness)
    linear = make(case, goal, plan) if make else linearise.by_chance(case, goal, futures, plan, 0.3)
    model = relax_model(case, linear, (), Effort(0.0, 1, FAR))
    lifted = relax_fair(lift(case, linear), FAR)
    assert lifted is not None
    if model.status != "optimal":
        assert lifted.outside > 1e-9
        return
    assert lifted.outside == pytest.approx(0, abs=1e-6)
    assert relax_columns(case, linear, (), Effort(0.0, 1, FAR)).bound == pytest.approx(model.bound, abs=1e-4)


def test_a_company_of_three_hundred_accounts_is_evened() -> None:
    problem = company(300, 12)
    plan = solve(problem, LARGE, 0)
    assert isinstance(plan, TerritoryPlan)
    assert plan.certificate.feasible
    assert plan.certificate.repeatable
    before, after = (p_attain(problem, rep, fresh=False) for rep in (problem.owner, plan.rep))
    assert np.ptp(after) < 0.06 < 0.5 < np.ptp(before)
    assert plan.certificate.gap < 0.4
    assert (solve(problem, LARGE, 0).rep == plan.rep).all()  # type: ignore[union-attr]


@pytest.mark.parametrize("fairness", ["attainment", "potential"])
def test_rules_hold_where_they_bind(fairness: Fairness) -> None:
    problem = company(200, 10, seed=3)
    problem = replace(problem, max_hours=np.full(10, problem.hours.sum() / 10 * 1.1))
    wanted = LARGE.model_copy(
        update={
            "fairness": fairness,
            "value_band_is_rule": True,
            "value_band_share": 0.15,
            "min_accounts": 12,
            "max_accounts": 30,
            "max_moved_value_share": 0.45,
        }
    )
    assert violations(problem, wanted, problem.owner)
    plan = solve(problem, wanted, 0)
    assert isinstance(plan, TerritoryPlan)
    assert plan.certificate.feasible, plan.certificate.violations
    assert violations(problem, wanted, plan.rep) == ()


def test_auto_takes_the_large_path_above_a_number_of_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = company(60, 9)
    work = Work(build_case(problem, AllocationSettings()), FAR, 0)
    assert not work.large
    monkeypatch.setattr("optimization.work.MODEL_PAIRS", 100)
    assert work.large
    assert not Work(build_case(problem, AllocationSettings(method="model")), FAR, 0).large


def test_every_rule_is_known_and_a_minimum_of_the_whole_plan_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert set(SUPPORTED) == set(RULES)
    case = build_case(company(20, 9), LARGE)
    refuse(case)
    row = Row("least moves", "all", None, case.blocks.moved_accounts, ">=", 1.0, 1.0)
    monkeypatch.setattr("optimization.large_scale.lift.rows_of", lambda _: [row])
    with pytest.raises(ValueError, match=r"least moves.*allocation\.method=model"):
        refuse(case)


def test_a_row_about_a_rep_is_a_band_whatever_its_rule() -> None:
    use = np.array([1.0, 2.0, 3.0])
    rows = [Row("new rule", "R1", 1, use, "<=", 4.0, 1.0), Row("other", "R1_low", 1, use, ">=", 1.0, 1.0)]
    bands = bands_of(rows, 3, 2)
    assert bands.amount.shape == (1, 3, 2)  # the same amounts share a metric
    assert (bands.low[1, 0], bands.high[1, 0]) == (1.0, 4.0)
    assert bands.high_key[1, 0] == ("new rule", "R1")
    assert bands.low_key[1, 0] == ("other", "R1_low")
    assert bands.excess(np.array([0, 1, 1]))[1, 0] == pytest.approx(1.0, abs=1e-6)
    assert not bands.excess(np.array([1, 0, 1])).any()


def test_what_cannot_be_says_so() -> None:
    problem = company(80, 9)
    answer = solve(problem, LARGE.model_copy(update={"min_accounts": 9}), 0)
    assert isinstance(answer, Infeasible)
    assert answer.status in ("proven", "unknown (time)")
    assert any("minimum accounts" in " ".join(one) for one in answer.conflicts) or answer.status != "proven"


def test_no_time_gives_an_honest_plan() -> None:
    problem = company(300, 12)
    plan = solve(problem, LARGE.model_copy(update={"time_limit": 0.02}), 0)
    assert isinstance(plan, TerritoryPlan)
    assert plan.certificate.feasible
    assert not plan.certificate.repeatable
    assert plan.certificate.bound <= plan.certificate.objective


def test_a_plan_is_begun_from_the_present_one() -> None:
    """Where nothing is gained by moving, the present plan stays as it is."""
    problem = company(120, 9)
    problem = replace(problem, locked=np.zeros(120, dtype=bool))
    evened = solve(problem, LARGE, 0)
    assert isinstance(evened, TerritoryPlan)
    again = solve(replace(problem, owner=evened.rep), LARGE, 0)
    assert isinstance(again, TerritoryPlan)
    assert (again.rep != evened.rep).mean() < 0.1
    assert again.certificate.objective <= evened.certificate.objective


def test_the_target_score_is_linear_in_money_at_any_distance() -> None:
    case = build_case(company(40, 9), LARGE)
    futures, goal = lay_out(case, np.arange(400)), build_goal(case, np.zeros(9, dtype=bool))
    linear = by_target(case, goal, futures, case.problem.owner)
    other = case.blocks.allowed.argmax(axis=1)
    unit = linear.gain[0] / case.blocks.worth[0]
    money = np.bincount(other, case.blocks.worth[np.arange(40), other], 9) - case.problem.quota
    assert linear.scores(other) == pytest.approx(50 + unit * money, rel=1e-4)
    assert isinstance(make_plan(Work(case, FAR, 0), linear, case.problem.owner), Made)


def test_less_time_than_a_search_is_meant_to_have_is_not_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The length of its passes goes with the seconds it is given, so a clock had a part even if it ended by itself."""

    def done(problem: BandedProblem, _settings: BandedSettings, _seed: int, begun: Ints) -> BandedPlan:
        return BandedPlan(begun, certify(problem, begun, -np.inf, (-np.inf, "")), 0.0, repeatable=True)

    monkeypatch.setattr(chance_bands, "solve_banded", done)
    case = build_case(company(40, 9), LARGE)
    linear = linearise.by_money(case, build_goal(case, np.zeros(9, dtype=bool)), case.problem.owner)
    lifted = lift(case, linear)
    relaxed = relax_fair(lifted, FAR)
    assert relaxed is not None
    for left, same in ((1e6, True), (5.0, False)):
        effort = chance_bands.Effort(8, 6, time.monotonic() + left, 0)
        assert chance_bands.plan_near(lifted, relaxed, case.problem.owner, effort).repeatable == same


def test_one_thread_and_two_write_the_same_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of the simulation, of linear algebra and of the banded search, as a run has them."""
    written = []
    for threads in (1, 2):
        monkeypatch.setattr(chance_bands, "BandedSettings", partial(BandedSettings, threads=threads))
        with threadpool_limits(threads):
            result = finished_result(
                ("allocation.method=large", "simulation.paths=1200", "allocation.confidence_groups=2"), threads=threads
            )
        assert result.allocation is not None
        assert isinstance(result.allocation.answer, TerritoryPlan)
        assert result.allocation.answer.certificate.repeatable
        written.append(allocation_table(result, result.allocation).to_csv())
    assert written[0] == written[1]


def test_a_run_takes_the_large_path_where_it_is_told_to() -> None:
    allocation = finished_result(("allocation.method=large",)).allocation
    assert allocation is not None
    assert isinstance(allocation.answer, TerritoryPlan)
    assert "column generation" in allocation.answer.certificate.bound_kind
    assert allocation.answer.certificate.feasible
    assert violations(allocation.problem, AllocationSettings(), allocation.answer.rep) == ()
