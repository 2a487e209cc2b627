"""What refuses a run although every single cell is readable: contradictions within a row and between tables."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from rapidfuzz import process

from engine.data.cells import is_empty
from engine.data.complaints import ROWS_SHOWN, refuse_rows, shown
from engine.data.schema import COLUMNS
from engine.data.sources import SourceTable
from engine.data.tables import StageOrder, column, event_span, members
from engine.errors import Problem

UNIQUE = ("opportunities", "accounts", "reps", "territories", "products", "leads")
"""Tables whose `id` may occur once only."""

NEAR = 75.0
"""Similarity (0 to 100) from which a known value is suggested for an unknown one."""

type Sources = Mapping[str, SourceTable]
type Frames = Mapping[str, pd.DataFrame]


def nearest(value: str, known: list[str]) -> str | None:
    """Known value most like an unknown one, None when none is near; case does not count."""
    found = process.extractOne(value, known, processor=str.casefold, score_cutoff=NEAR)
    return str(found[0]) if found else None


def check(sources: Sources, frames: Frames, stages: StageOrder) -> list[Problem]:
    """Problems that refuse the run, in the order of tables and rules.

    Parameters
    ----------
    sources, frames : tables as read and as typed, with the same row labels
    stages : known stages
    """
    problems = [problem for name in sources for problem in _duplicates(sources[name], frames[name])]
    problems += [problem for name in sources for problem in _unknown_reps(sources, frames, name)]
    if "opportunities" in sources:
        problems += _stage_problems(sources["opportunities"], frames["opportunities"], stages)
        problems += _deal_problems(sources["opportunities"], frames, stages)
    if "stage_history" in sources:
        problems += _stage_problems(sources["stage_history"], frames["stage_history"], stages)
    if "quotas" in sources:
        problems += _quotas_without_key(sources["quotas"], frames["quotas"])
        problems += _overlapping_quotas(sources["quotas"], frames["quotas"])
    for name, first, last in (("reps", "start", "end"), ("quotas", "start", "end"), ("contracts", "start", "end")):
        if name in sources and {first, last} <= set(frames[name]):
            frame = frames[name]
            problems += _order(sources[name], frame, (first, last))
    return problems


def unusable(sources: Sources, frames: Frames) -> list[Problem]:
    """Reasons why tables that are right as they are hold nothing to forecast."""
    if np.isnat(event_span(dict(frames))[1]):
        came, mend = "no dated deal or booking", "add opportunities or bookings with dates"
        return [Problem("data.tables", came, "a table that says what happened when", mend)]
    if "opportunities" in frames or "bookings" not in frames or column(frames["bookings"], "account").notna().any():
        return []
    header = sources["bookings"].theirs.get("account", "account")
    return [
        Problem(
            f"{sources['bookings'].file}, column {header!r}",
            "no account in any row",
            "accounts in the only table of revenue: the bookings leg works account by account",
            "add the customer of every row, or an opportunities table",
        )
    ]


def _duplicates(table: SourceTable, frame: pd.DataFrame) -> list[Problem]:
    if table.name not in UNIQUE:
        return []
    again = frame["id"].duplicated() & frame["id"].notna()
    if not again.any():
        return []
    rows = pd.Series(frame.index, index=frame.index)
    first = rows.groupby(frame["id"]).transform("min")
    came = frame.loc[again, "id"].map(shown) + first[again].map(lambda row: f", which row {table.line(row)} has too")
    return refuse_rows(table, "id", again, came=came, allowed="each id once", mend="take one of the rows out")


def _unknown_reps(sources: Sources, frames: Frames, name: str) -> list[Problem]:
    """Cells that name a rep who is not in the reps table."""
    if "reps" not in sources:
        return []
    known = frames["reps"]["id"].dropna().unique().tolist()
    problems = []
    for ours in sources[name].theirs:
        quota = (name, ours) == ("quotas", "key")
        if COLUMNS[name][ours].refers != "reps" and not quota:
            continue
        values = frames[name][ours]
        bad = values.notna() & ~values.isin(known)
        if quota:
            bad &= frames[name]["level"] == "rep"
        came = _with_hints(values[bad], known)
        mend = f"add the rep to {sources['reps'].file}, or use data.replace"
        allowed = f"one of the {len(known)} reps in {sources['reps'].file}"
        problems += refuse_rows(sources[name], ours, bad, came=came, allowed=allowed, mend=mend)
    return problems


def _with_hints(values: pd.Series, known: list[str]) -> pd.Series:
    """Words for unknown values: as they are, and the known value near the ones that will be listed."""
    hints = {value: nearest(value, known) for value in values.iloc[:ROWS_SHOWN].unique()}
    return values.map(lambda value: shown(value) + (f" (near {hints[value]!r})" if hints.get(value) else ""))


def _stage_problems(table: SourceTable, frame: pd.DataFrame, stages: StageOrder) -> list[Problem]:
    known = list(stages.meaning)
    bad = frame["stage"].notna() & ~frame["stage"].isin(known)
    came = _with_hints(frame["stage"][bad], known)
    mend = "add it to stages, or use data.replace"
    return refuse_rows(table, "stage", bad, came=came, allowed="one of " + ", ".join(known), mend=mend)


def _deal_problems(table: SourceTable, frames: Frames, stages: StageOrder) -> list[Problem]:
    """Deals that contradict themselves."""
    frame = frames["opportunities"]
    closed = frame["outcome"].isin(["won", "lost"])
    bad = closed & is_empty(table.frame["closed"])
    came = frame["outcome"][bad].map("an empty cell on a deal that is {}".format)
    mend = "fill in the day it was won or lost"
    problems = refuse_rows(table, "closed", bad, came=came, allowed="a date on every closed deal", mend=mend)
    problems += _order(table, frame[closed], ("created", "closed"))
    return problems + _contradictions(table, frame, stages) + _won_for_nothing(table, frames)


def _contradictions(table: SourceTable, frame: pd.DataFrame, stages: StageOrder) -> list[Problem]:
    """Outcomes given that are not what the stage means."""
    if "outcome" not in table.frame:
        return []
    meaning = frame["stage"].map(stages.meaning)
    bad = meaning.notna() & frame["outcome"].notna() & (meaning != frame["outcome"])
    came = frame["outcome"][bad].map(shown) + frame["stage"][bad].map(" in stage {!r}".format)
    mend = "mend the row, or the meaning of the stage in stages"
    return refuse_rows(table, "outcome", bad, came=came, allowed="the outcome that the stage means", mend=mend)


def _won_for_nothing(table: SourceTable, frames: Frames) -> list[Problem]:
    """Won deals whose amount stands nowhere."""
    frame = frames["opportunities"]
    money = [name for name in ("won_amount", "amount") if name in table.frame]
    bad = frame["outcome"] == "won"
    for name in money:
        bad &= is_empty(table.frame[name])
    if "bookings" in frames and "opportunity" in frames["bookings"]:
        bad &= ~members(frame["id"], frames["bookings"]["opportunity"])
    came = frame["id"][bad].map("no amount on won deal {!r}".format)
    allowed = "an amount on every won deal (won_amount, amount, or bookings that name it)"
    return refuse_rows(table, [*money, "id"][0], bad, came=came, allowed=allowed, mend="fill in what was booked")


def _quotas_without_key(table: SourceTable, frame: pd.DataFrame) -> list[Problem]:
    """Quotas of a level below the company that do not say whose."""
    keys = frame["key"] if "key" in frame else pd.Series(np.nan, index=frame.index, dtype="str")
    bad = keys.isna() & frame["level"].notna() & (frame["level"] != "company")
    came = frame["level"][bad].map("no key on a quota of level {!r}".format)
    return refuse_rows(table, "key", bad, came=came, allowed="the id it is for", mend="fill it in, or make it company")


def _overlapping_quotas(table: SourceTable, frame: pd.DataFrame) -> list[Problem]:
    """Quotas of one level and key that share days: they would be added up."""
    if "end" not in frame:
        return []
    company = frame["level"] == "company"
    whose = frame.assign(key=column(frame, "key").mask(company, "").astype("str"))
    rows = whose[whose["key"].notna() & whose["level"].notna() & (frame["start"] <= frame["end"])]
    rows = rows.sort_values(["level", "key", "start"], kind="stable")
    groups = [rows["level"], rows["key"]]
    latest = rows.groupby(groups)["end"].cummax()
    reaching = pd.Series(rows.index, index=rows.index, dtype="float64").where(rows["end"] == latest)
    other = reaching.groupby(groups).ffill().groupby(groups).shift()
    bad = rows["start"] <= latest.groupby(groups).shift()
    came = pd.Series(
        [
            f"{_quota(rows, row)}, which shares days with row {table.line(other[row])}: {_quota(rows, other[row])}"
            for row in rows.index[bad]
        ],
        index=rows.index[bad],
        dtype="str",
    )
    bad = bad.reindex(frame.index, fill_value=False)
    mend = "take one of the two out, or mend their days (or the period of the table): quotas of one key are added up"
    return refuse_rows(table, "start", bad, came=came, allowed="one quota of a level and key for any day", mend=mend)


def _quota(rows: pd.DataFrame, row: float) -> str:
    """A quota in words."""
    level, key, start, end = rows.loc[row, ["level", "key", "start", "end"]]
    return f"{level}{f' {shown(key)}' if key else ''} from {start:%Y-%m-%d} to {end:%Y-%m-%d}"


def _order(table: SourceTable, frame: pd.DataFrame, names: tuple[str, str]) -> list[Problem]:
    """Rows whose second date lies before the first."""
    first, last = names
    bad = frame[last] < frame[first]
    came = frame[last][bad].dt.strftime("%Y-%m-%d") + frame[first][bad].dt.strftime(f", before {first} on %Y-%m-%d")
    mend = "mend one of the two dates"
    return refuse_rows(table, last, bad, came=came, allowed=f"a day on or after {first!r}", mend=mend)


def unknown_values(frame: pd.DataFrame, name: str, known: pd.Series) -> pd.Series:
    """[value] rows per value that a column names and ``known`` does not have, most frequent first, then by value."""
    values = frame[name]
    counts = values[values.notna() & ~members(values, known)].value_counts().astype(np.int64)
    return counts.sort_index().sort_values(ascending=False, kind="stable")
