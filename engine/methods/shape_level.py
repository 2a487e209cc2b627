"""Three-season shape times level: the mean profile of the last three seasons, times the mean of the last season."""

import numpy as np

from engine.methods.last_year_mean import recent_level
from engine.methods.rolling_errors import draw_with_errors
from engine.methods.series import Series, filled, first_periods
from models.panel import Floats

SEASONS = 3
"""Seasons that the profile is the mean of; fewer where there are fewer."""


def draw(history: Series, horizon: int, paths: int, seed: int) -> Floats:
    """Joint paths [path, bottom, horizon]."""
    return draw_with_errors(history, point(history, horizon), paths, seed)


def point(history: Series, horizon: int) -> Floats:
    """Forecasts [period + 1, series, horizon] from every origin; NaN before a series starts."""
    season, level = history.season, recent_level(history)
    values, first = filled(history.values), first_periods(history.values)
    forecasts = np.empty((history.periods + 1, len(values), horizon))
    for now in range(history.periods + 1):
        seasons = np.clip((now - first) // season, 0, SEASONS)  # [series]
        shape = np.ones((len(values), season))
        for count in range(1, SEASONS + 1):
            rows = np.flatnonzero(seasons == count)
            if len(rows):
                shape[rows] = _shape(values[rows, now - count * season : now].reshape(len(rows), count, season))
        forecasts[now] = level[now][:, None] * shape[:, np.arange(horizon) % season]
    return forecasts


def _shape(seasons: Floats) -> Floats:
    """Profile [series, period of season] with mean one, from whole seasons [series, season, period of season]."""
    total = seasons.mean(axis=1)
    mean = total.mean(axis=1, keepdims=True)
    return np.where(mean > 0, total / np.where(mean > 0, mean, 1.0), 1.0)
