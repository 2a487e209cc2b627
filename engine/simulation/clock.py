"""Which months and weeks are simulated. The first week may be a part of one: the as-of date may be any day."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.calendar import WEEKS_PER_MONTH, month_number, week_number, week_of_quarter, week_start
from models.panel import NONE, Bools, Floats, Ints


@dataclass(frozen=True)
class SimulationHorizons:
    """What is asked, in months since 1970-01.

    Attributes
    ----------
    forecast_months : consecutive months of the forecast; those before the as-of date count with what was booked in them
    planning_months : consecutive months over which accounts are valued, None when nothing is to be assigned
    held : [deal] deals of the panel that stay with their rep whatever becomes of their account: in planning they are
        the rep's own revenue, not the account's; None for none
    """

    forecast_months: Ints
    planning_months: Ints | None = None
    held: Bools | None = None


class Clock(NamedTuple):
    """Simulated time. Weeks run on after the last simulated month, so that late wins can be counted.

    Attributes
    ----------
    months : [month] simulated months since 1970-01
    forecast_slot : [month] position in the forecast horizon, NONE outside
    planned : [month] inside the planning horizon
    month_share : [month] share of the month's days after the as-of date
    creation : [month, 4] cumulative chance of a deal's creation in the first, second, ... week that is left
    creation_week : [month] position of the first week that is left
    week_month : [week] months after the first simulated one
    week_of_quarter : [week]
    week_share : [week] share of the week's days after the as-of date
    weeks : number of weeks up to the end of the last simulated month
    first_week : number of the first week (see `models.calendar`)
    as_of_month : month of the as-of date
    """

    months: Ints
    forecast_slot: Ints
    planned: Bools
    month_share: Floats
    creation: Floats
    creation_week: Ints
    week_month: Ints
    week_of_quarter: Ints
    week_share: Floats
    weeks: int
    first_week: int
    as_of_month: int


def build_clock(as_of: np.datetime64, horizons: SimulationHorizons, fiscal_year_start: int, max_weeks: int) -> Clock:
    """Lay out the weeks after ``as_of``.

    Raises
    ------
    ValueError
        When every month asked for has ended by the as-of date.
    """
    tomorrow = np.array([as_of.astype("datetime64[D]") + np.timedelta64(1, "D")])
    first_week, first_month = int(week_number(tomorrow)[0]), int(month_number(tomorrow)[0])
    asked = (
        horizons.forecast_months
        if horizons.planning_months is None
        else np.concatenate([horizons.forecast_months, horizons.planning_months])
    )
    if len(horizons.forecast_months) == 0 or asked.max() < first_month:
        raise ValueError(f"nothing to simulate: the last month asked for has ended by the as-of date {as_of}")
    months = np.arange(first_month, int(asked.max()) + 1)
    weeks = (int(asked.max()) + 1) * WEEKS_PER_MONTH - first_week
    numbers = first_week + np.arange(max(weeks, max_weeks))
    share = np.ones(len(numbers))
    share[0] = _share_left(tomorrow[0], week_start(np.array([first_week])), week_start(np.array([first_week + 1])))
    month_share = np.ones(len(months))
    month_share[0] = _share_left(
        tomorrow[0], week_start(months[:1] * WEEKS_PER_MONTH), week_start((months[:1] + 1) * WEEKS_PER_MONTH)
    )
    creation, creation_week = _creation(months, first_week, tomorrow[0])
    slot = months - horizons.forecast_months[0]
    return Clock(
        months=months,
        forecast_slot=np.where(np.isin(months, horizons.forecast_months), slot, NONE),
        planned=np.isin(months, horizons.planning_months if horizons.planning_months is not None else []),
        month_share=month_share,
        creation=creation,
        creation_week=creation_week,
        week_month=numbers // WEEKS_PER_MONTH - first_month,
        week_of_quarter=week_of_quarter(numbers, fiscal_year_start),
        week_share=share,
        weeks=weeks,
        first_week=first_week,
        as_of_month=int(month_number(np.array([as_of]))[0]),
    )


def _share_left(day: np.datetime64, start: np.ndarray, end: np.ndarray) -> float:
    """Share of the days from ``start`` up to ``end`` (exclusive) that are not before ``day``."""
    return float((end[0] - day) / (end[0] - start[0]))


def _creation(months: Ints, first_week: int, tomorrow: np.datetime64) -> tuple[Floats, Ints]:
    """Cumulative chance of each remaining week by its days, and the position of the first one, per month."""
    weeks = months[:, None] * WEEKS_PER_MONTH + np.arange(WEEKS_PER_MONTH)  # [month, 4]
    start, end = np.maximum(week_start(weeks), tomorrow), week_start(weeks + 1)
    days = (end - start).astype(np.int64).clip(min=0)
    gone = (weeks < first_week).sum(axis=1)
    left = np.take_along_axis(
        np.pad(days, ((0, 0), (0, WEEKS_PER_MONTH))), gone[:, None] + np.arange(WEEKS_PER_MONTH), axis=1
    )
    return np.cumsum(left, axis=1) / left.sum(axis=1, keepdims=True), np.maximum(weeks[:, 0] - first_week, 0)
