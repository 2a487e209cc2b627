"""Heads, full-time equivalents and ramp by period, and revenue over them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from engine.kpis.calendar import GRAINS
from engine.kpis.cells import Part, kept_periods, stacked
from engine.kpis.facts import PEOPLE_LEVELS, Facts
from engine.kpis.measures import Measure, per
from engine.results import ForecastResult
from models.panel import NONE, Floats

DAYS_PER_MONTH = 30.4375
"""Mean length of a month."""


def revenue_per_rep(facts: Facts, result: ForecastResult) -> tuple[list[pd.DataFrame], list[str]]:
    """Revenue over heads, full-time equivalents and ramped full-time equivalents; and what is not available."""
    known = facts.revenue[facts.revenue["rep"] != NONE]
    rep = facts.panel.reps.labels.ids[known["rep"].to_numpy()]
    at_home = facts.at_home(known[["date", "amount"]].assign(rep=rep))
    amount = known["amount"].to_numpy()
    reps = facts.panel.reps
    weights = {"head": np.ones(len(reps.fte)), "fte": reps.fte}
    words = {"head": "heads", "fte": "full-time equivalents"}
    found = []
    for name, weight in weights.items():
        over = staffing(facts, weight, None)
        what = f"revenue booked in the period / mean {words[name]} employed in it"
        found.append(per(facts, Measure(f"revenue_per_{name}", what, at_home, "date", PEOPLE_LEVELS), amount, over))
    ramp = None if result.draws.arrivals is None else float(np.mean(result.draws.arrivals.ramp_months))
    if ramp is None or np.isnat(reps.start).all():
        return found, ["revenue_per_ramped_fte: needs start dates in table reps and a posterior of new deals"]
    over = staffing(facts, reps.fte, ramp)
    what = (
        "revenue booked in the period / mean full-time equivalents x (1 - exp(-tenure / ramp)), "
        f"ramp {ramp:.1f} months (posterior mean)"
    )
    measure = Measure("revenue_per_ramped_fte", what, at_home, "date", PEOPLE_LEVELS)
    return [*found, per(facts, measure, amount, over)], []


def staffing(facts: Facts, weight: Floats, ramp: float | None, levels: Sequence[str] = PEOPLE_LEVELS) -> pd.DataFrame:
    """Cells with ``over``: weights of reps, each by the share of the period's known days on which it is employed.

    A rep without a start date was there from the first day, one without an end date still is.

    Parameters
    ----------
    ramp : months of the ramp, taken at the middle of the employed days of a period; None for no ramp
    """
    reps, calendar = facts.panel.reps, facts.calendar
    one = np.timedelta64(1, "D")
    start = np.where(np.isnat(reps.start), calendar.first_day, reps.start)
    homes = facts.at_home(pd.DataFrame({"rep": reps.labels.ids}))
    parts: list[Part] = []
    for grain in GRAINS:
        for code in kept_periods(facts, "company", grain):
            opens, closes = calendar.days(grain, code)
            opens, stop = max(opens, calendar.first_day), min(closes, calendar.as_of) + one
            begin = np.maximum(start, opens)
            end = np.where(np.isnat(reps.end), stop, np.minimum(reps.end + one, stop))
            days = (end - begin).astype(np.float64).clip(min=0.0)
            there = weight * days / float((stop - opens).astype(int))
            if ramp is not None:
                tenure = ((begin - start).astype(np.float64) + days / 2) / DAYS_PER_MONTH
                there = np.where(np.isnat(reps.start), there, there * (1.0 - np.exp(-tenure / ramp)))
            for level in levels:
                if code not in kept_periods(facts, level, grain):
                    continue
                size = len(facts.labels(level))
                place = homes[level].to_numpy()
                sums = np.bincount(np.where(place == NONE, size - 1, place), there, size)
                member = np.flatnonzero(sums > 0)
                codes = np.full(len(member), code)
                parts.append((level, grain, member, codes, {"over": sums[member]}))
    return stacked(facts, parts, ("over",))
