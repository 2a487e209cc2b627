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

from models.panel import Floats, Ints

STEP = 1e-4
"""Half the distance of the two gradients whose difference is a column of the Hessian."""

POINTS = 16
"""Pairs of opposite normal points that the gradient is averaged over."""

CURVATURE_POINTS = 1
"""Pairs of those that the Hessian is averaged over."""

FADING = 2.0
"""Share of a round's precision in the one that is used: this over itself plus the number of rounds before it."""

LEAST_ROUNDS, ROUNDS = 3, 12
"""Smallest and largest number of rounds, each a search for the centre followed by a new precision."""

SETTLED = 0.1
"""Largest move of the centre in a round, in posterior SDs along any axis, below which no further round is needed."""

TOLERANCE = 1.0
"""Move in the last round from which on the search counts as failed."""

SEARCH = 15
"""Largest number of steps of one search: the first are coarse, and the next round goes on from where one ended."""

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


@dataclass(frozen=True)
class _Root:
    """Square root of a covariance: ``core = root v``, ``leaf = deviation w - follow core``, with v and w normal.

    Attributes
    ----------
    core, leaf : positions in the parameters; leaves are independent of each other given the core
    root : [core, core]
    follow : [leaf, core]
    deviation : [leaf]
    flat : whether the precision had to be repaired for it
    """

    core: Ints
    leaf: Ints
    root: Floats
    follow: Floats
    deviation: Floats
    flat: bool

    def apply(self, normal: Floats) -> Floats:
        """Points [point, parameter] of the normal distribution from those of the standard one."""
        found = np.empty_like(normal)
        found[:, self.core] = normal[:, self.core] @ self.root.T
        found[:, self.leaf] = normal[:, self.leaf] * self.deviation - found[:, self.core] @ self.follow.T
        return found

    def back(self, slope: Floats) -> Floats:
        """Slope [parameter] in the standard coordinates from that in the parameters."""
        found = np.empty_like(slope)
        found[self.core] = self.root.T @ (slope[self.core] - self.follow.T @ slope[self.leaf])
        found[self.leaf] = self.deviation * slope[self.leaf]
        return found


@dataclass(frozen=True)
class _Precision:
    """Negative Hessian: [core, core], [leaf, core], and the diagonal [leaf] of the rest, which is zero beside it."""

    core: Floats
    coupling: Floats
    leaf: Floats

    def blend(self, new: "_Precision", share: float) -> "_Precision":
        """Move a share of the way to another one."""
        return _Precision(
            self.core + (new.core - self.core) * share,
            self.coupling + (new.coupling - self.coupling) * share,
            self.leaf + (new.leaf - self.leaf) * share,
        )


def approximate_draws(
    density: LogDensity, start: Floats, count: int, seed: int, leaves: slice | None = None
) -> Approximation:
    """Draw from the normal approximation.

    Parameters
    ----------
    density : log density and gradient at a point [parameter]
    start : [parameter] where the search starts
    count : number of draws
    seed : of the draws
    leaves : parameters that are independent of each other given all others: their Hessian is found with one step of
        all at once

    Returns
    -------
    draws with ``problem`` set when no centre was found or the averaged Hessian there is not negative definite: then its
    eigenvalues are raised, so that the draws are numbers, and the gate must refuse them
    """
    half = np.random.default_rng(POINTS).standard_normal((POINTS, start.size))
    points = np.concatenate([half, -half])
    parts = _parts(start.size, leaves)
    columns = 2 * (len(parts[0]) + (len(parts[1]) > 0))
    precision, evaluations, moved = _precision(density, start[None], *parts), columns, np.inf
    centre, root = start, _root(precision, *parts)
    for step in range(ROUNDS):
        centre, moved, used = _centre(density, centre, root, points)
        few = half[(np.arange(CURVATURE_POINTS) + step * CURVATURE_POINTS) % POINTS]
        new = _precision(density, centre + root.apply(np.concatenate([few, -few])), *parts)
        # Averaged over rounds, each with points of its own, the first apart: a Hessian from few points is noisy.
        precision = new if step == 0 else precision.blend(new, FADING / (FADING + step))
        root = _root(precision, *parts)
        evaluations += used + columns * 2 * len(few)
        if step + 1 >= LEAST_ROUNDS and moved < SETTLED and not root.flat:
            break
    problem = None
    if not moved < TOLERANCE:
        problem = f"no centre found: it still moved by {moved:.2g} posterior SDs"
    elif root.flat:
        problem = "the log density is not concave around its centre"
    normal = np.random.default_rng(seed).standard_normal((count, start.size))
    draws = centre + root.apply(normal)
    log_ratio = np.array([density(x)[0] for x in draws]) + 0.5 * (normal**2).sum(axis=1)
    draws, k_hat = _resampled(draws, log_ratio, np.random.default_rng([seed, 1]))
    return Approximation(draws, k_hat, problem, evaluations + count)


def _parts(size: int, leaves: slice | None) -> tuple[Ints, Ints]:
    """Positions of the core and of the leaves."""
    place = np.arange(size)
    leaf = place[leaves] if leaves is not None else place[:0]
    return np.setdiff1d(place, leaf), leaf


def _centre(density: LogDensity, start: Floats, root: _Root, points: Floats) -> tuple[Floats, float, int]:
    """Where the density averaged over ``centre + root @ point`` is highest, how far off, and gradients used."""
    around = root.apply(points)

    def negative(y: Floats) -> tuple[float, Floats]:
        middle = start + root.apply(y[None])[0]
        found = [density(middle + away) for away in around]
        value = float(np.mean([item[0] for item in found]))
        slope = np.mean([item[1] for item in found], axis=0)
        # A point outside the domain is infinitely bad.
        return (-value, -root.back(slope)) if np.isfinite(value) else (np.inf, np.zeros_like(y))

    used = 0
    # The first step is a guess; where it leaves the domain the search stands still, and a shorter one is tried.
    for longest in (LONGEST_MOVE, LONGEST_MOVE / 20):
        found = minimize(
            negative,
            np.zeros_like(start),
            jac=True,
            method="L-BFGS-B",
            bounds=[(-longest, longest)] * start.size,
            options={"maxiter": SEARCH, "ftol": 1e-9, "gtol": 0.01},
        )
        used += int(found.nfev) * len(points)
        if found.x.any():
            break
    if not np.isfinite(found.fun) or not np.isfinite(found.x).all():
        return start, np.inf, used
    return start + root.apply(found.x[None])[0], float(np.abs(found.x).max(initial=0.0)), used


def _precision(density: LogDensity, points: Floats, core: Ints, leaf: Ints) -> _Precision:
    """Negative Hessian averaged over points, by central differences of the gradient."""
    columns, own = np.zeros((len(core), points.shape[1])), np.zeros(len(leaf))
    for point in points:
        for i, place in enumerate(core):
            columns[i] += _fall(density, point, place)
        if len(leaf):
            own += _fall(density, point, leaf)[leaf]
    columns, own = columns / (2 * STEP * len(points)), own / (2 * STEP * len(points))
    middle = columns[:, core]
    return _Precision((middle + middle.T) / 2, columns[:, leaf].T, own)


def _fall(density: LogDensity, point: Floats, place: Ints | int) -> Floats:
    """By how much the gradient [parameter] falls over two steps of some parameters."""
    step = np.zeros(point.size)
    step[place] = STEP
    return density(point - step)[1] - density(point + step)[1]


def _root(precision: _Precision, core: Ints, leaf: Ints) -> _Root:
    """Square root of the covariance: the core's from its precision without the leaves, theirs given the core."""
    own = np.maximum(precision.leaf, LEAST_PRECISION)
    follow = precision.coupling / own[:, None]
    inner = precision.core - precision.coupling.T @ follow
    if not np.isfinite(inner).all():
        return _Root(core, leaf, np.eye(len(core)), np.zeros_like(follow), np.ones(len(leaf)), True)
    values, vectors = np.linalg.eigh(inner)
    root = (vectors / np.sqrt(np.maximum(values, LEAST_PRECISION))) @ vectors.T
    flat = bool(min(values[0], precision.leaf.min(initial=np.inf)) < FLAT)
    return _Root(core, leaf, root, follow, own**-0.5, flat)


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
