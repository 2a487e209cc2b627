"""The horizon: which months a forecast or a plan speaks of."""

from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from engine.config.data import SECTION

MONTHS_IN = {"month": 1, "quarter": 3, "year": 12}
"""Months of a period by its frequency."""


def _not_a_number(value: object) -> object:
    """Refuse numbers, which pydantic would read as seconds since 1970: 20260630 would be a day in August 1970."""
    if isinstance(value, int | float):
        raise ValueError("Input should be a date written as 2026-06-30")
    return value


type Day = Annotated[date, BeforeValidator(_not_a_number)]
"""A date, YYYY-MM-DD."""


class Horizon(BaseModel):
    """Consecutive whole periods."""

    model_config = SECTION

    start: Day
    """First day: the first of a month (of a fiscal quarter or year when `frequency` says so), YYYY-MM-DD."""
    periods: Annotated[int, Field(strict=True, ge=1, le=60)] = 1
    """Number of periods."""
    frequency: Literal["month", "quarter", "year"] = "quarter"
    """Length of one period; rows are written for months and their sums."""

    @property
    def months(self) -> int:
        """Number of months."""
        return self.periods * MONTHS_IN[self.frequency]

    @property
    def first_month(self) -> int:
        """Months since 1970-01 of the first month (see `models.calendar`)."""
        return (self.start.year - 1970) * 12 + self.start.month - 1

    @property
    def end(self) -> date:
        """Last day, inclusive."""
        year, month = divmod(self.first_month + self.months, 12)
        return date(1970 + year, month + 1, 1) - timedelta(days=1)
