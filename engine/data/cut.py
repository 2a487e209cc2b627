"""Takes tables back to a date: what was known later is gone.

The rule this module keeps: cutting at a date and then at an earlier one is cutting at the earlier one, and no event
after the date is left (``tests/test_data_cut.py``). Attributes without a time stamp that change over a deal's life
(stage, expected close, forecast category) are those of the export, not of an earlier date: without a history they
become unknown on every deal open at the date, whether or not it closed later, so that their presence says nothing.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from engine.config.schema import RunConfig
from engine.data.issues import OPERATIONS, DataIssue, sample
from engine.data.tables import StageOrder, Tables, column, event_span, members, seen_accounts, seen_reps
from engine.errors import InputRefusedError, Problem


def as_of_date(tables: Tables, config: RunConfig) -> np.datetime64:
    """As-of date of a run: the config's, or the last day the export speaks of.

    Raises
    ------
    InputRefusedError
        When the date lies before anything in the tables.
    """
    if config.as_of == "latest":
        return tables.known_until
    as_of = np.datetime64(config.as_of, "D")
    first = event_span(tables.frames)[0]
    if as_of < first:
        allowed = f"a date from {first} on, the first day in the tables"
        raise InputRefusedError([Problem("config, as_of", str(as_of), allowed, "take a later date")])
    return as_of


def cut(tables: Tables, as_of: np.datetime64) -> Tables:
    """Tables as they could have been known at the end of a day.

    Later deals, bookings, stage changes and calls are gone; deals closed later are open again, with stage, expected
    close and amount of the date where there is a history. Quotas stay: plans are known ahead. Known future moves of
    accounts, hires and leavers stay only when the date is not before the end of the export: earlier, nobody can tell
    which of them were known.

    Parameters
    ----------
    as_of : the date, inclusive
    """
    day = pd.Timestamp(as_of)
    past = bool(as_of < tables.known_until)
    frames = dict(tables.frames)
    for name, stamp in (("bookings", "date"), ("rep_forecasts", "as_of"), ("stage_history", "date")):
        if name in frames:
            frames[name] = frames[name][frames[name][stamp] <= day]
    if "opportunities" in frames:
        frames["opportunities"] = _deals(frames, tables, day, past)
        if "stage_history" in frames:
            history = frames["stage_history"]
            frames["stage_history"] = history[members(history["opportunity"], frames["opportunities"]["id"])]
    if past and "account_owners" in frames:
        history = frames["account_owners"]
        frames["account_owners"] = history[history["valid_from"] <= day]
        if "accounts" in frames:
            frames["accounts"] = _accounts(frames, history)
    if past and "reps" in frames:
        frames["reps"] = _reps(frames, day)
    issues = _issues(tables, frames, past)
    rules = {issue.rule for issue in issues}
    return replace(
        tables,
        frames={name: frame.reset_index(drop=True) for name, frame in frames.items()},
        issues=(*(issue for issue in tables.issues if issue.rule not in rules), *issues),
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
            elif name in deals and name != "amount":
                deals[name] = deals[name].mask(opened)
    return deals


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
    """Accounts known by the date: those whose first owner came later, and that nobody dealt with before, are not."""
    accounts = frames["accounts"]
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


def _issues(tables: Tables, frames: dict[str, pd.DataFrame], past: bool) -> list[DataIssue]:
    """Findings that depend on the date."""
    issues = []
    nan = float("nan")
    rows = unplaced_accounts(frames) if "accounts" in frames else pd.Series(dtype=bool)
    if rows.any():
        action = (
            f"{int(rows.sum()):,} accounts have no owner, no territory and no deal or booking by the as-of date "
            f"({sample(frames['accounts']['id'][rows])}): nothing says where they belong, so they are not assigned; "
            "give them an owner or a territory"
        )
        issues.append(
            DataIssue("accounts", "", "account without owner, territory or sale", "note", OPERATIONS, 0.0, action)
        )
    if past and "opportunities" in frames:
        history = frames.get("stage_history")
        held = [
            name
            for name in ("stage", "expected_close", "category")
            if name in frames["opportunities"] and (history is None or name not in history)
        ]
        if held:
            action = (
                f"{' and '.join(held)} of open deals are as at the export ({tables.known_until}), not as of the date: "
                "unknown; give a stage_history, or an export of the as-of date"
            )
            issues.append(DataIssue("opportunities", "", "state of a later date", "note", OPERATIONS, nan, action))
    if past and "account_owners" not in frames and "accounts" in frames and "owner" in frames["accounts"]:
        action = f"owners are those at the export ({tables.known_until}), not as of the date; give account_owners"
        issues.append(DataIssue("accounts", "", "owner of a later date", "warning", OPERATIONS, nan, action))
    return issues
