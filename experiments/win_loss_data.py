"""Won and lost opportunities from a CSV file: which columns may be used, which are barred and why."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from engine.errors import InputRefusedError, Problem

DISTINCT_WORDS = 0.5
"""Share of rows with a word of their own from which a column of words is taken for an identifier."""


@dataclass(frozen=True)
class Question:
    """What is asked of a file.

    Attributes
    ----------
    outcome : column
    won : its value for a won opportunity
    barred : column to the reason why it may not be used
    identifier : column whose equal values stay in one fold, or none; always barred
    suspect : columns known before close that may still carry the outcome: the study runs with and without them
    cells : columns whose combinations are checked for calibration; none: no check
    """

    outcome: str
    won: str
    barred: dict[str, str] = field(default_factory=dict)
    identifier: str | None = None
    suspect: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()


@dataclass(frozen=True)
class Opportunities:
    """Columns that may be used, and the outcome.

    Attributes
    ----------
    columns : name to [row]; floating numbers are ordered, words are categories
    won : [row] 1 or 0
    block : [row] rows of one block stay in one fold
    cell : [row] cell of the calibration check
    """

    columns: dict[str, np.ndarray]
    won: np.ndarray
    block: np.ndarray
    cell: np.ndarray


def read(path: Path, question: Question) -> Opportunities:
    """Read a file, or the only CSV file of a folder.

    Raises
    ------
    InputRefusedError
        with every problem found
    """
    frame = _frame(path)
    _check(frame, question, str(path))
    out = {question.outcome, *question.barred, *([question.identifier] if question.identifier else [])}
    columns = {name: _values(frame[name]) for name in frame.columns if name not in out}
    rows = len(frame)
    many = [n for n, v in columns.items() if v.dtype.kind == "U" and len(np.unique(v)) > DISTINCT_WORDS * rows]
    if not columns:
        raise InputRefusedError([Problem(str(path), "no column left", "at least one", "bar fewer columns")])
    if many:
        mend = "bar it with --bar 'COLUMN=reason', or name it with --id"
        raise InputRefusedError([Problem(f"{path}: {n}", "words that hardly repeat", "categories", mend) for n in many])
    return Opportunities(
        columns=columns,
        won=(frame[question.outcome] == question.won).to_numpy(dtype=float),
        block=pd.factorize(frame[question.identifier])[0] if question.identifier else np.arange(rows),
        cell=frame.groupby(list(question.cells), sort=True).ngroup().to_numpy()
        if question.cells
        else np.zeros(rows, dtype=int),
    )


def _frame(path: Path) -> pd.DataFrame:
    """All cells as text: a category may be called None, which is not a missing value."""
    files = sorted([*path.glob("*.csv"), *path.glob("*.csv.gz")]) if path.is_dir() else [path]
    if len(files) != 1 or not files[0].is_file():
        came = f"{len(files)} CSV files" if path.is_dir() else "no such file or folder"
        mend = "name the file itself, or another folder"
        raise InputRefusedError([Problem(str(path), came, "a CSV file, or a folder with one", mend)])
    return pd.read_csv(files[0], dtype=str, keep_default_na=False)


def _check(frame: pd.DataFrame, question: Question, where: str) -> None:
    named = [question.outcome, *question.barred, *question.suspect, *question.cells]
    named += [question.identifier] if question.identifier else []
    here, mend = ", ".join(frame.columns), "correct the name, or say what the file has with --outcome and the rest"
    found = [Problem(where, f"no column {n!r}", here, mend) for n in named if n not in frame.columns]
    if question.outcome in frame.columns:
        values = sorted(frame[question.outcome].unique())
        if question.won not in values or len(values) < 2:
            shown = ", ".join(values[:5])
            mend = "name the value of a won opportunity with --won"
            found.append(Problem(f"{where}: {question.outcome}", f"only {shown}", f"{question.won!r} and others", mend))
    if found:
        raise InputRefusedError(found)


def _values(column: pd.Series) -> np.ndarray:
    """Numbers, blanks as NaN, if all that is not blank is a number; else words."""
    blank = column.str.strip() == ""
    numbers = pd.to_numeric(column.where(~blank), errors="coerce")
    if not blank.all() and (numbers.notna() | blank).all():
        return numbers.to_numpy(dtype=float)
    return column.to_numpy(dtype=str)
