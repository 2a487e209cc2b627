"""Intervals of 90 % in closed form, for whole columns of cells at a time.

Shares have Jeffreys' interval (Brown, Cai & DasGupta 2001, doi:10.1214/ss/1009213286), with its ends at 0 and 1 where
nothing or everything succeeded. Ratios of sums are linearised with the rows as independent units (Cochran 1977,
Sampling Techniques, section 6.4). Sums over something fixed have the spread of a compound Poisson sum. Quantiles have
the distribution-free interval between two order statistics (Hahn & Meeker 1991, Statistical Intervals, section 5.2).
"""

import numpy as np
from scipy import stats
from scipy.special import betaincinv

from models.panel import Floats, Ints

LOW, HIGH = 0.05, 0.95
"""Ends of every interval."""

Z = float(stats.norm.ppf(HIGH))


def jeffreys(hits: Floats, trials: Floats) -> tuple[Floats, Floats]:
    """Interval [n] of a share; whole range without a trial. Hits need not be whole (expected ones are not)."""
    hits, trials = np.asarray(hits, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    pairs, back = np.unique(np.stack([hits, trials], axis=1), axis=0, return_inverse=True)
    a, b = pairs[:, 0] + 0.5, (pairs[:, 1] - pairs[:, 0]).clip(min=0.0) + 0.5
    low, high = betaincinv(a, b, LOW), betaincinv(a, b, HIGH)
    low, high = np.where(pairs[:, 0] <= 0, 0.0, low), np.where(pairs[:, 0] >= pairs[:, 1], 1.0, high)
    back = back.reshape(-1)
    return low[back], high[back]


def linearised(n: Floats, moments: tuple[Floats, Floats, Floats, Floats, Floats]) -> tuple[Floats, Floats]:
    """Interval [cell] of sum(x) / sum(y) over n rows; NaN with fewer than two rows.

    Parameters
    ----------
    moments : sums over rows of x, y, x squared, y squared and x times y
    """
    x, y, xx, yy, xy = (np.asarray(part, dtype=np.float64) for part in moments)
    n = np.asarray(n, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = x / y
        squares = (xx - 2 * ratio * xy + ratio**2 * yy).clip(min=0.0)
        error = np.sqrt(squares * n / (n - 1)) / np.abs(y)
        error = np.where(n > 1, error, np.nan)
    return ratio - Z * error, ratio + Z * error


def compound(total: Floats, squares: Floats, over: Floats) -> tuple[Floats, Floats]:
    """Interval [cell] of a sum of independent amounts, as many as chance gives, over something fixed."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value, error = np.asarray(total) / over, np.sqrt(np.asarray(squares)) / np.abs(over)
    return value - Z * error, value + Z * error


def quantile(values: Floats, starts: Ints, sizes: Ints, q: float) -> tuple[Floats, Floats, Floats]:
    """Quantile [cell] of sorted values with its interval.

    Parameters
    ----------
    values : [row] sorted within each cell
    starts, sizes : [cell] first row and number of rows, at least one
    q : 0 to 1; between two values it is straight (type 7, as SQL's quantile_cont)
    """
    place = q * (sizes - 1)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, sizes - 1)
    middle = values[starts + below] + (place - below) * (values[starts + above] - values[starts + below])
    first = np.clip(stats.binom.ppf(LOW, sizes, q) - 1, 0, sizes - 1).astype(np.int64)
    last = np.clip(stats.binom.ppf(HIGH, sizes, q), 0, sizes - 1).astype(np.int64)
    return middle, values[starts + first], values[starts + last]
