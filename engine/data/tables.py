"""The company's tables after reading: typed frames in our column names, and what the audit said about them."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from engine.data.issues import DataIssue
from engine.data.schema import COLUMNS, empty_values


@dataclass(frozen=True)
class StageOrder:
    """Stages in order.

    Attributes
    ----------
    meaning : stage name to "open", "won" or "lost", in the order of the sales process
    unknown : open stage that stands in where the stage at a date is not on record: the most frequent one
    """

    meaning: dict[str, str]
    unknown: str

    @property
    def open(self) -> tuple[str, ...]:
        """Names of the open stages, in order."""
        return tuple(name for name, meaning in self.meaning.items() if meaning == "open")


@dataclass(frozen=True)
class Tables:
    """Checked tables.

    Attributes
    ----------
    frames : by table name, in our column names; ids are texts, dates ``datetime64[us]`` days, amounts floats
    issues : what the audit found
    stages : order and meaning of the stages
    barred : attributes of opportunities whose presence goes with the outcome
    digests : by table name, sha256 of the source
    known_until : last day the export speaks of; attributes without a time stamp are of this day
    as_of : day up to which (inclusive) the frames speak
    kept : by table name, columns of the export that go back to the CRM as they came, [row] as in the export
    """

    frames: dict[str, pd.DataFrame]
    issues: tuple[DataIssue, ...]
    stages: StageOrder
    barred: tuple[str, ...]
    digests: dict[str, str]
    known_until: np.datetime64
    as_of: np.datetime64
    kept: dict[str, pd.DataFrame] = field(default_factory=dict)


EVENT_DATES = {
    "opportunities": ("created", "closed"),
    "stage_history": ("date",),
    "bookings": ("date",),
    "rep_forecasts": ("as_of",),
}
"""Columns that say when something happened (plans and expectations are not events)."""


def event_span(frames: dict[str, pd.DataFrame]) -> tuple[np.datetime64, np.datetime64]:
    """First and last day on which anything happened; both NaT when nothing did."""
    days = [
        frames[table][column].dropna()
        for table, columns in EVENT_DATES.items()
        for column in columns
        if table in frames and column in frames[table]
    ]
    known = [day for day in days if len(day)]
    if not known:
        return np.datetime64("NaT", "D"), np.datetime64("NaT", "D")
    first, last = min(day.min() for day in known), max(day.max() for day in known)
    return np.datetime64(first, "D"), np.datetime64(last, "D")


def members(values: pd.Series, known: pd.Series) -> pd.Series:
    """[row] true where a text is among others; long columns are reduced to their distinct values first."""
    return values.isin(known.dropna().drop_duplicates().tolist())


def seen_accounts(frames: dict[str, pd.DataFrame], tables: tuple[str, ...]) -> pd.Series:
    """Distinct accounts that some tables name."""
    parts = [
        frames[name]["account"].drop_duplicates() for name in tables if name in frames and "account" in frames[name]
    ]
    return pd.concat(parts).dropna().drop_duplicates() if parts else pd.Series(dtype="str")


def seen_reps(frames: dict[str, pd.DataFrame]) -> pd.Series:
    """Distinct reps with a deal or a booking."""
    named = [frames[name]["rep"] for name in ("opportunities", "bookings") if name in frames and "rep" in frames[name]]
    return (
        pd.concat([part.drop_duplicates() for part in named]).dropna().drop_duplicates()
        if named
        else pd.Series(dtype="str")
    )


def column(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column, or missing values of the right type when the table has none."""
    if name in frame:
        return frame[name]
    kind = next(columns[name].kind for columns in COLUMNS.values() if name in columns)
    return empty_values(kind, frame.index)
