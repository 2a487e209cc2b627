"""How far apart chances come out by simulation noise alone, when paths share draws and shocks."""

import numpy as np
from numpy.typing import NDArray

from models.panel import Floats, Ints

SAMPLES = 4_000
"""Normal vectors over which the range is averaged: half a per cent of noise in the floor."""


def cluster_means(reached: NDArray[np.bool_], draw: Ints) -> Floats:
    """[cluster, rep] share of the paths of every posterior draw on which a rep reaches the quota, in order of draw."""
    order = np.argsort(draw, kind="stable")
    starts = np.flatnonzero(np.diff(draw[order], prepend=draw.min() - 1))
    sums = np.add.reduceat(reached[order], starts, axis=0, dtype=np.int64)
    return sums / np.diff(np.append(starts, len(draw)))[:, None]


def covariance(clusters: Floats) -> Floats:
    """[rep, rep] covariance of the mean over clusters."""
    return np.atleast_2d(np.cov(clusters, rowvar=False)) / len(clusters)


def errors(fit: Floats, check: Floats, *, paired: bool, seed: int) -> Floats:
    """[sample, rep] errors of the checked chances around one true chance, by simulation noise alone.

    Quotas fitted on noisy paths miss their chance by the noise of the fit, the check adds its own. Both means are over
    clusters (posterior draws), which are the independent pieces: paths of one draw share parameters and shocks. The
    errors of all reps are then normal with the covariance of the two means. Where fit and check use the same draws the
    difference is taken draw by draw, so what a finite posterior does to both cancels.

    Parameters
    ----------
    fit, check : [cluster, rep] shares by draw, see `cluster_means`
    paired : row i of both is the same draw
    """
    reps = fit.shape[1]
    if reps == 0 or min(len(fit), len(check)) < 2:
        return np.zeros((SAMPLES, reps))
    error = covariance(check - fit) if paired else covariance(fit) + covariance(check)
    values, vectors = np.linalg.eigh(error)
    root = vectors * np.sqrt(values.clip(min=0.0))
    return np.random.default_rng(seed).standard_normal((SAMPLES, reps)) @ root.T


def expected_spread(error: Floats) -> float:
    """Mean of max - min over reps of `errors`: the spread that one and the same true chance would show."""
    return float(np.ptp(error, axis=1).mean()) if error.shape[1] > 1 else 0.0
