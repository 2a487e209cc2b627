"""Which factors the win-probability model has: every covariate, and the interactions that pay for themselves.

A *view* is a covariate as it is, or an ordered one in coarser bins. A *factor* is a combination of views of different
covariates; its levels are the combinations that occur. Views of one covariate are nested, so the sum of their pooled
effects is a prior that is smooth where the data say nothing and free where they do (Haar wavelets with learned scales).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from models.crossed_logit import CrossedMode, FactorCells, climb, curvature, extended, gain, kept, start
from models.panel import Floats, Ints
from models.win_settings import WinSettings
from models.win_table import UNKNOWN, WinTable

FIRST_SQUARE = 0.04
"""Squared scale that a covariate's own factor begins with."""


@dataclass(frozen=True)
class View:
    """A covariate, as it is or in coarser bins.

    Attributes
    ----------
    covariate : which
    bins : number of coarse bins asked for, 0 for the levels as they are
    level : [code + 1] level of the view by code; the last entry answers for `UNKNOWN`
    """

    covariate: int
    bins: int
    level: Ints

    @property
    def radix(self) -> int:
        """Number of levels with the unknown one."""
        return int(self.level.max()) + 2


@dataclass(frozen=True)
class Factor:
    """A combination of views.

    Attributes
    ----------
    views : indices
    keys : [level] sorted number of the combination, as `key` makes it
    """

    views: tuple[int, ...]
    keys: Ints


@dataclass(frozen=True)
class Search:
    """What the search for factors has so far."""

    views: tuple[View, ...]
    factors: tuple[Factor, ...]
    cells: FactorCells
    mode: CrossedMode


def views_of(table: WinTable, resolutions: tuple[int, ...]) -> tuple[View, ...]:
    """All views; coarse bins hold about equal numbers of opportunities."""
    found = []
    for covariate, levels in enumerate(table.levels):
        found.append(View(covariate, 0, np.append(np.arange(levels), UNKNOWN)))
        if table.ordered[covariate]:
            codes = table.codes[:, covariate]
            share = np.bincount(codes[codes != UNKNOWN], table.count[codes != UNKNOWN], levels) / table.count.sum()
            middle = np.cumsum(share) - share / 2
            for bins in resolutions:
                coarse = np.unique(np.minimum((middle * bins).astype(int), bins - 1), return_inverse=True)[1]
                if len(np.unique(coarse)) < levels - 1:
                    found.append(View(covariate, bins, np.append(coarse, UNKNOWN)))
    return tuple(found)


def key(table: WinTable, views: tuple[View, ...], chosen: tuple[int, ...]) -> Ints:
    """Number [row] of the combination of some views' levels, equal for equal combinations."""
    number = np.zeros(len(table.codes), dtype=np.int64)
    for view in (views[i] for i in chosen):
        number = number * view.radix + view.level[table.codes[:, view.covariate]] + 1
    return number


def search(table: WinTable, settings: WinSettings) -> Search:
    """Fit the covariates alone, then let the interactions of each order in that pay, and drop what shrinks to nothing.

    An interaction enters if the log marginal likelihood of the rows given, the rest held, gains at least
    ``settings.least_gain``; of three covariates only where two of the three pairs are in. No more than
    ``settings.most_kept`` of an order enter, and after every order factors with a scale below
    ``settings.smallest_scale`` leave.
    """
    views = views_of(table, settings.resolutions)
    found = Search(
        views,
        (),
        FactorCells((), np.zeros(0, dtype=int), table.count, table.success),
        start(table.count, table.success),
    )
    levels: dict[tuple[int, ...], int] = {(): 1}
    for order in range(1, settings.order + 1):
        found = _grown(found, table, order, levels, settings)
    return found


def _grown(
    found: Search, table: WinTable, order: int, levels: dict[tuple[int, ...], int], settings: WinSettings
) -> Search:
    """One order more."""
    weight, slope = curvature(found.cells, found.mode.logit)
    offers: list[tuple[float, float, Factor, Ints]] = []
    for chosen in _candidates(found, order):
        keys, level = np.unique(key(table, found.views, chosen), return_inverse=True)
        levels[chosen] = len(keys)
        if any(levels.get(part, 0) == len(keys) for part in combinations(chosen, order - 1)):
            continue  # the same partition as a part of it, a covariate nested in another or constant
        worth, square = gain(np.bincount(level, weight, len(keys)), np.bincount(level, slope, len(keys)))
        if order == 1 or worth >= settings.least_gain:
            offers.append((worth, square if order > 1 else FIRST_SQUARE, Factor(chosen, keys), level.astype(np.int32)))
    if order > 1:
        offers = sorted(offers, key=lambda offer: -offer[0])[: settings.most_kept]
    return _fitted(found, offers, settings)


def _fitted(found: Search, offers: list[tuple[float, float, Factor, Ints]], settings: WinSettings) -> Search:
    """The model with the offers taken, at its mode, without the factors that shrank to nothing."""
    factors = (*found.factors, *(offer[2] for offer in offers))
    size = np.array([len(factor.keys) for factor in factors], dtype=int)
    index = (*found.cells.index, *(offer[3] for offer in offers))
    cells = FactorCells(index, size, found.cells.count, found.cells.success)
    mode = extended(found.mode, size[len(found.factors) :], np.array([offer[1] for offer in offers]))
    mode = climb(cells, mode, settings.rounds, settings.largest_scale)
    keep = [i for i, square in enumerate(mode.square) if square >= settings.smallest_scale**2]
    mode, cells = kept(mode, cells, keep)
    mode = climb(cells, mode, 2, settings.largest_scale)
    return Search(found.views, tuple(factors[i] for i in keep), cells, mode)


def _candidates(found: Search, order: int) -> Iterator[tuple[int, ...]]:
    """Combinations of views of different covariates; triples where two of the three pairs of covariates are in."""
    by_covariate: dict[int, list[int]] = {}
    for i, view in enumerate(found.views):
        by_covariate.setdefault(view.covariate, []).append(i)
    pairs = {
        frozenset(found.views[i].covariate for i in factor.views) for factor in found.factors if len(factor.views) == 2
    }
    for covariates in combinations(by_covariate, order):
        if order == 3 and sum(frozenset(pair) in pairs for pair in combinations(covariates, 2)) < 2:
            continue
        yield from product(*(by_covariate[covariate] for covariate in covariates))


def scales(found: Search) -> Floats:
    """Scales [factor] at the mode, logits."""
    return np.sqrt(found.mode.square)
