"""Damped Holt-Winters at every level, reconciled, with the joint errors of its own past forecasts.

Additive season and damped additive trend (Hyndman, Koehler, Ord and Snyder 2008, doi:10.1007/978-3-540-71918-2).
Smoothing constants of each series come from a grid, by the squared error over all steps of the horizon. A series with
less than two seasons of history has no season of its own, only a level and a trend.
"""

from itertools import product

import numpy as np
from numba import njit

from engine.methods.rolling_errors import draw_with_errors
from engine.methods.series import Series, filled, first_periods
from models.panel import Floats

GRID = np.array(
    [
        (level, trend, season, damping)
        for level, trend, season, damping in product(
            (0.02, 0.05, 0.1, 0.2, 0.35, 0.5), (0.0, 0.05, 0.2), (0.02, 0.05, 0.1, 0.2, 0.35), (0.9, 0.97)
        )
        if trend or damping == 0.9  # without a trend there is nothing to damp
    ]
)
"""[choice, constant] weights of level, trend and season, and the damping of the trend per period."""


def draw(history: Series, horizon: int, paths: int, seed: int) -> Floats:
    """Joint paths [path, bottom, horizon]."""
    return draw_with_errors(history, point(history, horizon), paths, seed)


def point(history: Series, horizon: int) -> Floats:
    """Forecasts [period + 1, series, horizon] from every origin; NaN before a series starts."""
    values = filled(history.values)
    forecasts = np.full((history.periods + 1, len(values), horizon), np.nan)
    signed = bool((values < 0).any())
    for series, start in enumerate(first_periods(history.values)):
        if start < history.periods:
            known = values[series, start:]
            chosen = GRID[np.argmin(_losses(known, history.season, horizon, GRID, signed))]
            _replay(known, history.season, chosen, signed, forecasts[start:, series])
    return forecasts


@njit(cache=True, error_model="numpy")
def _start(values: Floats, season: int) -> tuple[float, Floats, bool]:
    """First level, profile over the season (from up to three whole seasons), and whether there is a profile at all."""
    profile = np.zeros(season)
    level = values[: min(len(values), season)].mean()
    whole = min(3, len(values) // season)
    seasonal = season > 1 and len(values) >= 2 * season
    if seasonal:
        for year in range(whole):
            part = values[year * season : (year + 1) * season]
            profile += (part - part.mean()) / whole
    return level, profile, seasonal


@njit(cache=True, error_model="numpy")
def _replay(values: Floats, season: int, constants: Floats, signed: bool, forecasts: Floats) -> float:
    """Fill forecasts [origin, step] from every origin; gives the mean squared error after two seasons.

    Where the history is shorter than four seasons, errors count from half of it on.
    """
    smooth_level, smooth_trend, smooth_season, damping = constants
    level, profile, seasonal = _start(values, season)
    trend, loss, count = 0.0, 0.0, 0
    judged = min(2 * season, len(values) // 2)
    for now in range(len(values) + 1):
        growth, weight = 0.0, 1.0
        for step in range(forecasts.shape[1]):
            weight *= damping
            growth += weight
            forecast = level + growth * trend + profile[(now + step) % season]
            if not signed:
                forecast = max(forecast, 0.0)
            forecasts[now, step] = forecast
            if now >= judged and now + step < len(values):
                loss += (values[now + step] - forecast) ** 2
                count += 1
        if now < len(values):
            expected = level + damping * trend
            error = values[now] - expected - profile[now % season]
            level = expected + smooth_level * error
            trend = damping * trend + smooth_level * smooth_trend * error
            if seasonal:
                profile[now % season] += smooth_season * (1 - smooth_level) * error
    return loss / max(count, 1)


@njit(cache=True, error_model="numpy")
def _losses(values: Floats, season: int, horizon: int, grid: Floats, signed: bool) -> Floats:
    """Mean squared error of every choice of constants."""
    losses = np.empty(len(grid))
    scratch = np.empty((len(values) + 1, horizon))
    for choice in range(len(grid)):
        losses[choice] = _replay(values, season, grid[choice], signed, scratch)
    return losses
