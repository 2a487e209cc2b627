"""Sums of rows by level, member and period, and rows of kpis.csv from them.

A *cell* here is a member of a level in a period. Sums are over rows of a table; a cell without a row does not occur.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from engine.kpis.calendar import GRAINS
from engine.kpis.facts import LEVELS, Facts
from models.panel import NONE, Floats, Ints

COLUMNS = ["kpi", "level", "key", "period", "value", "numerator", "denominator", "low", "high", "formula"]
"""Of kpis.csv."""

KEYS = ["level", "key", "grain", "code"]
"""What a cell is named by: `code` is a period's number in its grain."""

KEPT = {"month": 13, "quarter": 12, "year": 20}
"""Newest periods of each grain that have rows: a month stands beside the same one a year before."""

MANY_REPS = 200
"""Reps beyond which single reps have the periods of `KEPT_OF_MANY` only, so that the file stays readable."""

KEPT_OF_MANY = {"month": 0, "quarter": 4, "year": 1}

type Cells = pd.DataFrame

type Group = tuple[str, str, Ints, int, int]
"""Level, grain, [row] number of the cell (-1 for none), number of periods and first code."""

type Part = tuple[str, str, Ints, Ints, Mapping[str, np.ndarray]]
"""Level, grain, [cell] member, [cell] code of the period, and columns [cell]."""


def kept_periods(facts: Facts, level: str, grain: str, before: int = 0) -> range:
    """Codes of the periods that have rows.

    Parameters
    ----------
    before : months before the first of them that are wanted too
    """
    first, last = facts.calendar.span(grain)
    many = level == "rep" and len(facts.panel.reps.labels) > MANY_REPS
    count = (KEPT_OF_MANY if many else KEPT)[grain]
    return range(max(first, last - count + 1 - before // GRAINS[grain]), last + 1) if count else range(0)


def grouped(facts: Facts, frame: pd.DataFrame, day: str, levels: Sequence[str], before: int = 0) -> list[Group]:
    """Cells of the rows, for every pair of level and grain.

    Parameters
    ----------
    frame : rows with places; those whose ``day`` is missing or in no kept period have the cell -1
    before : see `kept_periods`
    """
    days = frame[day].to_numpy().astype("datetime64[D]")
    known = ~np.isnat(days) & (days <= facts.calendar.as_of)
    days = np.where(known, days, facts.calendar.as_of)
    codes = {grain: facts.calendar.codes(days, grain) for grain in GRAINS}
    found = []
    for level in levels:
        count = len(facts.labels(level).ids)
        place = frame[level].to_numpy()
        place = np.where(place == NONE, count - 1, place)
        for grain in GRAINS:
            periods = kept_periods(facts, level, grain, before)
            if not len(periods):
                continue
            code = codes[grain] - periods[0]
            number = np.where(known & (code >= 0), place * len(periods) + code, -1)
            found.append((level, grain, number, len(periods), periods[0]))
    return found


def usable_levels(frame: pd.DataFrame, levels: Sequence[str]) -> list[str]:
    """Levels that tell something: those where at least one row has a member."""
    return [level for level in LEVELS if level in levels and (frame[level] != NONE).any()]


def tally(
    facts: Facts,
    frame: pd.DataFrame,
    day: str,
    sums: Mapping[str, Floats],
    levels: Sequence[str] = LEVELS,
    before: int = 0,
) -> Cells:
    """One row a cell with rows: its `KEYS`, ``n`` rows, and the sum of every column.

    Parameters
    ----------
    frame : rows with places
    day : column of ``frame`` that says when
    sums : [row] values by name
    before : see `kept_periods`
    """
    parts: list[Part] = []
    for level, grain, number, periods, first in grouped(facts, frame, day, usable_levels(frame, levels), before):
        inside = number >= 0
        size = len(facts.labels(level).ids) * periods
        n = np.bincount(number[inside], minlength=size)
        cell = np.flatnonzero(n)
        columns = {name: np.bincount(number[inside], values[inside], size)[cell] for name, values in sums.items()}
        parts.append((level, grain, cell // periods, cell % periods + first, {"n": n[cell], **columns}))
    return stacked(facts, parts, ("n", *sums))


def stacked(facts: Facts, parts: Sequence[Part], names: Sequence[str]) -> Cells:
    """All parts as one frame of `KEYS` and ``names``; texts are made once, which is what takes the time."""
    if not parts:
        return pd.DataFrame(
            {name: pd.Series(dtype="int64" if name == "code" else "object") for name in [*KEYS, *names]}
        )
    sizes = [len(place) for _, _, place, _, _ in parts]
    frame = {
        "level": np.repeat([level for level, *_ in parts], sizes).astype(object),
        "key": np.concatenate([facts.labels(level).ids[place] for level, _, place, _, _ in parts]).astype(object),
        "grain": np.repeat([grain for _, grain, *_ in parts], sizes).astype(object),
        "code": np.concatenate([code for _, _, _, code, _ in parts]),
    }
    return pd.DataFrame(frame | {name: np.concatenate([columns[name] for *_, columns in parts]) for name in names})


def rows(
    facts: Facts, kpi: str, cells: Cells, numbers: Mapping[str, Floats | pd.Series], formula: str | pd.Series
) -> pd.DataFrame:
    """Rows of kpis.csv.

    Parameters
    ----------
    cells : with `KEYS`
    numbers : ``value`` and any of numerator, denominator, low and high, [cell]
    """
    names = period_names(facts)
    period = [names[pair] for pair in zip(cells["grain"], cells["code"].tolist(), strict=True)]
    frame = {
        "level": cells["level"].to_numpy(),
        "key": cells["key"].to_numpy(),
        "period": np.array(period, dtype=object),
    }
    for name in ("value", "numerator", "denominator", "low", "high"):
        frame[name] = np.asarray(numbers[name], dtype=np.float64) if name in numbers else np.full(len(cells), np.nan)
    kept = np.isfinite(frame["value"])
    table = pd.DataFrame({name: part[kept] for name, part in frame.items()})
    words = np.asarray(formula)[kept] if isinstance(formula, pd.Series) else formula
    return table.assign(kpi=kpi, formula=words)[COLUMNS]


def period_names(facts: Facts) -> dict[tuple[str, int], str]:
    """Names of all periods on record, by grain and code."""
    found: dict[tuple[str, int], str] = {}
    for grain in GRAINS:
        first, last = facts.calendar.span(grain)
        found |= {(grain, code): facts.calendar.name(grain, code) for code in range(first, last + 1)}
    return found
