"""What a forecast is worth once the outcome is known, by the definitions that every table of the project shares.

Scaled CRPS: sum over targets of the mean over the 19 quantiles 0.05 to 0.95 of twice the pinball loss, over the sum of
absolute actuals. WAPE, bias and forecast accuracy are of the median. Coverage is the share of actuals inside the
central 50, 80 and 95 % interval, ends included.
"""

from dataclasses import dataclass

import numpy as np
import scoringrules as sr

from models.panel import Bools, Floats

PROBABILITIES: Floats = np.concatenate([[0.025], np.arange(1, 20) / 20, [0.975]])
"""[quantile] probabilities that are kept of every forecast; the inner 19 carry the scaled CRPS."""

INNER = slice(1, -1)
MEDIAN = len(PROBABILITIES) // 2

INTERVALS = {50: (0.25, 0.75), 80: (0.1, 0.9), 95: (0.025, 0.975)}
"""Central intervals by their probability in percent."""

ACCURACY_FORMULA = "max(0, 1 - abs(forecast - actual) / abs(actual)) of the sums"
"""How the column ``accuracy`` is computed: medians and actuals summed over the targets of an origin."""


@dataclass(frozen=True)
class Scores:
    """Scores of a set of targets; shares, not percent. ``scrps`` etc. are NaN where the actuals are all zero."""

    n: int
    scrps: float
    wape: float
    bias: float
    accuracy: float
    coverage50: float
    coverage80: float
    coverage95: float


def quantiles(draws: Floats) -> Floats:
    """Quantiles [target, quantile] of draws [path, target] at `PROBABILITIES`."""
    return np.quantile(draws, PROBABILITIES, axis=0).T


def pinball(actual: Floats, quantile: Floats) -> Floats:
    """Mean over the inner 19 quantiles of twice the pinball loss [target]: an approximation of the CRPS.

    Parameters
    ----------
    actual : [target]
    quantile : [target, quantile] at `PROBABILITIES`

    References
    ----------
    Gneiting and Raftery (2007), Strictly proper scoring rules, doi:10.1198/016214506000001437.
    """
    return np.asarray(sr.crps_quantile(actual, quantile[:, INNER], PROBABILITIES[INNER]))


def inside(actual: Floats, quantile: Floats, percent: int) -> Bools:
    """[target] whether the actual lies in the central interval."""
    low, high = (int(np.argmin(np.abs(PROBABILITIES - p))) for p in INTERVALS[percent])
    return (quantile[:, low] <= actual) & (actual <= quantile[:, high])


def score(actual: Floats, quantile: Floats) -> Scores:
    """Score targets together.

    Parameters
    ----------
    actual : [target] money
    quantile : [target, quantile] at `PROBABILITIES`, money
    """
    if not len(actual):
        return Scores(0, *[float("nan")] * 7)
    size = float(np.abs(actual).sum())
    scale = 1 / size if size > 0 else float("nan")
    median = quantile[:, MEDIAN]
    off = abs(float(median.sum() - actual.sum())) / max(abs(float(actual.sum())), 1e-12)
    return Scores(
        n=len(actual),
        scrps=float(pinball(actual, quantile).sum()) * scale,
        wape=float(np.abs(median - actual).sum()) * scale,
        bias=float((median - actual).sum()) * scale,
        accuracy=max(0.0, 1 - off) if size > 0 else float("nan"),
        coverage50=float(inside(actual, quantile, 50).mean()),
        coverage80=float(inside(actual, quantile, 80).mean()),
        coverage95=float(inside(actual, quantile, 95).mean()),
    )


def probability_integral(actual: Floats, draws: Floats, rng: np.random.Generator) -> Floats:
    """Randomised PIT [target]: uniform for a calibrated forecast, ties (a mass at zero) broken at random.

    References
    ----------
    Czado, Gneiting and Held (2009), Predictive model assessment for count data,
    doi:10.1111/j.1541-0420.2009.01191.x.
    """
    below, upto = (draws < actual).mean(axis=0), (draws <= actual).mean(axis=0)
    return below + rng.uniform(size=len(actual)) * (upto - below)


def block_bootstrap_error(values: Floats, rng: np.random.Generator, repeats: int = 2000) -> float:
    """Standard error of the mean of consecutive, possibly dependent values [origin]; NaN for fewer than two.

    Blocks of the cube root of the number of values, wrapped around, as many as are needed.

    References
    ----------
    Kuensch (1989), The jackknife and the bootstrap for general stationary observations, doi:10.1214/aos/1176347265.
    """
    n = len(values)
    if n < 2:
        return float("nan")
    length = max(1, round(n ** (1 / 3)))
    starts = rng.integers(n, size=(repeats, -(-n // length)))
    index = (starts[:, :, None] + np.arange(length)).reshape(repeats, -1)[:, :n] % n
    return float(values[index].mean(axis=1).std(ddof=1))
