"""From cells to typed columns by the contract of `engine.data.schema`; every bad cell is reported."""

import datetime
import decimal
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from engine.data.cells import COMMA_NUMBER, FALSE, NUMBER, TRUE, is_empty, texts_of
from engine.data.complaints import ROWS_SHOWN, refuse_rows
from engine.data.dates import both_readings, read_dates
from engine.data.schema import COLUMNS, Column, empty_values
from engine.data.sources import SourceTable
from engine.errors import Problem

LONGEST_CELL = 1_000
"""Characters a cell may have: more is a broken quote or a document, not a name or a value."""

NOT_NUMBERS = r"[+-]?(?:nan|inf|infinity)|null|none|n/?a|#.*|-"
"""Words that programs write where there is no number; case does not count."""


@dataclass(frozen=True)
class Replaced:
    """A value of `data.replace` in our ``column``: read as ``new`` in the ``rows`` [row] that had ``old``."""

    column: str
    old: str
    new: str
    rows: pd.Series


def convert(table: SourceTable, timezone: str) -> tuple[pd.DataFrame, list[Problem]]:
    """Typed columns of a table, with the row labels of its frame, and everything that may not stand in them.

    Parameters
    ----------
    timezone : zone in which a time stamp with an offset becomes a day
    """
    typed: dict[str, pd.Series] = {}
    problems: list[Problem] = []
    for name in table.theirs:
        spec = COLUMNS[table.name][name]
        cells = table.frame[name]
        values, found = _column(table, name, spec, timezone)
        if spec.filled:
            empty = is_empty(cells)
            mend = "fill it in, or take the row out"
            found += refuse_rows(table, name, empty, allowed="a value in every row", mend=mend)
        typed[name] = values
        problems += found
    return pd.DataFrame(typed, index=table.frame.index), problems


def _column(table: SourceTable, name: str, spec: Column, timezone: str) -> tuple[pd.Series, list[Problem]]:
    cells = table.frame[name]
    long = _lengths(cells) > LONGEST_CELL
    if long.any():
        allowed = f"up to {LONGEST_CELL:,} characters"
        problems = refuse_rows(table, name, long, allowed=allowed, mend="look for a quote that is not closed")
        return empty_values(spec.kind, cells.index), problems
    if spec.kind == "date":
        return _dates(table, name, timezone)
    if spec.kind == "number":
        return _numbers(table, name, spec)
    texts = texts_of(cells)
    if spec.kind == "flag":
        words = texts.str.casefold()
        bad = ~words.isin((*TRUE, *FALSE))
        mend = "write one of these, or use data.replace"
        return words.isin(TRUE), refuse_rows(table, name, bad, allowed="true, false, yes, no, 1, 0 or empty", mend=mend)
    if spec.kind == "choice":
        words = texts.str.casefold()
        bad = ~words.isin(spec.choices) & (words != "")
        allowed = "one of " + ", ".join(spec.choices)
        return words.where(words != ""), refuse_rows(table, name, bad, allowed=allowed, mend="use data.replace")
    return texts.where(texts != ""), []


def _lengths(cells: pd.Series) -> pd.Series:
    """Characters of every text cell, 0 for others."""
    if isinstance(cells.dtype, pd.StringDtype):
        return cells.str.len().fillna(0)
    if cells.dtype == object:
        return cells.map(lambda value: len(value) if isinstance(value, str) else 0)
    return pd.Series(0, index=cells.index)


def _dates(table: SourceTable, name: str, timezone: str) -> tuple[pd.Series, list[Problem]]:
    cells = table.frame[name]
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        days = cells if cells.dt.tz is None else cells.dt.tz_convert(timezone).dt.tz_localize(None)
        return days.astype("datetime64[us]").dt.normalize(), []
    stamps = cells.map(lambda value: isinstance(value, datetime.date) and value is not pd.NaT).astype(bool)
    texts = texts_of(cells).mask(stamps, "")
    read = read_dates(texts, table.config.date_format, timezone)
    days = read.days
    if stamps.any():
        days[stamps] = pd.to_datetime(cells[stamps].astype(object)).astype("datetime64[us]").dt.normalize()
    written = table.config.date_format
    allowed = f"a date written as {written}" if written else "a date written as 2026-06-30"
    key = f"data.tables.{table.name}.date_format"
    problems = refuse_rows(table, name, read.bad, allowed=allowed, mend=f"mend the cell, or set {key}")
    came = texts[read.ambiguous].iloc[:ROWS_SHOWN].map(both_readings)
    mend = f'set {key}: "%d/%m/%Y" (day first) or "%m/%d/%Y" (month first)'
    problems += refuse_rows(table, name, read.ambiguous, came=came, allowed="a date with one reading", mend=mend)
    return days, problems


def _numbers(table: SourceTable, name: str, spec: Column) -> tuple[pd.Series, list[Problem]]:
    cells = table.frame[name]
    if pd.api.types.is_numeric_dtype(cells.dtype) and not pd.api.types.is_bool_dtype(cells.dtype):
        numbers, readable, texts = cells.astype("float64"), cells.notna(), pd.Series("", index=cells.index, dtype="str")
        given = readable
    else:
        texts = texts_of(cells)
        given = texts != ""
        typed = cells.map(_is_number).astype(bool)
        numbers, readable = _parsed(texts, table.config.decimal)
        if typed.any():
            numbers[typed], readable[typed] = cells[typed].astype("float64"), True
    bad = given & ~(readable & np.isfinite(numbers))
    allowed = _allowed(spec)
    problems = []
    for mend, rows in _reasons(table, texts, bad).items():
        problems += refuse_rows(table, name, rows, allowed=allowed, mend=mend)
    outside = given & ~bad & ((numbers < spec.low) | (numbers > spec.high))
    mend = "mend the cell (returns belong in bookings)" if spec.low == 0 and name == "amount" else "mend the cell"
    problems += refuse_rows(table, name, outside, allowed=allowed, mend=mend)
    return numbers.where(given & ~bad).astype("float64"), problems


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | decimal.Decimal) and not isinstance(value, bool)


def _parsed(texts: pd.Series, mark: str) -> tuple[pd.Series, pd.Series]:
    """Numbers (NaN where unreadable), and where they are readable; an empty text is readable and unknown."""
    pattern, plain = (COMMA_NUMBER, texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False))
    if mark == ".":
        pattern, plain = NUMBER, texts.str.replace(",", "", regex=False)
    readable = texts.str.fullmatch(pattern)
    return pd.to_numeric(plain.where(readable), errors="coerce").astype("float64"), readable | (texts == "")


def _reasons(table: SourceTable, texts: pd.Series, bad: pd.Series) -> dict[str, pd.Series]:
    """Bad numbers by what to do about them."""
    key = f"data.tables.{table.name}.decimal"
    other = COMMA_NUMBER if table.config.decimal == "." else NUMBER
    words = texts.str.casefold()
    no_number = bad & (words.str.fullmatch(NOT_NUMBERS) | words.str.fullmatch(NUMBER))
    foreign = bad & ~no_number & texts.str.fullmatch(other)
    mark = "," if table.config.decimal == "." else "."
    return {
        "leave the cell empty when the number is unknown": no_number,
        f'set {key}: "{mark}" if it is written with that decimal mark, else leave out the thousands mark': foreign,
        "write digits only, without currency or unit": bad & ~no_number & ~foreign,
    }


def _allowed(spec: Column) -> str:
    if np.isfinite(spec.high):
        return f"a number from {spec.low:g} to {spec.high:g}"
    return "a number of at least 0" if spec.low == 0 else "a number"


def replaced(table: SourceTable, changes: dict[str, dict[str, str]]) -> tuple[SourceTable, list[Replaced]]:
    """Apply `data.replace` to a table's cells, before they are converted.

    Parameters
    ----------
    changes : our column, then the file's value to the value meant

    Returns
    -------
    the table after replacement, and what was replaced
    """
    frame, found = table.frame.copy(), []
    for name, pairs in changes.items():
        if name not in frame:
            continue
        texts = texts_of(frame[name])
        found += [Replaced(name, old, new, texts == old.strip()) for old, new in pairs.items()]
        frame[name] = texts.replace({old.strip(): new for old, new in pairs.items()})
    return replace(table, frame=frame), found
