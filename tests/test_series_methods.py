from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.methods import (
    ets,
    holt_winters,
    last_year_mean,
    pooled_shape,
    pooled_smoothing,
    root_holt_winters,
    seasonal_naive,
    series_combination,
    shape_level,
)
from engine.methods.pooled_profile import pooled_profiles
from engine.methods.reconcile import mint, wls
from engine.methods.rolling_errors import ErrorSettings, coherent_errors
from engine.methods.series import Series, SeriesMethod, at_all_levels, from_bottom, levels_of
from models.panel import Floats

MODULES = {
    "engine": series_combination,
    "holt_winters": holt_winters,
    "root_holt_winters": root_holt_winters,
    "pooled_shape": pooled_shape,
    "pooled_smoothing": pooled_smoothing,
    "shape_level": shape_level,
    "seasonal_naive": seasonal_naive,
    "last_year_mean": last_year_mean,
}
METHODS: dict[str, SeriesMethod] = {name: module.draw for name, module in MODULES.items()}
POINTS: dict[str, Callable[[Series, int], Floats]] = {
    name: module.point for name, module in MODULES.items() if name != "engine"
}
TREE = np.vstack(
    [np.ones(4), np.kron(np.eye(2), np.ones(2)), np.tile(np.eye(2), 2), np.eye(4)]
)  # total, state, purpose


def hierarchy(periods: int, season: int, seed: int = 0, zeros: float = 0.0) -> Series:
    """Four seasonal bottom series under two crossed groupings."""
    rng = np.random.default_rng(seed)
    wave = 1 + 0.5 * np.sin(2 * np.pi * np.arange(periods) / season)
    bottom = rng.poisson(np.array([[5.0], [20.0], [40.0], [80.0]]) * wave) * (rng.random((4, periods)) >= zeros)
    return Series(TREE @ bottom, season, TREE)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(("periods", "season"), [(72, 12), (36, 4), (14, 12), (9, 12), (1, 12), (30, 1)])
def test_paths_are_finite_not_negative_and_the_same_for_the_same_seed(name: str, periods: int, season: int) -> None:
    history = hierarchy(periods, season, zeros=0.3)
    paths = METHODS[name](history, 6, 50, 3)
    assert paths.shape == (50, 4, 6)
    assert np.isfinite(paths).all()
    assert (paths >= 0).all()
    np.testing.assert_array_equal(paths, METHODS[name](history, 6, 50, 3))
    assert paths.std(axis=0).max() > 0


@pytest.mark.parametrize("name", METHODS)
def test_late_starters_returns_and_nothing_at_all(name: str) -> None:
    bottom = np.random.default_rng(1).poisson(30.0, (5, 30)).astype(float)
    bottom[1, :29] = np.nan  # one month of history
    bottom[2, :] = np.nan  # none yet
    bottom[3, :] = 0.0
    bottom[4, ::7] = -5.0  # returns
    paths = METHODS[name](from_bottom(bottom, 12), 6, 40, 1)
    assert np.isfinite(paths).all()
    assert paths[:, 1].std() > 0  # a month does not make certain
    assert abs(np.median(paths[:, 0].mean(axis=1)) - 30) < 6


@pytest.mark.parametrize("name", METHODS)
def test_levels_are_sums_path_by_path(name: str) -> None:
    paths = METHODS[name](hierarchy(60, 12), 12, 30, 1)
    everything = at_all_levels(paths, TREE)
    np.testing.assert_allclose(everything[:, 0], paths.sum(axis=1))
    np.testing.assert_allclose(everything[:, 1], everything[:, 5] + everything[:, 6])
    np.testing.assert_allclose(everything[:, 3] + everything[:, 4], everything[:, 0])


@pytest.mark.parametrize("name", sorted(set(POINTS) - {"last_year_mean"}))
@pytest.mark.parametrize("season", [4, 12])
def test_a_pure_season_is_repeated(name: str, season: int) -> None:
    wave = 10 + 5 * np.sin(2 * np.pi * np.arange(season) / season)
    history = from_bottom(np.outer([1.0, 3.0], np.tile(wave, 6)[: 5 * season + 2]), season)
    expected = np.outer([4.0, 1.0, 3.0], np.roll(wave, -2))
    np.testing.assert_allclose(POINTS[name](history, season)[-1], expected, rtol=0.02)


@pytest.mark.parametrize("name", ["pooled_shape", "shape_level", "seasonal_naive", "last_year_mean"])
def test_a_rule_without_constants_to_fit_sees_nothing_later(name: str) -> None:
    history = hierarchy(60, 12)
    np.testing.assert_allclose(POINTS[name](history, 6)[40], POINTS[name](history.until(40), 6)[-1])


def test_a_noisy_profile_is_shrunk_to_its_parent_and_a_clear_one_is_not() -> None:
    rng = np.random.default_rng(5)
    wave = 1 + 0.6 * np.sin(2 * np.pi * np.arange(120) / 12)
    against = 1 - 0.6 * np.sin(2 * np.pi * np.arange(120) / 12)
    bottom = np.vstack([rng.poisson(2000 * wave), rng.poisson(500 * against), rng.poisson(0.5 * wave)]).astype(float)
    profiles = pooled_profiles(from_bottom(bottom, 12))[-1]
    own = bottom[2].reshape(10, 12).mean(axis=0) / bottom[2].mean()
    assert np.abs(profiles[3] - profiles[0]).max() < 0.5 * np.abs(own - profiles[0]).max()
    np.testing.assert_allclose(profiles[2], against[:12], atol=0.05)


def test_projections_are_unbiased_and_weigh_by_variance() -> None:
    errors = np.random.default_rng(2).normal(size=(40, len(TREE))) * np.arange(1, len(TREE) + 1)
    for projection in (wls(TREE, TREE.sum(axis=1)), mint(TREE, errors), mint(TREE, errors[:1])):
        np.testing.assert_allclose(projection @ TREE, np.eye(4), atol=1e-9)  # coherent forecasts stay as they are
    two = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    # total 9 against 2 + 4: the gap of 3 is shared 1:1:1 by equal variances; a sure total moves the others by 3/2 each
    np.testing.assert_allclose(wls(two, np.ones(3)) @ [9.0, 2.0, 4.0], [3.0, 5.0])
    np.testing.assert_allclose(wls(two, np.array([1e-5, 1.0, 1.0])) @ [9.0, 2.0, 4.0], [3.5, 5.5], atol=1e-4)


def test_errors_keep_the_dependence_between_series() -> None:
    rng = np.random.default_rng(3)
    shock = rng.normal(size=(1, 240)) * 10
    bottom = 100 + np.vstack([shock, shock, -shock]) + rng.normal(size=(3, 240))
    paths = last_year_mean.draw(from_bottom(bottom, 12), 3, 200, 1)
    correlation: Floats = np.asarray(np.corrcoef(paths[:, :, 1].T))
    assert correlation[0, 1] > 0.9
    assert correlation[0, 2] < -0.9


def test_past_errors_are_centred_and_grow_with_the_forecast() -> None:
    history = hierarchy(96, 12)
    forecasts = holt_winters.point(history, 6)
    rng = np.random.default_rng(1)
    _, errors = coherent_errors(history, forecasts, rng)
    assert np.abs(errors.mean(axis=(0, 2))).max() < 0.1 * errors.std()
    forecasts[-1] *= 4
    _, larger = coherent_errors(history, forecasts, rng, ErrorSettings(growth=1.0))
    _, same = coherent_errors(history, forecasts, rng, ErrorSettings(growth=0.0))
    assert larger.std() > 2.5 * same.std()


def test_intervals_hold_what_they_say() -> None:
    inside = []
    for seed in range(12):
        whole = hierarchy(72, 12, seed)
        low, high = np.quantile(at_all_levels(holt_winters.draw(whole.until(60), 12, 300, 1), TREE), [0.1, 0.9], axis=0)
        inside.append((low <= whole.values[:, 60:]) & (whole.values[:, 60:] <= high))
    assert 0.7 < np.mean(inside) < 0.9


def test_far_steps_of_a_short_history_keep_their_spread() -> None:
    # 14 periods, 12 ahead: one origin alone reaches the far steps, its error must not be the only one there
    bottom = np.random.default_rng(6).poisson(50.0, (3, 14)).astype(float)
    paths = last_year_mean.draw(from_bottom(bottom, 12), 12, 300, 1)
    assert (paths.std(axis=0) > 2).all()


def test_quantile_average_with_common_order() -> None:
    rng = np.random.default_rng(4)
    common = rng.normal(size=(500, 1, 1))
    members = [50 + scale * (common + 0.1 * rng.normal(size=(500, 3, 2))) for scale in (1.0, 3.0)]
    mixed = series_combination.combined(members, np.array([0.5, 0.5]))
    expected = (np.sort(members[0], axis=0) + np.sort(members[1], axis=0)) / 2
    np.testing.assert_allclose(np.sort(mixed, axis=0), expected)
    assert np.corrcoef(mixed[:, 0, 0], mixed[:, 2, 1])[0, 1] > 0.9


def test_weights_go_to_the_better_method_and_stay_equal_on_few_origins() -> None:
    good, bad = holt_winters.draw, last_year_mean.draw
    few = series_combination.learned_weights((good, bad), hierarchy(60, 12), 12, 1)
    np.testing.assert_array_equal(few, [0.5, 0.5])
    many = series_combination.learned_weights((good, bad), hierarchy(132, 12), 12, 1)
    assert many[0] > 0.8
    assert many.sum() == pytest.approx(1)


def test_levels_from_the_matrix() -> None:
    assert levels_of(TREE).tolist() == [0, 1, 1, 2, 2, 3, 3, 3, 3]
    depth_first = np.vstack([TREE[0], TREE[1], [1, 0, 0, 0], [0, 1, 0, 0], TREE[2], np.eye(4)])
    assert levels_of(depth_first).tolist() == [0, 1, 2, 2, 1, 3, 3, 3, 3]


@settings(max_examples=25)
@given(st.integers(1, 40), st.sampled_from([1, 4, 12]), st.integers(1, 15), st.integers(0, 5), st.floats(0, 1))
def test_no_history_makes_a_rule_fail(periods: int, season: int, horizon: int, seed: int, zeros: float) -> None:
    history = hierarchy(periods, season, seed, zeros)
    for point in POINTS.values():
        forecasts = point(history, horizon)
        assert forecasts.shape == (periods + 1, 9, horizon)
        assert np.isfinite(forecasts[-1]).all()


@pytest.mark.slow
def test_ets_paths() -> None:
    pytest.importorskip("statsforecast", reason="the extra `bench` is not installed")
    history = hierarchy(40, 4)
    paths = ets.draw(history, 4, 60, 1)
    assert paths.shape == (60, 4, 4)
    assert np.isfinite(paths).all()
    np.testing.assert_allclose(np.median(paths.sum(axis=1), axis=0), history.values[0, -4:], rtol=0.25)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "statsforecast", None)
    monkeypatch.setitem(__import__("sys").modules, "statsforecast.models", None)
    with pytest.raises(ets.StatsforecastMissingError, match="install the extra `bench`"):
        ets.draw(hierarchy(24, 12), 4, 10, 1)


def test_a_matrix_without_identity_is_refused() -> None:
    with pytest.raises(ValueError, match="not the identity"):
        Series(np.ones((3, 5)), 4, np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0]]))
