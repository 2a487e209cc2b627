"""Takes tables back to a date: what was known later is gone.

The rule this module keeps: cutting at a date and then at an earlier one is cutting at the earlier one, and no event
after the date is left (``tests/test_data_cut.py``). Attributes without a time stamp that change over a deal's life
(stage, expected close, forecast category) are those of the export, not of an earlier date: without a history they
become unknown on every deal open at the date, whether or not it closed later, so that their presence says nothing.
So does the amount where the same column says what was booked, and then no deal's amount is shown to the models: one
that is known of closed deals only is what they were won for.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from engine.config.schema import RunConfig
from engine.data.issues import OPERATIONS, DataIssue, sample
from engine.data.tables import StageOrder, Tables, column, event_span, members, seen_accounts, seen_reps
from engine.errors import InputRefusedError, Problem

SILENCE_NAMED = np.timedelta64(7, "D")
"""Days without data up to the as-of date from which on they are named: deals only look idle in them."""

DATED = {
    "bookings": "date",
    "rep_forecasts": "as_of",
    "stage_history": "date",
    "leads": "created",
    "activities": "date",
    "contracts": "start",
    "rep_hours": "month",
}
"""Tables whose rows are known from a day on, and the column that says it."""

SILENCE_REFUSED = np.timedelta64(31, "D")
"""Days without data up to the as-of date from which on the run is refused."""


def as_of_date(tables: Tables, config: RunConfig) -> np.datetime64:
    """As-of date of a run: the config's, or the last day the export speaks of.

    Raises
    ------
    InputRefusedError
        When the date lies before anything in the tables, more than `SILENCE_REFUSED` after everything, or when no day
        of the horizons is left after it.
    """
    latest = config.as_of == "latest"
    as_of = tables.known_until if latest else np.datetime64(config.as_of, "D")
    first, last = event_span(tables.frames)
    came = f"{as_of} (latest: the last day in the tables)" if latest else str(as_of)
    end = max(config.horizon.end, config.planning_horizon.end)
    wrong = []
    if as_of < first:
        wrong.append((f"a date from {first} on, the first day in the tables", "take a later date"))
    if as_of > last + SILENCE_REFUSED:
        allowed = f"a date up to {last + SILENCE_REFUSED}: the last event in the tables is of {last}"
        wrong.append((allowed, "take an earlier date, or export the tables again"))
    if as_of >= np.datetime64(end, "D"):
        allowed = f"a date before {end}, the end of the horizon: nothing is left to forecast"
        wrong.append((allowed, "take an earlier date, or a later horizon.start"))
    if wrong:
        raise InputRefusedError([Problem("config, as_of", came, allowed, mend) for allowed, mend in wrong])
    return as_of


def cut(tables: Tables, as_of: np.datetime64) -> Tables:
    """Tables as they could have been known at the end of a day.

    Later deals, bookings, stage changes and calls are gone; deals closed later are open again, with stage, expected
    close and amount of the date where there is a history. Quotas stay: plans are known ahead. Known future moves of
    accounts, hires and leavers stay only when the date is not before the end of the export: earlier, nobody can tell
    which of them were known. Nor are the owners in the accounts table those of the date where account_owners has some.

    Parameters
    ----------
    as_of : the date, inclusive
    """
    day = pd.Timestamp(as_of)
    past = bool(as_of < tables.known_until)
    frames = dict(tables.frames)
    for name, stamp in DATED.items():
        if name in frames:
            frames[name] = frames[name][frames[name][stamp] <= day]
    if "opportunities" in frames:
        frames["opportunities"] = _deals(frames, tables, day, past)
        if "stage_history" in frames:
            history = frames["stage_history"]
            frames["stage_history"] = history[members(history["opportunity"], frames["opportunities"]["id"])]
    if "leads" in frames:
        frames["leads"] = _leads(frames, day)
    if past and "account_owners" in frames:
        history = frames["account_owners"]
        frames["account_owners"] = history[history["valid_from"] <= day]
        if "accounts" in frames:
            frames["accounts"] = _accounts(frames, history)
    if past and "reps" in frames:
        frames["reps"] = _reps(frames, day)
    issues = _issues(tables, frames, as_of)
    rules = {issue.rule for issue in issues}
    return replace(
        tables,
        frames={name: frame.reset_index(drop=True) for name, frame in frames.items()},
        issues=(*(issue for issue in tables.issues if issue.rule not in rules), *issues),
        barred=_barred(tables, frames, past),
        known_until=min(tables.known_until, as_of),
        as_of=as_of,
    )


def _deals(frames: dict[str, pd.DataFrame], tables: Tables, day: pd.Timestamp, past: bool) -> pd.DataFrame:
    """Deals created by the day, as they stood."""
    deals = frames["opportunities"]
    deals = deals[deals["created"].isna() | (deals["created"] <= day)].copy()
    later = deals["closed"] > day
    deals["closed"] = deals["closed"].mask(later)
    deals["outcome"] = deals["outcome"].mask(later, "open")
    opened = deals["outcome"] == "open"
    if "won_amount" in deals:
        deals["won_amount"] = deals["won_amount"].mask(opened)
    if "amount" in deals and "amount" in tables.barred:
        deals["amount"] = deals["amount"].mask(opened)
    if past:
        history = frames.get("stage_history")
        deals["stage"] = deals["stage"].mask(opened, _stage_then(deals, history, tables.stages))
        for name in ("expected_close", "category", "amount"):
            if name in deals and history is not None and name in history:
                deals[name] = deals[name].mask(opened, _last_value(deals, history, name))
            elif name in deals and (name != "amount" or "won_amount" not in deals):
                deals[name] = deals[name].mask(opened)
    return deals


def _leads(frames: dict[str, pd.DataFrame], day: pd.Timestamp) -> pd.DataFrame:
    """Leads created by the day, without touches, qualifications and opportunities that came later."""
    leads = frames["leads"].copy()
    for name in ("first_touch", "qualified"):
        if name in leads:
            leads[name] = leads[name].mask(leads[name] > day)
    if "opportunity" in leads and "opportunities" in frames:
        leads["opportunity"] = leads["opportunity"].where(members(leads["opportunity"], frames["opportunities"]["id"]))
    return leads


def _of_the_export(frames: dict[str, pd.DataFrame]) -> list[str]:
    """Attributes of opportunities of which only the state at the export is on record."""
    deals, history = frames.get("opportunities", pd.DataFrame()), frames.get("stage_history", pd.DataFrame())
    names = ["stage", "expected_close", "category"] + (["amount"] if "won_amount" not in deals else [])
    return [name for name in names if name in deals and name not in history]


def _barred(tables: Tables, frames: dict[str, pd.DataFrame], past: bool) -> tuple[str, ...]:
    """Barred attributes: in a past cut also an amount that only closed deals still have."""
    later = past and "amount" in _of_the_export(frames) and "amount" not in tables.barred
    return (*tables.barred, "amount") if later else tables.barred


def _stage_then(deals: pd.DataFrame, history: pd.DataFrame | None, stages: StageOrder) -> pd.Series:
    """Last open stage on record of every deal, else the stage that stands in."""
    nowhere = pd.Series(stages.unknown, index=deals.index, dtype="str")
    if history is None:
        return nowhere
    return _last_value(deals, history[history["stage"].isin(stages.open)], "stage").fillna(nowhere)


def _last_value(deals: pd.DataFrame, history: pd.DataFrame, name: str) -> pd.Series:
    """Last value on record in a cut history of every deal."""
    known = history[history[name].notna()].sort_values("date", kind="stable")
    return known.groupby("opportunity")[name].last().reindex(deals["id"]).set_axis(deals.index)


def _accounts(frames: dict[str, pd.DataFrame], history: pd.DataFrame) -> pd.DataFrame:
    """Accounts known by the date, without the owners at the export: first owned and dealt with later, they are not."""
    accounts = frames["accounts"].copy()
    if "owner" in accounts:
        accounts["owner"] = np.nan
        accounts["owner"] = accounts["owner"].astype("str")
    later = members(accounts["id"], history["account"])
    return accounts[
        ~later | members(accounts["id"], seen_accounts(frames, ("account_owners", "opportunities", "bookings")))
    ]


def _reps(frames: dict[str, pd.DataFrame], day: pd.Timestamp) -> pd.DataFrame:
    """Reps hired by the day (or seen selling by then); who left later has not left yet."""
    reps = frames["reps"].copy()
    reps = reps[~(column(reps, "start") > day) | members(reps["id"], seen_reps(frames))]
    if "end" in reps:
        reps = reps.assign(end=reps["end"].mask(reps["end"] > day))
    return reps


def unplaced_accounts(frames: dict[str, pd.DataFrame]) -> pd.Series:
    """[account row] true where nothing says whose an account could be: no owner, territory, deal or booking."""
    accounts = frames["accounts"]
    known = members(accounts["id"], seen_accounts(frames, ("opportunities", "bookings", "account_owners")))
    return ~known & column(accounts, "owner").isna() & column(accounts, "territory").isna()


def _issues(tables: Tables, frames: dict[str, pd.DataFrame], as_of: np.datetime64) -> list[DataIssue]:
    """Findings that depend on the date."""
    issues = _unplaced(frames)
    if as_of < tables.known_until:
        issues += _later_state(tables, frames) + _later_owners(tables, frames)
    return issues + _future_moves(frames, as_of) + _silence(tables, as_of)


def _unplaced(frames: dict[str, pd.DataFrame]) -> list[DataIssue]:
    """Accounts that belong nowhere."""
    rows = unplaced_accounts(frames) if "accounts" in frames else pd.Series(dtype=bool)
    if not rows.any():
        return []
    action = (
        f"{int(rows.sum()):,} accounts have no owner, no territory and no deal or booking by the as-of date "
        f"({sample(frames['accounts']['id'][rows])}): nothing says where they belong, so they are not assigned; "
        "give them an owner or a territory"
    )
    return [DataIssue("accounts", "", "account without owner, territory or sale", "note", OPERATIONS, 0.0, action)]


def _later_state(tables: Tables, frames: dict[str, pd.DataFrame]) -> list[DataIssue]:
    """Attributes of open deals that only the export knows."""
    held = _of_the_export(frames)
    if not held:
        return []
    action = (
        f"{' and '.join(held)} of open deals are as at the export ({tables.known_until}), not as of the date: unknown"
        f"{' (the list price stands in for the amount of every deal)' if 'amount' in held else ''}; give a "
        "stage_history with them, or an export of the as-of date"
    )
    return [DataIssue("opportunities", "", "state of a later date", "note", OPERATIONS, float("nan"), action)]


def _later_owners(tables: Tables, frames: dict[str, pd.DataFrame]) -> list[DataIssue]:
    """Owners that only the export knows: used where there is nothing better."""
    if "owner" not in tables.frames.get("accounts", ()):
        return []
    dated = f"owners in the accounts table are those at the export ({tables.known_until}), not as of the date"
    severity: Literal["warning", "note"] = "warning"
    action = f"{dated}; give account_owners"
    if "account_owners" in frames:
        accounts = tables.frames["accounts"]
        owned = accounts.loc[accounts["owner"].notna() & members(accounts["id"], frames["accounts"]["id"]), "id"]
        count = int((~members(owned, frames["account_owners"]["account"])).sum())
        if count == 0:
            return []
        severity = "note"
        action = (
            f"{dated}, so they are not used: the owners of {count:,} accounts without a row in account_owners by then "
            "are inferred from their sales; complete account_owners"
        )
    return [DataIssue("accounts", "", "owner of a later date", severity, OPERATIONS, float("nan"), action)]


def _future_moves(frames: dict[str, pd.DataFrame], as_of: np.datetime64) -> list[DataIssue]:
    """Known moves of accounts after the date."""
    if "account_owners" not in frames:
        return []
    history = frames["account_owners"]
    moved = history.loc[history["valid_from"] > pd.Timestamp(as_of), "account"]
    if moved.empty:
        return []
    action = (
        f"future owner moves: not applied to this forecast: {len(moved):,} rows after {as_of} "
        f"({sample(sorted(moved.unique()))}); forecast again once they are in force"
    )
    nan = float("nan")
    return [DataIssue("account_owners", "", "future owner moves", "warning", OPERATIONS, nan, action)]


def _silence(tables: Tables, as_of: np.datetime64) -> list[DataIssue]:
    """Days up to the date of which the export knows nothing."""
    silent = as_of - tables.known_until
    if silent <= SILENCE_NAMED:
        return []
    action = (
        f"the last event in the tables is of {tables.known_until}, {silent.astype(int)} days before the as-of date "
        f"{as_of}: the days between count as days on which nothing was won, lost or booked; take as_of: latest, or "
        "export the tables again"
    )
    return [DataIssue("", "", "as-of date after the data", "warning", OPERATIONS, float("nan"), action)]
