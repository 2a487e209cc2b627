"""Turns amounts into the company's money by a table of exchange rates.

An amount is turned at the rate of the day it speaks of, so that a rate known later changes nothing earlier: the amount
of a deal at its creation, what it was won for at its closing, an order on its day, a quota at its start.
"""

import numpy as np
import pandas as pd

from engine.data.complaints import refuse_rows
from engine.data.sources import SourceTable
from engine.errors import Problem

MONEY: dict[str, dict[str, tuple[str, ...]]] = {
    "opportunities": {"amount": ("created", "closed"), "won_amount": ("closed",)},
    "stage_history": {"amount": ("date",)},
    "bookings": {"amount": ("date",), "cost": ("date",)},
    "products": {"list_price": (), "cost": ()},
    "quotas": {"amount": ("start",)},
    "rep_forecasts": {"amount": ("as_of",)},
}
"""By table, the columns of money and the day of each: the first one given; the newest rate where there is none."""

type Sources = dict[str, SourceTable]
type Frames = dict[str, pd.DataFrame]


def to_company_money(sources: Sources, frames: Frames, rates: pd.DataFrame | None, currency: str) -> list[Problem]:
    """Turn every amount of a row with a `currency` into the company's and drop the column. Changes ``frames``.

    Parameters
    ----------
    sources, frames : tables as read and as typed
    rates : currency, rate (company's money for one unit) and maybe date (day from which on it holds)
    currency : the company's, in three letters

    Returns
    -------
    a problem for every currency and day without a rate
    """
    _history_of_deals(frames)
    problems: list[Problem] = []
    for name, columns in MONEY.items():
        if name not in frames or "currency" not in frames[name]:
            continue
        frame = frames[name]
        words = frame["currency"].fillna(currency).str.strip().str.upper()
        foreign = words != currency
        for ours, days in columns.items():
            if ours not in frame:
                continue
            rows = foreign & frame[ours].notna() & (frame[ours] != 0)
            factor = _rate(words[rows], _day(frame[rows], days), rates)
            problems += _without_rate(sources[name], words, factor, rates, currency)
            frame[ours] = frame[ours].mask(rows, frame[ours] * factor.reindex(frame.index))
        frames[name] = frame.drop(columns="currency")
    return problems


def _history_of_deals(frames: Frames) -> None:
    """Amounts of a history without a currency of its own are in that of their deal. Changes ``frames``."""
    deals, history = frames.get("opportunities"), frames.get("stage_history")
    if deals is None or history is None or "currency" not in deals or "currency" in history:
        return
    if "amount" in history:
        known = deals.drop_duplicates("id").set_index("id")["currency"]
        frames["stage_history"] = history.assign(currency=history["opportunity"].map(known).astype("str"))


def _day(frame: pd.DataFrame, names: tuple[str, ...]) -> pd.Series:
    """[row] day of a rate, NaT for the newest."""
    found = pd.Series(pd.NaT, index=frame.index, dtype="datetime64[us]")
    for name in names:
        if name in frame:
            found = found.fillna(frame[name])
    return found


def _rate(words: pd.Series, days: pd.Series, rates: pd.DataFrame | None) -> pd.Series:
    """[row] rate in force, NaN where there is none."""
    if rates is None:
        return pd.Series(np.nan, index=words.index)
    known = rates.assign(currency=rates["currency"].str.strip().str.upper())
    if "date" not in known:
        return words.map(known.drop_duplicates("currency", keep="last").set_index("currency")["rate"])
    known["date"] = known["date"].fillna(pd.Timestamp("1900-01-01")).astype("datetime64[us]")
    known = known.sort_values("date", kind="stable")
    asked = pd.DataFrame({"currency": words, "date": days.fillna(pd.Timestamp("9999-12-31")).astype("datetime64[us]")})
    asked = asked.rename_axis("row").reset_index().sort_values("date", kind="stable")
    found = pd.merge_asof(asked, known[["currency", "date", "rate"]], on="date", by="currency")
    return found.set_index("row")["rate"].reindex(words.index)


def _without_rate(
    table: SourceTable, words: pd.Series, factor: pd.Series, rates: pd.DataFrame | None, currency: str
) -> list[Problem]:
    """Rows whose currency has no rate on their day."""
    bad = pd.Series(False, index=words.index)
    bad[factor.index[factor.isna()]] = True
    if not bad.any():
        return []
    named = ", ".join(sorted(words[bad].unique()))
    if rates is None:
        only = f"set currency: {words[bad].iloc[0]} if all amounts are in it, or " if words.nunique() == 1 else ""
        place = f"{table.file}, column {table.theirs.get('currency', 'currency')!r}"
        mend = f"{only}give data.rates a table with currency and rate"
        came = f"{named} in {int(bad.sum()):,} rows"
        return [Problem(place, came, f"{currency}, or currencies with a rate", mend)]
    said = words[bad].map("no rate for {} on the day of the row".format)
    return refuse_rows(
        table, "currency", bad, came=said, allowed="a rate from that day or an earlier one", mend="add it to data.rates"
    )
