"""Reads files as they are: text stays text, so that the contract can name every bad cell."""

import gzip
import io
import warnings
import zipfile
import zlib
from pathlib import Path

import pandas as pd
import pyarrow
from rapidfuzz import process

from engine.config.data import FileConfig
from engine.errors import InputRefusedError, Problem

FIRST_LINE = 2
"""Line of the first record of a text file or a sheet: the header is line 1."""


def content_of(key: str, config: FileConfig, root: Path) -> bytes:
    """Bytes of the file."""
    path = root / (config.path or "")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        near = process.extractOne(
            path.name, sorted(p.name for p in path.parent.glob("*")) if path.parent.is_dir() else []
        )
        mend = f"did you mean {near[0]}?" if near and near[1] >= 60 else "check data.root"
        raise refused(config, "no such file", "a file that exists", f"{mend} ({key}.path)") from None
    except OSError as error:
        came = error.strerror or type(error).__name__
        raise refused(config, came, "a file that can be read", f"see {key}.path") from None


def cells_of(key: str, config: FileConfig, content: bytes) -> tuple[pd.DataFrame, int]:
    """Cells in the file's column names, and the line of the first record."""
    suffixes = [suffix.lower() for suffix in (config.path or Path()).suffixes]
    suffix = suffixes[-1] if suffixes else ""
    compressed = suffix == ".gz"
    if compressed:
        suffix = suffixes[-2] if len(suffixes) > 1 else ""
        content = unpacked(config, content)
    if suffix in (".csv", ".tsv", ".txt"):
        separator = config.separator or ("\t" if suffix == ".tsv" else ",")
        return _text_cells(config, _decoded(key, config, content), separator), FIRST_LINE
    if suffix == ".parquet":
        return _parquet_cells(config, content), 1
    if suffix in (".xlsx", ".xlsm"):
        return _sheet_cells(key, config, content), FIRST_LINE
    allowed = ".csv, .tsv, .txt (each also .gz), .parquet or .xlsx"
    raise refused(config, f"a file of type {suffix!r}", allowed, "export it in one of these types")


def unpacked(config: FileConfig, content: bytes) -> bytes:
    """Content of a gzip file."""
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise refused(config, f"a broken gzip file ({error})", "a whole one", "copy or export it again") from None


def _decoded(key: str, config: FileConfig, content: bytes) -> str:
    """Text of the file; a wrong encoding is refused by name."""
    mend = f"set {key}.encoding: "
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark) and config.encoding.lower().replace("_", "-") != encoding:
            raise refused(config, "text in UTF-16", f"text in {config.encoding}", mend + encoding)
    wide = config.encoding.lower().replace("_", "-") in ("utf-8", "utf8")
    try:
        text = content.decode("utf-8-sig" if wide else config.encoding)
    except LookupError:
        raise refused(config, f"encoding {config.encoding!r}", "an encoding Python knows", mend + "utf-8") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        before = content[max(error.start - 20, 0) : error.start].rpartition(b"\n")[2]
        after = content[error.start : error.start + 20].partition(b"\n")[0]
        word = (before + after).decode("cp1252", errors="replace").strip()
        came = f"bytes that are not {config.encoding} in line {line} (as Windows-1252 they read {word!r})"
        raise refused(config, came, f"text in {config.encoding}", mend + "cp1252") from None
    if not wide and not content.isascii() and not config.encoding.lower().startswith("utf"):
        try:
            content.decode("utf-8")
        except UnicodeDecodeError:
            return text
        raise refused(config, "text in UTF-8", f"text in {config.encoding}", mend + "utf-8")
    return text


def _text_cells(config: FileConfig, text: str, separator: str) -> pd.DataFrame:
    """Records of a delimited text, all as text; blank lines are kept so that lines can be counted."""
    header = text.partition("\n")[0]
    other = next((mark for mark in (";", "\t", "|", ",") if mark in header), None)
    if other and separator not in header:
        came = f"a header {header[:60].strip()!r} without {separator!r}"
        raise refused(config, came, f"names split at {separator!r}", f"set separator: {other!r}")
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
        raise refused(config, "more fields in a record than in the header", "the same number", mend) from None
    except (pd.errors.ParserError, ValueError) as error:
        came = str(error).strip().rpartition("C error: ")[2]
        mend = "put quotes around fields with the separator or line breaks in them, or set the separator"
        raise refused(config, came, "the same number of fields in every record", mend) from None
    return cells


def _parquet_cells(config: FileConfig, content: bytes) -> pd.DataFrame:
    try:
        return pd.read_parquet(io.BytesIO(content)).reset_index(drop=True)
    except (pyarrow.ArrowException, OSError) as error:
        came = f"a file that is not Parquet ({str(error).splitlines()[0][:80]})"
        raise refused(config, came, "a Parquet file", "export it again") from None


def _sheet_cells(key: str, config: FileConfig, content: bytes) -> pd.DataFrame:
    """Cells of a sheet in Excel's own types: the separator, decimal mark and encoding do not apply."""
    try:
        with pd.ExcelFile(io.BytesIO(content), engine="openpyxl") as book:
            sheets = [str(sheet) for sheet in book.sheet_names]
            sheet = config.sheet or sheets[0]
            if sheet not in sheets:
                mend = f"set {key}.sheet"
                raise refused(config, f"no sheet {sheet!r}", "one of " + ", ".join(sheets), mend)
            return pd.read_excel(book, sheet_name=sheet, dtype=object, keep_default_na=False, na_values=[""])
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        came = f"a file that is not an Excel workbook ({error})"
        raise refused(config, came, "an .xlsx workbook", "save it again as .xlsx") from None


def blank_rows(cells: pd.DataFrame) -> pd.Series:
    """Rows without any value."""
    return (cells.isna() | (cells.astype(object) == "")).all(axis=1)


def refused(config: FileConfig, came: str, allowed: str, mend: str) -> InputRefusedError:
    """Refusal of a file as a whole."""
    return InputRefusedError([Problem(str(config.path), came, allowed, mend)])
