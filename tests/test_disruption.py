"""What a change of rep costs, drawn path by path: the prior, and that it reaches every chance the same way."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from engine.config.schema import Allocation
from engine.planning.disruption import lost_shares, moved_factor, with_disruption
from optimization.audit import violations
from optimization.fairness import attained, p_attain
from optimization.futures import chances, choose_paths, lay_out, margins
from optimization.linearise import attainable, chance_gains
from optimization.plan import TerritoryPlan
from optimization.problem import TerritoryProblem
from optimization.rules import build_case
from optimization.settings import AllocationSettings
from optimization.solve import solve
from tests.territories import random_problem


def disturbed_problem(seed: int, accounts: int, reps: int, concentration: float = 5.0) -> TerritoryProblem:
    """Random problem whose losses from moves are very unsure."""
    asked = Allocation(disruption=0.3, disruption_concentration=concentration)
    return with_disruption(random_problem(seed, accounts, reps), asked, seed)


def test_lost_shares_follow_the_prior() -> None:
    asked = Allocation(disruption=0.15, disruption_concentration=50.0)
    lost = lost_shares(asked, 20_000, 1)
    assert stats.kstest(lost, stats.beta(7.5, 42.5).cdf).pvalue > 0.001
    assert moved_factor(asked, 20_000, 1).mean() == pytest.approx(1.0, abs=0.002)
    assert moved_factor(asked, 20_000, 1) == pytest.approx((1 - lost) / 0.85, rel=1e-6)


def test_planning_and_fresh_paths_have_draws_of_their_own_that_depend_on_the_seed() -> None:
    one, same, other = (disturbed_problem(3, 4, 2), disturbed_problem(3, 4, 2), random_problem(3, 4, 2))
    assert one.moved_factor is not None
    assert np.array_equal(one.moved_factor, same.moved_factor)  # type: ignore[arg-type]
    assert not np.allclose(one.moved_factor, one.fresh_moved_factor)  # type: ignore[arg-type]
    assert not np.allclose(one.moved_factor, with_disruption(other, Allocation(), 4).moved_factor)  # type: ignore[arg-type]


def test_no_disruption_leaves_revenue_as_it_is() -> None:
    assert (moved_factor(Allocation(disruption=0.0), 50, 1) == 1.0).all()


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(1, 4))
def test_chances_are_counted_on_the_disturbed_paths(seed: int, accounts: int, reps: int) -> None:
    """Kernels, raw arrays and a plain statement of the rule agree on every plan."""
    problem = disturbed_problem(seed, accounts, reps)
    case = build_case(problem, AllocationSettings())
    plan = np.random.default_rng(seed).integers(0, reps, len(case.blocks))
    rep, moved = case.blocks.to_accounts(plan), problem.moved_factor
    assert moved is not None
    plain = problem.fixed.astype(float) - problem.quota
    for i, r in enumerate(rep):
        lost = moved if r != problem.owner[i] and problem.move_cost[i] > 0 else 1.0
        plain[:, r] += problem.value[:, i] * problem.fit[i, r] * lost
    sure = np.abs(plain) > 1e-3
    assert (attained(problem, rep, fresh=False) == (plain >= 0))[sure].all()
    above = margins(lay_out(case, choose_paths(200, 200)), plan)
    assert ((plain >= 0) == (above >= 0).T)[sure].all()


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(2, 7), st.integers(1, 4))
def test_gains_and_attainable_chances_know_the_draw(seed: int, accounts: int, reps: int) -> None:
    problem = disturbed_problem(seed, accounts, reps)
    case = build_case(problem, AllocationSettings())
    futures = lay_out(case, choose_paths(200, 200))
    plan = np.random.default_rng(seed).integers(0, reps, len(case.blocks))
    above = margins(futures, plan)
    gain = chance_gains(futures, above, plan, np.ones((len(plan), reps), dtype=bool), np.arange(reps))
    changed = plan.copy()
    changed[0] = (plan[0] + 1) % reps
    after = chances(margins(futures, changed))
    if reps > 1:
        assert chances(above)[plan[0]] - gain[0, plan[0]] == pytest.approx(after[plan[0]], abs=0.6)
        assert chances(above)[changed[0]] + gain[0, changed[0]] == pytest.approx(after[changed[0]], abs=0.6)
    low, high = attainable(case, futures)
    if case.blocks.allowed[np.arange(len(plan)), plan].all() and (problem.value >= 0).all():
        assert (low <= chances(above) + 0.6).all()
        assert (chances(above) <= high + 0.6).all()


def test_plans_on_disturbed_paths_keep_every_rule_and_pass_the_audit() -> None:
    for seed in range(4):
        problem = disturbed_problem(seed, 10, 3)
        wanted = AllocationSettings(max_moved_accounts_share=None, confidence_groups=2)
        answer = solve(problem, wanted, seed)
        if isinstance(answer, TerritoryPlan):
            assert violations(problem, wanted, answer.rep) == ()
            assert answer.certificate.feasible, answer.certificate.violations
            assert answer.p_attain == pytest.approx(p_attain(problem, answer.rep, fresh=True))


def test_an_unsure_loss_widens_a_book_that_moved() -> None:
    problem = disturbed_problem(1, 6, 2, concentration=2.0)
    problem = replace(problem, value=np.ones_like(problem.value), fixed=problem.fixed * 0, move_cost=np.ones(6))
    problem = replace(problem, owner=np.zeros(6, dtype=np.int64), quota=np.array([6.0, 6 * problem.fit[:, 1].mean()]))
    stays, goes = np.zeros(6, dtype=np.int64), np.ones(6, dtype=np.int64)
    assert p_attain(problem, stays, fresh=False)[0] in (0.0, 1.0)
    assert 0.2 < p_attain(problem, goes, fresh=False)[1] < 0.9
