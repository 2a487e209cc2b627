"""How long deals take, and how fast the pipeline turns into money."""

import numpy as np
import pandas as pd

from engine.kpis.calendar import GRAINS
from engine.kpis.cells import KEYS, Part, kept_periods, rows, stacked, tally
from engine.kpis.facts import LEVELS, Facts
from engine.kpis.intervals import Z
from engine.kpis.measures import Measure, mean, quantile
from models.panel import NONE


def cycles(facts: Facts) -> list[pd.DataFrame]:
    """Days from creation (of the deal, of its lead) to closing: mean and median, won and lost apart."""
    deals = facts.deals.assign(begun=facts.deals["created"])
    found = _cycles(facts, deals, "sales_cycle", "created")
    leads = facts.frames.get("leads")
    if leads is None or "opportunity" not in leads:
        return found
    first = leads.dropna(subset=["opportunity"]).groupby("opportunity")["created"].min()
    if first.empty:  # no lead names its deal
        return found
    begun = deals["id"].map(first)
    return found + _cycles(facts, deals.assign(begun=begun), "sales_cycle_from_lead", "lead created")


def _cycles(facts: Facts, deals: pd.DataFrame, name: str, begin: str) -> list[pd.DataFrame]:
    found = []
    for outcome in ("won", "lost"):
        kept = deals[(deals["outcome"] == outcome) & deals["begun"].notna()]
        days = (kept["closed"] - kept["begun"]).dt.days.to_numpy().astype(np.float64)
        what = f"days from {begin} to close, of {outcome} deals, by close date: "
        found.append(mean(facts, Measure(f"{name}_{outcome}_mean", what + "mean", kept, "closed"), days))
        found.append(quantile(facts, Measure(f"{name}_{outcome}_median", what + "median", kept, "closed"), days, 0.5))
    return found


VELOCITY = (
    "open opportunities at the end of the period x win rate x average won deal / mean days to win "
    "(rates, amounts and days of the deals closed in the period): money a day"
)


def velocity(facts: Facts) -> list[pd.DataFrame]:
    """Sales velocity; the numerator is the first three factors, the denominator the days.

    The interval is that of the product of three independent estimates, on the log scale (delta method); the number of
    open opportunities is a fact.
    """
    deals = facts.deals
    closed = deals[deals["outcome"] != "open"]
    won = (closed["outcome"] == "won").to_numpy().astype(np.float64)
    amount = np.where(won > 0, closed["booked"].fillna(0.0), 0.0)
    days = won * (closed["closed"] - closed["created"]).dt.days.to_numpy(dtype=np.float64)
    sums = {"won": won, "amount": amount, "amount2": amount**2, "days": days, "days2": days**2}
    cells = tally(facts, closed, "closed", sums).merge(_open_at_end(facts), on=KEYS)
    cells = cells[(cells["won"] > 0) & (cells["days"] > 0)]
    n, w = cells["n"].to_numpy(dtype=float), cells["won"].to_numpy()
    average, cycle = cells["amount"].to_numpy() / w, cells["days"].to_numpy() / w
    rate = w / n
    numerator = cells["open"].to_numpy() * rate * average
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (1 - rate) / (n * rate)
        spread = spread + (cells["amount2"] / w - average**2).clip(lower=0.0) / (average**2 * (w - 1))
        spread = spread + (cells["days2"] / w - cycle**2).clip(lower=0.0) / (cycle**2 * (w - 1))
        factor = np.exp(Z * np.sqrt(np.where(w > 1, spread, np.nan)))
    value = numerator / cycle
    numbers = {"value": value, "numerator": numerator, "denominator": cycle}
    return [rows(facts, "sales_velocity", cells, numbers | {"low": value / factor, "high": value * factor}, VELOCITY)]


def _open_at_end(facts: Facts) -> pd.DataFrame:
    """Open deals of every member at the end of every period (or at the as-of date): its `KEYS` and ``open``."""
    deals = facts.deals
    created = deals["created"].to_numpy().astype("datetime64[D]")
    closed = deals["closed"].to_numpy().astype("datetime64[D]")
    closed = np.where(np.isnat(closed), facts.panel.as_of + np.timedelta64(1, "D"), closed)
    parts: list[Part] = []
    for level in LEVELS:
        labels = facts.labels(level)
        place = np.where(deals[level] == NONE, len(labels) - 1, deals[level])
        for grain in GRAINS:
            for code in kept_periods(facts, level, grain):
                end = min(facts.calendar.days(grain, code)[1], facts.panel.as_of)
                standing = np.bincount(place[(created <= end) & (closed > end)], minlength=len(labels))
                member = np.flatnonzero(standing)
                codes = np.full(len(member), code)
                parts.append((level, grain, member, codes, {"open": standing[member]}))
    return stacked(facts, parts, ("open",))
