"""What a row is worth: booked amount, else the CRM's amount, else the list price of its product."""

import numpy as np
import pandas as pd

from engine.data.checks import nearest, unknown_values
from engine.data.tables import column

VALUES_COMPARED = 50
"""Unknown products that are compared with the known ones by name."""


def deal_worth(frames: dict[str, pd.DataFrame]) -> pd.Series:
    """Money on every opportunity: 0 on lost ones, NaN where nothing is known.

    For an unknown product the list price of the known one nearest in name stands in.
    """
    deals = frames["opportunities"]
    worth = booked_amount(frames).where(deals["outcome"] == "won")
    amount = column(deals, "amount")
    worth = worth.fillna(amount.where((amount > 0) & (deals["outcome"] == "open")))
    worth = worth.fillna(list_price(frames, column(deals, "product").replace(_near_products(frames))))
    return worth.mask(deals["outcome"] == "lost", 0.0)


def _near_products(frames: dict[str, pd.DataFrame]) -> dict[str, str]:
    """Known product for the most frequent unknown ones, where one is near."""
    if "products" not in frames or "product" not in frames["opportunities"]:
        return {}
    known = frames["products"]["id"]
    unknown = unknown_values(frames["opportunities"], "product", known).index[:VALUES_COMPARED]
    return {value: found for value in unknown if (found := nearest(value, known.dropna().tolist()))}


def booked_amount(frames: dict[str, pd.DataFrame]) -> pd.Series:
    """[opportunity] booked amount: won_amount, else the bookings that name the deal, else the CRM's amount."""
    deals = frames["opportunities"]
    booked = column(deals, "won_amount")
    bookings = frames.get("bookings")
    if bookings is not None and "opportunity" in bookings:
        booked = booked.fillna(deals["id"].map(bookings.groupby("opportunity")["amount"].sum()).astype("float64"))
    return booked.fillna(column(deals, "amount"))


def list_price(frames: dict[str, pd.DataFrame], products: pd.Series) -> pd.Series:
    """List price of every product id, NaN where unknown."""
    known = frames.get("products")
    if known is None:
        return pd.Series(np.nan, index=products.index, dtype="float64")
    prices = pd.Series(column(known, "list_price").to_numpy(), index=known["id"])
    return products.map(prices).astype("float64")
