"""Revenue, deals closed and margin, by every level."""

import numpy as np
import pandas as pd

from engine.kpis.facts import Facts
from engine.kpis.measures import Measure, count, ratio, total


def revenue_numbers(facts: Facts) -> list[pd.DataFrame]:
    """Revenue and numbers of deals."""
    rows, deals = facts.revenue, facts.deals
    won, lost = deals[deals["outcome"] == "won"], deals[deals["outcome"] == "lost"]
    what = "won deals and orders without a deal, booked in the period"
    found = [total(facts, Measure("revenue", what, rows, "date"), rows["amount"].to_numpy())]
    found.append(count(facts, Measure("deals_won", "deals won in the period", won, "closed")))
    found.append(count(facts, Measure("deals_lost", "deals lost in the period", lost, "closed")))
    return [*found, count(facts, Measure("deals_created", "deals created in the period", deals, "created"))]


def margins(facts: Facts) -> list[pd.DataFrame]:
    """Margin in money and as a share of revenue.

    Of rows whose bookings carry a cost; where no booking has one, of products with cost and list price, whose share of
    cost in the list price is taken for every sale (a discount then shows as less cost, which it is not: the formula
    says so).
    """
    rows = facts.revenue
    known = rows["cost"].notna().to_numpy()
    cost, source = rows["cost"].to_numpy(), "cost of the bookings"
    if not known.any():
        share = _cost_share(facts)
        cost = rows["amount"].to_numpy() * np.append(share, np.nan)[rows["product"].to_numpy()]
        known, source = np.isfinite(cost), "revenue x cost / list price of the product, discounts not known"
    if not known.any():
        return []
    kept, amount = rows[known], rows["amount"].to_numpy()[known]
    margin = amount - cost[known]
    money = Measure("margin", f"revenue - cost, of rows with a cost; cost: {source}", kept, "date")
    rate = Measure("margin_rate", f"(revenue - cost) / revenue, of rows with a cost; cost: {source}", kept, "date")
    return [total(facts, money, margin), ratio(facts, rate, margin, amount, (-np.inf, 1.0))]


def _cost_share(facts: Facts) -> np.ndarray:
    """[product] cost over list price, NaN where one is unknown."""
    products = facts.frames.get("products")
    ids = facts.panel.products.labels.ids
    if products is None or not {"cost", "list_price"} <= set(products):
        return np.full(len(ids), np.nan)
    share = (products["cost"] / products["list_price"].where(products["list_price"] > 0)).set_axis(products["id"])
    return pd.Series(ids).map(share).to_numpy(dtype=np.float64)
