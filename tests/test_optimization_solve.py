"""Plans are feasible, best where that can be checked, never worse than the present, and the same every time."""

import time
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.audit import violations
from optimization.fairness import p_attain, present_owner, spread
from optimization.futures import choose_paths, lay_out, margins
from optimization.linearise import attainable, by_hours, by_money, chance_gains
from optimization.plan import Infeasible, TerritoryPlan
from optimization.problem import NONE, TerritoryProblem
from optimization.reasons import REASONS
from optimization.rules import Case, build_case
from optimization.scores import Linear, build_goal, unfairness
from optimization.search import improve_linear
from optimization.settings import AllocationSettings, AllocationWeights, Fairness
from optimization.solve import Found, Work, _unstuck, solve
from tests.territories import best_value, plans, problem_of, random_problem

EXACT = AllocationSettings(mip_gap=0.0, mip_nodes=100_000)


def plan_of(problem: TerritoryProblem, wanted: AllocationSettings, seed: int = 0) -> TerritoryPlan:
    plan = solve(problem, wanted, seed)
    assert isinstance(plan, TerritoryPlan)
    return plan


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(1, 4), st.sampled_from(["potential", "hours"]))
def test_small_problems_are_solved_to_the_optimum(seed: int, accounts: int, reps: int, fairness: Fairness) -> None:
    reps = min(reps, 3) if accounts > 5 else reps
    problem = random_problem(seed, accounts, reps)
    wanted = EXACT.model_copy(update={"fairness": fairness, "max_moved_accounts_share": 0.5})
    answer = solve(problem, wanted, seed)
    if next(plans(problem, wanted), None) is None:
        assert isinstance(answer, Infeasible)
        return
    assert isinstance(answer, TerritoryPlan)
    case = build_case(problem, wanted)
    goal = build_goal(case, np.zeros(reps, dtype=bool))
    make = by_money if fairness == "potential" else by_hours
    best = best_value(case, make(case, goal, case.blocks.to_blocks(answer.rep)))
    assert answer.certificate.feasible, answer.certificate.violations
    assert answer.certificate.objective == pytest.approx(best, abs=1e-5)
    assert answer.certificate.bound <= best + 1e-7


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(1, 4))
def test_every_plan_by_chance_keeps_every_rule(seed: int, accounts: int, reps: int) -> None:
    problem = random_problem(seed, accounts, reps)
    wanted = AllocationSettings(max_moved_accounts_share=0.4)
    answer = solve(problem, wanted, seed)
    if isinstance(answer, Infeasible):
        if accounts <= 5:
            assert next(plans(problem, wanted), None) is None
        return
    assert answer.certificate.feasible, answer.certificate.violations
    assert violations(problem, wanted, answer.rep) == ()
    assert (answer.rep[problem.locked] == problem.owner[problem.locked]).all()
    for number in np.unique(problem.family):
        assert len(set(answer.rep[problem.family == number].tolist())) == 1
    assert set(answer.reason) <= set(REASONS)
    moved = (answer.rep != problem.owner) & (problem.owner != NONE)
    assert (answer.move_cost == np.where(moved, problem.move_cost, 0.0)).all()
    stays = np.array([reason.startswith("stays") for reason in answer.reason])
    assert (stays == (answer.rep == problem.owner)).all()
    assert answer.certificate.bound <= answer.certificate.objective + 1e-9


def unfair_company(paths: int = 2000) -> TerritoryProblem:
    """Sixty skewed accounts in six books of very different worth against equal quotas."""
    rng = np.random.default_rng(11)
    mean = np.exp(rng.normal(0, 0.7, 60)) * 100
    owner = np.sort(rng.choice(6, 60, p=[0.35, 0.25, 0.15, 0.1, 0.1, 0.05]))
    return problem_of(mean, owner, np.full(6, mean.sum() / 6), seed=2, deviation=1.0, paths=paths)


def test_spread_of_the_chance_of_quota_falls_on_an_unfair_company() -> None:
    problem = unfair_company()
    plan = plan_of(problem, AllocationSettings(max_moved_accounts_share=0.5))
    assert np.ptp(plan.p_attain_before) > 0.5
    assert np.ptp(p_attain(problem, plan.rep, fresh=False)) <= 0.021
    assert plan.certificate.p_attain_spread < 0.08, "fresh paths add their noise and that of the planning paths"
    assert plan.certificate.p_attain_spread == pytest.approx(np.ptp(plan.p_attain))
    assert plan.certificate.repeatable
    assert plan.certificate.gap < 0.2


def test_a_plan_outside_the_band_is_led_back_by_linear_rounds() -> None:
    problem = unfair_company()
    free = AllocationSettings(max_moved_accounts_share=None, confidence_groups=0)
    case = build_case(problem, free)
    futures, start = lay_out(case, choose_paths(len(problem.value), len(problem.value))), Found(problem.owner, True)
    work = Work(case, time.monotonic() + 60, 0)
    found = _unstuck(work, futures, attainable(case, futures), start)
    active = np.ones(len(problem.rep_ids), dtype=bool)
    before, after = (spread(p_attain(problem, plan, fresh=False), active) for plan in (problem.owner, found.plan))
    assert after < before / 2
    assert not violations(problem, free, case.blocks.to_accounts(found.plan))


def test_move_budget_trades_against_spread() -> None:
    problem = unfair_company(800)
    spreads = [
        np.ptp(p_attain(problem, plan_of(problem, AllocationSettings(max_moved_accounts_share=share)).rep, fresh=False))
        for share in (0.0, 0.1, 0.5)
    ]
    assert spreads[0] > spreads[1] + 0.1 > spreads[2] + 0.2
    assert spreads[0] == pytest.approx(np.ptp(p_attain(problem, problem.owner, fresh=False)))


def test_a_fair_company_stays_as_it_is() -> None:
    mean = np.full(24, 100.0)
    problem = problem_of(mean, np.repeat(np.arange(4), 6), np.full(4, 600.0), paths=4000)
    plan = plan_of(problem, AllocationSettings(attainment_band_points=6))
    assert (plan.rep == problem.owner).all()
    assert set(plan.reason) == {"stays"}


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.floats(0, 5))
def test_plan_is_never_worse_than_the_present_one(seed: int, weight: float) -> None:
    problem = random_problem(seed, 12, 3, hard=False)
    wanted = AllocationSettings(weights=AllocationWeights(move_cost=weight), max_moved_accounts_share=None)
    plan = plan_of(problem, wanted)
    case = build_case(problem, wanted)
    goal = build_goal(case, plan.certificate.saturated)
    present = unfairness(100 * p_attain(problem, problem.owner, fresh=False), goal)
    best = case.blocks.worth.max(axis=1)
    given_up = (best - case.blocks.worth[np.arange(12), problem.owner]).sum()
    assert plan.certificate.objective <= present + 100 * given_up / problem.quota.sum() + 0.05 * 3


def test_same_problem_settings_and_seed_give_the_same_plan() -> None:
    problem = unfair_company(600)
    one, two = (plan_of(problem, AllocationSettings(search_paths=300), seed=7) for _ in range(2))
    for field in fields(TerritoryPlan):
        if field.name != "certificate":
            assert np.array_equal(getattr(one, field.name), getattr(two, field.name)), field.name
    for field in fields(type(one.certificate)):
        assert np.array_equal(getattr(one.certificate, field.name), getattr(two.certificate, field.name)), field.name


def test_time_limit_gives_a_feasible_plan_that_says_it_is_not_repeatable() -> None:
    problem = unfair_company(600)
    begin = time.monotonic()
    plan = plan_of(problem, AllocationSettings(time_limit=1e-3))
    assert time.monotonic() - begin < 20
    assert plan.certificate.feasible
    assert not plan.certificate.repeatable


def test_saturated_reps_are_named_and_do_not_pull_the_others_down() -> None:
    mean = np.full(12, 100.0)
    problem = problem_of(mean, np.repeat(np.arange(3), 4), np.array([450.0, 450.0, 5000.0]), paths=1000)
    eligible = np.ones((12, 3), dtype=bool)
    eligible[:8, 2] = False
    plan = plan_of(replace(problem, eligible=eligible), AllocationSettings(max_moved_accounts_share=None))
    assert plan.certificate.saturated.tolist() == [False, False, True]
    assert plan.p_attain[:2].min() > 0.25
    assert spread(plan.p_attain, ~plan.certificate.saturated) < 0.1


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(2, 8), st.integers(1, 4))
def test_chance_gains_are_the_change_of_the_counted_chance(seed: int, accounts: int, reps: int) -> None:
    problem = random_problem(seed, accounts, reps)
    case = build_case(problem, AllocationSettings())
    futures = lay_out(case, choose_paths(200, 200))
    plan = np.random.default_rng(seed).integers(0, reps, len(case.blocks))
    gain = chance_gains(futures, margins(futures, plan), plan, np.ones((len(plan), reps), dtype=bool), np.arange(reps))
    now = 100 * p_attain(problem, case.blocks.to_accounts(plan), fresh=False)
    for block in range(len(plan)):
        for rep in range(reps):
            held = plan[block] == rep
            changed = plan.copy()
            changed[block] = -1 if held else rep
            after = 100 * p_attain(problem, case.blocks.to_accounts(changed), fresh=False)[rep]
            assert gain[block, rep] == pytest.approx((now[rep] - after) if held else (after - now[rep]), abs=1e-9)


@pytest.mark.parametrize("fairness", ["attainment", "potential", "hours"])
def test_odd_problems_have_a_plan(fairness: Fairness) -> None:
    wanted = AllocationSettings(fairness=fairness)
    one_rep = random_problem(1, 4, 1, hard=False)
    assert (plan_of(one_rep, wanted).rep == 0).all()
    more_reps = random_problem(2, 2, 4, hard=False)
    assert plan_of(more_reps, wanted).certificate.feasible
    base = random_problem(3, 6, 3, hard=False)
    for odd in (
        replace(base, value=-base.value),
        replace(base, value=base.value * 0, fresh_value=base.fresh_value * 0),
        replace(base, hours=base.hours * 0, max_hours=np.zeros(3)),
        replace(base, owner=np.full(6, NONE)),
        replace(base, locked=np.ones(6, dtype=bool)),
        replace(base, eligible=np.arange(6)[:, None] % 3 == np.arange(3), owner=np.arange(6) % 3),
        replace(base, family=np.zeros(6, dtype=np.int64), owner=np.full(6, 1)),
    ):
        plan = plan_of(odd, wanted)
        assert plan.certificate.feasible, plan.certificate.violations


def test_no_accounts_make_an_empty_plan() -> None:
    base = random_problem(3, 6, 3, hard=False)
    none = np.array([], dtype=np.int64)
    problem = replace(
        base,
        **{
            name: getattr(base, name)[none]
            for name in ("account_ids", "fit", "owner", "eligible", "locked", "family", "hours")
        },
        value=base.value[:, none],
        fresh_value=base.fresh_value[:, none],
        move_cost=base.move_cost[none],
    )
    assert len(plan_of(problem, AllocationSettings()).rep) == 0


def test_faults_of_the_arrays_are_all_listed() -> None:
    base = random_problem(3, 6, 3, hard=False)
    wrong = replace(
        base,
        account_ids=np.array(["A", "A", "B", "C", "D", "E"]),
        quota=np.array([1.0, 0.0, 1.0]),
        owner=np.array([0, 1, 2, 3, 0, 0]),
        fit=np.full((6, 3), np.nan),
    )
    with pytest.raises(ValueError, match="account_ids are not unique") as error:
        solve(wrong, AllocationSettings(), 0)
    for word in ("fit has values", "quota must be above zero", "owner must be an index"):
        assert word in str(error.value)
    with pytest.raises(ValueError, match=r"hours has shape \(2,\), not \(6,\)"):
        solve(replace(base, hours=np.ones(2)), AllocationSettings(), 0)


def test_chances_before_leave_accounts_without_owner_to_nobody() -> None:
    problem = problem_of(np.full(4, 100.0), np.array([0, 0, 1, NONE]), np.array([150.0, 150.0]))
    before = plan_of(problem, AllocationSettings()).p_attain_before
    assert before == pytest.approx(p_attain(problem, present_owner(problem), fresh=True))
    with_last = p_attain(problem, np.array([0, 0, 1, 1]), fresh=True)
    assert before[0] == with_last[0]
    assert before[1] < with_last[1]


def one_account_each(allowed: list[list[int]], owner: list[int], cost: list[list[float]]) -> tuple[Case, Linear]:
    """One account a block, at most one a book, and scores that never change: only the cost of pairs counts."""
    problem = problem_of(np.full(len(owner), 100.0), np.array(owner), np.full(3, 100.0))
    problem = replace(problem, eligible=np.array(allowed, dtype=bool))
    case = build_case(problem, AllocationSettings(max_moved_accounts_share=None, max_accounts=1))
    goal = build_goal(case, np.zeros(3, dtype=bool))
    linear = by_money(case, goal, np.array(owner))
    flat = replace(linear, base=np.full(3, 50.0), gain=np.zeros_like(linear.gain), cost=np.array(cost, dtype=float))
    return case, flat


def test_a_ring_of_three_is_found_where_neither_moves_nor_trades_are_allowed() -> None:
    case, linear = one_account_each([[1, 1, 0], [0, 1, 1], [1, 0, 1]], [0, 1, 2], [[5, 0, 0], [0, 5, 0], [0, 0, 5]])
    plan, ended = improve_linear(case, linear, np.array([0, 1, 2]), np.inf)
    assert plan.tolist() == [1, 2, 0]
    assert ended


def test_a_push_is_found_where_the_place_is_taken() -> None:
    """Block 0 gains by going to rep 1, whose only place is block 1's; that one loses a little by moving on."""
    case, linear = one_account_each([[1, 1, 0], [0, 1, 1]], [0, 1], [[5, 0, 0], [0, 0, 1]])
    plan, _ = improve_linear(case, linear, np.array([0, 1]), np.inf)
    assert plan.tolist() == [1, 2]


def test_going_home_makes_room_in_the_budget_for_a_better_move() -> None:
    problem = problem_of(np.full(2, 100.0), np.array([0, 1]), np.full(3, 100.0))
    case = build_case(problem, AllocationSettings(max_moved_accounts_share=0.5))
    linear = by_money(case, build_goal(case, np.zeros(3, dtype=bool)), np.array([0, 1]))
    cost = np.array([[3.0, 9.0, 1.0], [9.0, 5.0, 0.0]])
    flat = replace(linear, base=np.full(3, 50.0), gain=np.zeros_like(linear.gain), cost=cost)
    plan, _ = improve_linear(case, flat, np.array([2, 1]), np.inf)
    assert plan.tolist() == [0, 2]
