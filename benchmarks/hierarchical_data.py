"""Folders of hierarchical series: data, summing matrix and levels, checked as a whole before anything runs."""

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import InputRefusedError, Problem
from engine.methods.series import Series, levels_of
from models.panel import Floats, Ints

SHOWN = 5
"""Bad cells of a file that are listed one by one; the rest are counted."""

ROUNDING = 1e-3
"""How far an aggregate may lie from the sum of its bottom series, in the mean of the aggregate."""


@dataclass(frozen=True)
class Dataset:
    """One hierarchy with its history.

    Attributes
    ----------
    name : of the files, before ``_data.csv``
    series : everything in the files, aggregates first
    levels : [series] index into `level_names`
    level_names : coarse to fine as the files have them
    """

    name: str
    series: Series
    levels: Ints
    level_names: tuple[str, ...]


def read_folder(folder: Path, horizon: int, season: int) -> list[Dataset]:
    """Every data set of a folder, in order of name.

    Raises
    ------
    InputRefusedError
        With all problems of all files.
    """
    problems: list[Problem] = []
    datasets = []
    for name, path in _data_files(folder, problems).items():
        before = len(problems)
        dataset = _read(name, path, horizon, season, problems)
        if dataset is not None and len(problems) == before:
            datasets.append(dataset)
    if problems:
        raise InputRefusedError(problems)
    return datasets


def _data_files(folder: Path, problems: list[Problem]) -> dict[str, Path]:
    """Data files by name of data set."""
    if not folder.is_dir():
        problems.append(Problem(str(folder), "no such folder", "a folder", "name the folder that holds the files"))
        return {}
    files: dict[str, Path] = {}
    for path in sorted([*folder.glob("*_data.csv"), *folder.glob("*_data.csv.gz")]):
        name = path.name.removesuffix(".gz").removesuffix("_data.csv")
        if name in files:
            problems.append(Problem(str(path), "a second file of the same data set", "one", "remove one of the two"))
        files[name] = path
    if not files:
        problems.append(
            Problem(str(folder), "no file NAME_data.csv or NAME_data.csv.gz", "one or more", "name the right folder")
        )
    return files


def _read(name: str, path: Path, horizon: int, season: int, problems: list[Problem]) -> Dataset | None:
    """One data set; None where its files cannot be read as tables at all."""
    matrix_path = _companion(path, name, "agg_mat")
    if matrix_path is None:
        wanted = str(path.with_name(f"{name}_agg_mat.csv[.gz]"))
        problems.append(Problem(wanted, "no file", "the summing matrix of the data", "put it beside the data"))
    labels, values, periods = _table(path, problems)
    if values is not None and len(periods) < horizon + season + 1:
        problems.append(
            Problem(
                str(path),
                f"{len(periods)} periods",
                f"{horizon + season + 1} or more: the horizon of {horizon}, a season of {season} and one more",
                "bring a longer history, or a smaller --horizon or --season",
            )
        )
    if matrix_path is None:
        return None
    columns, matrix, rows = _table(matrix_path, problems)
    if values is None or matrix is None:
        return None
    summing = _summing(matrix_path, matrix, rows, columns, labels, problems)
    if summing is None or not len(periods):
        return None
    _check_sums(path, values.T, summing, labels, problems)
    levels = levels_of(summing)
    names = _level_names(_companion(path, name, "tags"), summing, levels, problems)
    return Dataset(name, Series(values.T, season, summing, np.array(labels)), levels, names)


def _companion(path: Path, name: str, kind: str) -> Path | None:
    """The file of another kind of the same data set, plain or compressed."""
    candidates = (path.with_name(f"{name}_{kind}.csv{end}") for end in ("", ".gz"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _rows(path: Path, problems: list[Problem]) -> list[list[str]]:
    """Rows of a CSV file; empty with a problem where it cannot be read."""
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
                return [row for row in csv.reader(file) if row]
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [row for row in csv.reader(file) if row]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        problems.append(Problem(str(path), str(error), "a readable CSV file in UTF-8", "write the file again"))
        return []


def _table(path: Path, problems: list[Problem]) -> tuple[list[str], Floats | None, list[str]]:
    """Column labels, numbers [row, column] and row labels; no numbers where a problem was found."""
    rows = _rows(path, problems)
    if len(rows) < 2 or len(rows[0]) < 2:
        if rows or not problems or problems[-1].where != str(path):
            problems.append(
                Problem(str(path), "no numbers", "a header, then a label and numbers a row", "write the file again")
            )
        return [], None, []
    labels = rows[0][1:]
    values = np.zeros((len(rows) - 1, len(labels)))
    bad: list[Problem] = []
    for number, row in enumerate(rows[1:]):
        where = f"{path}, row {row[0]!r}"
        if len(row) != len(labels) + 1:
            bad.append(Problem(where, f"{len(row)} cells", f"{len(labels) + 1}", "give every column one cell"))
            continue
        for column, cell in enumerate(row[1:]):
            value = _number(cell)
            if value is None or value < 0:
                allowed = "a number, zero or more"
                bad.append(Problem(f"{where}, column {labels[column]!r}", repr(cell), allowed, "correct the cell"))
            else:
                values[number, column] = value
    problems.extend(bad[:SHOWN])
    if len(bad) > SHOWN:
        problems.append(
            Problem(str(path), f"{len(bad) - SHOWN} more bad cells", "none", "correct them in the same way")
        )
    for twice in sorted({label for label in labels if labels.count(label) > 1})[:SHOWN]:
        problems.append(Problem(str(path), f"column {twice!r} more than once", "once", "give it another name"))
    return labels, None if bad else values, [row[0] for row in rows[1:]]


def _number(cell: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _summing(
    path: Path, matrix: Floats, rows: list[str], columns: list[str], labels: list[str], problems: list[Problem]
) -> Floats | None:
    """Matrix of all series [series, bottom], the identity added where the file has aggregates only."""
    before = len(problems)
    bottom = len(columns)
    if rows[-bottom:] == columns and len(rows) == len(labels):
        if not np.array_equal(matrix[-bottom:], np.eye(bottom)):
            problems.append(Problem(str(path), "bottom rows that sum others", "the identity", "correct the matrix"))
        rows, matrix = rows[:-bottom], matrix[:-bottom]
    if not np.isin(matrix, (0.0, 1.0)).all():
        problems.append(Problem(str(path), "other numbers than 0 and 1", "0 or 1", "correct the matrix"))
    for row in np.flatnonzero(~(matrix != 0).any(axis=1))[:SHOWN]:
        problems.append(Problem(f"{path}, row {rows[row]!r}", "no bottom series", "one or more", "remove the row"))
    if len(rows) + bottom != len(labels):
        problems.append(
            Problem(
                str(path),
                f"{len(rows)} aggregates and {bottom} bottom series for {len(labels)} series of data",
                "a row for each aggregate and a column for each bottom series",
                "bring the matrix that belongs to the data",
            )
        )
    else:
        for got, want in [(g, w) for g, w in zip([*rows, *columns], labels, strict=True) if g != w][:SHOWN]:
            problems.append(
                Problem(
                    str(path), f"series {got!r}", f"{want!r}, as in the data", "use the order and names of the data"
                )
            )
    return np.vstack([matrix, np.eye(bottom)]) if len(problems) == before else None


def _check_sums(path: Path, values: Floats, summing: Floats, labels: list[str], problems: list[Problem]) -> None:
    """Aggregates are the sums that the matrix says."""
    gap = np.abs(values - summing @ values[-summing.shape[1] :]).max(axis=1)
    wrong = np.flatnonzero(gap > ROUNDING * np.maximum(values.mean(axis=1), np.finfo(float).tiny) + 1e-9)
    for series in wrong[:SHOWN]:
        problems.append(
            Problem(
                f"{path}, column {labels[series]!r}",
                f"up to {gap[series]:g} beside the sum of its bottom series",
                "the sum that the matrix says",
                "bring the matrix that belongs to the data",
            )
        )
    if len(wrong) > SHOWN:
        problems.append(
            Problem(str(path), f"{len(wrong) - SHOWN} more such columns", "sums as the matrix says", "the same")
        )


def _level_names(path: Path | None, summing: Floats, levels: Ints, problems: list[Problem]) -> tuple[str, ...]:
    """Names of levels: from the header of the tags where it has one, else ``level 2 (7 series)``.

    Tags have a row a bottom series, in the order of the data, and a column a level that gives each its member there.
    A column names the level that groups the bottom series in the same way; without a header the columns have no names.
    """
    names = [f"level {i + 1} ({int((levels == i).sum())} series)" for i in range(int(levels.max()) + 1)]
    rows = _rows(path, problems) if path is not None else []
    bottom = summing.shape[1]
    if len(rows) != bottom + 1 or len({len(row) for row in rows}) != 1:
        return tuple(names)
    for column, title in enumerate(rows[0]):
        members = [row[column] for row in rows[1:]]
        groups = {tuple(np.flatnonzero([m == member for m in members])) for member in members}
        for level in range(len(names)):
            same = groups == {tuple(np.flatnonzero(row)) for row in summing[levels == level]}
            if same and title and title != "overall" and title not in names:
                names[level] = title
                break
    return tuple(names)
