"""Months, quarters and years of the past: their codes, names and days; the last one runs up to the as-of date."""

from dataclasses import dataclass

import numpy as np

from models.calendar import MONTHS_PER_QUARTER, MONTHS_PER_YEAR, month_number
from models.panel import Dates, Ints

GRAINS = {"month": 1, "quarter": MONTHS_PER_QUARTER, "year": MONTHS_PER_YEAR}
"""Months of a period by grain, in the order of the rows."""

DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Calendar:
    """Fiscal periods of a company.

    Attributes
    ----------
    as_of : last day that is known
    first_day : first day that is known
    fiscal_year_start : month 1 to 12
    """

    as_of: np.datetime64
    first_day: np.datetime64
    fiscal_year_start: int

    def codes(self, days: Dates, grain: str) -> Ints:
        """[n] number of the period that a day lies in; a day that is NaT has no meaning here."""
        return (month_number(days) - self._shift) // GRAINS[grain]

    def span(self, grain: str) -> tuple[int, int]:
        """First and last code, from the first to the last day known."""
        first, last = self.codes(np.array([self.first_day, self.as_of], dtype="datetime64[D]"), grain)
        return int(first), int(last)

    def months(self, grain: str, code: int) -> tuple[int, int]:
        """First and last month of a period, since 1970-01, both inclusive."""
        first = code * GRAINS[grain] + self._shift
        return first, first + GRAINS[grain] - 1

    def days(self, grain: str, code: int) -> tuple[np.datetime64, np.datetime64]:
        """First and last day of a period, whole."""
        first, last = self.months(grain, code)
        return _first_day(first), _first_day(last + 1) - DAY

    def name(self, grain: str, code: int) -> str:
        """Such as 2026-06, 2026-Q2 or 2026; with `` to date`` while it runs, and `` from DAY`` where data begin in it.

        A fiscal year is named after the calendar year it ends in, as in forecast.csv.
        """
        first, _ = self.months(grain, code)
        shifted = first - self._shift
        year = 1970 + shifted // MONTHS_PER_YEAR + (self.fiscal_year_start > 1)
        quarter = shifted % MONTHS_PER_YEAR // MONTHS_PER_QUARTER + 1
        name = {"month": str(np.datetime64(first, "M")), "quarter": f"{year}-Q{quarter}", "year": str(year)}[grain]
        name += "" if self.began(grain, code) else f" from {self.first_day}"
        return name + (" to date" if self.days(grain, code)[1] > self.as_of else "")

    def began(self, grain: str, code: int) -> bool:
        """Whether the first day of a period is known."""
        return bool(self.days(grain, code)[0] >= self.first_day)

    def complete(self, grain: str, code: int) -> bool:
        """Whether every day of a period is known."""
        opens, closes = self.days(grain, code)
        return bool(opens >= self.first_day and closes <= self.as_of)

    @property
    def _shift(self) -> int:
        return self.fiscal_year_start - 1


def _first_day(month: int) -> np.datetime64:
    return np.datetime64(month, "M").astype("datetime64[D]")
