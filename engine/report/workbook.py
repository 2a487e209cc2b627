"""plan.xlsx: the tables of a run for people, with a decision column that `engine.planning.decision_files` reads back.

The same tables give the same bytes: the workbook is dated by the as-of date, not by the clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from engine.planning.decision_files import ASSIGN_TO
from engine.planning.decisions import KINDS
from engine.report.csv_files import harmless_text
from engine.report.decision_tables import assigned_to
from engine.report.workbook_charts import draw_overview
from engine.report.workbook_words import COLUMN_FORMATS, FORMULAS, NUMBER_FORMATS, SHEETS

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

MOST_CHARACTERS = 32767
"""Most characters of a cell (Excel)."""

MOST_ROWS = 1_048_575
"""Most rows below a header (Excel)."""

WIDEST = 48
"""Width of a column at most, characters."""

A4 = 9
"""Excel's number of this size of paper."""

SAMPLE = 300
"""Rows that the width of a column is taken from."""

FILLED_IN = ("decision", ASSIGN_TO, "decided_by", "date", "note")
"""Columns that people fill in; those a table lacks are added empty."""

WITH_DECISIONS = ("moves", "allocation")
"""Tables on which decisions are made."""


@dataclass(frozen=True)
class Passport:
    """What the workbook says about where it comes from.

    Attributes
    ----------
    run_id, parent_run, config_hash, data_hash : as in manifest.json; parent_run is empty for a run of its own
    as_of, currency, seed : as in config.yaml
    names : how reps appear: full, pseudonymous or absent
    """

    run_id: str
    parent_run: str
    config_hash: str
    data_hash: str
    as_of: str
    currency: str
    seed: int
    names: str = "full"


def write_workbook(tables: Mapping[str, pd.DataFrame], passport: Passport, path: Path) -> None:
    """Write the workbook; tables that the run does not have get no sheet.

    Parameters
    ----------
    tables : by file name without ending, as in the run folder
    """
    from xlsxwriter import Workbook

    literal = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    shown = {name: _prepared(name, tables[name], passport.names) for name in SHEETS if name in tables}
    with Workbook(str(path), {**literal, "nan_inf_to_errors": False}) as book:
        book.set_properties(
            {"title": passport.run_id, "created": datetime.fromisoformat(passport.as_of), "author": "fair-territory"}
        )
        writer = _Writer(book)
        overview = book.add_worksheet("Overview")
        for name, frame in shown.items():
            writer.table(name, frame)
        if "moves" in shown:
            writer.dropdowns(shown)
        draw_overview(book, overview, shown, passport.currency)
        writer.readme(passport, shown)
        for sheet in book.worksheets():  # printed, a sheet is one page wide
            sheet.set_landscape()
            sheet.set_paper(A4)
            sheet.fit_to_pages(1, 1 if sheet is overview else 0)


def _prepared(name: str, frame: pd.DataFrame, names: str) -> pd.DataFrame:
    """The table as the workbook shows it: columns to fill in, and no names of reps where they are not wanted."""
    frame = _latest(frame) if name == "kpis" else frame
    frame = frame.head(MOST_ROWS)
    if names != "full":
        hidden = [c for c in ("rep_name", "old_rep_name", "new_rep_name", "owner_name") if c in frame]
        frame = frame.drop(columns=hidden)
        if {"level", "key", "key_name"} <= set(frame):
            frame = frame.assign(key_name=frame["key_name"].where(frame["level"] != "rep", frame["key"]))
    if name not in WITH_DECISIONS:
        return frame
    missing = {column: "" for column in FILLED_IN if column not in frame}
    frame = frame.assign(**(missing | {ASSIGN_TO: assigned_to(frame)}))
    first = ["account", "account_name", "old_rep", "old_rep_name", "new_rep", "new_rep_name", *FILLED_IN]
    first = [column for column in first if column in frame]
    return frame[[*first, *(column for column in frame if column not in first)]]


def _latest(kpis: pd.DataFrame) -> pd.DataFrame:
    """The company at all times, and the other levels in the latest quarter: kpis.csv has the rest."""
    if not {"level", "period"} <= set(kpis):
        return kpis
    period = kpis["period"].astype(str)
    quarters = period[period.str.contains("Q", regex=False)]
    last = quarters.max() if len(quarters) else period.max()
    return kpis[(kpis["level"] == "company") | (period == last)]


class _Writer:
    """Writes sheets into a workbook, with one format a kind of cell."""

    def __init__(self, book: "Workbook") -> None:
        self.book = book
        self.formats: dict[str, Format] = {
            kind: book.add_format({"num_format": code}) for kind, code in NUMBER_FORMATS.items()
        }
        self.asked = book.add_format({"num_format": "@", "bg_color": "#FFF7D6", "border": 1, "border_color": "#D9C97A"})
        self.bold = book.add_format({"bold": True})
        self.title = book.add_format({"bold": True, "font_size": 16})
        self.wrapped = book.add_format({"text_wrap": True, "valign": "top"})

    def table(self, name: str, frame: pd.DataFrame) -> None:
        """One sheet with one Excel table: frozen header, filters, number formats, ids as text."""
        sheet = self.book.add_worksheet(SHEETS[name].title)
        rows, columns = max(len(frame), 1), [str(column) for column in frame.columns]
        headers = [{"header": column} for column in columns]
        for c, column in enumerate(columns):
            self._column(sheet, c, column, frame.iloc[:, c], name in WITH_DECISIONS and column in FILLED_IN)
        shape = {"name": f"t_{name}", "columns": headers, "style": "Table Style Light 1"}
        sheet.add_table(0, 0, rows, len(columns) - 1, shape)
        sheet.freeze_panes(1, SHEETS[name].frozen)
        sheet.repeat_rows(0)

    def _column(self, sheet: "Worksheet", c: int, column: str, values: pd.Series, asked: bool) -> None:
        numeric = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
        style = self.asked if asked else self.formats[COLUMN_FORMATS.get(column, "number") if numeric else "text"]
        texts = values.head(SAMPLE).map(lambda value: len(str(value))) if not numeric else pd.Series([12])
        width = min(max(len(column) + 4, int(texts.max()) if len(texts) else 0), WIDEST)
        sheet.set_column(c, c, width, style)
        for r, value in enumerate(values.tolist(), 1):
            if value is None or value is pd.NA or value == "" or (isinstance(value, float) and value != value):  # noqa: PLR0124
                sheet.write_blank(r, c, None, style)
            elif isinstance(value, bool):
                sheet.write_boolean(r, c, value, style)
            elif isinstance(value, int | float):
                sheet.write_number(r, c, value, style)
            else:
                sheet.write_string(r, c, cell_text(value), style)

    def dropdowns(self, shown: Mapping[str, pd.DataFrame]) -> None:
        """Choices in the cells that people fill in: the words of a decision, and the reps of the plan."""
        reps = f"={_quoted('books')}!$A$2:$A${len(shown['books']) + 1}" if len(shown.get("books", ())) else None
        for name in WITH_DECISIONS:
            if name not in shown or not len(shown[name]):
                continue
            sheet, columns = self.book.get_worksheet_by_name(SHEETS[name].title), list(shown[name].columns)
            last = len(shown[name])
            words: dict[str, Any] = {
                "validate": "list",
                "source": list(KINDS),
                "error_title": "Not a decision",
                "error_message": f"Choose one of: {', '.join(KINDS)}.",
            }
            at = columns.index("decision")
            sheet.data_validation(1, at, last, at, words)
            if reps is not None:
                at = columns.index(ASSIGN_TO)
                sheet.data_validation(1, at, last, at, {"validate": "list", "source": reps, "error_type": "warning"})

    def readme(self, passport: Passport, shown: Mapping[str, pd.DataFrame]) -> None:
        """Where the numbers come from, what the sheets hold, and how decisions go back."""
        sheet = self.book.add_worksheet("README")
        sheet.set_column(0, 0, 24, self.bold)
        sheet.set_column(1, 1, 110, self.wrapped)
        rows = [("Run", passport.run_id), ("Changed from", passport.parent_run or "a run of its own")]
        rows += [("As of", passport.as_of), ("Currency", passport.currency), ("Seed", str(passport.seed))]
        rows += [("Config hash", passport.config_hash), ("Data hash", passport.data_hash)]
        if passport.names != "full":
            rows += [("Names of reps", f"{passport.names}: this workbook shows ids only, which decisions need")]
        rows += [("", ""), ("Sheet", "what it holds")]
        rows += [(SHEETS[name].title, f"{SHEETS[name].words} ({len(frame):,} rows)") for name, frame in shown.items()]
        rows += [("", ""), ("Column", "how it is computed"), *FORMULAS.items()]
        for r, (left, right) in enumerate(rows):
            sheet.write_string(r, 0, cell_text(left), self.bold)
            sheet.write_string(r, 1, cell_text(right), self.wrapped)


def cell_text(value: object) -> str:
    """A text that fits a cell and that no spreadsheet runs, not even after it was saved as CSV."""
    text = str(harmless_text(str(value)))
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"


def _quoted(name: str) -> str:
    return "'" + SHEETS[name].title.replace("'", "''") + "'"
