"""Reads decisions from a CSV file or from the workbook of an earlier run in which somebody has filled them in."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from engine.errors import InputRefusedError, Problem
from engine.planning.decisions import ACCEPT, ASSIGN, REJECT, Decision, Decisions

COLUMNS = ("account", "decision", "rep", "decided_by", "date", "note")
"""Columns of a decisions file; the first two must be there."""

ASSIGN_TO = "assign_to"
"""Column of the workbook that names the rep of an assignment."""

PROPOSED = "new_rep"
"""Column of the plan's tables that names the rep an account goes to: what one accepts or rejects."""

WORKBOOK = ".xlsx"

GUARDED = "=+-@\t\r\n＝＋－＠"
"""A text that begins with one of these was written with an apostrophe before it, see `engine.report.csv_files`."""

type Row = Mapping[str, str]


def read_decisions(path: Path | None) -> Decisions:
    """Read a file; no file, no decisions. Rows without a decision are passed over: nobody has decided yet.

    A CSV file has the columns account and decision, and rep, decided_by, date, note where they are known. In a
    plan.xlsx every sheet with the columns account and decision is read. Where there is no column rep, what is accepted
    or rejected is the move proposed in ``new_rep``, and ``assign_to`` names the rep of an assignment. The same decision
    on two sheets counts once.

    Raises
    ------
    InputRefusedError
        When a column is missing or the file cannot be read.
    """
    if path is None:
        return ()
    found: dict[tuple[str, str, str], Decision] = {}
    for where, row in rows_of(path):
        if row.get("decision", "").strip():
            decision = _decision(where, row)
            found.setdefault(decision.meaning, decision)
    return tuple(found.values())


def rows_of(path: Path) -> Iterator[tuple[str, Row]]:
    """Place and texts by column of every row that has an account and a decision."""
    return _workbook_rows(path) if path.suffix.lower() == WORKBOOK else _csv_rows(path)


def _decision(where: str, row: Row) -> Decision:
    kind, rep = word_of(row), plain_id(row.get("rep", ""))
    if "rep" not in row:
        proposed, chosen = plain_id(row.get(PROPOSED, "")), plain_id(row.get(ASSIGN_TO, ""))
        rep = {ASSIGN: chosen, ACCEPT: chosen or proposed, REJECT: proposed}.get(kind, "")
    said = {name: row.get(name, "").strip() for name in ("decided_by", "date", "note")}
    return Decision(where, plain_id(row.get("account", "")), kind, rep, **said)


def word_of(row: Row) -> str:
    """The decision of a row as one of `engine.planning.decisions.KINDS`, where it is one; empty without a decision."""
    kind = " ".join(row.get("decision", "").casefold().split())
    return ASSIGN if kind == "assign to" else kind


def plain_id(text: str) -> str:
    """An id as the data have it, without the apostrophe that keeps spreadsheets from running it."""
    text = text.strip()
    return text[1:] if text[:1] == "'" and text[1:2] in tuple(GUARDED) else text


def _csv_rows(path: Path) -> Iterator[tuple[str, Row]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
            names = [name or "" for name in reader.fieldnames or ()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        came = " ".join(str(error).split())
        raise InputRefusedError([Problem(str(path), came, "a CSV file in UTF-8", "save it as CSV UTF-8")]) from error
    if names:
        _refuse_without_columns(path, names)
    for line, row in enumerate(rows, 2):
        yield f"{path} line {line}", {name: value or "" for name, value in row.items() if isinstance(name, str)}


def _refuse_without_columns(path: Path, names: Iterable[str]) -> None:
    names = list(names)
    missing = [name for name in COLUMNS[:2] if name not in names]
    if missing:
        came = f"columns {', '.join(names)}"
        raise InputRefusedError(
            [Problem(str(path), came, "columns account, decision, rep", f"add {', '.join(missing)}")]
        )


def _workbook_rows(path: Path) -> Iterator[tuple[str, Row]]:
    import zipfile

    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (OSError, InvalidFileException, zipfile.BadZipFile, KeyError, ValueError) as error:
        came = " ".join(str(error).split())
        mend = "save it as an Excel workbook (.xlsx), or as CSV UTF-8"
        raise InputRefusedError([Problem(str(path), came, "the workbook of a plan", mend)]) from error
    try:
        sheets = [(sheet.title, *_named_rows(sheet.iter_rows(values_only=True))) for sheet in book.worksheets]
    finally:
        book.close()
    with_decisions = [sheet for sheet in sheets if set(COLUMNS[:2]) <= set(sheet[1])]
    if not with_decisions:
        came = f"sheets {', '.join(sheet[0] for sheet in sheets)}"
        allowed = "a sheet whose first row holds account and decision"
        raise InputRefusedError([Problem(str(path), came, allowed, "fill in the plan.xlsx of a run")])
    for title, names, rows in with_decisions:
        for line, cells in enumerate(rows, 2):
            row = {name: _text(cell) for name, cell in zip(names, cells, strict=False) if name}
            yield f"{path.name}, sheet {title}, row {line}", row


def _named_rows(rows: Iterable[tuple[object, ...]]) -> tuple[list[str], list[tuple[object, ...]]]:
    """First row as names, and the others."""
    names, *others = [*rows] or [()]
    return [_text(name) for name in names], others


def _text(cell: object) -> str:
    """What stands in a cell; a whole number without its decimal point, a date by its day."""
    from datetime import datetime

    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell.date().isoformat() if isinstance(cell, datetime) else str(cell)
