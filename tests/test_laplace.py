"""The fast tier: exact for a normal posterior, close to NUTS on every sub-model, refused where it found nothing."""

from collections.abc import Callable

import numpy as np
import pymc as pm
import pytest

from models.diagnostics import diagnose
from models.fit import fit_one
from models.fitting import sample
from models.laplace import approximate_draws
from models.panel import Floats, Panel
from models.settings import ModelSettings, SamplerSettings
from tests.order_panels import buyers, buying_truth, sellers
from tests.panels import company, truth

FAST = SamplerSettings(method="laplace", draws=500)
OBSERVED = np.array([[1.2, 0.3, 0.9, 1.4], [-0.7, -0.2, -1.1, 0.1], [0.2, 0.5, -0.4, 0.3]])


def conjugate() -> pm.Model:
    """Normal means with known variances."""
    with pm.Model() as model:
        y = pm.Data("y", OBSERVED)
        mean = pm.Normal("mean", 0.0, 2.0, shape=3)
        pm.Potential("likelihood", -0.5 * ((y - mean[:, None]) ** 2).sum())
    return model


def test_normal_posterior_is_met_exactly() -> None:
    trace = sample(conjugate(), FAST, 1)
    precision = 4 + 1 / 4
    draws = trace.draws("mean")
    assert draws.shape == (2000, 3)
    np.testing.assert_allclose(draws.mean(axis=0), OBSERVED.sum(axis=1) / precision, atol=0.05)
    np.testing.assert_allclose(draws.std(axis=0), precision**-0.5, rtol=0.06)
    assert diagnose("a", trace, ("mean",), 12, 12).converged()
    assert trace.k_hat is not None
    assert trace.k_hat < 0.3


def test_same_seed_same_bytes_and_another_seed_others() -> None:
    first, again, other = (sample(conjugate(), FAST, seed).draws("mean") for seed in (3, 3, 4))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


SEEN = np.random.default_rng(2).normal(scale=1.5, size=30)


def unknown_scale(x: Floats) -> tuple[float, Floats]:
    """Effects with unit noise and the log of their scale: the density is highest where the scale vanishes."""
    scale, effects = x[0], x[1:]
    square, away = float(np.exp(-2 * scale) * (effects @ effects)), SEEN - effects
    value = -0.5 * float(away @ away) - 0.5 * square - effects.size * scale - 0.5 * scale**2
    return value, np.concatenate([[square - effects.size - scale], away - np.exp(-2 * scale) * effects])


def test_centre_lies_where_the_volume_is() -> None:
    """The marginal posterior of the log scale is known: observations are N(0, 1 + scale^2)."""
    grid = np.linspace(-4, 4, 2001)
    variance = 1 + np.exp(2 * grid)
    log_density = -0.5 * len(SEEN) * np.log(variance) - 0.5 * (SEEN @ SEEN) / variance - 0.5 * grid**2
    weight = np.exp(log_density - log_density.max())
    mean = np.average(grid, weights=weight)
    deviation = np.average((grid - mean) ** 2, weights=weight) ** 0.5
    found = approximate_draws(unknown_scale, np.zeros(31), 4000, 1)
    assert found.problem is None
    assert abs(found.draws[:, 0].mean() - mean) < 0.4 * deviation
    assert 0.6 < found.draws[:, 0].std() / deviation < 1.4
    assert unknown_scale(np.append(-4.0, np.zeros(30)))[0] > unknown_scale(np.append(mean, SEEN / 2))[0] + 10


def test_leaves_cost_one_step_and_change_nothing() -> None:
    """A normal density whose last 40 elements are independent given the first three."""
    rng = np.random.default_rng(4)
    precision = np.diag(rng.uniform(1, 3, 43))
    precision[3:, :3] = rng.normal(0, 0.1, (40, 3))
    precision[:3, 3:] = precision[3:, :3].T
    mean = rng.normal(size=43)

    def density(x: Floats) -> tuple[float, Floats]:
        slope = -precision @ (x - mean)
        return float(0.5 * (x - mean) @ slope), slope

    plain = approximate_draws(density, np.zeros(43), 4000, 1)
    quick = approximate_draws(density, np.zeros(43), 4000, 1, slice(3, 43))
    covariance = np.linalg.inv(precision)
    for found in (plain, quick):
        assert found.problem is None
        assert found.k_hat < 0.3
        away = (found.draws.mean(axis=0) - mean) / np.diag(covariance) ** 0.5
        assert np.abs(away).max() < 0.08
        np.testing.assert_allclose(np.cov(found.draws.T), covariance, atol=0.08)
    assert quick.evaluations < plain.evaluations - 500


def test_first_step_out_of_the_domain_is_tried_again_shorter() -> None:
    """A search that stood still for that is no sign of a centre."""

    def density(x: Floats) -> tuple[float, Floats]:
        with np.errstate(over="ignore"):
            value = 60 * x[0] - np.exp(x[0] + 4) - (np.inf if x[0] > 30 else 0.0)
            return float(value), np.array([60 - np.exp(x[0] + 4)])

    found = approximate_draws(density, np.array([-6.0]), 2000, 1)
    assert found.problem is None
    assert abs(found.draws.mean() - (np.log(60) - 4)) < 0.05


@pytest.mark.parametrize(
    "density", [lambda x: (float(x.sum()), np.ones_like(x)), lambda x: (0.5 * float(x @ x), x.copy())]
)
def test_density_without_a_centre_fails(density: Callable[[Floats], tuple[float, Floats]]) -> None:
    found = approximate_draws(density, np.array([0.1, -0.2, 0.3]), 100, 1)
    assert found.problem is not None
    assert np.isfinite(found.draws).all()


def test_failed_search_does_not_pass_the_gate() -> None:
    with pm.Model() as model:
        x = pm.Flat("x", shape=2)
        pm.Potential("slope", x.sum())
    trace = sample(model, FAST, 1)
    assert trace.divergences == 2000
    assert not diagnose("a", trace, ("x",), 1, 1).converged()


def compare(model: str, panel: Panel, parts: tuple[str, ...]) -> list[tuple[str, Floats, Floats]]:
    """Distance of means in posterior SDs, and ratio of SDs, fast tier against NUTS, of every element that varies."""
    found = []
    for settings in (SamplerSettings(draws=500), FAST):
        part = fit_one(model, panel, ModelSettings(sampler=settings), 5)
        assert part is not None
        found.append(part[0])
    exact, fast = found
    rows = []
    for name in parts:
        a, b = (getattr(draws, name).reshape(2000, -1) for draws in (exact, fast))
        moving = a.std(axis=0) > 1e-9
        spread = a.std(axis=0)[moving]
        rows.append((name, (b.mean(axis=0) - a.mean(axis=0))[moving] / spread, b.std(axis=0)[moving] / spread))
    return rows


CASES = {
    "closing": (
        lambda: company(truth(1, reps=8), 800, 1),
        ("close_base", "close_age", "close_week", "win_rep", "win_base", "shocks", "shock_scale"),
    ),
    "amounts": (lambda: company(truth(1, reps=8), 800, 1), ("base", "scale", "product", "segment", "rep")),
    "arrivals": (
        lambda: sellers(np.full(8, 3.0), np.zeros(12), 4.0, 1),
        ("base", "rep", "level", "dispersion", "ramp_months"),
    ),
    "orders": (
        lambda: buyers(buying_truth(1, 120), 1),
        ("state", "carry", "amount_scale", "odd_chance", "first_rate", "first_dispersion"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CASES))
def test_fast_tier_is_close_to_nuts(name: str) -> None:
    """Scales of groups are the worst; what a forecast is made of is within half a posterior SD, mostly far closer."""
    build, parts = CASES[name]
    for part, distance, ratio in compare(name, build(), parts):
        assert np.abs(distance).max() < 0.6, (part, distance)
        assert np.sqrt((distance**2).mean()) < 0.35, (part, distance)
        assert ratio.min() > 0.6, (part, ratio)
        assert ratio.max() < 1.6, (part, ratio)
