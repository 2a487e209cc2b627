"""A hierarchy of series, and what a series method is.

The rule this module keeps: whatever a method draws are bottom series, jointly over series and steps; every other level
is their sum (`at_all_levels`), so levels add up path by path. `tests/test_series_methods.py` fails when they do not.
"""

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from models.panel import Bools, Floats, Ints, Texts


@dataclass(frozen=True)
class Series:
    """Non-negative or signed amounts per period of a hierarchy, known up to one date.

    Attributes
    ----------
    values : [series, period] amounts, NaN before a series starts; aggregates first, the bottom series last.
        A gap after the start counts as zero.
    season : periods in a year (12 for months, 4 for quarters, 1 for none)
    summing : [series, bottom] 0 or 1; the last rows are the identity
    labels : [series] names, may be empty
    """

    values: Floats
    season: int
    summing: Floats
    labels: Texts = field(default_factory=lambda: np.empty(0, dtype=str))

    def __post_init__(self) -> None:
        """Refuse what no method can use.

        Raises
        ------
        ValueError
            When shapes disagree, the last rows of `summing` are not the identity, there is no period or no season.
        """
        bottom = self.summing.shape[1]
        if self.values.ndim != 2 or self.values.shape[0] != self.summing.shape[0] or self.values.shape[1] < 1:
            raise ValueError(f"values {self.values.shape} do not fit the summing matrix {self.summing.shape}")
        if self.season < 1:
            raise ValueError(f"season must be 1 or more, got {self.season}")
        if not np.array_equal(self.summing[-bottom:], np.eye(bottom)):
            raise ValueError("the last rows of the summing matrix are not the identity of the bottom series")

    @property
    def bottom(self) -> int:
        """Number of bottom series."""
        return int(self.summing.shape[1])

    @property
    def periods(self) -> int:
        """Number of periods known."""
        return int(self.values.shape[1])

    def until(self, period: int) -> "Series":
        """The same series as they were known when only the first `period` periods had passed."""
        return replace(self, values=self.values[:, :period])


class SeriesMethod(Protocol):
    """A series method: joint sample paths of the bottom series, [path, bottom, horizon]; the same for the same seed."""

    def __call__(self, history: Series, horizon: int, paths: int, seed: int) -> Floats:
        """Draw paths for the periods after the history."""


def from_bottom(bottom: Floats, season: int) -> Series:
    """Series [bottom, period] and their total, where no other level matters."""
    count = len(bottom)
    total = np.where(np.isnan(bottom).all(axis=0), np.nan, np.nansum(bottom, axis=0))
    return Series(np.vstack([total, bottom]), season, np.vstack([np.ones(count), np.eye(count)]))


def at_all_levels(paths: Floats, summing: Floats) -> Floats:
    """Paths of every series, [path, series, horizon], from those of the bottom, [path, bottom, horizon]."""
    return np.asarray(np.tensordot(summing, paths, axes=(1, 1)).swapaxes(0, 1))  # [series, path, horizon] -> path first


def first_periods(values: Floats) -> Ints:
    """First known period of each series, the number of periods where a series has none."""
    known = ~np.isnan(values)
    return np.where(known.any(axis=1), known.argmax(axis=1), values.shape[1])


def filled(values: Floats) -> Floats:
    """Values with zero where nothing is known."""
    return np.nan_to_num(values, nan=0.0)


def levels_of(summing: Floats) -> Ints:
    """Level of each series, [series], from the summing matrix alone.

    A level is a set of series that share no bottom series. Going down the aggregates in their order, each joins the
    first level that it does not overlap, else opens a new one. The bottom series are the last level. Blocks of levels
    one after the other and trees written depth first both come out as one would name them.
    """
    aggregates, bottom = summing.shape[0] - summing.shape[1], summing.shape[1]
    covered: list[Bools] = []
    levels = np.empty(summing.shape[0], dtype=np.int64)
    for series in range(aggregates):
        members = summing[series] > 0
        level = next((i for i, taken in enumerate(covered) if not (taken & members).any()), len(covered))
        if level == len(covered):
            covered.append(np.zeros(bottom, dtype=bool))
        covered[level] |= members
        levels[series] = level
    levels[aggregates:] = len(covered)
    return levels
