"""Sampling: right against a posterior known in closed form, the same bytes again, and judged without mercy."""

from dataclasses import astuple, replace

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from scipy.stats import kstest, truncnorm

from models.density import density_of
from models.diagnostics import diagnose
from models.draws import Draws
from models.fit import fit_all, sub_models
from models.fitting import Trace, half_normal, sample
from models.panel import Floats
from models.settings import ClosingSettings, ModelSettings, SamplerSettings
from tests.panels import company, truth

SETTINGS = SamplerSettings(tune=300, draws=800)
OBSERVED = np.array([[1.2, 0.3, 0.9, 1.4], [-0.7, -0.2, -1.1, 0.1], [0.2, 0.5, -0.4, 0.3]])


def conjugate() -> pm.Model:
    """Normal means with known variances, a half-normal nobody has data on, and a positive variable with a transform."""
    with pm.Model(coords={"group": ["a", "b", "c"]}) as model:
        y = pm.Data("y", OBSERVED)
        mean = pm.Normal("mean", 0.0, 2.0, dims="group")
        pm.Deterministic("double", 2 * mean, dims="group")
        half_normal("scale", np.array([0.5, 2.0]), np.array([0.1, 1.0]))
        pm.Exponential("positive", 1.0)
        pm.Potential("likelihood", -0.5 * ((y - mean[:, None]) ** 2).sum())
    return model


@pytest.fixture(scope="module")
def trace() -> Trace:
    """Chains of the conjugate model."""
    return sample(conjugate(), SETTINGS, 11)


def test_posterior_is_the_one_in_closed_form(trace: Trace) -> None:
    precision = 4 + 1 / 4
    means = trace.draws("mean")
    np.testing.assert_allclose(means.mean(axis=0), OBSERVED.sum(axis=1) / precision, atol=0.05)
    np.testing.assert_allclose(means.std(axis=0), precision**-0.5, rtol=0.1)
    np.testing.assert_allclose(trace.draws("double"), 2 * means)
    assert trace.posterior["mean"].dims == ("chain", "draw", "group")
    assert trace.parameters == 3 + 2 + 1


def test_half_normal_keeps_its_prior(trace: Trace) -> None:
    """The change of coordinates must not change the density, in the far tail to the left least of all."""
    scale = trace.draws("scale")[::4] / np.array([0.5, 2.0])
    for column in scale.T:
        assert kstest(column, truncnorm(0, np.inf).cdf).pvalue > 0.001
    assert (trace.draws("positive") > 0).all()
    assert abs(trace.draws("positive").mean() - 1) < 0.15


def test_same_seed_same_bytes_and_another_seed_others(trace: Trace) -> None:
    again, other = (sample(conjugate(), SETTINGS, seed) for seed in (11, 12))
    for name in ("mean", "scale", "positive", "double"):
        assert again.draws(name).tobytes() == trace.draws(name).tobytes()
        assert other.draws(name).tobytes() != trace.draws(name).tobytes()


def test_draws_run_chain_after_chain() -> None:
    values = np.arange(2 * 6 * 3, dtype=float).reshape(2, 6, 3)
    trace = Trace(xr.Dataset({"a": (("chain", "draw", "i"), values)}), 0, 1.0, 3)
    np.testing.assert_array_equal(trace.draws("a"), values.reshape(12, 3))
    np.testing.assert_array_equal(
        replace(trace, thinning=3).draws("a"), np.concatenate([values[0, ::3], values[1, ::3]])
    )


def chains(values: Floats) -> Trace:
    """A trace of one variable [chain, draw, element]."""
    return Trace(xr.Dataset({"a": (("chain", "draw", "i"), values)}), 0, 1.0, values.shape[-1])


def test_good_chains_pass_and_stuck_ones_do_not() -> None:
    rng = np.random.default_rng(1)
    good = rng.normal(size=(4, 500, 3))
    assert diagnose("a", chains(good), ("a",), 10, 5).converged()
    apart = good.copy()
    apart[0, :, 1] += 2
    judged = diagnose("a", chains(apart), ("a",), 10, 5)
    assert judged.r_hat > 1.1
    assert not judged.converged()
    wide = good.copy()
    wide[2, :, 0] *= 4
    # Chains of equal mean and unequal spread: only the folded R-hat sees them.
    assert diagnose("a", chains(wide), ("a",), 10, 5).r_hat > 1.05
    walk = np.cumsum(good, axis=1)
    assert diagnose("a", chains(walk), ("a",), 10, 5).ess < 100
    assert not replace(diagnose("a", chains(good), ("a",), 10, 5), divergences=1).converged()


def test_chains_that_cannot_be_judged_are_refused() -> None:
    values = np.random.default_rng(1).normal(size=(4, 50, 2))
    values[1, 3, 0] = np.nan
    with pytest.raises(FloatingPointError, match="closing"):
        diagnose("closing", chains(values), ("a",), 10, 5)


def test_constants_by_construction_are_not_judged() -> None:
    values = np.random.default_rng(1).normal(size=(4, 500, 2))
    values[:, :, 1] = 0.0
    assert diagnose("a", chains(values), ("a",), 10, 5).converged()
    # Four chains, each stuck at a value of its own, are not constant.
    values[:, :, 1] = np.arange(4)[:, None]
    assert diagnose("a", chains(values), ("a",), 10, 5).r_hat > 100


def test_legs_follow_the_tables_and_the_settings() -> None:
    panel = company(truth(1), 50, 1)
    assert sub_models(panel, ModelSettings()) == ["closing", "amounts", "arrivals"]
    assert sub_models(panel, ModelSettings(legs=("bookings",))) == []
    with pytest.raises(ValueError, match="nothing to fit"):
        fit_all(panel, ModelSettings(legs=("bookings",)), 1)


def test_age_bins_must_ascend_from_zero() -> None:
    for wrong in ((), (1, 2), (0, 3, 3), (0, 5, 2)):
        with pytest.raises(ValueError, match="age_bins"):
            ClosingSettings(age_bins=wrong)


def every_byte(draws: Draws) -> list[bytes]:
    """All arrays of all sub-models."""
    parts = [part for part in (draws.closing, draws.amounts, draws.arrivals) if part is not None]
    return [np.asarray(value).tobytes() for part in parts for value in astuple(part)]


@pytest.mark.slow
def test_one_and_two_processes_give_the_same_bytes() -> None:
    panel = company(truth(1), 400, 1)
    one, two = (
        fit_all(panel, ModelSettings(sampler=SamplerSettings(tune=100, draws=50, cores=cores)), 3) for cores in (1, 2)
    )
    assert every_byte(one) == every_byte(two)
    assert one.diagnostics == two.diagnostics
    assert one.count == 200
    assert one.closing is not None
    assert len(one.closing.win_base) == one.count


def grouped(sizes: tuple[int, int], shift: float) -> pm.Model:
    """A model whose numbers of rows and parameters differ, and a number from data."""
    rng = np.random.default_rng(sizes[0])
    with pm.Model() as model:
        effects = pm.Flat("effects", shape=sizes[1])
        scale = half_normal("scale", np.ones(2), np.full(2, 0.5))
        mean = pm.Normal("mean", pm.Data("shift", shift), 1.0)
        y, group = pm.Data("y", rng.normal(size=sizes[0])), pm.Data("group", rng.integers(0, sizes[1], sizes[0]))
        pm.Potential("likelihood", -0.5 * ((y - mean - scale[0] * effects[group]) ** 2).sum())
        pm.Potential("prior", -0.5 * (effects**2).sum())
    return model


def test_companies_of_all_sizes_share_one_compiled_density() -> None:
    small, large = grouped((7, 3), 0.5), grouped((50, 20), -1.0)
    first, second = density_of(small), density_of(large)
    assert first.slope is second.slope
    for model, density in ((small, first), (large, second)):
        x = np.random.default_rng(1).normal(size=density.origin.size)
        point = dict(zip((v.name for v in model.value_vars), np.split(x, [len(x) - 3, len(x) - 1]), strict=True))
        point["mean"] = point["mean"][0]
        value, slope = density(x)
        np.testing.assert_allclose(value, model.compile_logp(mode="FAST_COMPILE")(point), rtol=1e-12)
        np.testing.assert_allclose(slope, model.compile_dlogp(mode="FAST_COMPILE")(point), rtol=1e-9)
        named = density.named(np.stack([x, x + 1])[None])
        np.testing.assert_allclose(named["effects"][0, 1], x[: len(x) - 3] + 1)


def test_other_structure_is_compiled_anew() -> None:
    def normal(spread: float) -> pm.Model:
        with pm.Model() as model:
            pm.Normal("a", 0.0, spread)
        return model

    narrow, wide = density_of(normal(1.0)), density_of(normal(3.0))
    assert narrow(np.ones(1))[1] == pytest.approx(-1.0)
    assert wide(np.ones(1))[1] == pytest.approx(-1 / 9)
