"""The demo company with a few accounts: every table, in a hundredth of the rows, for tests that read many copies."""

from functools import cache

import pandas as pd

from engine.demo.company import demo_company

ACCOUNTS = 25
LAST_CREATED = "2024-03-31"


@cache
def small_demo() -> dict[str, pd.DataFrame]:
    """Tables of the first accounts and the deals created up to a day, consistent with each other."""
    whole = demo_company(1).tables
    accounts = whole["accounts"].head(ACCOUNTS)
    known = set(accounts["id"])
    deals = whole["opportunities"]
    deals = deals[(deals["account"].isin(known) | (deals.index % 40 == 0)) & (deals["created"] <= LAST_CREATED)]
    deals = deals[deals["account"].isin(known) | deals["account"].isna()]
    own = set(deals["id"])
    frames = dict(whole)
    frames["accounts"] = accounts.assign(parent=accounts["parent"].where(accounts["parent"].isin(known)))
    frames["opportunities"] = deals
    frames["stage_history"] = _of(whole["stage_history"], "opportunity", own)
    bookings = _of(whole["bookings"], "account", known)
    frames["bookings"] = bookings[bookings["opportunity"].isna() | bookings["opportunity"].isin(own)]
    frames["account_owners"] = _of(whole["account_owners"], "account", known)
    for name in ("leads", "activities", "contracts", "rep_hours", "rep_forecasts"):
        if name in frames:
            frames[name] = frames[name].iloc[::60]
    for name in ("leads", "activities", "contracts"):
        for column, ids in (("opportunity", own), ("account", known)):
            if name in frames and column in frames[name]:
                frame = frames[name]
                frame = frame[frame[column].isna() | frame[column].isin(ids)]
                frames[name] = frame
    return {name: frame.reset_index(drop=True) for name, frame in frames.items() if len(frame)}


def _of(frame: pd.DataFrame, column: str, ids: set[str]) -> pd.DataFrame:
    return frame[frame[column].isin(ids)]
