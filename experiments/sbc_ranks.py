"""Are ranks uniform? The test of simulation-based calibration, and the band that its figure shows.

The rule this module keeps: the null distribution is that of whole ranks 0 to L, simulated, so the test has the size it
states for any number of fits and of draws.

References
----------
Talts, Betancourt, Simpson, Vehtari and Gelman (2018), Validating Bayesian inference algorithms with simulation-based
calibration, arXiv:1804.06788.
Saeilynoja, Buerkner and Vehtari (2022), Graphical test for discrete uniformity and its applications in goodness-of-fit
evaluation and multiple sample comparison, doi:10.1007/s11222-022-10090-6.
Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 65-70.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from models.panel import Floats, Ints

SIMULATIONS = 50_000
"""Sets of uniform ranks that the null distribution is made of."""

LEVEL = 0.01
"""Chance of any rejection at all, over all quantities of a table, when everything is right."""


@dataclass(frozen=True)
class Null:
    """What uniform ranks look like.

    Attributes
    ----------
    fits, draws : ranks in a set, and largest rank L
    chance : [rank, count] smaller two-sided binomial tail of so many ranks at or below each of 0 to L - 1
    smallest : [simulation] smallest such tail in a set of uniform ranks, ascending
    """

    fits: int
    draws: int
    chance: Floats
    smallest: Floats


def null_of(fits: int, draws: int, seed: int, simulations: int = SIMULATIONS) -> Null:
    """Simulate sets of uniform ranks.

    Parameters
    ----------
    fits : ranks in a set
    draws : L, the number of draws among which each true value is ranked
    seed : of the simulation
    simulations : number of sets; no p is smaller than one over it
    """
    share = np.arange(1, draws + 1)[:, None] / (draws + 1)
    count = np.arange(fits + 1)[None, :]
    tail = np.minimum(binom.cdf(count, fits, share), binom.sf(count - 1, fits, share))
    chance = np.minimum(1.0, 2 * tail)
    cells = np.random.default_rng(seed).multinomial(fits, np.full(draws + 1, 1 / (draws + 1)), size=simulations)
    below = np.cumsum(cells, axis=1)[:, :-1]
    return Null(fits, draws, chance, np.sort(chance[np.arange(draws), below].min(axis=1)))


def rank(truth: float, draws: Floats) -> int:
    """Number of draws [L] below the true value."""
    return int(np.count_nonzero(draws < truth))


def uniformity(ranks: Ints, null: Null) -> tuple[float, float]:
    """Statistic and p of ranks [fit]: the smallest two-sided binomial tail over all points of their ECDF.

    Raises
    ------
    ValueError
        When the null distribution was made for another number of ranks, or a rank is not one of its own.
    """
    if len(ranks) != null.fits or ranks.min(initial=0) < 0 or ranks.max(initial=0) > null.draws:
        raise ValueError(f"the null is of {null.fits} ranks 0 to {null.draws}, got {len(ranks)} to {ranks.max()}")
    below = np.cumsum(np.bincount(ranks, minlength=null.draws + 1))[:-1]
    statistic = float(null.chance[np.arange(null.draws), below].min())
    # A tail summed in another order must still count as equal.
    as_small = np.searchsorted(null.smallest, statistic * (1 + 1e-9), side="right")
    return statistic, float((1 + as_small) / (1 + len(null.smallest)))


def band(null: Null, level: float) -> tuple[Ints, Ints]:
    """Fewest and most ranks [rank] at or below 0 to L - 1 that are not rejected at a level, all points together."""
    least = null.smallest[min(int(level * len(null.smallest)), len(null.smallest) - 1)]
    inside = null.chance >= least
    return inside.argmax(axis=1), inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)


def holm(p: Floats) -> Floats:
    """Adjusted p [test]: reject where it is at most the level, and the chance of any false rejection is the level."""
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty(len(p))
    found[order] = np.minimum(adjusted, 1.0)
    return found
