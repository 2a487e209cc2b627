"""Damped Holt-Winters on square roots, whose spread hardly depends on the level, turned back to means.

The mean of a square is the square of the mean and the variance; the variance is that of the past errors at the same
step, per series. Where a series has been negative (returns), roots have no meaning and plain Holt-Winters answers.
"""

from dataclasses import replace

import numpy as np

from engine.methods import holt_winters
from engine.methods.rolling_errors import draw_with_errors
from engine.methods.series import Series, filled
from models.panel import Floats


def draw(history: Series, horizon: int, paths: int, seed: int) -> Floats:
    """Joint paths [path, bottom, horizon]."""
    return draw_with_errors(history, point(history, horizon), paths, seed)


def point(history: Series, horizon: int) -> Floats:
    """Forecasts [period + 1, series, horizon] from every origin; NaN before a series starts."""
    if (filled(history.values) < 0).any():
        return holt_winters.point(history, horizon)
    roots = np.sqrt(history.values)
    forecasts = holt_winters.point(replace(history, values=roots), horizon)
    for step in range(horizon):
        made = forecasts[: max(history.periods - step, 0), :, step]  # [origin, series], outcome known
        squares = (roots[:, step:].T - made) ** 2
        known = np.isfinite(squares)
        variance = np.where(known, squares, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        forecasts[:, :, step] = forecasts[:, :, step] ** 2 + variance
    return forecasts
