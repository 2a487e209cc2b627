"""Who sells, who buys, what and where: the entities of a panel as of its date."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from engine.data.coordinates import covariate, days, heaviest, index_in, labels_of, looked_up, texts
from engine.data.cut import unplaced_accounts
from engine.data.revenue import activity, free_bookings, revenue_events
from engine.data.tables import Tables, column, seen_accounts
from engine.data.traits import ACCOUNT_TRAITS, REP_TRAITS, traits
from models.panel import NONE, Accounts, Bools, Ints, Labels, Products, Reps

INFERENCE_MONTHS = 12
"""Months of value that say whose an account without owner is."""

ACTIVE_MONTHS = 12
"""A rep without a deal or booking for so many months does not sell."""

NEW_MONTHS = 6
"""A rep hired so many months ago may not have sold yet."""

WHOLE_COMPANY = "all"
"""The one territory of a company whose tables name none."""

type Frames = dict[str, pd.DataFrame]


def territories(frames: Frames) -> tuple[Labels, Labels, Ints]:
    """Territories, regions, and the region of every territory (NONE where unknown)."""
    table = frames.get("territories")
    places = [
        frames[name]["territory"]
        for name in ("accounts", "bookings", "reps")
        if name in frames and "territory" in frames[name]
    ]
    labels = labels_of(([table["id"]] if table is not None else []) + places, table)
    if len(labels) == 0:
        labels = Labels(texts([WHOLE_COMPANY]), texts([WHOLE_COMPANY]))
    if table is None:
        return labels, labels_of([]), np.full(len(labels), NONE, dtype=np.int64)
    regions = labels_of([column(table, "region")])
    region = (
        pd.Series(labels.ids).map(table.set_index("id")["region"])
        if "region" in table
        else pd.Series(labels.ids).map({})
    )
    return labels, regions, index_in(regions, region)


def account_table(frames: Frames) -> pd.DataFrame:
    """One row an account known by the date, by id: the accounts table and whoever else bought or is negotiated with."""
    named = seen_accounts(frames, ("opportunities", "bookings", "account_owners"))
    known = frames.get("accounts", pd.DataFrame({"id": pd.Series(dtype="str")}))
    if "accounts" in frames:
        known = known[~unplaced_accounts(frames)]
    ids = sorted(pd.concat([known["id"], named]).dropna().unique())
    named_traits = [name for name in ACCOUNT_TRAITS if name in known]
    columns = ("name", "segment", "industry", "territory", "owner", "parent", "hours", "locked", *named_traits)
    table = pd.DataFrame({"id": known["id"], **{name: column(known, name) for name in columns}})
    table = table.set_index("id").reindex(pd.Index(ids, name="id", dtype="str"))
    table["locked"] = table["locked"].eq(True)
    return table.assign(territory=_account_territory(frames, table), family=_families(table)).reset_index()


def _account_territory(frames: Frames, table: pd.DataFrame) -> pd.Series:
    """Territory on record, else the one most bookings rows of the account name; one for all when no table names any."""
    found = table["territory"]
    if "bookings" in frames and "territory" in frames["bookings"]:
        rows = frames["bookings"]
        often = heaviest(column(rows, "account"), rows["territory"], pd.Series(1.0, index=rows.index))
        found = found.fillna(looked_up(table.index.to_series(), often))
    if (
        not any("territory" in frames[name] for name in ("accounts", "reps") if name in frames)
        and "territories" not in frames
    ):
        return found.fillna(WHOLE_COMPANY) if found.isna().all() else found
    return found


def _families(table: pd.DataFrame) -> Ints:
    """[account] group of accounts linked by parent, numbered by first account; a parent need not be an account."""
    nodes = pd.Index(pd.concat([table.index.to_series(), table["parent"].dropna()]).unique())
    child = np.flatnonzero(table["parent"].notna())
    parent = nodes.get_indexer(pd.Index(table["parent"].dropna()))
    graph = coo_array((np.ones(len(child)), (child, parent)), shape=(len(nodes), len(nodes)))
    group = connected_components(graph, directed=False)[1][: len(table)]
    return pd.factorize(group)[0].astype(np.int64)


def rep_table(tables: Tables) -> pd.DataFrame:
    """One row a rep, by id: the reps table, or without one whoever sold or owns an account."""
    frames = tables.frames
    named = [
        frames[name][ours]
        for name, ours in (
            ("opportunities", "rep"),
            ("bookings", "rep"),
            ("accounts", "owner"),
            ("account_owners", "rep"),
        )
        if name in frames and ours in frames[name]
    ]
    known = frames.get("reps")
    if known is None:
        ids = sorted(pd.concat(named).dropna().unique()) if named else []
        known = pd.DataFrame({"id": pd.Series(ids, dtype="str")})
    columns = ("name", "start", "end", "fte", "manager", "territory", *(name for name in REP_TRAITS if name in known))
    table = pd.DataFrame({"id": known["id"], **{name: column(known, name) for name in columns}}).sort_values("id")
    table = table.assign(active=_active(table, tables))
    return table.reset_index(drop=True)


def _active(table: pd.DataFrame, tables: Tables) -> pd.Series:
    """Who sells after the date: not gone, and seen selling within a year, or hired lately, or nobody was ever seen."""
    day = pd.Timestamp(tables.as_of)
    seen = activity(tables.frames)
    lately = seen.loc[seen["date"] > day - pd.DateOffset(months=ACTIVE_MONTHS), "rep"]
    sells = table["id"].isin(lately) | (table["start"] > day - pd.DateOffset(months=NEW_MONTHS)) | seen.empty
    return sells & ~(table["end"] <= day)


def owners(tables: Tables, accounts: pd.DataFrame, reps: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """[account] rep who owns it at the date, and whether that was inferred.

    On record in account_owners, else in the accounts table (whose owners a past cut may take out, see
    `engine.data.cut`); else the rep with most revenue from it in twelve months (else ever, else with most deals) among
    those who have not left; missing when there is none.
    """
    frames, day = tables.frames, pd.Timestamp(tables.as_of)
    record = pd.Series(np.nan, index=accounts.index, dtype="str")
    if "account_owners" in frames:
        history = frames["account_owners"]
        valid = history[history["valid_from"] <= day].sort_values("valid_from", kind="stable")
        record = looked_up(accounts["id"], valid.groupby("account")["rep"].last())
    record = record.fillna(accounts["owner"])
    staying = reps.loc[~(reps["end"] <= day), "id"]
    money = revenue_events(frames)
    money = money[money["rep"].isin(staying)]
    recent = money[money["date"] > day - pd.DateOffset(months=INFERENCE_MONTHS)]
    touched = activity(frames)
    touched = touched[touched["rep"].isin(staying)].assign(amount=1.0)
    found = record
    for rows in (recent, money, touched):
        found = found.fillna(looked_up(accounts["id"], heaviest(rows["account"], rows["rep"], rows["amount"])))
    return found, record.isna() & found.notna()


def home_territory(frames: Frames, accounts: pd.DataFrame, owner: pd.Series, reps: pd.DataFrame) -> pd.Series:
    """[rep] territory on record, else where most of the rep's accounts lie, else where most bookings were."""
    ones = pd.Series(1.0, index=accounts.index)
    found = reps["territory"].fillna(looked_up(reps["id"], heaviest(owner, accounts["territory"], ones)))
    if "bookings" in frames:
        rows = free_bookings(frames)
        place = rows["territory"].fillna(looked_up(rows["account"], accounts.set_index("id")["territory"]))
        found = found.fillna(looked_up(reps["id"], heaviest(rows["rep"], place, pd.Series(1.0, index=rows.index))))
    return found


def rep_arrays(reps: pd.DataFrame, home: pd.Series, places: Labels) -> tuple[Reps, Labels]:
    """Reps and managers of a panel."""
    labels = Labels(texts(reps["id"]), texts(reps["name"].fillna(reps["id"])))
    managers = labels_of([reps["manager"]], reps)
    return Reps(
        labels=labels,
        manager=index_in(managers, reps["manager"]),
        territory=index_in(places, home),
        start=days(reps["start"]),
        end=days(reps["end"]),
        fte=reps["fte"].fillna(1.0).to_numpy(dtype=np.float64, copy=True),
        active=reps["active"].to_numpy(dtype=bool, copy=True),
        **traits(reps, REP_TRAITS),  # type: ignore[arg-type]
    ), managers


def account_arrays(
    accounts: pd.DataFrame, owner: tuple[Ints, Bools], places: Labels, *, unknown_segment: bool
) -> tuple[Accounts, Labels, Labels]:
    """Accounts, segments and industries of a panel.

    Parameters
    ----------
    owner : index of the owner and whether it was inferred, [account] each
    unknown_segment : some deal needs the segment "unknown"
    """
    segments, segment = covariate(accounts["segment"], unknown=unknown_segment)
    industries, industry = covariate(accounts["industry"], unknown=False)
    return (
        Accounts(
            labels=Labels(texts(accounts["id"]), texts(accounts["name"].fillna(accounts["id"]))),
            territory=index_in(places, accounts["territory"]),
            segment=segment,
            industry=industry,
            owner=owner[0],
            inferred_owner=owner[1],
            hours=accounts["hours"].to_numpy(dtype=np.float64, copy=True),
            locked=accounts["locked"].to_numpy(dtype=bool, copy=True),
            family=accounts["family"].to_numpy(dtype=np.int64, copy=True),
            **traits(accounts, ACCOUNT_TRAITS),  # type: ignore[arg-type]
        ),
        segments,
        industries,
    )


def products(frames: Frames) -> Products:
    """Products of a panel: the table's, and unknown ones that deals or bookings name, without a price."""
    table = frames.get("products")
    named = [
        frames[name]["product"]
        for name in ("opportunities", "bookings")
        if name in frames and "product" in frames[name]
    ]
    labels = labels_of(([table["id"]] if table is not None else []) + named, table)
    prices = np.full(len(labels), np.nan)
    if table is not None:
        found = pd.Series(column(table, "list_price").to_numpy(), index=table["id"])
        prices = pd.Series(labels.ids).map(found).to_numpy(dtype=np.float64, copy=True)
    return Products(labels, prices)
