"""Last-year mean: every coming period is as the mean of the last season, or of what there is of it."""

import numpy as np

from engine.methods.rolling_errors import draw_with_errors
from engine.methods.series import Series, filled, first_periods
from models.panel import Floats


def draw(history: Series, horizon: int, paths: int, seed: int) -> Floats:
    """Joint paths [path, bottom, horizon] around the mean of the last season."""
    return draw_with_errors(history, point(history, horizon), paths, seed)


def point(history: Series, horizon: int) -> Floats:
    """Forecasts [period + 1, series, horizon] from every origin; NaN before a series starts."""
    return np.repeat(recent_level(history)[:, :, None], horizon, axis=2)


def recent_level(history: Series) -> Floats:
    """Mean of the last season before every origin, [period + 1, series]; NaN before a series starts."""
    values, first = filled(history.values), first_periods(history.values)
    total = np.hstack([np.zeros((len(values), 1)), np.cumsum(values, axis=1)])  # [series, period + 1]
    now = np.arange(history.periods + 1)
    since = np.maximum(now - history.season, first[:, None])  # [series, period + 1]
    length = now - since
    before = np.take_along_axis(total, np.minimum(since, history.periods), axis=1)
    return np.where(length > 0, (total - before) / np.maximum(length, 1), np.nan).T
