"""Scores against hand computation, closed forms and direction."""

import numpy as np
import pytest
import scoringrules as sr
from scipy.stats import norm

from engine.scoring import (
    MEDIAN,
    PROBABILITIES,
    block_bootstrap_error,
    inside,
    pinball,
    probability_integral,
    quantiles,
    score,
)


def test_pinball_of_one_target_by_hand() -> None:
    quantile = np.linspace(10, 30, len(PROBABILITIES))[None]
    actual = np.array([22.0])
    inner = PROBABILITIES[1:-1]
    by_hand = np.mean(
        [2 * max(p * (22 - q), (p - 1) * (22 - q)) for p, q in zip(inner, quantile[0, 1:-1], strict=True)]
    )
    assert pinball(actual, quantile)[0] == pytest.approx(by_hand)


def test_the_score_is_near_the_exact_crps_of_a_normal() -> None:
    quantile = norm.ppf(PROBABILITIES)[None] * 2 + 5
    exact = float(sr.crps_normal(6.0, 5.0, 2.0))
    assert pinball(np.array([6.0]), quantile)[0] == pytest.approx(exact, rel=0.05)


def test_scores_by_hand() -> None:
    quantile = np.array([10.0, 20.0])[:, None] + np.linspace(-1, 1, len(PROBABILITIES))
    found = score(np.array([10.0, 30.0]), quantile)
    assert found.n == 2
    assert found.wape == pytest.approx(10 / 40)
    assert found.bias == pytest.approx(-10 / 40)
    assert found.accuracy == pytest.approx(1 - 10 / 40)
    assert found.coverage95 == 0.5


def test_probabilities_are_symmetric_around_the_median() -> None:
    assert PROBABILITIES[MEDIAN] == 0.5
    assert np.allclose(PROBABILITIES + PROBABILITIES[::-1], 1)


def test_coverage_of_a_calibrated_forecast_is_nominal() -> None:
    rng = np.random.default_rng(1)
    centre = rng.normal(size=4000)
    quantile = centre[:, None] + norm.ppf(PROBABILITIES)
    actual = centre + rng.normal(size=4000)
    for percent in (50, 80, 95):
        assert inside(actual, quantile, percent).mean() == pytest.approx(percent / 100, abs=0.025)
    assert inside(actual, centre[:, None] + 0.5 * norm.ppf(PROBABILITIES), 80).mean() < 0.55


def test_a_randomised_pit_is_uniform_where_draws_tie() -> None:
    rng = np.random.default_rng(2)
    draws = np.where(rng.uniform(size=(500, 2000)) < 0.6, 0.0, rng.exponential(size=(500, 2000)))
    actual = np.where(rng.uniform(size=2000) < 0.6, 0.0, rng.exponential(size=2000))
    pit = probability_integral(actual, draws, rng)
    assert np.abs(np.histogram(pit, 10, (0, 1))[0] / 2000 - 0.1).max() < 0.03


def test_quantiles_are_those_of_every_target() -> None:
    draws = np.stack([np.arange(1001.0), 10 * np.arange(1001.0)], axis=1)
    found = quantiles(draws)
    assert found.shape == (2, len(PROBABILITIES))
    assert found[:, MEDIAN] == pytest.approx([500, 5000])


def test_the_block_bootstrap_knows_dependence() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=400)
    dependent = np.convolve(noise, np.ones(5) / np.sqrt(5), mode="same")
    alone = noise.std() / np.sqrt(400)
    assert block_bootstrap_error(noise, rng) == pytest.approx(alone, rel=0.15)
    assert block_bootstrap_error(dependent, rng) > 1.5 * alone
    assert np.isnan(block_bootstrap_error(np.ones(1), rng))


def test_no_target_gives_no_score() -> None:
    assert np.isnan(score(np.zeros(0), np.zeros((0, len(PROBABILITIES)))).scrps)
