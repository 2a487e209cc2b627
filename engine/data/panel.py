"""From cut tables to a `models.panel.Panel`: the last place where pandas is seen."""

from dataclasses import replace

import numpy as np
import pandas as pd

from engine.config.schema import RunConfig
from engine.data import entities
from engine.data.coordinates import days, index_in, texts
from engine.data.pipeline_arrays import Entities, deal_arrays
from engine.data.revenue import free_bookings
from engine.data.tables import Tables, column, event_span
from engine.data.traits import previous_owners
from models.calendar import month_number
from models.panel import NONE, Calls, Labels, Orders, Panel, Quotas, no_calls


def build_panel(tables: Tables, config: RunConfig) -> Panel:
    """Arrays with coordinates of what was known at ``tables.as_of``; all coordinates are sorted by id.

    Deals without a creation date are left out (the audit names them), and so are accounts of which nothing says whose
    they could be (`engine.data.cut` names them).

    Parameters
    ----------
    tables : cut at the as-of date (see `engine.data.cut`)
    """
    frames = tables.frames
    first_day = event_span(frames)[0]
    first_day = tables.as_of if np.isnat(first_day) else first_day
    places, regions, territory_region = entities.territories(frames)
    account_rows, rep_rows = entities.account_table(frames), entities.rep_table(tables)
    owner, inferred = entities.owners(tables, account_rows, rep_rows)
    home = entities.home_territory(frames, account_rows, owner, rep_rows)
    reps, managers = entities.rep_arrays(rep_rows, home, places)
    owned = index_in(reps.labels, owner), inferred.to_numpy(dtype=bool, copy=True)
    unknown = _some_deal_without_segment(tables)
    accounts, segments, industries = entities.account_arrays(account_rows, owned, places, unknown_segment=unknown)
    accounts = replace(accounts, previous_owner=previous_owners(tables, account_rows["id"], owned[0], reps.labels))
    products = entities.products(frames)
    stages = Labels(texts(tables.stages.open), texts(tables.stages.open))
    deals, moves = deal_arrays(tables, Entities(reps, accounts, products, stages))
    return Panel(
        as_of=tables.as_of,
        first_day=first_day,
        regions=regions,
        territories=places,
        managers=managers,
        segments=segments,
        industries=industries,
        stages=stages,
        territory_region=territory_region,
        reps=reps,
        accounts=accounts,
        products=products,
        deals=deals,
        stage_moves=moves,
        orders=_orders(frames, {"rep": reps.labels, "account": accounts.labels, "product": products.labels}, first_day),
        quotas=_quotas(frames),
        barred=tables.barred,
        fiscal_year_start=config.calendar.fiscal_year_start,
        calls=_calls(frames, reps.labels),
    )


def _some_deal_without_segment(tables: Tables) -> bool:
    """Whether a deal's segment is unknown to the models: no account, or the account barred."""
    deals = tables.frames.get("opportunities")
    return deals is not None and ("account" in tables.barred or bool(column(deals, "account").isna().any()))


def _orders(frames: dict[str, pd.DataFrame], coordinates: dict[str, Labels], first_day: np.datetime64) -> Orders:
    """Monthly sums of the bookings that belong to no deal."""
    if "bookings" not in frames:
        none = np.zeros(0, dtype=np.int64)
        return Orders(none, none, none, none, np.zeros(0), int(month_number(np.array([first_day]))[0]))
    rows = free_bookings(frames)
    reps, accounts, products = (index_in(labels, rows[name]) for name, labels in coordinates.items())
    keyed = pd.DataFrame({"rep": reps, "account": accounts, "product": products})
    keyed["month"] = month_number(days(rows["date"]))
    keyed["amount"] = rows["amount"].to_numpy()
    sums = keyed.groupby(["account", "rep", "product", "month"], as_index=False)["amount"].sum()
    covered = days(frames["bookings"]["date"])
    first = covered.min() if len(covered) else first_day
    index = {name: sums[name].to_numpy(dtype=np.int64, copy=True) for name in ("account", "rep", "product", "month")}
    amount = sums["amount"].to_numpy(dtype=np.float64, copy=True)
    return Orders(**index, amount=amount, first_month=int(month_number(np.array([first]))[0]))


def _quotas(frames: dict[str, pd.DataFrame]) -> Quotas:
    """Targets by level, key and date."""
    if "quotas" not in frames:
        never = np.zeros(0, dtype="datetime64[D]")
        return Quotas(texts([]), texts([]), never, never, np.zeros(0))
    rows = frames["quotas"].assign(key=column(frames["quotas"], "key").fillna(""))
    rows = rows.assign(key=rows["key"].mask(rows["level"] == "company", ""))
    rows = rows.sort_values(["level", "key", "start", "end", "amount"], kind="stable")
    amount = rows["amount"].to_numpy(dtype=np.float64, copy=True)
    return Quotas(texts(rows["level"]), texts(rows["key"]), days(rows["start"]), days(rows["end"]), amount)


def _calls(frames: dict[str, pd.DataFrame], reps: Labels) -> Calls:
    """Calls of known reps, by day and rep."""
    if "rep_forecasts" not in frames:
        return no_calls()
    rows = frames["rep_forecasts"].sort_values(["as_of", "rep", "period_start"], kind="stable")
    rep = index_in(reps, rows["rep"])
    known = rep != NONE
    amount = rows["amount"].to_numpy(dtype=np.float64, copy=True)
    return Calls(rep[known], days(rows["as_of"])[known], month_number(days(rows["period_start"]))[known], amount[known])
