"""What a file of an export looks like: how it is written, and what each of its columns holds."""

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from engine.config.data import FileConfig
from engine.data.cells import COMMA_NUMBER, FALSE, NUMBER, TRUE, texts_of
from engine.data.dates import DAY_OR_MONTH_FIRST, read_dates
from engine.data.files import blank_rows, cells_of, content_of, unpacked
from engine.errors import InputRefusedError

SUFFIXES = (".csv", ".tsv", ".txt", ".gz", ".parquet", ".xlsx", ".xlsm")
"""Files that are looked at."""

MOST_ROWS = 200_000
"""Rows of a file that are looked at."""

ENOUGH = 0.98
"""Share of the filled cells that must read as a number or a date for the column to be one."""


@dataclass(frozen=True)
class Column:
    """A column of a file.

    Attributes
    ----------
    kind : date, number, flag or text
    filled : share of rows with a value, 0 to 1
    distinct : values
    unique : filled in every row, each value once
    values : [row] texts
    """

    header: str
    kind: str
    filled: float
    distinct: frozenset[str]
    unique: bool
    values: pd.Series


@dataclass(frozen=True)
class Seen:
    """A file (a sheet of it) of the export.

    Attributes
    ----------
    path : relative to the folder
    config : how it is written
    columns : by header, in the order of the file
    rows : number of records
    doubt : texts of dates that have two readings, when nothing in the file says which
    proof : what says how its dates are written
    """

    path: Path
    config: FileConfig
    columns: dict[str, Column] = field(repr=False)
    rows: int
    doubt: tuple[str, ...] = ()
    proof: str = ""

    @property
    def stem(self) -> str:
        """Name of the file (of the sheet) in words."""
        name = self.config.sheet or self.path.name.split(".")[0]
        return in_words(name)


def in_words(text: str) -> str:
    """Header or file name as words in lower case: OrderDate, order_date and ORDER-DATE are all "order date"."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    plain = text.casefold().translate(str.maketrans("äöüéèß", "aoueus"))
    return " ".join(re.findall(r"[^\W_]+", re.sub(r"\(.*?\)", " ", plain)))


def look_at(folder: Path) -> tuple[list[Seen], dict[str, str]]:
    """Look at every file of a folder.

    Returns
    -------
    files that can be read, by name, and why the others cannot
    """
    seen: list[Seen] = []
    failed: dict[str, str] = {}
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()):
        try:
            seen += _sheets(folder, path)
        except InputRefusedError as error:
            failed[path.name] = f"{error.problems[0].came}; {error.problems[0].mend}"
    return seen, failed


def _sheets(folder: Path, path: Path) -> list[Seen]:
    relative = path.relative_to(folder)
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        with pd.ExcelFile(path, engine="openpyxl") as book:
            names = [str(name) for name in book.sheet_names]
        configs = [FileConfig(path=relative, sheet=name if len(names) > 1 else None) for name in names]
    elif path.suffix.lower() == ".parquet":
        configs = [FileConfig(path=relative)]
    else:
        configs = [_written(relative, content_of(str(relative), FileConfig(path=relative), folder))]
    found = []
    for config in configs:
        cells, _ = cells_of(str(relative), config, content_of(str(relative), config, folder))
        cells = cells[~blank_rows(cells)].head(MOST_ROWS)
        if len(cells):
            found.append(_seen(relative, config, cells))
    return found


def _written(path: Path, content: bytes) -> FileConfig:
    """Encoding and separator of a text file."""
    config = FileConfig(path=path)
    if path.suffix.lower() == ".gz":
        content = unpacked(config, content)
    encoding = "utf-8"
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    else:
        try:
            content.decode("utf-8-sig")
        except UnicodeDecodeError:
            encoding = "windows-1252"
    lines = content.decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="replace").splitlines()[:20]
    widths = {mark: [len(row) for row in csv.reader(lines, delimiter=mark)] for mark in (",", ";", "\t", "|")}
    best = max(widths, key=lambda mark: (_steady(widths[mark]), widths[mark][0] if widths[mark] else 0))
    usual = "\t" if ".tsv" in path.suffixes else ","
    return FileConfig(path=path, encoding=encoding, separator=None if best == usual else best)


def _steady(widths: list[int]) -> float:
    """Share of lines as wide as the header, 0 for a single column."""
    return 0.0 if not widths or widths[0] < 2 else sum(width == widths[0] for width in widths) / len(widths)


def _seen(path: Path, config: FileConfig, cells: pd.DataFrame) -> Seen:
    """Profile of every column."""
    texts = {str(header).strip(): texts_of(cells[header]) for header in cells}
    decimal = "," if config.separator != "," and config.separator is not None and _comma(texts) else "."
    config = config.model_copy(update={"decimal": decimal})
    columns = {header: _column(header, values, decimal) for header, values in texts.items()}
    dates = [column.values for column in columns.values() if column.kind == "date"]
    date_format, doubt, proof = written_dates(dates)
    config = config.model_copy(update={"date_format": date_format})
    return Seen(path, config, columns, len(cells), doubt, proof)


def _comma(texts: dict[str, pd.Series]) -> bool:
    """Whether the numbers of a file have a decimal comma."""
    comma = sum(int(values.str.fullmatch(r"[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+").sum()) for values in texts.values())
    point = sum(
        int(values.str.fullmatch(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)\.\d{1,2}").sum()) for values in texts.values()
    )
    return comma > point


def _column(header: str, values: pd.Series, decimal: str) -> Column:
    """Kind and measures of a column."""
    given = values[values != ""]
    distinct = frozenset(given.unique())
    unique = len(given) == len(values) == len(distinct)
    return Column(header, _kind(given, distinct, decimal), len(given) / max(len(values), 1), distinct, unique, values)


def _kind(given: pd.Series, distinct: frozenset[str], decimal: str) -> str:
    if given.empty:
        return "text"
    words = {value.casefold() for value in distinct}
    if words <= {*TRUE, *FALSE} and len(words) <= 2:
        return "flag"
    if given.str.fullmatch(COMMA_NUMBER if decimal == "," else NUMBER).mean() >= ENOUGH:
        return "number"
    read = read_dates(given, None, "UTC")
    return "date" if (read.days.notna() | read.ambiguous).mean() >= ENOUGH else "text"


def written_dates(columns: list[pd.Series]) -> tuple[str | None, tuple[str, ...], str]:
    """How the dates of a file are written.

    Returns
    -------
    format (None for ISO), texts with two readings when nothing says which, and what says it
    """
    parts = pd.concat(
        [values.drop_duplicates().str.extract(f"^{DAY_OR_MONTH_FIRST}$") for values in columns]
        or [pd.DataFrame(columns=[0, 1, 2])]
    ).dropna()
    if parts.empty:
        return None, (), ""
    first, second = (pd.to_numeric(parts[place]) for place in (0, 1))
    texts = pd.concat([values.drop_duplicates() for values in columns])
    texts = texts[texts.str.fullmatch(DAY_OR_MONTH_FIRST)]
    mark = re.findall(r"\d([/.\-])", texts.iloc[0])[0]
    if (first > 12).any() and not (second > 12).any():
        return f"%d{mark}%m{mark}%Y", (), f"{texts[(first > 12).to_numpy()].iloc[0]} can only be day first"
    if (second > 12).any() and not (first > 12).any():
        return f"%m{mark}%d{mark}%Y", (), f"{texts[(second > 12).to_numpy()].iloc[0]} can only be month first"
    if (first > 12).any():
        return None, (), ""
    return None, tuple(texts[(first != second).to_numpy()].iloc[:3]), ""
