"""Do reps of large territories reach their quotas more easily? Two statistics over reps, with intervals.

The rank correlation says whether there is a tilt at all, the slope how large it is: points of chance (or of median
attainment) for a territory twice the size. Quotas that give all reps one chance differ by noise only, and since reps
share shocks the noise itself leans on size: beside their statistics stands what noise alone would give.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from engine.simulation.outcomes import Paths
from models.panel import Floats

RESAMPLES = 2_000
"""Bootstrap samples of reps."""

LEVEL = 0.9
"""Of the intervals."""

FEWEST = 4
"""Reps below which nothing is said."""

SLOPE, RANK = "slope per doubling of size", "Spearman rank correlation"

type Statistic = Callable[[Floats, Floats], Floats]


def rank_correlation(x: Floats, y: Floats) -> Floats:
    """Spearman's rank correlation along the last axis; NaN where one side is constant.

    Source: Spearman 1904, The proof and measurement of association between two things, doi:10.2307/1412159.
    """
    a, b = np.broadcast_arrays(*(rankdata(v, axis=-1) - (v.shape[-1] + 1) / 2 for v in (x, y)))
    scale = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    return np.where(scale > 0, (a * b).sum(axis=-1) / np.where(scale > 0, scale, 1.0), np.nan)


def doubling_slope(value: Floats, size: Floats) -> Floats:
    """Least-squares slope of ``value`` on log2 of ``size`` along the last axis; NaN where all sizes are one."""
    x = np.log2(size)
    x = x - x.mean(axis=-1, keepdims=True)
    spread = (x * x).sum(axis=-1)
    return np.where(spread > 0, (x * value).sum(axis=-1) / np.where(spread > 0, spread, 1.0), np.nan)


STATISTICS: dict[str, Statistic] = {RANK: rank_correlation, SLOPE: doubling_slope}


def with_interval(statistic: Statistic, value: Floats, size: Floats, seed: int) -> tuple[float, float, float]:
    """Statistic over reps with its percentile bootstrap interval (Efron 1979, doi:10.1214/aos/1176344552)."""
    known = np.isfinite(value) & (size > 0)
    value, size = value[known], size[known]
    if len(value) < FEWEST:
        return np.nan, np.nan, np.nan
    pick = np.random.default_rng(seed).integers(len(value), size=(RESAMPLES, len(value)))
    return float(statistic(value, size)), *interval(statistic(value[pick], size[pick]))


def interval(found: Floats) -> tuple[float, float]:
    """Central interval of what is finite."""
    found = found[np.isfinite(found)]
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if len(found) else (np.nan, np.nan)
    return float(low), float(high)


def fairness_rows(
    revenue: Paths, quotas: Mapping[str, Floats], sizes: Mapping[str, Floats], error: Mapping[str, Floats], seed: int
) -> list[dict[str, object]]:
    """Chance and median attainment against the size of the territory, for several sets of quotas.

    Parameters
    ----------
    revenue : [path, rep]
    quotas : [rep] by name, NaN for none
    sizes : [rep] by name, such as expected revenue and number of accounts
    error : [sample, rep with a quota] by name of quotas: errors of equal chances, see `engine.planning.noise.errors`
    """
    rows: list[dict[str, object]] = []
    middle = np.median(revenue, axis=0)
    for name, quota in quotas.items():
        has = np.isfinite(quota) & (quota > 0)
        target = np.where(has, quota, 1.0)
        chance = np.where(has, (revenue >= target).mean(axis=0), np.nan)
        for measure, value in {CHANCE: chance, "median attainment": np.where(has, middle / target, np.nan)}.items():
            for against, size in sizes.items():
                for words, statistic in STATISTICS.items():
                    estimate, low, high = with_interval(statistic, value, size, seed)
                    noise = (
                        _noise(statistic, error[name], size[has]) if name in error and measure == CHANCE else NEITHER
                    )
                    row: dict[str, object] = {"quotas": name, "measure": measure, "against": against}
                    row |= {"statistic": words, "estimate": estimate, "low": low, "high": high, "noise_low": noise[0]}
                    rows.append(row | {"noise_high": noise[1], "reps": int(has.sum())})
    return rows


CHANCE = "chance of quota"
NEITHER = (np.nan, np.nan)


def _noise(statistic: Statistic, error: Floats, size: Floats) -> tuple[float, float]:
    """Interval of a statistic of noise."""
    kept = size > 0
    if kept.sum() < FEWEST:
        return NEITHER
    return interval(statistic(error[:, kept], np.broadcast_to(size[kept], (len(error), int(kept.sum())))))


def in_words(tests: pd.DataFrame) -> list[str]:
    """The test of the chance against expected revenue, in a line for each set of quotas."""
    kept = tests[(tests["measure"] == CHANCE) & (tests["against"] == "expected revenue")]
    lines = []
    for name, rows in kept.groupby("quotas", sort=False):
        by = {row["statistic"]: row for row in rows.to_dict("records")}
        slope, rank = by[SLOPE], by[RANK]
        if not np.isfinite(slope["estimate"]):
            continue
        said = (
            f"Fairness      {name}: {100 * slope['estimate']:+.2f} points of chance for a territory twice as large "
            f"({LEVEL:.0%} interval {100 * slope['low']:+.2f} to {100 * slope['high']:+.2f}), "
            f"rank correlation {rank['estimate']:+.2f} ({rank['low']:+.2f} to {rank['high']:+.2f})"
        )
        if np.isfinite(slope["noise_low"]):
            said += (
                f"; noise alone gives slopes of {100 * slope['noise_low']:+.2f} to {100 * slope['noise_high']:+.2f} "
                f"and correlations of {rank['noise_low']:+.2f} to {rank['noise_high']:+.2f}"
            )
        lines.append(said)
    return lines
