"""Pooled shape times level: the profile shrunk to the levels above, times the mean of the last season."""

import numpy as np

from engine.methods.last_year_mean import recent_level
from engine.methods.pooled_profile import pooled_profiles
from engine.methods.rolling_errors import draw_with_errors
from engine.methods.series import Series
from models.panel import Floats


def draw(history: Series, horizon: int, paths: int, seed: int) -> Floats:
    """Joint paths [path, bottom, horizon]."""
    return draw_with_errors(history, point(history, horizon), paths, seed)


def point(history: Series, horizon: int) -> Floats:
    """Forecasts [period + 1, series, horizon] from every origin; NaN before a series starts.

    With less than a season of history the level is freed of the months that it happens to hold.
    """
    profiles, level = pooled_profiles(history), recent_level(history)
    return np.stack(
        [
            level[t][:, None] * profiles[t][:, (t + np.arange(horizon)) % history.season]
            for t in range(history.periods + 1)
        ]
    )
