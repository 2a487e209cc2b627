"""Rows that can be used but are hard to believe, as of the date: one row a finding, with owner and value at stake.

Nothing is changed or left out: the forecast counts suspect deals like all others, `engine.kpis.quality` says what they
are worth to it, and data_quality.csv counts them per rep.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from scipy import stats

from engine.data.issues import OPERATIONS, DataIssue
from engine.data.tables import Tables, column, members
from engine.data.worth import deal_worth

COLUMNS = ["rule", "table", "id", "owner", "value_at_stake", "action"]
"""Of suspects.csv; ``owner`` is a rep's id or `OPERATIONS`, ``id`` that of the row."""

STALE_QUANTILE, STALE_DAYS = 0.95, 90
"""An open deal is stale when it is older than this share of the closed deals grew, and has not moved for so long."""

DUPLICATE_DAYS = 30
"""Days within which two open deals of an account with one product and amount are one deal entered twice."""

FAR = 5.0
"""Robust standard deviations of the log amount from its product's median beyond which an amount is out of line."""

ENOUGH = 30
"""Rows below which nothing is called out of line or a spike."""

CHANCE = 1e-6
"""Largest p-value at which a spike is no accident."""

SPIKE = 5.0
"""Multiple of a busy day (95th percentile) from which so many rows created on a day are a spike."""

OWNERS_SHOWN = 10
"""Owners of a rule who have an issue of their own; the rest share one."""

ADVICE = {
    "possible duplicate": "merge it with its twin, or close it",
    "stale deal": "close it, or say what happens next",
    "close date in the past": "give it a date that can be met",
    "default close date": "replace the CRM's default by a date that was thought about",
    "amount out of line": "check the amount",
    "no amount": "fill in the amount",
    "stage and history disagree": "mend the stage, or export table and history together",
    "owner has left": "give it to a rep who is here",
    "account without owner": "give it an owner",
    "possible duplicate account": "merge it with its twin",
    "spike of creation": "say whether these rows were imported on one day; their age is then not the real one",
}
"""What to do, by rule, in the order of the rules."""

type Found = Iterable[pd.DataFrame]


def find_suspects(tables: Tables) -> pd.DataFrame:
    """Every finding in cut tables, by rule, the most money first.

    Returns
    -------
    frame with `COLUMNS`; a row may have several findings, one each
    """
    rules: tuple[Callable[[Tables], Found], ...] = (_of_deals, _spikes, _of_accounts)
    parts = [part for rule in rules for part in rule(tables) if len(part)]
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["rule", "table", "id", "owner"])
    if frame.empty:
        return pd.DataFrame(columns=COLUMNS)
    frame = frame.assign(action=frame["rule"].map(ADVICE), owner=frame["owner"].fillna(OPERATIONS))
    frame["value_at_stake"] = frame["value_at_stake"].astype("float64").round(2)
    rank = {rule: i for i, rule in enumerate(ADVICE)}
    order = frame.assign(_rule=frame["rule"].map(rank), _value=-frame["value_at_stake"].fillna(0.0))
    return order.sort_values(["_rule", "_value", "table", "id"], kind="stable", ignore_index=True)[COLUMNS]


def suspect_issues(suspects: pd.DataFrame) -> list[DataIssue]:
    """The findings as rows of data_issues.csv: one a rule and owner, the owners with the least at stake together."""
    issues = []
    for (rule, table), rows in suspects.groupby(["rule", "table"], sort=False):
        worth = rows.groupby("owner")["value_at_stake"].sum().sort_values(ascending=False, kind="stable")
        first = worth.index[:OWNERS_SHOWN]
        groups = [(owner, rows[rows["owner"] == owner]) for owner in first]
        rest = rows[~rows["owner"].isin(first)]
        if len(rest):
            groups.append((OPERATIONS, rest))
        for owner, part in groups:
            others = f" of {part['owner'].nunique()} further owners" if part is rest else ""
            action = f"{len(part):,} rows{others}; kept as they are; {ADVICE[str(rule)]}; suspects.csv lists them"
            value = float(part["value_at_stake"].sum(min_count=1))
            issues.append(DataIssue(str(table), "", str(rule), "warning", str(owner), value, action))
    return issues


def _finding(rule: str, table: str, rows: pd.DataFrame, owner: str = "rep") -> pd.DataFrame:
    columns = {"rule": rule, "table": table, "id": rows["id"], "owner": rows[owner], "value_at_stake": rows["worth"]}
    return pd.DataFrame(columns)


def _open_deals(tables: Tables) -> pd.DataFrame:
    """Open deals with every optional column, ``worth``, ``age`` in days and ``moved``, the last day of a change."""
    deals = tables.frames["opportunities"].assign(worth=deal_worth(tables.frames))
    names = ("account", "product", "amount", "expected_close", "name")
    deals = deals.assign(**{name: column(deals, name) for name in names})
    opened = deals[deals["outcome"] == "open"].copy()
    day = pd.Timestamp(tables.as_of)
    opened["age"] = (day - opened["created"]).dt.days
    opened["moved"] = opened["created"]
    for name, stamp in (("stage_history", "date"), ("activities", "date")):
        rows = tables.frames.get(name)
        if rows is not None and "opportunity" in rows:
            last = opened["id"].map(rows.groupby("opportunity")[stamp].max())
            opened["moved"] = opened["moved"].where(~(last > opened["moved"]), last)
    return opened


def _of_deals(tables: Tables) -> Found:
    if "opportunities" not in tables.frames:
        return
    deals, opened, day = tables.frames["opportunities"], _open_deals(tables), pd.Timestamp(tables.as_of)
    table = "opportunities"
    yield _finding("possible duplicate", table, opened[_twins(opened)])
    closed = deals[deals["outcome"] != "open"]
    cycle = (closed["closed"] - closed["created"]).dt.days.dropna()
    if len(cycle) >= ENOUGH:
        old = opened["age"] > cycle.quantile(STALE_QUANTILE)
        yield _finding("stale deal", table, opened[old & ((day - opened["moved"]).dt.days > STALE_DAYS)])
    yield _finding("close date in the past", table, opened[opened["expected_close"] < day])
    default = _default_close(opened)
    yield _finding("default close date", table, opened[default])
    if deals.get("amount", pd.Series(dtype=float)).notna().any() and "amount" not in tables.barred:
        yield _finding("no amount", table, opened[~(opened["amount"] > 0)])
        yield _finding("amount out of line", table, opened[_out_of_line(deals, opened)])
    history = tables.frames.get("stage_history")
    if history is not None:
        last = history.sort_values("date", kind="stable").groupby("opportunity")["stage"].last()
        said = opened["id"].map(last)
        yield _finding("stage and history disagree", table, opened[said.notna() & (said != opened["stage"])])
    yield _finding("owner has left", table, opened[members(opened["rep"], _gone(tables))])


def _twins(opened: pd.DataFrame) -> pd.Series:
    """[open deal] an earlier one of the same account, product and amount was created within `DUPLICATE_DAYS`."""
    keys = ["account", "product", "amount"]
    known = opened[opened[["account", "amount"]].notna().all(axis=1) & opened["created"].notna()]
    ordered = known.sort_values([*keys, "created", "id"], kind="stable")
    same = pd.Series(True, index=ordered.index)
    for key in keys:
        before = ordered[key].shift()
        same &= (ordered[key] == before) | (ordered[key].isna() & before.isna())
    near = (ordered["created"] - ordered["created"].shift()).dt.days <= DUPLICATE_DAYS
    twin = same & near
    twin.iloc[:1] = False
    return twin.reindex(opened.index, fill_value=False).astype(bool)


def _default_close(opened: pd.DataFrame) -> pd.Series:
    """[open deal] expected to close on the last day of its month of creation, where that is no accident.

    HubSpot fills in that day. It is called a default when it is far more frequent than one day in thirty among the open
    deals with a date.
    """
    dated = opened["expected_close"].notna() & opened["created"].notna()
    default = dated & (opened["expected_close"] == opened["created"] + pd.offsets.MonthEnd(0))
    count, hits = int(dated.sum()), int(default.sum())
    accident = count < ENOUGH or stats.binom.sf(hits - 1, count, 1 / 15) > CHANCE
    return default & (not accident)


def _out_of_line(deals: pd.DataFrame, opened: pd.DataFrame) -> pd.Series:
    """[open deal] amount far from those of its product (of all deals where a product has few), on the log scale."""
    log = np.log(deals["amount"].where(deals["amount"] > 0))
    product = column(deals, "product").fillna("")
    frequent = product.map(log.groupby(product).count()) >= ENOUGH
    group = product.where(frequent, "")
    middle = log.groupby(group).transform("median")
    scale = 1.4826 * (log - middle).abs().groupby(group).transform("median")
    enough = log.groupby(group).transform("count") >= ENOUGH
    far = enough & (scale > 0) & ((log - middle).abs() > FAR * scale)
    return far.reindex(opened.index).astype(bool)


def _gone(tables: Tables) -> pd.Series:
    """Reps who have left by the date."""
    reps = tables.frames.get("reps")
    if reps is None or "end" not in reps:
        return pd.Series(dtype="str")
    return reps.loc[reps["end"] <= pd.Timestamp(tables.as_of), "id"]


def _spikes(tables: Tables) -> Found:
    """Open deals created on a day on which far more were created than on a busy one."""
    if "opportunities" not in tables.frames:
        return
    deals = tables.frames["opportunities"]
    counts = deals["created"].value_counts()
    if len(counts) < ENOUGH:
        return
    busy = float(counts.quantile(0.95))
    improbable = stats.poisson.sf(counts - 1, max(busy, 1.0)) < CHANCE
    days = counts.index[(counts > SPIKE * busy) & improbable]
    opened = _open_deals(tables)
    yield _finding("spike of creation", "opportunities", opened[opened["created"].isin(days)])


def _of_accounts(tables: Tables) -> Found:
    """Accounts without an owner, of owners who have left, and with the name of another account."""
    accounts = tables.frames.get("accounts")
    if accounts is None:
        return
    history = tables.frames.get("account_owners")
    owner = column(accounts, "owner")
    if history is None and owner.isna().all():
        return  # a company that does not record owners: `engine.data.entities` infers them
    if history is not None:
        valid = history[history["valid_from"] <= pd.Timestamp(tables.as_of)].sort_values("valid_from", kind="stable")
        owner = accounts["id"].map(valid.groupby("account")["rep"].last()).fillna(owner)
    rows = accounts.assign(owner=owner, worth=accounts["id"].map(_pipeline(tables)).fillna(0.0))
    yield _finding("account without owner", "accounts", rows[rows["owner"].isna()], "owner")
    yield _finding("owner has left", "accounts", rows[members(rows["owner"], _gone(tables))], "owner")
    if "name" in rows:
        plain = rows["name"].str.casefold().str.replace(r"[^\w]+", " ", regex=True).str.strip()
        twin = plain.notna() & (plain != "") & plain.duplicated()
        yield _finding("possible duplicate account", "accounts", rows[twin], "owner")


def _pipeline(tables: Tables) -> pd.Series:
    """Open pipeline by account."""
    deals = tables.frames.get("opportunities")
    if deals is None or "account" not in deals:
        return pd.Series(dtype="float64")
    worth = deal_worth(tables.frames).where(deals["outcome"] == "open", 0.0)
    return worth.groupby(deals["account"]).sum()
