"""What the win-probability model is told: a table of codes with counts, and how columns become codes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.panel import Bools, Floats, Ints, Texts

UNKNOWN = -1
"""Code of a category that was not there when the coding was learned."""

QUANTILE_BINS = 255
"""Quantile bins of an ordered column; with fewer distinct values each has its own."""

HEAP_ROWS = 10
"""A number that so many rows share exactly (a round amount, a list price) has a level for itself."""


@dataclass(frozen=True)
class WinTable:
    """Opportunities with an outcome, as codes.

    Attributes
    ----------
    names : [covariate]
    codes : [row, covariate] level, or `UNKNOWN`; levels of an ordered covariate follow its order
    levels : [covariate] number of levels
    ordered : [covariate]
    count, success : [row] opportunities and how many of them were won
    """

    names: tuple[str, ...]
    codes: Ints
    levels: Ints
    ordered: Bools
    count: Floats
    success: Floats

    def __post_init__(self) -> None:
        rows, covariates = self.codes.shape
        if not covariates == len(self.names) == len(self.levels) == len(self.ordered):
            raise ValueError(f"{covariates} columns of codes, but {len(self.names)} names: one each is needed")
        if not rows == len(self.count) == len(self.success):
            raise ValueError(f"{rows} rows of codes, but {len(self.count)} counts: one each is needed")
        if (self.codes >= self.levels).any() or (self.codes < UNKNOWN).any():
            raise ValueError("a code lies outside its covariate's levels; allowed: -1 (unknown) to levels - 1")
        if not ((self.success >= 0) & (self.success <= self.count)).all():
            raise ValueError("successes must lie between 0 and the count of their row")


@dataclass(frozen=True)
class ColumnCoding:
    """How a column becomes codes.

    Attributes
    ----------
    categories : [level] sorted, of a column of words; empty for an ordered one
    edges : [bin - 1] upper edges, exclusive, of an ordered column; a missing number has the last level for itself
    ordered : which of the two
    """

    categories: Texts
    edges: Floats
    ordered: bool

    @property
    def levels(self) -> int:
        """Number of levels."""
        return len(self.edges) + 2 if self.ordered else len(self.categories)


def learn_coding(columns: Mapping[str, np.ndarray]) -> dict[str, ColumnCoding]:
    """Categories of columns of words and quantile bins of columns of numbers, from the rows given.

    Parameters
    ----------
    columns : name to [row]; floating or integer columns are ordered, others are categories
    """
    return {
        name: _ordered(column) if column.dtype.kind in "fiu" else _words(column) for name, column in columns.items()
    }


def coded(
    columns: Mapping[str, np.ndarray], coding: Mapping[str, ColumnCoding], success: Floats, count: Floats | None = None
) -> WinTable:
    """Table of codes under a coding that may have been learned on other rows.

    Parameters
    ----------
    columns : name to [row]
    coding : of each name
    success : [row] 1 for won, or the number won
    count : [row] opportunities in the row, one each if not given
    """
    kinds = list(coding.values())
    return WinTable(
        names=tuple(coding),
        codes=np.stack([_codes(columns[name], kind) for name, kind in coding.items()], axis=1),
        levels=np.array([kind.levels for kind in kinds]),
        ordered=np.array([kind.ordered for kind in kinds]),
        count=np.ones(len(success)) if count is None else np.asarray(count, dtype=float),
        success=np.asarray(success, dtype=float),
    )


def summed(table: WinTable) -> WinTable:
    """The same table with rows of equal codes summed; exact, since a binomial likelihood only sees the sums."""
    codes, row = np.unique(table.codes, axis=0, return_inverse=True)
    row = row.ravel()
    return WinTable(
        names=table.names,
        codes=codes,
        levels=table.levels,
        ordered=table.ordered,
        count=np.bincount(row, table.count),
        success=np.bincount(row, table.success),
    )


def _words(column: np.ndarray) -> ColumnCoding:
    return ColumnCoding(np.unique(column.astype(str)), np.zeros(0), ordered=False)


def _ordered(column: np.ndarray) -> ColumnCoding:
    """Borders between neighbouring values: all of them if they are few, else around heaps and at quantiles."""
    known = column[np.isfinite(column)].astype(float)
    values, rows = np.unique(known, return_counts=True)
    borders = (values[1:] + values[:-1]) / 2
    if len(values) > QUANTILE_BINS:
        heap = rows >= HEAP_ROWS
        quantile = np.searchsorted(values, np.quantile(known, np.linspace(0, 1, QUANTILE_BINS + 1)[1:-1]))
        chosen = heap[1:] | heap[:-1]
        chosen[quantile[quantile < len(borders)]] = True
        borders = borders[chosen]
    return ColumnCoding(np.zeros(0, dtype=str), borders, ordered=True)


def _codes(column: np.ndarray, kind: ColumnCoding) -> Ints:
    if kind.ordered:
        missing = ~np.isfinite(column)
        return np.where(missing, len(kind.edges) + 1, np.searchsorted(kind.edges, column, side="right"))
    words = column.astype(str)
    place = np.minimum(np.searchsorted(kind.categories, words), len(kind.categories) - 1)
    return np.where(kind.categories[place] == words, place, UNKNOWN)
