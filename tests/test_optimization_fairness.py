"""Noise floor by theory, scores by definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimization.fairness import expected_range, noise_floor, spread
from optimization.scores import Goal, fair_level, unfairness, unfairness_at
from optimization.search import changed_unfairness


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


def test_scores_within_the_band_are_fair() -> None:
    goal = goal_of(3, 1.0, 0.0)
    assert unfairness(np.array([50.0, 51.0, 52.0]), goal) == 0.0
    assert unfairness(np.array([51.0, 50.0, 54.0]), goal) == pytest.approx(2.0 + 0.5 / 3 * 2.0)


@given(st.integers(0, 10**6), st.integers(2, 7), st.floats(0, 10))
def test_unfairness_of_a_change_is_that_of_the_changed_scores(seed: int, reps: int, half_band: float) -> None:
    rng = np.random.default_rng(seed)
    goal, scores = goal_of(reps, half_band, 0.1), rng.uniform(0, 100, reps)
    first, second = np.array([0, 1, reps - 1]), np.array([1, reps - 1, 0])
    new = rng.uniform(0, 100, (2, 3))
    found = changed_unfairness(goal, scores, (first, second), (new[0], new[1]))
    level = np.array(fair_level(scores, goal))
    for i in range(3):
        if first[i] != second[i]:
            after = scores.copy()
            after[[first[i], second[i]]] = new[:, i]
            assert found[i] == pytest.approx(float(unfairness_at(after, level, goal)))
