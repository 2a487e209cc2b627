"""What the numbers are computed from: deals, revenue and further tables as of the date, each row with its places.

A place is the index of a member of a level. Deals and revenue have the places of the forecast (`Panel.cell_territory`),
so that the sums of kpis.csv and of forecast.csv agree; leads, activities and hours belong where their rep is at home.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.data.revenue import free_bookings
from engine.data.tables import Tables, column
from engine.data.worth import booked_amount, list_price
from engine.kpis.calendar import Calendar
from engine.simulation.outcomes import UNASSIGNED
from models.panel import NONE, WON, Ints, Labels, Panel, Texts

LEVELS = ("company", "region", "territory", "manager", "rep", "product", "source")
"""Levels of kpis.csv, in the order of the rows; ``cohort`` (of customers) is used by retention only."""

PEOPLE_LEVELS = ("company", "region", "territory", "manager", "rep")
"""Levels of what has no product or source."""

OUTCOMES = np.array(["open", "won", "lost"])


@dataclass(frozen=True)
class Facts:
    """Tables with places.

    Attributes
    ----------
    panel : the company as of the date
    calendar : its periods
    deals : [deal, as in the panel] id, created, closed, expected_close (NaT when unknown), outcome (open, won, lost),
        amount (of an open deal, NaN when unknown), booked (of a won one), worth (NaN when unknown), and places
    revenue : [row] date, amount, cost (NaN when unknown), deal (False for an order), account, and places: won deals
        and orders without a deal
    frames : the cut tables as read, by name; empty where the facts come from a panel alone
    sources : names of the sources of opportunities and leads, sorted
    """

    panel: Panel
    calendar: Calendar
    deals: pd.DataFrame
    revenue: pd.DataFrame
    frames: Mapping[str, pd.DataFrame]
    sources: Texts

    def labels(self, level: str) -> Labels:
        """Members of a level; the last is `UNASSIGNED` on all but the company."""
        panel = self.panel
        found = {
            "company": Labels(np.array([""]), np.array(["company"])),
            "region": panel.regions,
            "territory": panel.territories,
            "manager": panel.managers,
            "rep": panel.reps.labels,
            "product": panel.products.labels,
            "source": Labels(self.sources, self.sources),
        }[level]
        if level == "company":
            return found
        return Labels(np.append(found.ids, UNASSIGNED), np.append(found.names, UNASSIGNED))

    def at_home(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A table with a text column ``rep``, with the places of the rep's home; no product, source when it has one."""
        rep = index_of(self.panel.reps.labels.ids, column(frame, "rep"))
        territory = _take(self.panel.reps.territory, rep)
        source = index_of(self.sources, frame["source"]) if "source" in frame else np.full(len(frame), NONE)
        return frame.assign(**_places(self.panel, rep, territory), product=NONE, source=source)


def facts_of(panel: Panel, tables: Tables | None = None) -> Facts:
    """Facts from the cut tables of a run, or, where there are none any more, from its panel.

    A panel knows no sources, leads, activities or costs, and its orders lie on the first day of their month.
    """
    calendar = Calendar(panel.as_of, panel.first_day, panel.fiscal_year_start)
    if tables is None:
        nothing: Texts = np.array([], dtype=np.str_)
        return Facts(panel, calendar, _panel_deals(panel), _panel_revenue(panel), {}, nothing)
    sources = _sources(tables.frames)
    deals = _table_deals(panel, tables, sources)
    revenue = _table_revenue(panel, tables, deals)
    return Facts(panel, calendar, deals, revenue, tables.frames, sources)


def index_of(ids: Texts, values: pd.Series) -> Ints:
    """[row] index of every text among ids, NONE where it is not among them."""
    return pd.Index(ids.astype(object)).get_indexer(pd.Index(values.astype(object))).astype(np.int64)


def _take(values: Ints, index: Ints) -> Ints:
    return np.append(values, NONE)[index]


def _places(panel: Panel, rep: Ints, territory: Ints) -> dict[str, Ints]:
    return {
        "company": np.zeros(len(rep), dtype=np.int64),
        "region": _take(panel.territory_region, territory),
        "territory": territory,
        "manager": _take(panel.reps.manager, rep),
        "rep": rep,
    }


def _sources(frames: Mapping[str, pd.DataFrame]) -> Texts:
    named = [column(frames[name], "source") for name in ("opportunities", "leads") if name in frames]
    return np.array(sorted(pd.concat(named).dropna().unique()) if named else [], dtype=np.str_)


def _panel_deals(panel: Panel) -> pd.DataFrame:
    deals = panel.deals
    typical = np.where(deals.outcome == WON, deals.won_amount, deals.list_amount)
    frame = pd.DataFrame(
        {
            "id": pd.Series(deals.ids, dtype="str"),
            "created": deals.created,
            "closed": deals.closed,
            "expected_close": deals.expected_close,
            "outcome": pd.Series(OUTCOMES[deals.outcome], dtype="str"),
            "amount": deals.list_amount,
            "booked": deals.won_amount,
            "worth": typical,
            "account": deals.account,
            "stage": deals.stage,
        }
    )
    territory = panel.cell_territory(deals.account, deals.rep)
    return frame.assign(**_places(panel, deals.rep, territory), product=deals.product, source=NONE)


def _panel_revenue(panel: Panel) -> pd.DataFrame:
    deals, orders = panel.deals, panel.orders
    won = np.flatnonzero(deals.outcome == WON)
    owner = _take(panel.accounts.owner, orders.account)
    rep = np.concatenate([deals.rep[won], np.where(orders.rep == NONE, owner, orders.rep)])
    account = np.concatenate([deals.account[won], orders.account])
    first = orders.month.astype("datetime64[M]").astype("datetime64[D]")
    frame = pd.DataFrame(
        {
            "date": np.concatenate([deals.closed[won].astype("datetime64[D]"), first]),
            "amount": np.concatenate([np.nan_to_num(deals.won_amount[won]), orders.amount]),
            "cost": np.nan,
            "deal": np.arange(len(rep)) < len(won),
            "account": account,
        }
    )
    places = _places(panel, rep, panel.cell_territory(account, rep))
    product = np.concatenate([deals.product[won], orders.product])
    return frame.assign(**places, product=product, source=NONE)


def _table_deals(panel: Panel, tables: Tables, sources: Texts) -> pd.DataFrame:
    """The panel's deals with what the tables know besides: amounts and accounts that models may not see, sources."""
    frame = _panel_deals(panel)
    if "opportunities" not in tables.frames:
        return frame
    raw = tables.frames["opportunities"]
    full = raw.assign(booked=booked_amount(tables.frames), worth=_worth(tables.frames), source=_deal_source(tables))
    full = full.set_index("id").reindex(frame["id"])
    kept = ("booked", "worth")
    frame = frame.assign(**{name: full[name].to_numpy(dtype=np.float64, copy=True) for name in kept})
    frame["booked"] = frame["booked"].where(frame["outcome"] == "won")
    frame["source"] = index_of(sources, full["source"])
    return frame


def _worth(frames: Mapping[str, pd.DataFrame]) -> pd.Series:
    """[opportunity] booked amount of a won deal; the CRM's amount of others, else the list price of the product."""
    deals = frames["opportunities"]
    amount = column(deals, "amount")
    shown = amount.where(amount > 0).fillna(list_price(dict(frames), column(deals, "product")))
    return booked_amount(dict(frames)).where(deals["outcome"] == "won", shown)


def _deal_source(tables: Tables) -> pd.Series:
    """[opportunity] its own source, else that of the lead that names it."""
    deals = tables.frames["opportunities"]
    leads = tables.frames.get("leads")
    own = column(deals, "source")
    if leads is None or "opportunity" not in leads or "source" not in leads:
        return own
    named = leads.dropna(subset=["opportunity"]).drop_duplicates("opportunity").set_index("opportunity")["source"]
    return own.fillna(deals["id"].map(named).astype("str"))


def _table_revenue(panel: Panel, tables: Tables, deals: pd.DataFrame) -> pd.DataFrame:
    """Won deals and orders to the day, with costs where bookings have them."""
    frames = tables.frames
    won = deals[deals["outcome"] == "won"]
    rows = won.assign(date=won["closed"], amount=won["booked"].fillna(0.0), cost=_deal_costs(frames, won), deal=True)
    kept = ["date", "amount", "cost", "deal", "account", *LEVELS]
    if "bookings" not in frames:
        return rows[kept].reset_index(drop=True)
    free = free_bookings(frames)
    account = index_of(panel.accounts.labels.ids, free["account"])
    seller = index_of(panel.reps.labels.ids, free["rep"])
    rep = np.where(seller == NONE, _take(panel.accounts.owner, account), seller)
    orders = pd.DataFrame(
        {
            "date": free["date"].to_numpy(),
            "amount": free["amount"].to_numpy(),
            "cost": column(frames["bookings"], "cost").reindex(free.index).to_numpy(),
            "deal": False,
            "account": account,
            **_places(panel, rep, panel.cell_territory(account, rep)),
            "product": index_of(panel.products.labels.ids, free["product"]),
            "source": NONE,
        }
    )
    return pd.concat([rows[kept], orders[kept]], ignore_index=True)


def _deal_costs(frames: Mapping[str, pd.DataFrame], won: pd.DataFrame) -> pd.Series:
    """[won deal] cost of the bookings that name it, NaN where none does or one has no cost."""
    bookings = frames.get("bookings")
    if bookings is None or not {"opportunity", "cost"} <= set(bookings):
        return pd.Series(np.nan, index=won.index)
    known = bookings.groupby("opportunity")["cost"].sum(min_count=1)
    return won["id"].map(known).astype("float64")
