"""Turns bad cells into `engine.errors.Problem`s: every rule lists its first rows and says how many more there are."""

import pandas as pd

from engine.data.sources import SourceTable
from engine.errors import Problem

ROWS_SHOWN = 20
"""Rows listed per rule and column; the rest is counted."""

TEXT_SHOWN = 60
"""Characters of a cell that are shown."""


def shown(value: object) -> str:
    """A cell in quotes, control characters escaped, shortened with its length said."""
    text = "" if value is None or value is pd.NaT or (isinstance(value, float) and value != value) else str(value)
    if text == "":
        return "an empty cell"
    if len(text) <= TEXT_SHOWN:
        return repr(text)
    return f"{text[:TEXT_SHOWN]!r}... ({len(text):,} characters)"


def refuse_rows(
    table: SourceTable, name: str, bad: pd.Series, *, came: pd.Series | None = None, allowed: str, mend: str
) -> list[Problem]:
    """Problems for the rows where ``bad`` is true.

    Parameters
    ----------
    table, name : table and our name of the column (the file's own name is shown)
    bad : [row] bool, indexed like the table's frame
    came : [row] words for what was found; the cells themselves when None
    allowed, mend : see `Problem`
    """
    rows = bad.index[bad.to_numpy(dtype=bool)]
    if len(rows) == 0:
        return []
    first = rows[:ROWS_SHOWN]
    cells = [shown(value) for value in table.frame.loc[first, name]] if came is None else list(came.loc[first])
    place = f"{table.file}, column {table.theirs.get(name, name)!r}"
    problems = [
        Problem(f"{table.file}, row {table.line(row)}, column {table.theirs.get(name, name)!r}", cell, allowed, mend)
        for row, cell in zip(first, cells, strict=True)
    ]
    if len(rows) > len(first):
        more = len(rows) - len(first)
        last = table.line(rows[-1])
        problems.append(Problem(place, f"the same in {more:,} more rows (the last is row {last})", allowed, mend))
    return problems
