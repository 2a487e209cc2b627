"""Reads files as they are: text stays text, so that the contract can name every bad cell.

A `SourceTable` has our column names, the file's cells, and what is needed to point at a cell.
"""

import gzip
import hashlib
import io
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow
from rapidfuzz import process

from engine.config.data import TABLES, TableConfig
from engine.errors import InputRefusedError, Problem

FIRST_LINE = 2
"""Line of the first record of a text file or a sheet: the header is line 1."""


@dataclass(frozen=True)
class SourceTable:
    """One table as read.

    Attributes
    ----------
    name : our name of the table
    file : what to call the source in messages
    frame : cells in our column names; texts (csv), or the source's own types (Parquet, Excel, demo)
    theirs : our column name to the file's
    first_line : line of the first record
    digest : sha256 of the source, hexadecimal
    config : how the file is written
    """

    name: str
    file: str
    frame: pd.DataFrame
    theirs: dict[str, str]
    first_line: int
    digest: str
    config: TableConfig

    def line(self, row: object) -> int:
        """Line of the file in which a row of the frame stands (a quoted line break inside a cell does not count)."""
        return int(row) + self.first_line  # type: ignore[call-overload]


def read_table(name: str, config: TableConfig, root: Path) -> SourceTable:
    """Read one table into our column names.

    Raises
    ------
    InputRefusedError
        When the file cannot be read, is empty, or lacks columns; all missing columns are listed.
    """
    content = _content(name, config, root)
    file = str(config.path)
    cells, first_line = _cells(name, config, content)
    cells = cells[~_blank_rows(cells)]
    if cells.empty:
        came = "no rows" if len(cells.columns) else "an empty file"
        mend = f"export it again, or take data.tables.{name} out of the config"
        raise InputRefusedError([Problem(file, came, "a header and at least one row", mend)])
    frame, theirs = _renamed(name, config, cells)
    return SourceTable(name, file, frame, theirs, first_line, hashlib.sha256(content).hexdigest(), config)


def from_frame(name: str, frame: pd.DataFrame) -> SourceTable:
    """Table of the demo company, so that it goes through the same contract."""
    values = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    digest = hashlib.sha256(",".join(frame.columns).encode() + values.tobytes()).hexdigest()
    config = TableConfig(path=Path(f"demo/{name}"))
    theirs = {str(column): str(column) for column in frame}
    return SourceTable(name, f"demo {name}", frame.reset_index(drop=True), theirs, FIRST_LINE, digest, config)


def _content(name: str, config: TableConfig, root: Path) -> bytes:
    """Bytes of the file."""
    path = root / config.path
    try:
        return path.read_bytes()
    except FileNotFoundError:
        near = process.extractOne(
            path.name, sorted(p.name for p in path.parent.glob("*")) if path.parent.is_dir() else []
        )
        mend = f"did you mean {near[0]}?" if near and near[1] >= 60 else "check data.root"
        raise _refused(config, "no such file", "a file that exists", f"{mend} (data.tables.{name}.path)") from None
    except OSError as error:
        came = error.strerror or type(error).__name__
        raise _refused(config, came, "a file that can be read", f"see data.tables.{name}.path") from None


def _cells(name: str, config: TableConfig, content: bytes) -> tuple[pd.DataFrame, int]:
    """Cells in the file's column names, and the line of the first record."""
    suffixes = [suffix.lower() for suffix in config.path.suffixes]
    suffix = suffixes[-1] if suffixes else ""
    compressed = suffix == ".gz"
    if compressed:
        suffix = suffixes[-2] if len(suffixes) > 1 else ""
        content = _unpacked(config, content)
    if suffix in (".csv", ".tsv", ".txt"):
        separator = config.separator or ("\t" if suffix == ".tsv" else ",")
        return _text_cells(config, _decoded(name, config, content), separator), FIRST_LINE
    if suffix == ".parquet":
        return _parquet_cells(config, content), 1
    if suffix in (".xlsx", ".xlsm"):
        return _sheet_cells(name, config, content), FIRST_LINE
    allowed = ".csv, .tsv, .txt (each also .gz), .parquet or .xlsx"
    raise _refused(config, f"a file of type {suffix!r}", allowed, "export it in one of these types")


def _unpacked(config: TableConfig, content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise _refused(config, f"a broken gzip file ({error})", "a whole one", "copy or export it again") from None


def _decoded(name: str, config: TableConfig, content: bytes) -> str:
    """Text of the file; a wrong encoding is refused by name."""
    mend = f"set data.tables.{name}.encoding: "
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark) and config.encoding.lower().replace("_", "-") != encoding:
            raise _refused(config, "text in UTF-16", f"text in {config.encoding}", mend + encoding)
    wide = config.encoding.lower().replace("_", "-") in ("utf-8", "utf8")
    try:
        text = content.decode("utf-8-sig" if wide else config.encoding)
    except LookupError:
        raise _refused(config, f"encoding {config.encoding!r}", "an encoding Python knows", mend + "utf-8") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        before = content[max(error.start - 20, 0) : error.start].rpartition(b"\n")[2]
        after = content[error.start : error.start + 20].partition(b"\n")[0]
        word = (before + after).decode("cp1252", errors="replace").strip()
        came = f"bytes that are not {config.encoding} in line {line} (as Windows-1252 they read {word!r})"
        raise _refused(config, came, f"text in {config.encoding}", mend + "cp1252") from None
    if not wide and not content.isascii() and not config.encoding.lower().startswith("utf"):
        try:
            content.decode("utf-8")
        except UnicodeDecodeError:
            return text
        raise _refused(config, "text in UTF-8", f"text in {config.encoding}", mend + "utf-8")
    return text


def _text_cells(config: TableConfig, text: str, separator: str) -> pd.DataFrame:
    """Records of a delimited text, all as text; blank lines are kept so that lines can be counted."""
    header = text.partition("\n")[0]
    other = next((mark for mark in (";", "\t", "|", ",") if mark in header), None)
    if other and separator not in header:
        came = f"a header {header[:60].strip()!r} without {separator!r}"
        raise _refused(config, came, f"names split at {separator!r}", f"set separator: {other!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            cells = pd.read_csv(
                io.StringIO(text),
                sep=separator,
                dtype=str,
                keep_default_na=False,
                na_filter=False,
                skip_blank_lines=False,
                index_col=False,
            )
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except pd.errors.ParserWarning:
        mend = "write each record with as many fields as the header has"
        raise _refused(config, "more fields in a record than in the header", "the same number", mend) from None
    except (pd.errors.ParserError, ValueError) as error:
        came = str(error).strip().rpartition("C error: ")[2]
        mend = "put quotes around fields with the separator or line breaks in them, or set the separator"
        raise _refused(config, came, "the same number of fields in every record", mend) from None
    return cells


def _parquet_cells(config: TableConfig, content: bytes) -> pd.DataFrame:
    try:
        return pd.read_parquet(io.BytesIO(content)).reset_index(drop=True)
    except (pyarrow.ArrowException, OSError) as error:
        came = f"a file that is not Parquet ({str(error).splitlines()[0][:80]})"
        raise _refused(config, came, "a Parquet file", "export it again") from None


def _sheet_cells(name: str, config: TableConfig, content: bytes) -> pd.DataFrame:
    """Cells of a sheet in Excel's own types: the separator, decimal mark and encoding do not apply."""
    try:
        with pd.ExcelFile(io.BytesIO(content), engine="openpyxl") as book:
            sheets = [str(sheet) for sheet in book.sheet_names]
            sheet = config.sheet or sheets[0]
            if sheet not in sheets:
                mend = f"set data.tables.{name}.sheet"
                raise _refused(config, f"no sheet {sheet!r}", "one of " + ", ".join(sheets), mend)
            return pd.read_excel(book, sheet_name=sheet, dtype=object, keep_default_na=False, na_values=[""])
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        came = f"a file that is not an Excel workbook ({error})"
        raise _refused(config, came, "an .xlsx workbook", "save it again as .xlsx") from None


def _blank_rows(cells: pd.DataFrame) -> pd.Series:
    """Rows without any value."""
    return (cells.isna() | (cells.astype(object) == "")).all(axis=1)


def _renamed(name: str, config: TableConfig, cells: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Our columns only, constants filled in; missing ones are refused together."""
    required, optional = TABLES[name]
    cells = cells.rename(columns=lambda column: str(column).strip())
    headers = [str(column) for column in cells.columns]
    theirs = {ours: config.columns.get(ours, ours) for ours in (*required, *optional)}
    frame, problems = {}, []
    for ours, header in theirs.items():
        if ours in config.constants:
            frame[ours] = pd.Series(str(config.constants[ours]), index=cells.index, dtype="str")
        elif header in headers:
            frame[ours] = cells[header]
        elif ours in config.columns or (ours in required and not _may_be_derived(name, ours, config)):
            problems.append(_missing_column(name, config, (ours, header), headers))
    if problems:
        raise InputRefusedError(problems)
    return pd.DataFrame(frame, index=cells.index), {ours: theirs[ours] for ours in frame}


def _may_be_derived(name: str, ours: str, config: TableConfig) -> bool:
    """Whether a required column may be left out: the outcome follows from the stage, a quota's end from the period."""
    return (name, ours) == ("opportunities", "outcome") or ((name, ours) == ("quotas", "end") and bool(config.period))


def _missing_column(name: str, config: TableConfig, wanted: tuple[str, str], headers: list[str]) -> Problem:
    ours, header = wanted
    near = process.extractOne(header, headers, processor=str.casefold)
    guess = f"did you mean {near[0]!r}? " if near and near[1] >= 60 else ""
    names = ", ".join(headers[:30]) + (", ..." if len(headers) > 30 else "")
    mend = f"{guess}set data.tables.{name}.columns.{ours}"
    return Problem(f"{config.path}, header", f"no column {header!r}", f"one of {names}", mend)


def _refused(config: TableConfig, came: str, allowed: str, mend: str) -> InputRefusedError:
    return InputRefusedError([Problem(str(config.path), came, allowed, mend)])
