"""Exponential smoothing chosen by information criterion (AutoETS of statsforecast) at every level, joined by MinT.

Paths add blocks of one-step residuals of all series at the same past periods, projected to the bottom. The package is
in the extra `bench`; where it is missing the method says so. A series too short for a model is forecast by its mean.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.methods.reconcile import mint
from engine.methods.series import Series, filled, first_periods
from models.panel import Floats


class StatsforecastMissingError(ImportError):
    """The extra that brings statsforecast is not installed."""


@dataclass(frozen=True)
class BaseForecasts:
    """Forecasts of every series by itself.

    Attributes
    ----------
    mean, sigma : [series, horizon] and the standard deviation of the forecast
    fitted : [series, period] one-step forecasts of the past, NaN where there is none
    """

    mean: Floats
    sigma: Floats
    fitted: Floats


def draw(history: Series, horizon: int, paths: int, seed: int) -> Floats:
    """Joint paths [path, bottom, horizon].

    Raises
    ------
    StatsforecastMissingError
        Where statsforecast is not installed.
    """
    return reconciled(history, horizon, paths, seed, "AutoETS")


def reconciled(history: Series, horizon: int, paths: int, seed: int, name: str) -> Floats:
    """Joint paths [path, bottom, horizon] of a model of statsforecast by ``name``, its residuals resampled, then MinT.

    Raises
    ------
    StatsforecastMissingError
        Where statsforecast is not installed.
    """
    base = base_forecasts(history, horizon, statsforecast_model(name, history.season))
    residuals = filled(filled(history.values) - base.fitted)  # [series, period]
    projection = mint(history.summing, residuals.T)
    starts = np.random.default_rng(seed).integers(max(1, history.periods - horizon + 1), size=paths)
    ahead = (starts[:, None] + np.arange(horizon)) % history.periods  # [path, step]
    paths_of_all = base.mean + residuals[:, ahead].swapaxes(0, 1)  # [path, series, step]
    drawn = projection @ paths_of_all
    return drawn if (filled(history.values) < 0).any() else np.maximum(drawn, 0.0)


def statsforecast_model(name: str, season: int) -> Any:
    """A model of statsforecast by name.

    Raises
    ------
    StatsforecastMissingError
        Where statsforecast is not installed.
    """
    try:
        import statsforecast.models
    except ImportError as error:
        raise StatsforecastMissingError(
            f"{name} needs the package statsforecast, which is not installed; install the extra `bench`"
        ) from error
    return getattr(statsforecast.models, name)(season_length=season)


def base_forecasts(history: Series, horizon: int, model: Any) -> BaseForecasts:
    """Fit the model to every series by itself; a series that it refuses gets its mean and spread."""
    count = len(history.values)
    result = BaseForecasts(
        np.zeros((count, horizon)), np.zeros((count, horizon)), np.full((count, history.periods), np.nan)
    )
    for series, start in enumerate(first_periods(history.values)):
        known = filled(history.values)[series, start:]
        if not len(known):
            continue
        try:
            answer = model.forecast(y=known, h=horizon, level=[ONE_SIGMA], fitted=True)
            mean, upper, fitted = (np.asarray(answer[key]) for key in ("mean", f"hi-{ONE_SIGMA}", "fitted"))
        except Exception:  # noqa: BLE001 - the package raises many kinds for short or constant series
            mean = upper = fitted = np.full(1, np.nan)
        if not (np.isfinite(mean).all() and np.isfinite(upper).all()):
            mean, fitted = np.full(horizon, known.mean()), np.full(len(known), known.mean())
            upper = mean + known.std()
        result.mean[series], result.fitted[series, start:] = mean, fitted
        result.sigma[series] = upper - mean
    return result


ONE_SIGMA = 68.26894921370859
"""Level of the interval whose half width is one standard deviation, in percent."""
