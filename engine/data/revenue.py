"""Past revenue as one list of events, for who sold to whom."""

import pandas as pd

from engine.data.tables import column, members
from engine.data.worth import booked_amount


def free_bookings(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Bookings that belong to no deal with a creation date (others are in no panel), with the contract's keys."""
    bookings = frames["bookings"]
    deals = frames.get("opportunities")
    if deals is not None and "opportunity" in bookings:
        bookings = bookings[~members(bookings["opportunity"], deals.loc[deals["created"].notna(), "id"])]
    keys = {name: column(bookings, name) for name in ("rep", "account", "product", "territory")}
    return bookings[["date", "amount"]].assign(**keys)


def revenue_events(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Won deals and free bookings: rep, account, date, amount. A deal whose bookings are free is not counted again."""
    parts = []
    if "bookings" in frames:
        parts.append(free_bookings(frames)[["rep", "account", "date", "amount"]])
    if "opportunities" in frames:
        deals = frames["opportunities"]
        won = deals["outcome"] == "won"
        if "bookings" in frames:
            named = members(deals["id"], column(frames["bookings"], "opportunity"))
            won &= deals["created"].notna() | ~named
        values = {
            "rep": deals["rep"],
            "account": column(deals, "account"),
            "date": deals["closed"],
            "amount": booked_amount(frames),
        }
        parts.append(pd.DataFrame(values)[won])
    return pd.concat(parts, ignore_index=True)


def activity(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Everything a rep was seen doing: rep, account, date."""
    parts = []
    if "bookings" in frames:
        bookings = frames["bookings"]
        values = {"rep": column(bookings, "rep"), "account": column(bookings, "account"), "date": bookings["date"]}
        parts.append(pd.DataFrame(values))
    if "opportunities" in frames:
        deals = frames["opportunities"]
        for stamp in ("created", "closed"):
            values = {"rep": deals["rep"], "account": column(deals, "account"), "date": deals[stamp]}
            parts.append(pd.DataFrame(values))
    return pd.concat(parts, ignore_index=True).dropna(subset=["rep", "date"])
