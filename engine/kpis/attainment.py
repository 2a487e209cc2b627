"""Attainment of quotas in the past, and how many reps reached how much of theirs."""

import numpy as np
import pandas as pd

from engine.kpis.bookings import quota_of
from engine.kpis.calendar import GRAINS
from engine.kpis.cells import Part, kept_periods, period_names, rows, stacked
from engine.kpis.facts import PEOPLE_LEVELS, Facts
from engine.kpis.intervals import jeffreys
from engine.kpis.measures import Measure, per
from models.panel import NONE, Floats

BANDS = (0.5, 0.8, 1.0, 1.2)
"""Attainments that reps are counted at."""


def attainment(facts: Facts) -> list[pd.DataFrame]:
    """Booked over quota where a quota covers the whole period, and the share of reps at each of `BANDS`.

    A period that is still running has what is booked so far over the quota of all of it. The interval is the luck of
    the deals: the spread of a sum of as many independent deals and orders.
    """
    cells = _with_quota(facts)
    if cells.empty:
        return []
    what = "booked in the period / quota of the whole period"
    measure = Measure("quota_attainment", what, facts.revenue, "date", PEOPLE_LEVELS)
    found = per(facts, measure, facts.revenue["amount"].to_numpy(), cells)
    found["low"] = found["low"].clip(lower=0.0)
    return [found, *_reps_at(facts, found)]


def _with_quota(facts: Facts) -> pd.DataFrame:
    """Every cell that has a given quota above zero, with ``over``."""
    parts: list[Part] = []
    for level in PEOPLE_LEVELS:
        members = len(facts.labels(level).ids)
        for grain in GRAINS:
            periods = kept_periods(facts, level, grain)
            member, code = (part.ravel() for part in np.indices((members, len(periods))))
            if len(code):
                parts.append((level, grain, member, code + periods[0], {}))
    cells = stacked(facts, parts, ())
    cells = cells.assign(over=quota_of(facts, cells))
    return cells[cells["over"] > 0].reset_index(drop=True)


def _reps_at(facts: Facts, found: pd.DataFrame) -> list[pd.DataFrame]:
    """Share of the reps with a quota at or above each band, for the company, regions, territories and managers."""
    reps = found[found["level"] == "rep"]
    if reps.empty:
        return []
    homes = facts.at_home(pd.DataFrame({"rep": reps["key"].to_numpy()}))
    names = {name: pair for pair, name in period_names(facts).items()}
    pairs = [names[period] for period in reps["period"]]
    base = pd.DataFrame({"grain": [grain for grain, _ in pairs], "code": [code for _, code in pairs]})
    parts = []
    for level in PEOPLE_LEVELS[:-1]:
        ids = facts.labels(level).ids
        place = homes[level].to_numpy()
        keyed = base.assign(level=level, key=ids[np.where(place == NONE, len(ids) - 1, place)], n=1.0)
        for band in BANDS:
            keyed[str(band)] = (reps["value"].to_numpy() >= band).astype(np.float64)
        parts.append(keyed.groupby(["level", "key", "grain", "code"], sort=False, as_index=False).sum())
    cells = pd.concat(parts, ignore_index=True)
    rows_ = []
    for band in BANDS:
        hits = cells[str(band)]
        low, high = jeffreys(hits.to_numpy(), cells["n"].to_numpy())
        numbers: dict[str, pd.Series | Floats] = {
            "value": hits / cells["n"],
            "numerator": hits,
            "denominator": cells["n"],
            "low": low,
            "high": high,
        }
        what = f"reps at {100 * band:.0f} % of quota or more / reps with a quota"
        rows_.append(rows(facts, f"reps_at_{100 * band:.0f}_percent", cells, numbers, what))
    return rows_
