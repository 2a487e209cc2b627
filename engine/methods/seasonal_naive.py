"""Seasonal naive: the coming season is as the last one was. With less than a season of history, as the last period."""

import numpy as np

from engine.methods.rolling_errors import draw_with_errors
from engine.methods.series import Series, filled, first_periods
from models.panel import Floats


def draw(history: Series, horizon: int, paths: int, seed: int) -> Floats:
    """Joint paths [path, bottom, horizon] around the last season."""
    return draw_with_errors(history, point(history, horizon), paths, seed)


def point(history: Series, horizon: int) -> Floats:
    """Forecasts [period + 1, series, horizon] from every origin; NaN before a series starts."""
    values, first = filled(history.values), first_periods(history.values)
    forecasts = np.full((history.periods + 1, len(values), horizon), np.nan)
    for now in range(1, history.periods + 1):
        cycle = np.where(now - first >= history.season, history.season, 1)  # [series] what repeats
        steps = now - cycle[:, None] + np.arange(horizon) % cycle[:, None]
        forecasts[now] = np.where((now > first)[:, None], np.take_along_axis(values, steps, axis=1), np.nan)
    return forecasts
