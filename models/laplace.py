"""The fast tier: independent draws from a normal approximation of a posterior, corrected where that works.

All it needs is a log density with gradient. The highest point of a hierarchical density is no place to stand: with
spreads and correlations among the parameters it lies where they degenerate. The approximation stands instead where the
gradient is zero *on average over itself*, and its precision is the negative Hessian averaged likewise, which is the
best normal approximation there is (Opper and Archambeau); both averages are over a few fixed normal points, so nothing
is random but the draws. On a density that is normal this is Laplace's method. The models come in coordinates in which
they are close to a standard normal, where few points are enough. Where the importance ratios allow it (k-hat below 0.7)
the draws are resampled with Pareto-smoothed weights.

References
----------
Tierney and Kadane (1986), Accurate approximations for posterior moments, doi:10.1080/01621459.1986.10478240.
Opper and Archambeau (2009), The variational Gaussian approximation revisited, doi:10.1162/neco.2008.08-07-592.
Giordano, Ingram and Broderick (2024), Black box variational inference with a deterministic objective, JMLR 25(18).
Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling, JMLR 25(72), 1-58.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from arviz_stats.base import array_stats
from scipy.optimize import minimize

from models.panel import Floats

STEP = 1e-4
"""Half the distance of the two gradients whose difference is a column of the Hessian."""

POINTS = 16
"""Pairs of opposite normal points that the gradient is averaged over."""

CURVATURE_POINTS = 1
"""Pairs of those that the Hessian is averaged over."""

DAMPING = 0.5
"""Share of a round's precision in the one that is used."""

LEAST_ROUNDS, ROUNDS = 3, 12
"""Smallest and largest number of rounds, each a search for the centre followed by a new precision."""

SETTLED = 0.1
"""Move of the centre in a round, in posterior SDs over all parameters, below which no further round is needed."""

TOLERANCE = 1.0
"""Move in the last round from which on the search counts as failed."""

LONGEST_MOVE = 20.0
"""Farthest that one round may move the centre in any direction, in its SDs: a flat density must not overflow."""

USABLE_K = 0.7
"""Pareto shape below which importance ratios can be relied on."""

LEAST_PRECISION = 0.2
"""Smallest eigenvalue of the precision that is believed: in whitened coordinates no SD is far above one."""

FLAT = 0.01
"""Eigenvalue of the precision below which the density counts as not concave."""


@dataclass(frozen=True)
class Approximation:
    """What the fast tier found.

    Attributes
    ----------
    draws : [D, parameter]
    k_hat : Pareto shape of the importance ratios: below 0.7 the draws are resampled and exact up to noise, above they
        are those of the normal approximation
    problem : None; or why the draws must not be used
    evaluations : of the gradient
    """

    draws: Floats
    k_hat: float
    problem: str | None
    evaluations: int


type LogDensity = Callable[[Floats], tuple[float, Floats]]


def approximate_draws(density: LogDensity, start: Floats, count: int, seed: int) -> Approximation:
    """Draw from the normal approximation.

    Parameters
    ----------
    density : log density and gradient at a point [parameter]
    start : [parameter] where the search starts
    count : number of draws
    seed : of the draws

    Returns
    -------
    draws with ``problem`` set when no centre was found or the averaged Hessian there is not negative definite: then its
    eigenvalues are raised, so that the draws are numbers, and the gate must refuse them
    """
    half = np.random.default_rng(POINTS).standard_normal((POINTS, start.size))
    points = np.concatenate([half, -half])
    precision, evaluations, moved = _precision(density, start[None]), 2 * start.size, np.inf
    centre, (deviation, flat) = start, _deviation(precision)
    for step in range(ROUNDS):
        centre, moved, used = _centre(density, centre, deviation, points)
        few = half[(np.arange(CURVATURE_POINTS) + step * CURVATURE_POINTS) % POINTS]
        new = _precision(density, centre + np.concatenate([few, -few]) @ deviation.T)
        # Averaged over rounds, each with points of its own, the first apart: a Hessian from few points is noisy.
        precision = new if step == 0 else precision + (new - precision) * DAMPING
        deviation, flat = _deviation(precision)
        evaluations += used + 2 * start.size * 2 * len(few)
        if step + 1 >= LEAST_ROUNDS and moved < SETTLED and not flat:
            break
    problem = None
    if not moved < TOLERANCE:
        problem = f"no centre found: it still moved by {moved:.2g} posterior SDs"
    elif flat:
        problem = "the log density is not concave around its centre"
    normal = np.random.default_rng(seed).standard_normal((count, start.size))
    draws = centre + normal @ deviation.T
    log_ratio = np.array([density(x)[0] for x in draws]) + 0.5 * (normal**2).sum(axis=1)
    draws, k_hat = _resampled(draws, log_ratio, np.random.default_rng([seed, 1]))
    return Approximation(draws, k_hat, problem, evaluations + count)


def _centre(density: LogDensity, start: Floats, deviation: Floats, points: Floats) -> tuple[Floats, float, int]:
    """Where the density averaged over ``centre + deviation @ point`` is highest, how far off, and gradients used."""
    around = points @ deviation.T

    def negative(y: Floats) -> tuple[float, Floats]:
        found = [density(start + deviation @ y + away) for away in around]
        value = float(np.mean([item[0] for item in found]))
        slope = np.mean([item[1] for item in found], axis=0)
        # A point outside the domain is infinitely bad.
        return (-value, -(deviation.T @ slope)) if np.isfinite(value) else (np.inf, np.zeros_like(y))

    found = minimize(
        negative,
        np.zeros_like(start),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-LONGEST_MOVE, LONGEST_MOVE)] * start.size,
        options={"maxiter": 60, "ftol": 1e-9, "gtol": 0.01},
    )
    used = int(found.nfev) * len(points)
    if not np.isfinite(found.fun) or not np.isfinite(found.x).all():
        return start, np.inf, used
    return start + deviation @ found.x, float(np.linalg.norm(found.x)), used


def _precision(density: LogDensity, points: Floats) -> Floats:
    """Negative Hessian [parameter, parameter] averaged over points, by central differences of the gradient."""
    columns = np.zeros((points.shape[1], points.shape[1]))
    for point in points:
        for i in range(point.size):
            step = np.zeros(point.size)
            step[i] = STEP
            columns[i] += density(point - step)[1] - density(point + step)[1]
    columns /= 2 * STEP * len(points)
    return (columns + columns.T) / 2


def _deviation(precision: Floats) -> tuple[Floats, bool]:
    """Square root of the covariance, and whether the precision had to be repaired for it."""
    if not np.isfinite(precision).all():
        return np.eye(len(precision)), True
    values, vectors = np.linalg.eigh(precision)
    return (vectors / np.sqrt(np.maximum(values, LEAST_PRECISION))) @ vectors.T, bool(values[0] < FLAT)


def _resampled(draws: Floats, log_ratio: Floats, rng: np.random.Generator) -> tuple[Floats, float]:
    """Draws resampled by smoothed importance weights where these can be relied on, and the Pareto shape."""
    if not np.isfinite(log_ratio).all():
        return draws, np.inf
    log_weight, k_hat = array_stats.psislw(-log_ratio)  # it takes log likelihoods, the negative
    k_hat = float(k_hat)
    if not k_hat < USABLE_K:
        return draws, k_hat
    weight = np.exp(log_weight - log_weight.max())
    return draws[rng.choice(len(draws), size=len(draws), p=weight / weight.sum())], k_hat
