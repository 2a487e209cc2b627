"""Pooled shape times a smoothed level: simple or damped-trend smoothing of what is left without the season.

The profile is that of `engine.methods.pooled_profile`; level and trend follow the errors divided by it, those of the
slow months with less weight. Smoothing constants of each series come from a grid as in Holt-Winters.
"""

from itertools import product

import numpy as np
from numba import njit

from engine.methods.pooled_profile import pooled_profiles
from engine.methods.rolling_errors import draw_with_errors
from engine.methods.series import Series, filled, first_periods
from models.panel import Floats

GRID = np.array(
    [
        (level, trend, damping)
        for level, trend, damping in product(
            (0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.45), (0.0, 0.05, 0.2), (0.9, 0.97)
        )
        if trend or damping == 0.9  # without a trend there is nothing to damp
    ]
)
"""[choice, constant] weights of level and trend, and the damping of the trend per period."""


def draw(history: Series, horizon: int, paths: int, seed: int) -> Floats:
    """Joint paths [path, bottom, horizon]."""
    return draw_with_errors(history, point(history, horizon), paths, seed)


def point(history: Series, horizon: int) -> Floats:
    """Forecasts [period + 1, series, horizon] from every origin; NaN before a series starts."""
    values, profiles = filled(history.values), pooled_profiles(history)
    forecasts = np.full((history.periods + 1, len(values), horizon), np.nan)
    signed = bool((values < 0).any())
    for series, start in enumerate(first_periods(history.values)):
        if start < history.periods:
            known = values[series, start:]
            # [origin, step] the profile that each origin knew, in the order of the periods from `start` on
            shape = np.roll(profiles[start:, series], -(start % history.season), axis=1)
            chosen = GRID[np.argmin(_losses(known, shape, horizon, GRID, signed))]
            _replay(known, shape, chosen, signed, forecasts[start:, series])
    return forecasts


@njit(cache=True, error_model="numpy")
def _replay(values: Floats, profiles: Floats, constants: Floats, signed: bool, forecasts: Floats) -> float:
    """Fill forecasts [origin, step] from every origin; gives the mean squared error after two seasons or half."""
    smooth_level, smooth_trend, damping = constants
    season = profiles.shape[1]
    opening = min(len(values), season)
    level = values[:opening].mean()
    trend, loss, count = 0.0, 0.0, 0
    judged = min(2 * season, len(values) // 2)
    for now in range(len(values) + 1):
        growth, weight = 0.0, 1.0
        for step in range(forecasts.shape[1]):
            weight *= damping
            growth += weight
            forecast = (level + growth * trend) * profiles[now, (now + step) % season]
            if not signed:
                forecast = max(forecast, 0.0)
            forecasts[now, step] = forecast
            if now >= judged and now + step < len(values):
                loss += (values[now + step] - forecast) ** 2
                count += 1
        if now < len(values):
            shape = profiles[now, now % season]
            expected = level + damping * trend
            # between least squares (error * shape / shape^2) and no division: bounded where the shape is near zero
            change = (values[now] - expected * shape) * shape / (0.5 * shape * shape + 0.5)
            level = expected + smooth_level * change
            if not signed:
                level = max(level, 0.0)
            trend = damping * trend + smooth_level * smooth_trend * change
    return loss / max(count, 1)


@njit(cache=True, error_model="numpy")
def _losses(values: Floats, profiles: Floats, horizon: int, grid: Floats, signed: bool) -> Floats:
    """Mean squared error of every choice of constants."""
    losses = np.empty(len(grid))
    scratch = np.empty((len(values) + 1, horizon))
    for choice in range(len(grid)):
        losses[choice] = _replay(values, profiles, grid[choice], signed, scratch)
    return losses
