"""Lexicographic levels: every bound is above the best linear plan that keeps the earlier levels minus epsilon."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization import audit as auditing
from optimization.futures import choose_paths, lay_out, margins
from optimization.levels import Levels, levels_of
from optimization.linearise import by_chance
from optimization.pools import pools_of
from optimization.problem import Ints, TerritoryProblem
from optimization.pulp_model import Effort
from optimization.rules import Case, build_case
from optimization.scores import Linear, build_goal
from optimization.settings import AllocationSettings
from tests.territories import keeps_step, plans, problem_of

EFFORT = Effort(0.0, 1000, np.inf, 0)
STEP = 10.0
"""Share of a quota's worth of a book that may change: no limit here."""


def two_pools(seed: int, accounts: int = 4) -> TerritoryProblem:
    """Two pools of two reps; the second has less revenue for the same quotas."""
    rng, half = np.random.default_rng(seed), accounts // 2
    mean = np.exp(rng.normal(0, 0.7, accounts)) * 100
    mean[half:] *= 0.7
    owner = np.concatenate([rng.integers(0, 2, half), rng.integers(2, 4, accounts - half)])
    eligible = np.zeros((accounts, 4), dtype=bool)
    eligible[:half, :2], eligible[half:, 2:] = True, True
    base = problem_of(mean, owner, np.full(4, mean[:half].sum() / 2), seed=seed, deviation=0.8, paths=300)
    return replace(base, eligible=eligible)


def solved(
    problem: TerritoryProblem, wanted: AllocationSettings, rep: Ints, step: float = STEP
) -> tuple[Case, Linear, Levels]:
    case = build_case(problem, wanted)
    goal = build_goal(case, np.zeros(len(problem.rep_ids), dtype=bool))
    futures = lay_out(case, choose_paths(len(problem.value), len(problem.value)))
    plan = case.blocks.to_blocks(rep)
    assert margins(futures, plan).shape[0] == len(problem.rep_ids)
    linear = by_chance(case, goal, futures, plan, step)
    return case, linear, levels_of(case, linear, rep, step, EFFORT)


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.25, 0.5]), st.sampled_from([0.0, 0.25, 5.0, 100.0]))
def test_bounds_are_above_the_best_plan_that_keeps_the_earlier_levels(seed: int, share: float, epsilon: float) -> None:
    problem = two_pools(seed)
    wanted = AllocationSettings(max_moved_accounts_share=share, level_epsilon_points=epsilon)
    case, linear, found = solved(problem, wanted, problem.owner)
    pool = pools_of(case.blocks.allowed)
    values = [float(row["value"]) for row in found.rows]
    assert values == sorted(values)
    scores = [linear.scores(case.blocks.to_blocks(rep)) for rep in plans(problem, wanted)
              if keeps_step(linear, case.blocks.to_blocks(rep))]  # fmt: skip
    kept = np.array(scores)
    for row in found.rows:
        first = str(row["name"]).split("(")[1].split(" to ")[0]
        inside = pool == pool[problem.rep_ids.tolist().index(first)]
        best = kept[:, inside].min(axis=1).max(initial=-np.inf)
        assert float(row["bound"]) >= min(best, 100.0) - 1e-6
        assert float(row["bound"]) >= float(row["value"]) - 1e-6
        assert row["epsilon"] == epsilon
        kept = kept[(kept[:, inside] >= float(row["value"]) - epsilon - 1e-9).all(axis=1)]


def shared_budget(epsilon: float) -> tuple[Case, Linear, Levels]:
    """Two accounts in the plan moved for the poorer pool, and the budget allows two moves in all."""
    mean = np.array([100.0] * 8 + [60.0] * 8)
    owner = np.array([0] * 5 + [1] * 3 + [2] * 6 + [3] * 2)
    problem = replace(two_pools(1, 16), owner=owner)
    value = problem_of(mean, owner, np.full(4, 400.0), seed=3, paths=2000)
    problem = replace(problem, value=value.value, fixed=value.fixed, move_cost=value.move_cost)
    problem = replace(problem, fresh_value=value.fresh_value, fresh_fixed=value.fresh_fixed)
    problem = replace(problem, quota=np.array([50.0, 400.0, 400.0, 400.0]))
    plan = owner.copy()
    plan[8:10] = 3
    wanted = AllocationSettings(max_moved_accounts_share=2 / 16, level_epsilon_points=epsilon)
    return solved(problem, wanted, plan)


def test_a_later_level_may_not_take_the_budget_that_an_earlier_one_needs() -> None:
    _, _, tight = shared_budget(0.25)
    _, _, loose = shared_budget(100.0)
    assert [row["value"] for row in tight.rows] == [row["value"] for row in loose.rows]
    assert tight.rows[0]["bound"] == pytest.approx(loose.rows[0]["bound"])
    assert float(tight.rows[1]["bound"]) < float(loose.rows[1]["bound"]) - 1.0


def test_a_lying_price_of_an_earlier_level_only_weakens_the_bound() -> None:
    case, linear, _ = shared_budget(0.25)
    rep = case.blocks.to_accounts(linear.around)
    scores = auditing.raw_scores(case.problem, case.settings, rep)
    best = auditing.audit(case.problem, case.settings, rep, _evidence(case, linear, 0.0, scores)).objective
    for price in (0.0, 0.5, -3.0, 1e4):
        finding = auditing.audit(case.problem, case.settings, rep, _evidence(case, linear, price, scores - 0.25))
        assert finding.bound <= best + 1e-9


def _evidence(case: Case, linear: Linear, price: float, floors: np.ndarray) -> auditing.Evidence:
    prices = {(auditing.EARLIER_LEVEL, str(key)): price for key in case.problem.rep_ids}
    return auditing.Evidence(case.blocks.block, linear.goal, linear.gain, STEP, prices, floors)


def test_a_smaller_step_bounds_a_level_closer() -> None:
    """What joins a book and what leaves it both count: with no step at all the bound is the level itself."""
    problem = two_pools(1, 16)
    wanted = AllocationSettings(max_moved_accounts_share=None)
    bounds = []
    for step in (0.0, 0.1, 10.0):
        _, _, found = solved(problem, wanted, problem.owner, step)
        bounds.append([float(row["bound"]) for row in found.rows])
    assert bounds[0] == pytest.approx([float(row["value"]) for row in found.rows], abs=1e-4)
    assert (np.diff(bounds, axis=0) >= -1e-6).all()
    assert (np.diff(bounds, axis=0).max(axis=1) > 1.0).all()
