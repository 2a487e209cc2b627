"""How often reps leave, from the company's own reps, and when they leave on simulated paths."""

from dataclasses import dataclass

import numpy as np

from models.panel import NONE, Dates, Floats, Ints, Panel

DAYS_PER_MONTH = 365.25 / 12

PRIOR = 0.5
"""Jeffreys' prior of a rate: half an event and half a month without one."""


@dataclass(frozen=True)
class Attrition:
    """What was seen: ``leavers`` reps left in ``months`` months of employment of all reps together."""

    leavers: int
    months: float

    def rates(self, paths: int, rng: np.random.Generator) -> Floats:
        """[path] chance to leave within a month, one draw of ``Beta(1/2 + leavers, 1/2 + months - leavers)`` a path."""
        return rng.beta(PRIOR + self.leavers, PRIOR + max(self.months - self.leavers, 0.0), paths)


def observed(panel: Panel) -> Attrition:
    """Leavers and months of employment between the first day of the export and the as-of date.

    A rep without a start date counts from the first day, an inactive one without an end until the last deal or order.
    """
    today, reps = panel.as_of.astype("datetime64[D]"), panel.reps
    first = panel.first_day.astype("datetime64[D]")
    gone = np.where(np.isnat(reps.end) & ~reps.active, _last_seen(panel), reps.end.astype("datetime64[D]"))
    left = ~np.isnat(gone) & (gone <= today) & (gone >= first)
    begin = np.where(np.isnat(reps.start), first, np.maximum(reps.start.astype("datetime64[D]"), first))
    end = np.where(np.isnat(gone), today, np.minimum(gone, today))
    days = (end - begin).astype(np.int64).clip(min=0)
    return Attrition(int(left.sum()), float(days.sum()) / DAYS_PER_MONTH)


def _last_seen(panel: Panel) -> Dates:
    """[rep] day of the last deal or order; the first day of the export without any."""
    seen = np.full(len(panel.reps.labels), panel.first_day, dtype="datetime64[D]")
    deals, orders = panel.deals, panel.orders
    latest = np.where(np.isnat(deals.closed), deals.created, deals.closed).astype("datetime64[D]")
    for rep, day in ((deals.rep, latest), (orders.rep, orders.month.astype("datetime64[M]").astype("datetime64[D]"))):
        known = (rep != NONE) & ~np.isnat(day)
        np.maximum.at(seen, rep[known], day[known])
    return seen


def leaving_month(rates: Floats, uniform: Floats, begin: Ints) -> Ints:
    """[path, person] month at whose end a person leaves, counted as ``begin`` [person] is; far in the future for most.

    Parameters
    ----------
    rates : [path] chance to leave within a month
    uniform : [path, person] of (0, 1); the same numbers under another ``begin`` move the departure by as much
    """
    stays = np.log1p(-np.clip(rates, 1e-12, 1 - 1e-12))[:, None]
    months = np.floor(np.log(np.clip(uniform, 1e-300, 1.0)) / stays)
    return begin[None, :] + np.minimum(months, 1e6).astype(np.int64)
