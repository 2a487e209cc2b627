"""Coordinates in which NUTS finds a pooled logit easy: close to independent standard normal, whatever the scales are.

The effects ``beta`` of a hierarchical logit have prior N(0, sigma[group]^2) and, given the scales, a nearly normal
posterior. Centred coordinates suit effects that the data determine, non-centred ones those they do not (a rep with few
deals, a scale near zero), and both leave to the sampler how groups hang together (the base and the mean of every
group, a month's shock and its weeks). Here one quick approximate fit gives, for effects of fixed scale F and of
learned scale R,

    ``R = Q g``,  ``g = pull / (information + 1 / sigma^2) + (L v) / sqrt(information + 1 / sigma^2)``
    ``F = mode + K v - B (R - mode of R)``

where ``information`` and ``Q`` are eigenvalues and eigenvectors of what the data say about each group: every direction
is centred as far as it is known and non-centred as far as it is not, for every sigma. ``L`` takes out the correlation
between groups. The members of a large learned group (a thousand reps) never occur in one cell together: given all other
effects they are independent, and cost one line each instead of a row of dense matrices,

    ``leaf = (pull - C others + ...) / (information + 1 / sigma^2) + v / sqrt(information + 1 / sigma^2)``

with ``C`` their curvature with the others, who follow the map above without them. The map is exact whatever the
approximate fit was, since its Jacobian is in the model: a poor fit costs time, not truth.

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

LEAF_MEMBERS = 200
"""Members above which the largest learned group is taken out of the dense matrices."""

ROUNDING = 1e-9
"""Added to the diagonal of a correlation, so that rounding cannot make it indefinite."""

LARGEST_STEP = 2.0
"""Largest Newton step of an effect, in logits."""


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


@dataclass(frozen=True)
class Whitening:
    """Constants of the map.

    ``core`` counts all effects but those of large groups (``leaf``), ``fixed`` and ``random`` the effects of the core
    with fixed and with learned scale.

    Attributes
    ----------
    centre : [core]
    from_fixed : [core, fixed] K above
    from_random : [core, random] Q and -B Q above
    factor : [random, random] lower triangular L
    information, pull : [random] as above
    group : [random] index of the scale
    scale : [group] plug-in scales
    coupling : [leaf, core] C above
    leaf_information, leaf_pull : [leaf] as above; the pull holds the centre of the others
    leaf_group : [leaf] index of the scale
    order : [effect] position of every effect among the core's and then the leaves'
    """

    centre: Floats
    from_fixed: Floats
    from_random: Floats
    factor: Floats
    information: Floats
    pull: Floats
    group: Ints
    scale: Floats
    coupling: Floats
    leaf_information: Floats
    leaf_pull: Floats
    leaf_group: Ints
    order: Ints


def whiten(cells: LogitCells, shift: float = 0.0, rounds: int = 25, leaf_members: int = LEAF_MEMBERS) -> Whitening:
    """Fit approximately by penalised iteratively reweighted least squares, scales by EM (Laplace approximation).

    Parameters
    ----------
    cells : the counts
    shift : known part of every cell's logit
    rounds : Newton steps, each followed by one EM step of the scales
    leaf_members : members above which the largest learned group becomes leaves
    """
    design = _design(cells)
    scale = np.array(cells.scale, dtype=float)
    mode = np.zeros(len(cells.group))
    members = np.maximum(np.bincount(cells.group, minlength=len(scale)), 1)
    leaf, core = _leaves(cells, leaf_members)
    for _ in range(rounds):
        precision, slope = _curvature(design, cells, shift, mode, scale)
        move, variance = _newton(precision, slope, leaf, core)
        mode = mode + move * min(1.0, LARGEST_STEP / max(np.abs(move).max(), LARGEST_STEP))
        learned = np.sqrt(np.bincount(cells.group, mode**2 + variance, minlength=len(scale)) / members)
        scale = np.where(cells.free, np.maximum(learned, SMALLEST_SCALE), scale)
    precision, _ = _curvature(design, cells, shift, mode, scale)
    return _constants(mode, precision, scale, cells, (leaf, core))


def _leaves(cells: LogitCells, least: int) -> tuple[Ints, Ints]:
    """Effects of the largest learned group, none where it is small, and the others."""
    number = np.bincount(cells.group, minlength=len(cells.free)) * cells.free
    leaf = cells.group == number.argmax() if number.max(initial=0) > least else np.zeros(len(cells.group), dtype=bool)
    return np.flatnonzero(leaf), np.flatnonzero(~leaf)


def _newton(precision: Floats, slope: Floats, leaf: Ints, core: Ints) -> tuple[Floats, Floats]:
    """Newton step and posterior variance [effect]; the leaves, whose precision is diagonal, are eliminated first."""
    own = np.diag(precision)[leaf]
    coupling = precision[np.ix_(leaf, core)]
    shrunk = coupling / own[:, None]
    solver = cho_factor(precision[np.ix_(core, core)] - coupling.T @ shrunk, lower=True)
    covariance = cho_solve(solver, np.eye(len(core)))
    move, variance = np.empty(len(slope)), np.empty(len(slope))
    move[core] = cho_solve(solver, slope[core] - shrunk.T @ slope[leaf])
    move[leaf] = slope[leaf] / own - shrunk @ move[core]
    variance[core] = np.diag(covariance)
    variance[leaf] = 1 / own + ((shrunk @ covariance) * shrunk).sum(axis=1)
    return move, variance


def joined(parts: list[Whitening]) -> Whitening:
    """Whitening of sets of effects that are independent of each other, one after another, with scales side by side."""
    shifts = np.cumsum([0, *(len(part.scale) for part in parts)])
    cores = np.cumsum([0, *(len(part.centre) for part in parts)])
    leaves = np.cumsum([0, *(len(part.leaf_group) for part in parts)]) + cores[-1]
    order = [
        np.where(part.order < len(part.centre), part.order + core, part.order - len(part.centre) + leaf)
        for part, core, leaf in zip(parts, cores, leaves, strict=False)
    ]
    return Whitening(
        centre=np.concatenate([part.centre for part in parts]),
        from_fixed=block_diag(*[part.from_fixed for part in parts]),
        from_random=block_diag(*[part.from_random for part in parts]),
        factor=block_diag(*[part.factor for part in parts]),
        information=np.concatenate([part.information for part in parts]),
        pull=np.concatenate([part.pull for part in parts]),
        group=np.concatenate([part.group + shift for part, shift in zip(parts, shifts, strict=False)]),
        scale=np.concatenate([part.scale for part in parts]),
        coupling=block_diag(*[part.coupling for part in parts]),
        leaf_information=np.concatenate([part.leaf_information for part in parts]),
        leaf_pull=np.concatenate([part.leaf_pull for part in parts]),
        leaf_group=np.concatenate([part.leaf_group + shift for part, shift in zip(parts, shifts, strict=False)]),
        order=np.concatenate(order),
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


def _curvature(
    design: csr_array, cells: LogitCells, shift: float, beta: Floats, scale: Floats
) -> tuple[Floats, Floats]:
    """Negative Hessian [effect, effect] and gradient [effect] of the log posterior."""
    chance = expit(shift + design @ beta)
    weight = cells.count * chance * (1 - chance)
    penalty = 1 / scale[cells.group] ** 2
    hessian = (design.T @ design.multiply(weight[:, None]).tocsr()).toarray() + np.diag(penalty)
    return hessian, design.T @ (cells.success - cells.count * chance) - penalty * beta


def _constants(
    modes: Floats, precisions: Floats, scale: Floats, cells: LogitCells, parts: tuple[Ints, Ints]
) -> Whitening:
    """Constants that make the map meet the normal approximation at the plug-in scales."""
    leaf, core = parts
    own, coupling = np.diag(precisions)[leaf], precisions[np.ix_(leaf, core)]
    precision = precisions[np.ix_(core, core)] - coupling.T @ (coupling / own[:, None])
    mode, learned = modes[core], cells.free[cells.group[core]]
    fixed, random = np.flatnonzero(~learned), np.flatnonzero(learned)
    group, leaf_group = cells.group[core][random], cells.group[leaf]
    covariance = np.linalg.inv(precision)[np.ix_(random, random)]
    rotation = np.zeros((len(random), len(random)))
    information = np.zeros(len(random))
    for member in np.unique(group):
        mine = np.flatnonzero(group == member)
        known = np.linalg.inv(covariance[np.ix_(mine, mine)]) - np.eye(len(mine)) / scale[member] ** 2
        values, vectors = np.linalg.eigh((known + known.T) / 2)
        information[mine] = np.maximum(values, 0.0)
        rotation[np.ix_(mine, mine)] = vectors
    total = information + 1 / scale[group] ** 2
    turned = rotation.T @ covariance @ rotation * np.sqrt(np.outer(total, total))
    inner = np.linalg.inv(precision[np.ix_(fixed, fixed)])
    follow = inner @ precision[np.ix_(fixed, random)]
    centre, from_fixed, from_random = mode.copy(), np.zeros((len(mode), len(fixed))), np.zeros((len(mode), len(random)))
    centre[fixed] += follow @ mode[random]
    centre[random] = 0.0
    from_fixed[fixed] = np.linalg.cholesky(inner)
    from_random[fixed] = -follow @ rotation
    from_random[random] = rotation
    return Whitening(
        centre=centre,
        from_fixed=from_fixed,
        from_random=from_random,
        factor=np.linalg.cholesky((turned + turned.T) / 2 + ROUNDING * np.eye(len(random))),
        information=information,
        pull=total * (rotation.T @ mode[random]),
        group=group,
        scale=scale,
        coupling=coupling,
        leaf_information=np.maximum(own - scale[leaf_group] ** -2, 0.0),
        leaf_pull=own * modes[leaf] + coupling @ mode,
        leaf_group=leaf_group,
        order=np.argsort(np.concatenate([core, leaf])),
    )
