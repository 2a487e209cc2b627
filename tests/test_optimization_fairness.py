"""Noise floor by theory, scores by definition."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimization.fairness import clustered_floor, expected_range, noise_floor, spread
from optimization.kernels import Rating, Shortlist, least_unfairness, offer_moves
from optimization.pools import pool_levels, pools_of
from optimization.scores import Goal, fair_level, unfairness, unfairness_at


@pytest.mark.parametrize(("reps", "range_"), [(2, 1.12838), (3, 1.69257), (5, 2.32593), (10, 3.07751), (40, 4.32156)])
def test_mean_range_of_normals_is_that_of_the_tables(reps: int, range_: float) -> None:
    assert expected_range(reps) == pytest.approx(range_, abs=1e-4)


def test_noise_floor_is_the_mean_spread_of_equal_chances() -> None:
    rng = np.random.default_rng(0)
    chances = rng.binomial(5000, 0.6, size=(2000, 40)) / 5000
    simulated = np.ptp(chances, axis=1).mean()
    assert noise_floor(np.full(40, 0.6), np.ones(40, dtype=bool), 5000) == pytest.approx(simulated, rel=0.02)


def test_spread_of_nobody_is_zero() -> None:
    assert spread(np.array([0.1, 0.9]), np.array([True, False])) == 0.0
    assert noise_floor(np.array([0.1]), np.array([False]), 100) == 0.0


def goal_of(count: int, half_band: float, floor: float) -> Goal:
    extreme = np.arange(count) > 0
    return Goal(np.ones(count, dtype=bool), extreme, half_band, 0.5 / count, floor, 0.0, 100.0)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6), st.floats(0, 10), st.floats(0, 0.5))
def test_fair_level_is_the_best_level(scores: list[float], half_band: float, floor: float) -> None:
    goal, values = goal_of(len(scores), half_band, floor), np.array(scores)
    grid = unfairness_at(values, np.linspace(0, 100, 2001), goal)
    assert unfairness(values, goal) <= grid.min() + 1e-9
    assert 0 <= fair_level(values, goal) <= 100


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=6), st.floats(0, 10), st.floats(0, 0.5), st.integers(0, 63),
    st.floats(-20, 20),
)  # fmt: skip
def test_the_search_rates_plans_by_the_same_unfairness(
    scores: list[float], half_band: float, floor: float, who: int, offset: float
) -> None:
    goal, values = goal_of(len(scores), half_band, floor), np.array(scores)
    counted = np.array([bool(who >> r & 1) for r in range(len(scores))])
    goal = replace(goal, counted=counted, extreme=counted & goal.extreme, offset=np.linspace(0, offset, len(scores)))
    fast = least_unfairness(
        values - goal.offset, (goal.counted, goal.extreme), goal.half_band, (goal.mean_weight, goal.floor_weight),
        (goal.low, goal.high),
    )  # fmt: skip
    assert fast == pytest.approx(unfairness(values, goal), abs=1e-9)


def test_scores_within_the_band_are_fair() -> None:
    goal = goal_of(3, 1.0, 0.0)
    assert unfairness(np.array([50.0, 51.0, 52.0]), goal) == 0.0
    assert unfairness(np.array([51.0, 50.0, 54.0]), goal) == pytest.approx(2.0 + 0.5 / 3 * 2.0)


@given(st.integers(0, 10**6), st.integers(2, 5), st.floats(0, 10), st.sampled_from([0.0, 0.1]))
def test_moves_are_rated_by_the_unfairness_of_the_changed_scores(
    seed: int, reps: int, half_band: float, floor: float
) -> None:
    rng, blocks = np.random.default_rng(seed), 4
    counted = np.ones(reps, dtype=bool)
    goal = Goal(counted, counted, half_band, 0.0, floor, 0.0, 100.0)
    gain, cost, score = rng.uniform(0, 30, (blocks, reps)), rng.uniform(0, 5, (blocks, reps)), rng.uniform(20, 80, reps)
    plan, none = rng.integers(0, reps, blocks), np.zeros((0, reps))
    level = fair_level(score, goal)
    rating = Rating(
        score, counted, counted, np.argsort(-score), np.argsort(score), 0.0, level, half_band, 0.0, floor, 100.0,
        gain, cost, plan, plan, np.ones((blocks, reps), dtype=bool),
        none, none, np.zeros((0, blocks, reps)), np.zeros(0), np.zeros(0), np.zeros((0, blocks, reps)),
    )  # fmt: skip
    places = blocks * reps
    best = Shortlist(
        np.full(places, np.inf), np.zeros(1, np.int64), np.full((places, 3), -1), np.zeros((places, 3), np.int64)
    )
    offer_moves(rating, best)
    found = np.isfinite(best.value)
    assert found.sum() == blocks * (reps - 1)
    for value, (block, *_), (rep, *_) in zip(best.value[found], best.block[found], best.rep[found], strict=True):
        after = score.copy()
        after[plan[block]] -= gain[block, plan[block]]
        after[rep] += gain[block, rep]
        exact = unfairness(after, goal) + cost[block, rep] - cost[block, plan[block]]
        assert value >= exact - 1e-9
        if floor == 0.0:
            assert value == pytest.approx(exact)


def test_pools_are_the_reps_who_can_exchange_accounts() -> None:
    allowed = np.array([[1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 1, 0]], dtype=bool)
    assert pools_of(allowed).tolist() == [0, 0, 0, 1, 2]
    assert pools_of(np.zeros((0, 3), dtype=bool)).tolist() == [0, 1, 2]


def test_pool_level_is_the_fair_level_of_the_pool_alone() -> None:
    goal = Goal(np.ones(4, dtype=bool), np.ones(4, dtype=bool), 0.0, 0.1, 0.0, 0.0, 100.0)
    level = pool_levels(np.array([20.0, 30.0, 70.0, 70.0]), goal, np.array([0, 0, 1, 1]))
    assert level[2:].tolist() == [70.0, 70.0]
    assert 20.0 <= level[0] == level[1] <= 30.0
    assert (
        unfairness(np.array([20.0, 20.0, 70.0, 70.0]), replace(goal, offset=np.array([-25.0, -25.0, 25.0, 25.0]))) == 0
    )


def test_clustered_floor_is_the_spread_of_equal_chances_with_shared_draws() -> None:
    rng, reps, draws, per_draw = np.random.default_rng(1), 20, 1000, 10
    counted, spreads, floors = np.ones(reps, dtype=bool), [], []
    for _ in range(60):
        chance = rng.beta(5, 5, (draws, reps)).repeat(per_draw, axis=0)
        reached = rng.uniform(size=chance.shape) < chance
        spreads.append(np.ptp(reached.mean(axis=0)))
        floors.append(clustered_floor(reached, counted))
    counting = noise_floor(np.full(reps, 0.5), counted, draws * per_draw)
    assert np.mean(floors) == pytest.approx(np.mean(spreads), rel=0.08)
    assert np.mean(floors) > 1.25 * counting, "paths of one draw are not independent"


def test_clustered_floor_of_independent_paths_is_counting_noise() -> None:
    reached = np.random.default_rng(2).uniform(size=(20_000, 30)) < 0.4
    counted = np.ones(30, dtype=bool)
    assert clustered_floor(reached, counted) == pytest.approx(noise_floor(np.full(30, 0.4), counted, 20_000), rel=0.1)
    assert clustered_floor(reached[:, :1], counted[:1]) == 0.0
