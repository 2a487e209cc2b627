"""From a file's cells to ours, by the config's columns and the layout of a preset."""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from engine.data.cells import TRUE, texts_of
from engine.data.dates import moments
from engine.data.preset_files import Entered, Fields, Flags, Layout

type Cells = dict[str, pd.Series]

IN_A_LAYOUT = {"opportunity": "id", "stage": "stage", "expected_close": "closed", "amount": "amount"}
"""Column of a history to the one of opportunities that holds its value at the export."""


@dataclass(frozen=True)
class Laid:
    """Cells of a file after its layout.

    Attributes
    ----------
    cells : the file's cells, or those of the history made of them
    found : our column to cells that were worked out
    theirs : our column to the header that messages name, for `found`
    lines : [row] line of the file
    left_out : rows that are no records, by why
    """

    cells: pd.DataFrame
    found: Cells
    theirs: dict[str, str]
    lines: np.ndarray
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class About:
    """What a history needs to know.

    Attributes
    ----------
    deals : cells of the opportunities by our column, for a history that holds changes only
    date_format : how its dates are written
    """

    deals: Mapping[str, pd.Series] | None = None
    date_format: str | None = None


def without_footer(cells: pd.DataFrame, lines: np.ndarray) -> Laid:
    """Leave out the text below a report: what follows a blank line and fills the first column only, to the end."""
    empty = (cells.isna() | (cells.astype(object) == "")).to_numpy()
    words = empty[:, 1:].all(axis=1)
    tail = int(words[::-1].cumprod().sum())
    starts = np.flatnonzero(empty.all(axis=1)[len(cells) - tail :])
    if tail == 0 or len(starts) == 0:
        return Laid(cells, {}, {}, lines)
    first = len(cells) - tail + int(starts[0])
    count = int((~empty[first:].all(axis=1)).sum())
    left_out = {"text below the report": count} if count else {}
    return Laid(cells.iloc[:first], {}, {}, lines[:first], left_out)


def lay_out(laid: Laid, layout: Layout, taken: Set[str], about: About) -> Laid:
    """Work out what a layout says beyond names.

    Parameters
    ----------
    laid : cells as read
    taken : our columns that the config speaks of: the layout leaves them alone
    about : what a history needs to know
    """
    headers = {str(header).casefold(): str(header) for header in laid.cells.columns}
    laid = _without_binned(laid, layout, headers)
    if layout.fields is not None:
        return _from_fields(laid, layout.fields, headers, about)
    if layout.entered is not None:
        return _from_entered(laid, layout.entered, headers, about)
    found, theirs = dict(laid.found), dict(laid.theirs)
    for ours, cells, header in _worked_out(laid.cells, layout, headers):
        if ours not in taken:
            found[ours], theirs[ours] = cells, header
    return Laid(laid.cells, found, theirs, laid.lines, laid.left_out)


def header_of(layout: Layout | None, ours: str, headers: Mapping[str, str]) -> str | None:
    """Header in which a layout has our column, None when the file has none of its names."""
    if layout is None:
        return None
    return next((headers[name.casefold()] for name in layout.columns.get(ours, ()) if name.casefold() in headers), None)


def with_values(cells: pd.Series, values: Mapping[str, str], kept: Mapping[str, str]) -> pd.Series:
    """Cells in our words; values that `data.replace` speaks of are left to it."""
    ours = {theirs.casefold(): word for theirs, word in values.items()}
    stays = {value.strip().casefold() for value in kept}
    words = texts_of(cells)
    folded = words.str.casefold()
    return folded.map(ours).where(~folded.isin(stays)).fillna(words).astype("str")


def _without_binned(laid: Laid, layout: Layout, headers: Mapping[str, str]) -> Laid:
    """Leave out records that the CRM keeps in its bin."""
    out = pd.Series(False, index=laid.cells.index)
    for header, values in layout.drop.items():
        if header.casefold() in headers:
            out |= texts_of(laid.cells[headers[header.casefold()]]).str.casefold().isin(values)
    if not out.any():
        return laid
    kept = ~out.to_numpy()
    left_out = {**laid.left_out, "records in the CRM's bin": int(out.sum())}
    return Laid(laid.cells[kept], laid.found, laid.theirs, laid.lines[kept], left_out)


def _worked_out(cells: pd.DataFrame, layout: Layout, headers: Mapping[str, str]) -> list[tuple[str, pd.Series, str]]:
    """Our columns that come from several of the file's, with the headers in words."""
    found = []
    for ours, names in layout.coalesce.items():
        there = [headers[name.casefold()] for name in names if name.casefold() in headers]
        if there:
            texts = [texts_of(cells[header]) for header in there]
            first = texts[0]
            for other in texts[1:]:
                first = first.where(first != "", other)
            found.append((ours, first, " or ".join(there)))
    for ours, names in layout.joined.items():
        there = [headers[name.casefold()] for name in names if name.casefold() in headers]
        if there:
            joined = texts_of(cells[there[0]])
            for header in there[1:]:
                joined = (joined + " " + texts_of(cells[header])).str.strip()
            found.append((ours, joined, " and ".join(there)))
    if layout.outcome is not None and (ended := _outcome(cells, layout.outcome, headers)) is not None:
        found.append(("outcome", *ended))
    if layout.levels and header_of(layout, "level", headers) is None and "level" not in headers:
        found.append(("level", _levels(cells, layout.levels, headers), " or ".join(layout.levels.values())))
    return found


def _outcome(cells: pd.DataFrame, flags: Flags, headers: Mapping[str, str]) -> tuple[pd.Series, str] | None:
    """How deals ended; None without both columns."""
    names = [
        next((headers[name.casefold()] for name in part if name.casefold() in headers), None)
        for part in (flags.closed, flags.won)
    ]
    if names[0] is None or names[1] is None:
        return None
    closed, won = (texts_of(cells[name]).str.casefold().isin(TRUE) for name in names)
    words = np.where(won, "won", np.where(closed, "lost", "open"))
    return pd.Series(words, index=cells.index, dtype="str"), f"{names[0]} and {names[1]}"


def _levels(cells: pd.DataFrame, levels: Mapping[str, str], headers: Mapping[str, str]) -> pd.Series:
    """Level of every quota."""
    found = pd.Series("company", index=cells.index, dtype="str")
    for level, header in reversed(list(levels.items())):
        if header.casefold() in headers:
            found = found.mask(texts_of(cells[headers[header.casefold()]]) != "", level)
    return found


def _from_entered(laid: Laid, entered: Entered, headers: Mapping[str, str], about: About) -> Laid:
    """Row per record and stage that was entered, in order of time."""
    [(ours, header)] = entered.key.items()
    pattern = re.compile(entered.headers, re.IGNORECASE)
    stages = {name: found["stage"] for name in laid.cells.columns if (found := pattern.fullmatch(str(name)))}
    record = texts_of(laid.cells[headers[header.casefold()]])
    parts = [
        pd.DataFrame({ours: record, "stage": stage, "date": texts_of(laid.cells[name]), "line": laid.lines})
        for name, stage in stages.items()
    ]
    empty = pd.DataFrame({ours: [], "stage": [], "date": [], "line": []})
    rows = pd.concat(parts) if parts else empty
    rows = rows[rows["date"] != ""]
    rows = _ordered(rows, [ours], "date", about.date_format)
    return _history(rows, laid.left_out, {ours: header, "date": "the columns of stages entered"})


def _from_fields(laid: Laid, fields: Fields, headers: Mapping[str, str], about: About) -> Laid:
    """Row per record and moment, with the values that hold from then on."""
    [(key, key_header)], [(date, date_header)] = fields.key.items(), fields.date.items()
    named = {name.casefold(): ours for name, ours in fields.names.items()}
    get = {
        header: texts_of(laid.cells[headers[header.casefold()]])
        for header in (key_header, date_header, fields.field, fields.new)
    }
    rows = pd.DataFrame(
        {
            key: get[key_header],
            date: get[date_header],
            "ours": get[fields.field].str.casefold().map(named),
            "value": get[fields.new],
            "line": laid.lines,
        }
    )
    if fields.old is not None and fields.old.casefold() in headers:
        rows["before"] = texts_of(laid.cells[headers[fields.old.casefold()]])
    rows = rows[rows["ours"].notna()]
    columns = list(dict.fromkeys(fields.names.values()))
    rows = _ordered(rows, [key], date, about.date_format)
    if fields.starts is not None and about.deals is not None and "before" in rows:
        rows = pd.concat([_first_values(rows, key, date, columns, about.deals), rows], ignore_index=True)
        rows = _ordered(rows, [key], date, about.date_format)
    again = rows.assign(again=rows.groupby([key, date, "ours"], sort=False).cumcount())  # twice in a moment
    line = again.groupby([key, date, "again"], sort=False)["line"].first()
    wide = again.groupby([key, date, "again", "ours"], sort=False)["value"].last().unstack("ours").reindex(line.index)
    wide = wide.reindex(columns=columns)
    wide = wide.groupby(level=0, sort=False).ffill().assign(line=line).reset_index().drop(columns="again")
    return _history(wide, laid.left_out, {key: key_header, date: date_header})


def _first_values(
    rows: pd.DataFrame, key: str, date: str, columns: list[str], deals: Mapping[str, pd.Series]
) -> pd.DataFrame:
    """Values at creation: before the first change on record, else those of the export."""
    created = pd.Series(texts_of(deals["created"]).to_numpy(), index=texts_of(deals["id"]).to_numpy())
    parts = []
    for ours in columns:
        before = rows[rows["ours"] == ours].groupby(key, sort=False)["before"].first()
        now = deals.get(ours, deals.get(IN_A_LAYOUT[ours]))
        values = before.reindex(created.index)
        if now is not None:
            values = values.fillna(pd.Series(texts_of(now).to_numpy(), index=created.index))
        parts.append(
            pd.DataFrame({key: created.index, date: created.to_numpy(), "ours": ours, "value": values.to_numpy()})
        )
    first = pd.concat(parts, ignore_index=True).assign(line=0)
    return first[(first["value"].fillna("") != "") & (first[date] != "")]


def _history(rows: pd.DataFrame, left_out: dict[str, int], theirs: dict[str, str]) -> Laid:
    """Rows of a history as a file of our own."""
    cells = rows.drop(columns="line")
    found = {str(name): cells[name].fillna("").astype("str") for name in cells}
    names = {name: theirs.get(name, name) for name in found}
    return Laid(cells, found, names, rows["line"].to_numpy(dtype=np.int64), left_out)


def _ordered(rows: pd.DataFrame, keys: list[str], date: str, date_format: str | None) -> pd.DataFrame:
    """Rows by record and moment: by the whole time stamp where it is ISO, else by day, then as in the file."""
    rows = rows.reset_index(drop=True)
    order = rows[keys].assign(moment=moments(rows[date].astype("str"), date_format))
    return rows.loc[order.sort_values([*keys, "moment"], kind="stable").index].reset_index(drop=True)
