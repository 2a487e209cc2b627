"""The months of the demo world and their working days."""

import numpy as np
from numpy.typing import NDArray

from models.calendar import WEEKS_PER_MONTH, month_number, week_start
from models.panel import Floats, Ints

FIRST_DAY = np.datetime64("2023-07-01")
"""The CRM went live: the first day of every table."""
TODAY = np.datetime64("2026-06-30")
"""The as-of date of the examples; the world goes on for a year, so that a backtest can look at what happened."""
LAST_DAY = np.datetime64("2027-06-30")
"""The end of the world."""

_FIRST_MONTH, _THIS_MONTH, _LAST_MONTH = month_number(np.array([FIRST_DAY, TODAY, LAST_DAY])).tolist()
MONTHS: Ints = np.arange(_FIRST_MONTH, _LAST_MONTH + 1)
"""[month] months since 1970-01."""
KNOWN_MONTHS: int = _THIS_MONTH - _FIRST_MONTH + 1
"""Number of months up to `TODAY`."""
FIRST_WEEK = int(MONTHS[0]) * WEEKS_PER_MONTH
WEEKS = len(MONTHS) * WEEKS_PER_MONTH
"""Number of weeks (`models.calendar`) of the world."""

type Days = NDArray[np.datetime64]


def working_days() -> list[Ints]:
    """[week] Monday-to-Friday days of every week, as days since 1970-01-01."""
    starts = week_start(np.arange(FIRST_WEEK, FIRST_WEEK + WEEKS + 1)).astype(np.int64)
    spans = [np.arange(a, b) for a, b in zip(starts[:-1], starts[1:], strict=True)]
    return [days[np.is_busday(days.astype("datetime64[D]"))] for days in spans]


def pick_day(days: Ints, earliest: Ints, uniform: Floats) -> Ints:
    """A uniform member of ``days`` (ascending) at or after ``earliest`` [n]; -1 where there is none."""
    first = np.searchsorted(days, earliest)
    place = first + (uniform * (len(days) - first)).astype(np.int64)
    return np.append(days, -1)[np.minimum(place, len(days))]


def as_dates(days: Ints) -> Days:
    """Days since 1970-01-01 as dates; negative gives NaT."""
    dates = days.astype("datetime64[D]")
    return np.where(days < 0, np.datetime64("NaT", "D"), dates)
