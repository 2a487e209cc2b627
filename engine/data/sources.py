"""Reads the tables of a config: file or database, layout of the preset, our column names.

A `SourceTable` has our column names, the file's cells, and what is needed to point at a cell.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from rapidfuzz import process

from engine.config.data import RATES, TABLES, FileConfig, TableConfig, TablesData
from engine.data.cells import COMMA_NUMBER, texts_of
from engine.data.databases import database_cells
from engine.data.dates import read_dates
from engine.data.files import FIRST_LINE, blank_rows, cells_of, content_of
from engine.data.layouts import About, Laid, header_of, lay_out, with_values, without_footer
from engine.data.preset_files import Layout, PresetFile, layout_of, preset_file
from engine.data.salesforce_ids import upgraded
from engine.data.schema import COLUMNS, Column
from engine.errors import InputRefusedError, Problem

KEYS = ("id", "opportunity", "parent", "manager", "key", "account", "rep", "owner")
"""Columns that hold ids, besides those that refer to a table."""

DUCKDB = (".duckdb", ".ddb")
"""Suffixes of a DuckDB file."""


@dataclass(frozen=True)
class SourceTable:
    """One table as read.

    Attributes
    ----------
    name : our name of the table
    file : what to call the source in messages
    frame : cells in our column names; texts (csv), or the source's own types (Parquet, Excel, databases, demo)
    theirs : our column name to the file's
    first_line : line of the first record
    digest : sha256 of the source, hexadecimal
    config : how the file is written
    lines : [row] line of the file, where rows are not the file's
    kept : columns that go back to the CRM as they came, by their header
    left_out : rows of the file that are no records, by why
    """

    name: str
    file: str
    frame: pd.DataFrame
    theirs: dict[str, str]
    first_line: int
    digest: str
    config: TableConfig
    lines: np.ndarray | None = None
    kept: pd.DataFrame = field(default_factory=pd.DataFrame)
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def cells(self) -> dict[str, pd.Series]:
        """Cells by our column."""
        return {ours: self.frame[ours] for ours in self.theirs}

    def line(self, row: object) -> int:
        """Line of the file in which a row of the frame stands (a quoted line break inside a cell does not count)."""
        if self.lines is not None:
            return int(self.lines[int(row)])  # type: ignore[call-overload]
        return int(row) + self.first_line  # type: ignore[call-overload]


def read_table(
    name: str, config: FileConfig, data: TablesData, deals: Mapping[str, pd.Series] | None = None
) -> SourceTable:
    """Read one table into our column names.

    Parameters
    ----------
    data : says where files and databases are, and whose names they have
    deals : cells of the opportunities, for a history that holds changes only

    Raises
    ------
    InputRefusedError
        When the file cannot be read, is empty, or lacks columns; all missing columns are listed.
    """
    preset = preset_file(data.preset)
    cells, first_line, digest = _read(name, config, data)
    named = str(config.path or config.table or "query")
    file = named if config.path is None or config.table is None else f"{named}, {config.table}"
    laid = Laid(cells, {}, {}, np.arange(len(cells), dtype=np.int64) + first_line)
    laid = without_footer(laid.cells, laid.lines) if preset.footer else laid
    used = ~blank_rows(laid.cells).to_numpy()
    laid = replace(laid, cells=laid.cells[used], lines=laid.lines[used])
    if laid.cells.empty:
        came = "no rows" if len(cells.columns) else "an empty file"
        mend = f"export it again, or take data.tables.{name} out of the config"
        raise InputRefusedError([Problem(file, came, "a header and at least one row", mend)])
    laid = replace(laid, cells=laid.cells.rename(columns=lambda column: str(column).strip()))
    layout = layout_of(preset, name, [str(column) for column in laid.cells.columns])
    kept = _kept(preset, laid.cells)
    if layout is not None:
        about = About(deals, config.date_format)
        laid = lay_out(laid, layout, {*config.columns, *config.constants}, about)
    frame, theirs = _renamed(name, config, laid, layout)
    changes = {str(table): changed for table, changed in data.replace.items()}.get(name, {})
    frame = _in_our_words(name, frame, preset, layout, changes)
    table = SourceTable(
        name,
        file,
        frame.reset_index(drop=True),
        theirs,
        first_line,
        digest,
        config if isinstance(config, TableConfig) else TableConfig(**config.model_dump()),
        laid.lines,
        kept.reset_index(drop=True),
        laid.left_out,
    )
    if isinstance(config, TableConfig) and config.side is not None:
        return _beside(table, read_table(name, config.side, data))
    return table


def from_frame(name: str, frame: pd.DataFrame) -> SourceTable:
    """Table of the demo company, so that it goes through the same contract."""
    config = TableConfig(path=Path(f"demo/{name}"))
    theirs = {str(column): str(column) for column in frame}
    digest = _frame_digest(frame)
    return SourceTable(name, f"demo {name}", frame.reset_index(drop=True), theirs, FIRST_LINE, digest, config)


def _read(name: str, config: FileConfig, data: TablesData) -> tuple[pd.DataFrame, int, str]:
    """Cells, line of the first record, and digest of what a config points to."""
    root, key = data.root or Path(), f"data.{'tables.' if name in TABLES else ''}{name}"
    if config.table is not None or config.query is not None:
        cells = database_cells(key, config, root, data.url, data.password_env)
        if config.query is None or "order by" not in config.query.casefold():
            # A database may give its rows in another order every time; the run must not depend on it.
            texts = pd.DataFrame({column: texts_of(cells[column]) for column in cells})
            cells = cells.loc[texts.sort_values(texts.columns.tolist(), kind="stable").index].reset_index(drop=True)
        return cells, 1, _frame_digest(pd.DataFrame({column: texts_of(cells[column]) for column in cells}))
    content = content_of(key, config, root)
    cells, first_line = cells_of(key, config, content)
    return cells, first_line, hashlib.sha256(content).hexdigest()


def _frame_digest(frame: pd.DataFrame) -> str:
    values = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    return hashlib.sha256(",".join(str(column) for column in frame).encode() + values.tobytes()).hexdigest()


def _kept(preset: PresetFile, cells: pd.DataFrame) -> pd.DataFrame:
    """Columns that a later import wants back as they came."""
    return cells[[header for header in cells if str(header).startswith(preset.keep)]] if preset.keep else pd.DataFrame()


def _renamed(name: str, config: FileConfig, laid: Laid, layout: Layout | None) -> tuple[pd.DataFrame, dict[str, str]]:
    """Our columns only, constants filled in; missing ones are refused together."""
    required, optional = RATES if name == "rates" else TABLES[name]
    if name in TABLES and not isinstance(config, TableConfig):  # a file beside another one
        required, optional = ("id",), (*required[1:], *optional)
    headers = {str(column).casefold(): str(column) for column in laid.cells.columns}
    exact = set(headers.values())
    frame, theirs, problems = {}, {}, []
    for ours in (*required, *optional):
        if ours in config.constants:
            frame[ours] = pd.Series(str(config.constants[ours]), index=laid.cells.index, dtype="str")
            theirs[ours] = ours
        elif ours in laid.found:
            frame[ours], theirs[ours] = laid.found[ours], laid.theirs[ours]
        else:
            header = config.columns.get(ours) or header_of(layout, ours, headers) or ours
            if header in exact:
                frame[ours], theirs[ours] = laid.cells[header], header
            elif ours in config.columns or (ours in required and not _may_be_derived(name, ours, config)):
                usual = header if layout is None else " or ".join(layout.columns.get(ours, (header,)))
                wanted = config.columns.get(ours, usual)
                problems.append(_missing_column(name, config, (ours, wanted), list(headers.values())))
    if problems:
        raise InputRefusedError(problems)
    return pd.DataFrame(frame, index=laid.cells.index), theirs


def _in_our_words(
    name: str, frame: pd.DataFrame, preset: PresetFile, layout: Layout | None, changes: Mapping[str, dict[str, str]]
) -> pd.DataFrame:
    """Values and ids as the preset has them."""
    frame = frame.copy()
    if layout is not None:
        for ours, values in layout.values.items():
            if ours in frame:
                frame[ours] = with_values(frame[ours], values, changes.get(ours, {}))
    if name == "opportunities" and preset.closed_stages and {"outcome", "stage"} <= set(frame):
        ended = texts_of(frame["outcome"]).str.casefold().map({str(k): v for k, v in preset.closed_stages.items()})
        frame["stage"] = texts_of(frame["stage"]).mask(ended.notna(), ended).astype("str")
    if preset.ids == "salesforce":
        for ours in map(str, frame.columns):
            column = COLUMNS.get(name, {}).get(ours, Column("text"))
            if column.kind == "text" and (column.refers or ours in KEYS):
                frame[ours] = upgraded(texts_of(frame[ours]))
    return frame


def _beside(table: SourceTable, side: SourceTable) -> SourceTable:
    """Table with the columns of a further file of the same ids, whose filled cells win; its other rows come last."""
    main, more = _one_way(table), _one_way(side).drop_duplicates("id").set_index("id")
    extra = more.index[~more.index.isin(main["id"])]
    merged = pd.concat([main, pd.DataFrame({"id": extra})], ignore_index=True)
    for ours in more:
        found = merged["id"].map(texts_of(more[ours]))
        old = texts_of(merged[ours]) if ours in merged else pd.Series("", index=merged.index, dtype="str")
        merged[ours] = found.where(found.fillna("") != "", old).fillna("").astype("str")
    lines = np.append(table.lines if table.lines is not None else [], np.full(len(extra), side.first_line))
    digest = hashlib.sha256(f"{table.digest} {side.digest}".encode()).hexdigest()
    theirs = {**side.theirs, **table.theirs}
    file = f"{table.file} with {side.file}"
    config = table.config.model_copy(update={"decimal": ".", "date_format": None})
    return replace(
        table, file=file, frame=merged, theirs=theirs, lines=lines.astype(np.int64), digest=digest, config=config
    )


def _one_way(table: SourceTable) -> pd.DataFrame:
    """Texts of a table with ISO dates and decimal points, so that two files can be one; what is neither stays."""
    frame = pd.DataFrame({ours: texts_of(table.frame[ours]) for ours in table.frame})
    for ours in frame:
        kind = COLUMNS[table.name][str(ours)].kind
        texts = frame[ours]
        if kind == "date":
            days = read_dates(texts, table.config.date_format, "UTC").days
            zoned = texts.str.match(r"\d{4}-\d{2}-\d{2}")
            frame[ours] = texts.mask(days.notna() & ~zoned, days.dt.strftime("%Y-%m-%d"))
        elif kind == "number" and table.config.decimal == ",":
            point = texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
            frame[ours] = texts.mask(texts.str.fullmatch(COMMA_NUMBER), point)
    return frame


def _may_be_derived(name: str, ours: str, config: FileConfig) -> bool:
    """Whether a required column may be left out: the outcome follows from the stage, a quota's end from the period."""
    period = isinstance(config, TableConfig) and bool(config.period)
    return (name, ours) == ("opportunities", "outcome") or ((name, ours) == ("quotas", "end") and period)


def _missing_column(name: str, config: FileConfig, wanted: tuple[str, str], headers: list[str]) -> Problem:
    ours, header = wanted
    near = process.extractOne(header, headers, processor=str.casefold)
    guess = f"did you mean {near[0]!r}? " if near and near[1] >= 60 else ""
    names = ", ".join(headers[:30]) + (", ..." if len(headers) > 30 else "")
    mend = f"{guess}set data.{'tables.' if name in TABLES else ''}{name}.columns.{ours}"
    return Problem(f"{config.path or config.table or name}, header", f"no column {header!r}", f"one of {names}", mend)
