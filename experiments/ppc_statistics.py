"""Test statistics of posterior predictive checks, and how an observed value is set beside its replicates.

The rule this module keeps: where a statistic speaks of departures, they are from what one posterior draw expects, and
the replicate that it is compared with comes from the same draw (a realized discrepancy). Departures from the fitted
mean would look too small in the data that it was fitted to.

References
----------
Gelman, Meng and Stern (1996), Posterior predictive assessment of model fitness via realized discrepancies,
Statistica Sinica 6(4), 733-760, https://www.jstor.org/stable/24306036.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from models.panel import Bools, Floats, Ints

LEAST_EXPECTED = 5.0
"""Expected events below which a group says too little to enter a spread over groups."""

LEAST_GROUPS = 3
LEAST_NEIGHBOURS = 6
"""Fewest groups of a spread, and fewest months of a correlation between neighbours."""

INTERVAL = (0.05, 0.95)
FLAGGED = 0.05
"""Two-sided posterior predictive p-value below which a check fails."""


@dataclass(frozen=True)
class Reference:
    """What one posterior draw expects: ``mean`` and ``variance`` [row], without shocks that are drawn anew."""

    mean: Floats
    variance: Floats


type Statistics = Callable[[Floats, Reference], dict[str, float]]
"""Data [row] to named numbers; NaN where there are too few data for one."""


@dataclass(frozen=True)
class Check:
    """One statistic.

    Attributes
    ----------
    leg, statistic : what is checked
    observed : in the data; the mean over draws where the statistic speaks of departures
    mean, low, high : mean and 90 % interval of the replicates
    p_value : chance of a replicate above the data, draw by draw, ties counted half
    replicates : their number
    """

    leg: str
    statistic: str
    observed: float
    mean: float
    low: float
    high: float
    p_value: float
    replicates: int

    @property
    def fails(self) -> bool:
        """Whether the observed value lies in the outer 5 % of the replicates."""
        return 2 * min(self.p_value, 1 - self.p_value) < FLAGGED


def compare(
    leg: str, statistics: Statistics, observed: Floats, replicates: Iterable[tuple[Floats, Reference]]
) -> list[Check]:
    """Set every statistic of the observed data beside those of the replicates.

    A statistic that the data are too few for in half of the draws is left out.

    Parameters
    ----------
    leg : name of what is checked
    statistics : of the data and of what a draw expects
    observed : [row] the data
    replicates : replicated data [row] and what their draw expects, draw by draw
    """
    pairs = [(statistics(observed, reference), statistics(data, reference)) for data, reference in replicates]
    checks = []
    for name in pairs[0][0] if pairs else ():
        values = np.array([(seen[name], drawn[name]) for seen, drawn in pairs])
        known, replicated = values[np.isfinite(values).all(axis=1)].T
        if 2 * len(known) > len(values):
            low, high = (float(bound) for bound in np.quantile(replicated, INTERVAL))
            p_value = float((replicated > known).mean() + 0.5 * (replicated == known).mean())
            mean = float(replicated.mean())
            checks.append(Check(leg, name, float(known.mean()), mean, low, high, p_value, len(known)))
    return checks


def ratios(data: Floats, reference: Reference, group: Ints) -> Floats:
    """Observed over expected sum [group] of the groups with enough expected; group NONE is left out."""
    known = group >= 0
    expected = np.bincount(group[known], reference.mean[known])
    enough = expected >= LEAST_EXPECTED
    total = np.bincount(group[known], data[known])
    return total[enough] / expected[enough]


def spread(values: Floats) -> float:
    """SD over groups, months or reps."""
    return float(values.std()) if len(values) >= LEAST_GROUPS else np.nan


def highest(values: Floats) -> float:
    """Largest of the groups."""
    return float(values.max()) if len(values) >= LEAST_GROUPS else np.nan


def neighbours(values: Floats) -> float:
    """Correlation of each month with the next."""
    if len(values) < LEAST_NEIGHBOURS:
        return np.nan
    return correlation(values[:-1], values[1:])


def correlation(first: Floats, second: Floats) -> float:
    """Pearson's; NaN where one of them does not vary."""
    if len(first) < LEAST_NEIGHBOURS or np.ptp(first) == 0 or np.ptp(second) == 0:
        return np.nan
    return float(np.corrcoef(first, second)[0, 1])


def dispersion(data: Floats, reference: Reference, cell: Ints) -> float:
    """Mean over cells of squared departure over variance (Pearson); 1 where nothing is missing. NONE is left out."""
    known = cell >= 0
    variance = np.bincount(cell[known], reference.variance[known])
    away = np.bincount(cell[known], data[known] - reference.mean[known])
    enough = variance >= 1.0
    return float((away[enough] ** 2 / variance[enough]).mean()) if enough.sum() >= LEAST_GROUPS else np.nan


def contrast(data: Floats, reference: Reference, first: Bools, second: Bools) -> float:
    """Observed over expected of one set of rows less that of another."""
    parts = [(data[rows].sum(), reference.mean[rows].sum()) for rows in (first, second)]
    if min(expected for _, expected in parts) < LEAST_EXPECTED:
        return np.nan
    return float(parts[0][0] / parts[0][1] - parts[1][0] / parts[1][1])


def interaction(data: Floats, reference: Reference, first: Bools, second: Bools) -> float:
    """How much more one condition matters where another holds: contrast of ``second`` inside ``first`` less outside."""
    inside, outside = (contrast(data, reference, part & second, part & ~second) for part in (first, ~first))
    return inside - outside


def group_means(data: Floats, group: Ints, least: int = 5) -> Floats:
    """Mean of the groups with at least ``least`` rows; group NONE is left out."""
    known = group >= 0
    number = np.bincount(group[known])
    enough = number >= least
    return np.bincount(group[known], data[known])[enough] / number[enough]


def pair(first: Ints, second: Ints) -> Ints:
    """Index of a combination, NONE where either is none."""
    return np.where((first < 0) | (second < 0), -1, first * (int(second.max(initial=0)) + 1) + second)
