"""Series methods on a panel: monthly revenue of every place as the bottom, reps, territories and company above it."""

from dataclasses import dataclass

import numpy as np

from engine.methods import arima, ets, holt_winters, last_year_mean, seasonal_naive, shape_level
from engine.methods.protocol import (
    SCORED_LEVELS,
    Forecast,
    MethodUnavailableError,
    Places,
    Question,
    booked_by_place,
    find_places,
    members_of,
)
from engine.methods.series import Series, SeriesMethod
from engine.simulation.cells import booked_revenue
from models.calendar import MONTHS_PER_YEAR, day_of_month, month_number
from models.panel import NONE, Floats, Panel

SHORTEST = 3
"""Fewest whole months of history."""


@dataclass(frozen=True)
class PanelSeries:
    """A series method as a forecast method."""

    draw: SeriesMethod

    def __call__(self, panel: Panel, question: Question) -> Forecast:
        """Draw the months that are not over, and add what is booked in those that are."""
        tomorrow = np.array([panel.as_of + np.timedelta64(1, "D")])
        running = int(month_number(tomorrow)[0])
        places = find_places(panel)
        history = place_series(panel, places, running)
        steps = int(question.months[-1]) - running + 1
        try:
            drawn = self.draw(history, steps, question.paths, question.seed)  # [path, place, step]
        except ets.StatsforecastMissingError as reason:
            raise MethodUnavailableError(str(reason)) from None
        drawn[:, :, 0] *= _share_left(tomorrow)
        total = np.zeros((question.paths, len(places), len(question.months)), dtype=np.float32)
        total += booked_by_place(panel, places, question.months)
        first = max(0, running - int(question.months[0]))
        total[:, :, first:] += drawn[:, :, -(len(question.months) - first) :]
        return Forecast(places, total)


def _share_left(tomorrow: np.ndarray) -> float:
    """Share of the running month's days that are left."""
    start = tomorrow.astype("datetime64[M]")
    after = (start + np.timedelta64(1, "M")).astype("datetime64[D]")
    length = int((after - start.astype("datetime64[D]")).astype(int)[0])
    return 1 - (int(day_of_month(tomorrow)[0]) - 1) / length


def place_series(panel: Panel, places: Places, running: int) -> Series:
    """Revenue of every place by whole month before ``running``; NaN before a place's first revenue.

    Raises
    ------
    MethodUnavailableError
        When there are fewer than `SHORTEST` months.
    """
    month = booked_revenue(panel).month
    first = int(month.min()) if len(month) else running
    if running - first < SHORTEST:
        raise MethodUnavailableError(f"needs {SHORTEST} whole months of revenue, got {max(running - first, 0)}")
    bottom = booked_by_place(panel, places, np.arange(first, running))
    summing = _summing(panel, places)
    begun = np.maximum.accumulate(bottom != 0, axis=1)
    # A series of nothing but zeros would have no first month: it starts with the last one.
    begun[:, -1] = True
    values = np.where(begun, bottom, np.nan)
    above = summing[: -len(places)]
    totals = above @ np.nan_to_num(values)
    totals[above @ begun == 0] = np.nan
    return Series(np.concatenate([totals, values]), MONTHS_PER_YEAR, summing)


def _summing(panel: Panel, places: Places) -> Floats:
    """[series, place] company, territories and reps that have places, then the places."""
    rows = []
    for level in SCORED_LEVELS:
        keys, member = members_of(panel, places, level)
        indicator = np.zeros((len(keys), len(places)))
        known = member != NONE
        indicator[member[known], np.flatnonzero(known)] = 1.0
        rows.append(indicator[indicator.sum(axis=1) > 0])
    return np.concatenate([*rows, np.eye(len(places))])


METHODS = {
    "seasonal_naive": PanelSeries(seasonal_naive.draw),
    "last_year_mean": PanelSeries(last_year_mean.draw),
    "shape_level": PanelSeries(shape_level.draw),
    "holt_winters": PanelSeries(holt_winters.draw),
    "ets": PanelSeries(ets.draw),
    "arima": PanelSeries(arima.draw),
}
"""The series methods by name."""
