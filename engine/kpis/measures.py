"""The kinds of numbers, each from rows to rows: share, ratio, mean, quantile, count, sum over something fixed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.kpis import intervals
from engine.kpis.cells import COLUMNS, Part, grouped, rows, stacked, tally, usable_levels
from engine.kpis.facts import LEVELS, Facts
from models.panel import Floats


@dataclass(frozen=True)
class Measure:
    """What is measured on rows with places.

    Attributes
    ----------
    kpi, formula : as kpis.csv names them
    frame : rows with places
    day : column that says when a row counts
    levels : levels to sum to; those without a member are left out
    """

    kpi: str
    formula: str
    frame: pd.DataFrame
    day: str
    levels: Sequence[str] = LEVELS


def share(facts: Facts, what: Measure, hit: Floats) -> pd.DataFrame:
    """Share of rows that count as a hit, with Jeffreys' interval.

    Parameters
    ----------
    hit : [row] 0 or 1, or the expectation of it
    """
    cells = tally(facts, what.frame, what.day, {"hit": hit}, what.levels)
    low, high = intervals.jeffreys(cells["hit"].to_numpy(), cells["n"].to_numpy())
    numbers = {"value": cells["hit"] / cells["n"], "numerator": cells["hit"], "denominator": cells["n"]}
    return rows(facts, what.kpi, cells, numbers | {"low": low, "high": high}, what.formula)


def ratio(facts: Facts, what: Measure, x: Floats, y: Floats, bounds: tuple[float, float]) -> pd.DataFrame:
    """Sum of x over sum of y with the linearised interval, cut to ``bounds``; cells where y sums to 0 are left out."""
    sums = {"x": x, "y": y, "xx": x * x, "yy": y * y, "xy": x * y}
    cells = tally(facts, what.frame, what.day, sums, what.levels)
    cells = cells[cells["y"] != 0]
    found = tuple(cells[name].to_numpy(dtype=np.float64) for name in sums)
    low, high = intervals.linearised(cells["n"].to_numpy(), found)  # type: ignore[arg-type]
    numbers = {"value": cells["x"] / cells["y"], "numerator": cells["x"], "denominator": cells["y"]}
    alone = cells["n"].to_numpy() == 1  # one row says nothing about the spread: a share may be anything
    low, high = (np.where(alone & np.isfinite(end), end, part) for end, part in zip(bounds, (low, high), strict=True))
    numbers |= {"low": pd.Series(np.clip(low, *bounds)), "high": pd.Series(np.clip(high, *bounds))}
    return rows(facts, what.kpi, cells, numbers, what.formula)


def mean(facts: Facts, what: Measure, x: Floats) -> pd.DataFrame:
    """Mean of x over rows."""
    return ratio(facts, what, x, np.ones(len(x)), (0.0, np.inf) if (x >= 0).all() else (-np.inf, np.inf))


def total(facts: Facts, what: Measure, x: Floats) -> pd.DataFrame:
    """Sum of x over rows: a fact, without an interval."""
    cells = tally(facts, what.frame, what.day, {"x": x}, what.levels)
    return rows(facts, what.kpi, cells, {"value": cells["x"], "numerator": cells["x"]}, what.formula)


def count(facts: Facts, what: Measure) -> pd.DataFrame:
    """Number of rows."""
    return total(facts, what, np.ones(len(what.frame)))


def quantile(facts: Facts, what: Measure, x: Floats, q: float) -> pd.DataFrame:
    """Quantile of x over rows; the denominator is the number of rows, there is no numerator."""
    parts: list[Part] = []
    levels = usable_levels(what.frame, what.levels)
    for level, grain, number, periods, first in grouped(facts, what.frame, what.day, levels):
        order = np.lexsort((x, number))
        order = order[number[order] >= 0]
        if not len(order):
            continue
        cell, starts, sizes = np.unique(number[order], return_index=True, return_counts=True)
        middle, low, high = intervals.quantile(x[order], starts, sizes, q)
        columns = {"value": middle, "low": low, "high": high, "denominator": sizes}
        parts.append((level, grain, cell // periods, cell % periods + first, columns))
    if not parts:
        return empty()
    names = ("value", "denominator", "low", "high")
    cells = stacked(facts, parts, names)
    numbers = {name: cells[name] for name in names}
    return rows(facts, what.kpi, cells, numbers, what.formula)


def per(facts: Facts, what: Measure, x: Floats, over: pd.DataFrame) -> pd.DataFrame:
    """Sum of x over something that is given for each cell, with the interval of a compound Poisson sum.

    Parameters
    ----------
    over : cells with `KEYS` and ``over``
    """
    sums = tally(facts, what.frame, what.day, {"x": x, "xx": x * x}, what.levels)
    cells = over.merge(sums, how="left", on=["level", "key", "grain", "code"]).fillna({"x": 0.0, "xx": 0.0})
    cells = cells[cells["over"] > 0]
    low, high = intervals.compound(cells["x"].to_numpy(), cells["xx"].to_numpy(), cells["over"].to_numpy())
    numbers = {"value": cells["x"] / cells["over"], "numerator": cells["x"], "denominator": cells["over"]}
    return rows(facts, what.kpi, cells, numbers | {"low": pd.Series(low), "high": pd.Series(high)}, what.formula)


def empty() -> pd.DataFrame:
    """No rows."""
    return pd.DataFrame(columns=COLUMNS)
