"""What refuses a run although every single cell is readable: contradictions within a row and between tables."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from rapidfuzz import process

from engine.data.complaints import refuse_rows
from engine.data.schema import COLUMNS
from engine.data.sources import SourceTable
from engine.data.tables import StageOrder
from engine.errors import Problem

UNIQUE = ("opportunities", "accounts", "reps", "territories", "products")
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
        problems += _deal_problems(sources["opportunities"], frames)
    if "stage_history" in sources:
        problems += _stage_problems(sources["stage_history"], frames["stage_history"], stages)
    for name, first, last in (("reps", "start", "end"), ("quotas", "start", "end")):
        if name in sources and {first, last} <= set(frames[name]):
            frame = frames[name]
            problems += _order(sources[name], frame, (first, last))
    return problems


def _duplicates(table: SourceTable, frame: pd.DataFrame) -> list[Problem]:
    if table.name not in UNIQUE:
        return []
    again = frame["id"].duplicated() & frame["id"].notna()
    if not again.any():
        return []
    rows = pd.Series(frame.index, index=frame.index)
    first = rows.groupby(frame["id"]).transform("min")
    came = frame.loc[again, "id"].map(repr) + first[again].map(lambda row: f", which row {table.line(row)} has too")
    return refuse_rows(table, "id", again, came=came, allowed="each id once", mend="take one of the rows out")


def _unknown_reps(sources: Sources, frames: Frames, name: str) -> list[Problem]:
    """Cells that name a rep who is not in the reps table."""
    if "reps" not in sources:
        return []
    known = frames["reps"]["id"].dropna().unique().tolist()
    problems = []
    for column in frames[name]:
        quota = (name, column) == ("quotas", "key")
        if COLUMNS[name][column].refers != "reps" and not quota:
            continue
        values = frames[name][column]
        bad = values.notna() & ~values.isin(known)
        if quota:
            bad &= frames[name]["level"] == "rep"
        hints = {value: nearest(value, known) for value in values[bad].unique()}
        came = values[bad].map(lambda v, hints=hints: repr(v) + (f" (near {hints[v]!r})" if hints[v] else ""))
        mend = f"add the rep to {sources['reps'].file}, or use data.replace"
        allowed = f"one of the {len(known)} reps in {sources['reps'].file}"
        problems += refuse_rows(sources[name], column, bad, came=came, allowed=allowed, mend=mend)
    return problems


def _stage_problems(table: SourceTable, frame: pd.DataFrame, stages: StageOrder) -> list[Problem]:
    known = list(stages.meaning)
    bad = frame["stage"].notna() & ~frame["stage"].isin(known)
    hints = {value: nearest(value, known) for value in frame["stage"][bad].unique()}
    came = frame["stage"][bad].map(lambda v: repr(v) + (f" (near {hints[v]!r})" if hints[v] else ""))
    mend = "add it to stages, or use data.replace"
    return refuse_rows(table, "stage", bad, came=came, allowed="one of " + ", ".join(known), mend=mend)


def _deal_problems(table: SourceTable, frames: Frames) -> list[Problem]:
    """Deals that contradict themselves."""
    frame = frames["opportunities"]
    problems = _contradictions(table, frame)
    closed = frame["outcome"].isin(["won", "lost"])
    bad = closed & frame["closed"].isna()
    mend = "fill in the day it was won or lost"
    came = frame["outcome"][bad].map("an empty cell on a deal that is {}".format)
    problems += refuse_rows(table, "closed", bad, came=came, allowed="a date on every closed deal", mend=mend)
    problems += _order(table, frame.where(closed), ("created", "closed"))
    money = [frame[name] for name in ("won_amount", "amount") if name in frame]
    lacking = pd.Series(True, index=frame.index) if not money else pd.concat(money, axis=1).isna().all(axis=1)
    if "bookings" in frames and "opportunity" in frames["bookings"]:
        lacking &= ~frame["id"].isin(frames["bookings"]["opportunity"])
    readable = [table.frame[name].isna() | (table.frame[name].astype(object) == "") for name in ("won_amount", "amount")
                if name in frame]
    for empty in readable:
        lacking &= empty
    bad = lacking & (frame["outcome"] == "won")
    name = "won_amount" if "won_amount" in frame else "amount" if "amount" in frame else "id"
    came = frame["id"][bad].map("no amount on won deal {!r}".format)
    allowed = "an amount on every won deal (won_amount, amount, or bookings that name it)"
    return problems + refuse_rows(table, name, bad, came=came, allowed=allowed, mend="fill in what was booked")


def _contradictions(table: SourceTable, frame: pd.DataFrame) -> list[Problem]:
    """Outcomes given that are not what the stage means."""
    if "outcome" not in table.frame or "meaning" not in frame:
        return []
    bad = frame["meaning"].notna() & frame["outcome"].notna() & (frame["meaning"] != frame["outcome"])
    came = frame["outcome"][bad].map(repr) + frame["stage"][bad].map(" in stage {!r}".format)
    mend = "mend the row, or the meaning of the stage in stages"
    return refuse_rows(table, "outcome", bad, came=came, allowed="the outcome that the stage means", mend=mend)


def _order(table: SourceTable, frame: pd.DataFrame, names: tuple[str, str]) -> list[Problem]:
    """Rows whose second date lies before the first."""
    first, last = names
    bad = (frame[last] < frame[first]).fillna(False)
    came = frame[last][bad].dt.strftime("%Y-%m-%d") + frame[first][bad].dt.strftime(f", before {first} on %Y-%m-%d")
    mend = "mend one of the two dates"
    return refuse_rows(table, last, bad, came=came, allowed=f"a day on or after {first!r}", mend=mend)


def unknown_values(frame: pd.DataFrame, column: str, known: pd.Series) -> pd.Series:
    """[value] rows per value that a column names and ``known`` does not have, most frequent first, then by value."""
    values = frame[column]
    counts = values[values.notna() & ~values.isin(known)].value_counts().astype(np.int64)
    return counts.sort_index().sort_values(ascending=False, kind="stable")
