"""New deals counted per rep and month, and how fast a new rep becomes: the numbers of `models.new_deals`, without PyMC.

The rule this module keeps: only whole months count, from the first whose creations the export covers fully to the last
that ended by the as-of date; a rep is exposed only while employed.
"""

from dataclasses import dataclass

import numpy as np

from models.calendar import day_of_month, month_number
from models.panel import NONE, Floats, Ints, Panel

DAYS_PER_MONTH = 365.25 / 12


@dataclass(frozen=True)
class Counts:
    """New deals per rep and month in which the rep was exposed.

    Attributes
    ----------
    rep : [row] index
    month : [row] months after ``first``
    count : [row] deals created
    exposure : [row] full-time equivalents employed, above zero
    tenure : [row] months since the rep's start at the middle of the month, infinite where the start is unknown
    first, months : first month since 1970-01, and how many
    """

    rep: Ints
    month: Ints
    count: Ints
    exposure: Floats
    tenure: Floats
    first: int
    months: int


def count_new_deals(panel: Panel, recent_months: int) -> Counts:
    """Count created deals by rep and month of the observed window.

    A rep without a start date is exposed from the month after the first deal on; without an end date to the window's
    end while active, else to the month of the last deal.
    """
    last = int(month_number(np.array([panel.as_of + np.timedelta64(1, "D")]))[0]) - 1
    first = max(first_whole_month(panel), last - recent_months + 1)
    months, reps = max(last - first + 1, 0), len(panel.reps.labels)
    sold = panel.deals.rep != NONE
    created, rep = month_number(panel.deals.created[sold]), panel.deals.rep[sold]
    inside = (created >= first) & (created <= last)
    table = np.zeros((reps, months), dtype=np.int64)
    np.add.at(table, (rep[inside], created[inside] - first), 1)
    share = _employed(panel, rep, created, np.arange(first, last + 1))
    where, month = np.nonzero(share > 0)
    middle = np.arange(first, last + 1).astype("datetime64[M]").astype("datetime64[D]") + np.timedelta64(15, "D")
    start = panel.reps.start[where].astype("datetime64[D]")
    tenure = np.where(np.isnat(start), np.inf, (middle[month] - start) / np.timedelta64(1, "D") / DAYS_PER_MONTH)
    exposure = panel.reps.fte[where] * share[where, month]
    kept = exposure > 0
    return Counts(
        rep=where[kept],
        month=month[kept],
        count=table[where, month][kept],
        exposure=exposure[kept],
        tenure=np.maximum(tenure[kept], 0.25),
        first=first,
        months=months,
    )


def first_whole_month(panel: Panel) -> int:
    """First month whose creations the export holds whole.

    An export cut by closing date lacks the deals that closed before its first recorded closing, so months before that
    show only some of what was created.
    """
    closed = panel.deals.closed[~np.isnat(panel.deals.closed)]
    if not len(closed):
        return int(month_number(np.array([panel.as_of]))[0]) + 1
    seen = np.array([max(panel.deals.created.min(), closed.min())])
    return int(month_number(seen)[0]) + int(day_of_month(seen)[0] > 1)


def _employed(panel: Panel, rep: Ints, created: Ints, months: Ints) -> Floats:
    """[rep, month] share of the days of each month in which the rep was there to sell."""
    opens = months.astype("datetime64[M]").astype("datetime64[D]")
    closes = (months + 1).astype("datetime64[M]").astype("datetime64[D]")
    reps = panel.reps
    earliest, latest = np.full(len(reps.labels), np.iinfo(np.int64).max), np.full(len(reps.labels), -1)
    np.minimum.at(earliest, rep, created)
    np.maximum.at(latest, rep, created)
    seen = latest >= 0
    after_first = np.where(seen, earliest + 1, 0).astype("datetime64[M]").astype("datetime64[D]")
    # A rep who is there and has no deal yet is exposed too: leaving such reps out would choose by the outcome.
    there = reps.active & (seen | ~np.isnat(reps.start))
    through_last = np.where(there, months[-1] + 1 if len(months) else 0, np.where(seen, latest + 1, 0))
    start = np.where(np.isnat(reps.start), after_first, reps.start.astype("datetime64[D]"))
    stop = np.where(
        np.isnat(reps.end),
        through_last.astype("datetime64[M]").astype("datetime64[D]"),
        reps.end.astype("datetime64[D]") + np.timedelta64(1, "D"),
    )
    days = np.minimum(stop[:, None], closes) - np.maximum(start[:, None], opens)
    share = days.astype("timedelta64[D]").astype(float).clip(min=0.0) / (closes - opens).astype(float)
    return np.where(seen[:, None] | ~np.isnat(reps.start)[:, None], share, 0.0)


def log_ramp(tenure: Floats, ramp_months: float) -> Floats:
    """Log of the share of full speed after ``tenure`` months: ``log(1 - exp(-tenure / ramp_months))``."""
    return np.log(-np.expm1(-tenure / ramp_months))
