"""Targets over a span of months: given ones prorated by days, proposed ones where none are given."""

from dataclasses import dataclass

import numpy as np

from engine.simulation.outcomes import LevelOutcomes
from models.panel import Floats, Panel, Quotas, Texts

GIVEN, PROPOSED, NOT_GIVEN = "given", "proposed", "none"


@dataclass(frozen=True)
class QuotaBook:
    """Given targets, and what is proposed for reps without one.

    Attributes
    ----------
    given : as read
    proposed : [rep] target per month in money for active reps without a given one; NaN elsewhere
    rep_ids : [rep]
    """

    given: Quotas
    proposed: Floats
    rep_ids: Texts

    def target(self, level: str, key: str, first_month: int, last_month: int) -> tuple[float, str]:
        """Target of a level's member over an inclusive span of months (since 1970-01), and where it comes from.

        Returns
        -------
        amount in money (NaN when there is none) and one of `GIVEN`, `PROPOSED`, `NOT_GIVEN`
        """
        amount = prorated(self.given, level, key, first_month, last_month)
        if np.isfinite(amount):
            return amount, GIVEN
        if level == "rep":
            months = last_month - first_month + 1
            proposed = float(self.proposed[self.rep_ids == key].sum() * months) if key in self.rep_ids else np.nan
            if np.isfinite(proposed):
                return proposed, PROPOSED
        return np.nan, NOT_GIVEN


def prorated(quotas: Quotas, level: str, key: str, first_month: int, last_month: int) -> float:
    """Sum of the given targets over the span, each by its share of days inside; NaN unless every day is covered."""
    start = np.datetime64(first_month, "M").astype("datetime64[D]")
    stop = np.datetime64(last_month + 1, "M").astype("datetime64[D]")
    rows = (quotas.level == level) & ((quotas.key == key) | (level == "company"))
    opens, closes = quotas.start[rows], quotas.end[rows] + np.timedelta64(1, "D")
    overlap = (np.minimum(closes, stop) - np.maximum(opens, start)).astype(float).clip(min=0.0)
    if overlap.sum() < float((stop - start).astype(int)):
        return np.nan
    return float((quotas.amount[rows] * overlap / (closes - opens).astype(float)).sum())


def capacity(panel: Panel, first_month: int, last_month: int) -> Floats:
    """Full-time equivalents [rep] over a span of months: fte times the share of days employed; zero if inactive."""
    start = np.datetime64(first_month, "M").astype("datetime64[D]")
    stop = np.datetime64(last_month + 1, "M").astype("datetime64[D]")
    reps = panel.reps
    begin = np.where(np.isnat(reps.start), start, np.maximum(reps.start, start))
    end = np.where(np.isnat(reps.end), stop, np.minimum(reps.end + np.timedelta64(1, "D"), stop))
    share = (end - begin).astype("timedelta64[D]").astype(float).clip(min=0.0) / float((stop - start).astype(int))
    return np.where(reps.active, reps.fte * share, 0.0)


def propose(panel: Panel, company: LevelOutcomes, first_month: int, last_month: int) -> QuotaBook:
    """Quotas proportional to capacity for active reps who have none over an inclusive span of months.

    Where other reps have quotas, theirs per full-time equivalent is the measure. Where nobody has, the proposals add up
    to the company's own target, or without one to the median of its simulated revenue a month.
    """
    ids = panel.reps.labels.ids
    weight = capacity(panel, first_month, last_month)
    given = np.array([prorated(panel.quotas, "rep", str(key), first_month, last_month) for key in ids])
    measured = np.isfinite(given) & (weight > 0)
    if measured.any():
        per_head = given[measured].sum() / weight[measured].sum()
    elif weight.sum() > 0:
        goal = prorated(panel.quotas, "company", "", first_month, last_month)
        total = company.total.sum(axis=(1, 2), dtype=np.float64)  # [path] over the forecast horizon
        months = (last_month - first_month + 1) / company.total.shape[2]
        per_head = (goal if np.isfinite(goal) else float(np.median(total)) * months) / weight.sum()
    else:
        per_head = np.nan
    lacking = ~np.isfinite(given) & (weight > 0)
    return QuotaBook(panel.quotas, np.where(lacking, per_head * weight / (last_month - first_month + 1), np.nan), ids)
