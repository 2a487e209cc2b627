"""The engine's clock: a month is four weeks, so that no week straddles two months.

Weeks of a month are the days 1-8, 9-15, 16-23 and 24-end. A quarter has exactly twelve of them, a deal that closes in a
week closes in one month, and the rush at the end of a quarter is always week 12. A week is an integer: four times the
number of months since 1970-01, plus 0 to 3.
"""

import numpy as np
from numpy.typing import NDArray

WEEKS_PER_MONTH = 4
WEEKS_PER_QUARTER = 12
MONTHS_PER_QUARTER = 3
MONTHS_PER_YEAR = 12
FIRST_DAY_OF_WEEK = np.array([1, 9, 16, 24])
"""Day of the month on which each of its four weeks begins."""


def month_number(dates: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Months since 1970-01 of every date; NaT gives the smallest integer."""
    return dates.astype("datetime64[M]").astype(np.int64)


def day_of_month(dates: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Day of the month, 1 to 31."""
    days = dates.astype("datetime64[D]")
    return (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1


def week_number(dates: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Week of every date (see the module's docstring for what a week is)."""
    week_of_month = np.minimum((day_of_month(dates) - 1) * WEEKS_PER_MONTH // 30, WEEKS_PER_MONTH - 1)
    return month_number(dates) * WEEKS_PER_MONTH + week_of_month


def week_start(weeks: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """First day of every week."""
    months = (weeks // WEEKS_PER_MONTH).astype("datetime64[M]").astype("datetime64[D]")
    return months + (FIRST_DAY_OF_WEEK[weeks % WEEKS_PER_MONTH] - 1).astype("timedelta64[D]")


def last_complete_week(as_of: np.datetime64) -> int:
    """Last week whose every day is at or before ``as_of``."""
    return int(week_number(np.array([as_of + np.timedelta64(1, "D")], dtype="datetime64[D]"))[0]) - 1


def week_of_quarter(weeks: NDArray[np.int64], fiscal_year_start: int = 1) -> NDArray[np.int64]:
    """Week of the fiscal quarter, 0 to 11; ``fiscal_year_start`` is the month, 1 to 12."""
    return (weeks - WEEKS_PER_MONTH * (fiscal_year_start - 1)) % WEEKS_PER_QUARTER


def month_of_year(months: NDArray[np.int64]) -> NDArray[np.int64]:
    """Month of the calendar year, 0 to 11, of months counted since 1970-01."""
    return months % MONTHS_PER_YEAR
