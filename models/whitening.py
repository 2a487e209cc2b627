"""Coordinates in which NUTS finds a pooled logit easy: close to independent standard normal.

The effects ``beta`` of a hierarchical logit have prior N(0, sigma[group]^2) and, given sigma, a nearly normal posterior.
Centred coordinates suit effects that data determine, non-centred ones those it does not (a rep with few deals, a
``sigma`` near zero), and both leave the correlation between groups (a month's shock and its weeks) to the sampler.
Instead, from one quick approximate fit,

    ``beta = s^2 (information * estimate) + s * (L v)``,  ``s^2 = 1 / (information + 1 / sigma^2)``

interpolates between the two per effect, for every sigma, and ``L`` takes the correlation out. The map is exact
whatever the approximate fit was (its Jacobian ``sum(log s)`` is in the model): a poor fit costs time, not truth.

References
----------
Papaspiliopoulos, Roberts and Skold (2007), A general framework for the parametrization of hierarchical models,
doi:10.1214/088342307000000014.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag, cho_factor, cho_solve
from scipy.sparse import csr_array
from scipy.special import expit

from models.panel import Bools, Floats, Ints

SMALLEST_SCALE = 0.03
"""Floor of a plug-in scale: EM would otherwise let a group without effect collapse to zero."""


@dataclass(frozen=True)
class Whitening:
    """Constants of the map.

    Attributes
    ----------
    information : [effect] what the data say about each effect, as a precision
    estimate : [effect] where the data alone would put it
    factor : [effect, effect] lower triangular L, a Cholesky factor of the approximate posterior correlation
    scale : [group] plug-in scales
    """

    information: Floats
    estimate: Floats
    factor: Floats
    scale: Floats


@dataclass(frozen=True)
class LogitCells:
    """Binomial counts of a pooled logit: ``logit P = sum of effect[index]``.

    Attributes
    ----------
    index : [covariate, cell] index of the effect, or the number of effects where the covariate is unknown
    count, success : [cell]
    group : [effect] index of the effect's scale
    scale : [group] scale to begin with
    free : [group] whether the scale is learned
    """

    index: Ints
    count: Floats
    success: Floats
    group: Ints
    scale: Floats
    free: Bools


def whiten(cells: LogitCells, shift: float = 0.0, rounds: int = 25) -> Whitening:
    """Approximate fit by penalised iteratively reweighted least squares, scales by EM (Laplace approximation).

    Parameters
    ----------
    cells : the counts
    shift : known part of every cell's logit
    rounds : Newton steps, each followed by one EM step of the scales
    """
    design = _design(cells)
    size = len(cells.group)
    scale = np.array(cells.scale, dtype=float)
    beta = np.zeros(size)
    covariance = np.eye(size)
    members = np.bincount(cells.group, minlength=len(scale))
    for step in range(rounds):
        chance = expit(shift + design @ beta)
        weight = cells.count * chance * (1 - chance)
        penalty = 1 / scale[cells.group] ** 2
        hessian = (design.T @ design.multiply(weight[:, None]).tocsr()).toarray() + np.diag(penalty)
        slope = design.T @ (cells.success - cells.count * chance) - penalty * beta
        solver = cho_factor(hessian, lower=True)
        move = cho_solve(solver, slope)
        beta = beta + move * min(1.0, 2.0 / max(np.abs(move).max(), 1e-12))
        covariance = cho_solve(solver, np.eye(size))
        if step < rounds - 1:
            moment = np.bincount(cells.group, beta**2 + np.diag(covariance), minlength=len(scale))
            learned = np.sqrt(moment / np.maximum(members, 1))
            scale = np.where(cells.free & (members > 0), np.maximum(learned, SMALLEST_SCALE), scale)
    return _constants(beta, covariance, scale, cells.group)


def joined(parts: list[Whitening]) -> Whitening:
    """Whitening of several sets of effects, independent of each other, with scales side by side."""
    return Whitening(
        information=np.concatenate([part.information for part in parts]),
        estimate=np.concatenate([part.estimate for part in parts]),
        factor=block_diag(*[part.factor for part in parts]),
        scale=np.concatenate([part.scale for part in parts]),
    )


def _design(cells: LogitCells) -> csr_array:
    """Sparse matrix [cell, effect] of ones."""
    covariates, rows = cells.index.shape
    size = len(cells.group)
    columns = cells.index.T.ravel()
    row = np.repeat(np.arange(rows), covariates)
    known = columns < size
    ones = np.ones(int(known.sum()))
    return csr_array((ones, (row[known], columns[known])), shape=(rows, size))


def _constants(beta: Floats, covariance: Floats, scale: Floats, group: Ints) -> Whitening:
    """Information and estimate that make the map meet the approximate posterior at the plug-in scales."""
    variance = np.diag(covariance)
    prior = 1 / scale[group] ** 2
    information = np.maximum(1 / variance - prior, 0.0)
    seen = information > 1e-6 * prior
    estimate = np.where(seen, beta * (information + prior) / np.where(seen, information, 1.0), 0.0)
    deviation = np.sqrt(variance)
    factor = np.linalg.cholesky(covariance / np.outer(deviation, deviation))
    return Whitening(np.where(seen, information, 0.0), estimate, factor, scale)
