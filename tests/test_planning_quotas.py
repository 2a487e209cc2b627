"""Quotas with the same chance: order statistics, closed forms, and a noise floor that noise really has."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from engine.planning.equal_chance import balanced_chance, over_assignment, quotas_with, rounded, sensible_step
from engine.planning.fairness_test import doubling_slope, fairness_rows, rank_correlation, with_interval
from engine.planning.noise import cluster_means, errors, expected_spread
from optimization.fairness import expected_range


def test_a_quota_is_the_largest_amount_with_the_chance() -> None:
    ordered = np.arange(1.0, 101.0, dtype=np.float32)[:, None]
    quota = quotas_with(ordered, 0.8)
    assert quota == [21.0]
    assert (ordered >= quota).mean() == 0.8
    assert (ordered >= quota + 1).mean() < 0.8
    assert quotas_with(ordered, 1.0) == [1.0]
    assert quotas_with(ordered, 1e-9) == [100.0]


def test_normal_reps_get_the_chance_of_the_closed_form() -> None:
    rng, mean, sd = np.random.default_rng(1), np.array([100.0, 50.0, 20.0]), np.array([30.0, 5.0, 10.0])
    ordered = np.sort(rng.normal(mean, sd, (100_000, 3)).astype(np.float32), axis=0)
    goal = 150.0
    chance = balanced_chance(ordered, goal)
    z = (mean.sum() - goal) / sd.sum()  # the sum over reps of mean - z sd is the goal
    assert chance == pytest.approx(norm.cdf(z), abs=0.004)
    quota = quotas_with(ordered, chance)
    assert quota == pytest.approx(mean - z * sd, abs=0.3)
    assert quota.sum() == pytest.approx(goal, abs=0.01)


def test_over_assignment_is_the_sum_over_the_goal() -> None:
    ordered = np.column_stack([np.arange(1.0, 11.0), np.arange(2.0, 21.0, 2.0)]).astype(np.float32)
    row = over_assignment(ordered, ordered.sum(axis=1), 20.0, (0.5,)).iloc[0]
    assert row["quotas"] == 6.0 + 12.0
    assert row["over_assignment_share"] == pytest.approx(18.0 / 20.0 - 1.0)
    assert row["chance_company_reaches_goal"] == 0.4  # 21, 24, 27, 30 of 3, 6, ..., 30
    assert row["chance_company_reaches_quotas"] == 0.5
    assert row["reps_expected_at_quota"] == 1.0


def test_rounded_quotas_are_multiples_that_add_up() -> None:
    quota = np.array([101.4, 202.6, 303.3, 0.0])
    assert rounded(quota, 10.0, None).tolist() == [100.0, 200.0, 300.0, 0.0]
    whole = rounded(quota, 1.0, 607.0)
    assert whole.sum() == 607.0
    assert whole.tolist() == [101.0, 203.0, 303.0, 0.0]
    assert np.abs(rounded(quota, 1.0, 10_000.0) - quota).max() <= 1.0, "a goal out of reach must not be handed out"


def test_the_step_is_below_a_thousandth_of_the_least_quota() -> None:
    assert sensible_step(np.array([74_000.0, 600_000.0])) == 10.0
    assert sensible_step(np.array([0.0, 3.0])) == 0.01


def _one_experiment(rng: np.random.Generator, clusters: int, size: int, common: float) -> tuple[np.ndarray, np.ndarray]:
    """Reps with equal quantiles whose paths share a draw: [path, rep] and [path] draw."""
    draw = np.repeat(np.arange(clusters), size)
    shared, own = rng.normal(0, common, (clusters, 8)), rng.normal(0, 1, (clusters * size, 8))
    return shared[draw] + own, draw


@pytest.mark.parametrize("paired", [False, True])
def test_the_floor_is_the_mean_spread_of_equal_chances(paired: bool) -> None:
    """With shared draws counting noise is far too small a floor, and with the same draws held-out noise too large."""
    rng, spreads, floors = np.random.default_rng(2), [], []
    for number in range(60):
        seed = rng.integers(2**32)
        fit, draw = _one_experiment(np.random.default_rng(seed), 100, 20, 0.8)
        if paired:
            again = np.random.default_rng(seed).normal(0, 0.8, (100, 8))
            check = again[draw] + rng.normal(0, 1, fit.shape)
        else:
            check, _ = _one_experiment(rng, 100, 20, 0.8)
        quota = quotas_with(np.sort(fit, axis=0), 0.6)
        spreads.append(np.ptp((check >= quota).mean(axis=0)))
        parts = [cluster_means(paths >= quota, draw) for paths in (fit, check)]
        floors.append(expected_spread(errors(parts[0], parts[1], paired=paired, seed=number)))
    assert np.mean(floors) == pytest.approx(np.mean(spreads), rel=0.12)
    counting = expected_range(8) * np.sqrt(2 * 0.6 * 0.4 / 2000)
    assert (np.mean(spreads) > 1.5 * counting) == (not paired)


def test_one_error_shared_by_all_is_no_spread() -> None:
    rng = np.random.default_rng(3)
    same = np.repeat(rng.random((200, 1)), 5, axis=1)
    assert expected_spread(errors(same, rng.permutation(same), paired=False, seed=1)) == pytest.approx(0.0, abs=1e-6)


def test_independent_paths_give_the_range_of_normals() -> None:
    rng = np.random.default_rng(4)
    fit, check = (rng.random((20_000, 40)) < 0.5 for _ in range(2))
    draw = np.arange(20_000)
    floor = expected_spread(errors(cluster_means(fit, draw), cluster_means(check, draw), paired=False, seed=1))
    assert floor == pytest.approx(expected_range(40) * np.sqrt(2 * 0.25 / 20_000), rel=0.03)


def test_cluster_means_by_hand() -> None:
    reached = np.array([[True], [False], [True], [True]])
    assert cluster_means(reached, np.array([7, 7, 3, 7])).tolist() == [[1.0], [pytest.approx(2 / 3)]]


def test_a_tilt_with_size_is_measured() -> None:
    size = np.array([10.0, 20.0, 40.0, 80.0, 160.0])
    chance = 0.2 + 0.05 * np.log2(size)
    assert doubling_slope(chance, size) == pytest.approx(0.05)
    assert rank_correlation(chance, size) == pytest.approx(1.0)
    assert rank_correlation(-chance, size) == pytest.approx(-1.0)
    assert np.isnan(rank_correlation(np.ones(5), size))
    assert np.isnan(with_interval(rank_correlation, chance[:3], size[:3], 1)).all()


def test_the_fairness_test_finds_quotas_in_heads_unfair_and_equal_chances_fair() -> None:
    rng, size = np.random.default_rng(5), np.geomspace(50.0, 800.0, 12)
    revenue = rng.normal(size, 30.0, (20_000, 12)).astype(np.float32)
    equal = quotas_with(np.sort(rng.normal(size, 30.0, (20_000, 12)), axis=0), 0.5)
    noise = errors(np.full((9, 12), 0.5), rng.normal(0.5, 0.01, (9, 12)), paired=False, seed=1)
    sets = {"now": np.full(12, size.mean()), "equal chance": equal}
    rows = pd.DataFrame(fairness_rows(revenue, sets, {"expected revenue": size}, {"equal chance": noise}, 6))
    slopes = rows[(rows["measure"] == "chance of quota") & rows["statistic"].str.startswith("slope")]
    now, fair = (slopes[slopes["quotas"] == name].iloc[0] for name in ("now", "equal chance"))
    assert now["low"] > 0.05, "quotas in heads favour the large territories"
    assert abs(fair["estimate"]) < 0.01
    assert fair["noise_low"] < 0 < fair["noise_high"]
