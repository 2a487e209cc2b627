"""Normal model with crossed, partially pooled effects and nested groups integrated out; no Markov chain, no PyMC.

``y = intercept + sum of effects + nested effects + noise``: each group of effects has prior N(0, scale^2) with a
half-normal scale. Given the scales all of it is normal, so the marginal likelihood of the scales is known in closed
form. There are few scales: they are drawn by importance sampling from a multivariate t that is moved to the posterior
once, with Pareto-smoothed weights whose shape says whether that worked; the effects follow exactly. Groups to which
every row belongs just once (accounts, and what is nested in them) are taken out by Woodbury's identity, so that their
number costs next to nothing.

References
----------
Gelman (2006), Prior distributions for variance parameters in hierarchical models, doi:10.1214/06-BA117A.
Cappe, Guillin, Marin and Robert (2004), Population Monte Carlo, doi:10.1198/106186004X12803.
Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling, JMLR 25(72), 1-58.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.sparse import csr_array, hstack
from scipy.special import expit
from scipy.stats import multivariate_t

from models.panel import NONE, Floats, Ints

TAIL = 4.0
"""Degrees of freedom of the proposal: heavier tails than the posterior's in these coordinates."""

WIDER = 1.5
"""The proposal's covariance over the posterior's: a scale near zero leaves a skewed tail."""

PROPOSALS = (400, 400, 2000)
"""Proposals of the rounds that move the proposal's centre and spread, and of the last, which gives the draws."""

SMALLEST = -9.0
"""Log of a scale, in SDs of y, that stands for all below it: no likelihood can tell them apart."""

ENOUGH = 10
"""Effective number of proposals per scale from which their moments are used."""

LEAST_CURVATURE = 0.2
"""Smallest eigenvalue of the negative Hessian that is believed: no coordinate's SD is far above one."""

WIDE = 10.0
"""Prior SD of the intercept, in SDs of y."""

SPARSE = 0.05
"""Share of non-zeros below which sums by member are kept sparse."""

STEP = 0.02
"""Step of the differences that make the Hessian."""


@dataclass(frozen=True)
class CrossedRows:
    """Data.

    Attributes
    ----------
    y : [row]
    nests : index [row] of groups integrated out, the inner one first; each member of an inner one lies in one outer one
    nest_names : of those
    groups : sparse [row, member] what multiplies each crossed effect; rows sum to one where the row has a member
    group_names : of those
    """

    y: Floats
    nests: tuple[Ints, ...]
    nest_names: tuple[str, ...]
    groups: tuple[csr_array, ...]
    group_names: tuple[str, ...]


@dataclass(frozen=True)
class CrossedDraws:
    """Posterior.

    Attributes
    ----------
    scale : [D] standard deviations by name of the group; ``noise`` is that of a row
    effect : [D, member] by name of the group; zero for a group of a single member
    k_hat : Pareto shape of the importance ratios: above 0.7 the draws cannot be relied on
    """

    scale: dict[str, Floats]
    effect: dict[str, Floats]
    k_hat: float


@dataclass(frozen=True)
class _Sums:
    """What the likelihood needs of the data: y in its own SDs, columns of all crossed groups and the intercept."""

    rows: int
    squares: float
    gram: Floats
    moment: Floats
    inner: csr_array | Floats
    inner_y: Floats
    inner_rows: Floats
    outer: csr_array | None
    group: Ints
    fixed: Floats

    @property
    def scales(self) -> int:
        """Number of learned scales: noise, nests, crossed groups."""
        return 2 + (self.outer is not None) + len(np.unique(self.group[self.group != NONE]))


@dataclass(frozen=True)
class _Solved:
    """Crossed effects given the scales: log likelihood, mean and Cholesky factor of their precision."""

    log_likelihood: float
    mean: Floats
    factor: Floats


def indicator(index: Ints, size: int) -> csr_array:
    """Columns [row, member] of ones: row i belongs to member ``index[i]``, to none where that is NONE."""
    rows = np.flatnonzero(index != NONE)
    return csr_array((np.ones(len(rows)), (rows, index[rows])), shape=(len(index), size))


def fit_crossed(rows: CrossedRows, draws: int, seed: int) -> CrossedDraws:
    """Draw from the posterior.

    Parameters
    ----------
    rows : data; scales have half-normal priors as wide as the SD of y
    draws : number kept
    seed : of everything random

    Raises
    ------
    ValueError
        When there are fewer than three rows, or y does not vary.
    """
    unit = float(np.std(rows.y))
    if len(rows.y) < 3 or not unit > 0:
        raise ValueError(f"a spread needs three rows or more that differ, got {len(rows.y)} rows with SD {unit}")
    rng = np.random.default_rng(seed)
    centre = float(rows.y.mean())
    learned = [i for i, group in enumerate(rows.groups) if len(np.unique(group.indices)) > 1]
    sums = _sums(rows, (rows.y - centre) / unit, learned)
    points, k_hat = _scales(sums, draws, rng)
    sigma = _sigma(points)  # [D, scale]
    crossed, nested = _effects(sums, sigma, rng)
    names = ("noise", *rows.nest_names, *(rows.group_names[i] for i in learned))
    scale = {name: unit * sigma[:, i] for i, name in enumerate(names)}
    effect = {name: unit * values for name, values in zip(rows.nest_names, nested, strict=True)}
    start = 0
    for i, group in enumerate(rows.groups):
        width = group.shape[1]
        effect[rows.group_names[i]] = np.zeros((draws, width))
        if i in learned:
            effect[rows.group_names[i]] = unit * crossed[:, start : start + width]
            start += width
    return CrossedDraws(scale, effect, k_hat)


def _sums(rows: CrossedRows, y: Floats, learned: list[int]) -> _Sums:
    chosen = [rows.groups[i] for i in learned]
    columns = csr_array(hstack([*chosen, csr_array(np.ones((len(y), 1)))]))
    inner = indicator(rows.nests[0], int(rows.nests[0].max()) + 1)
    outer = None
    if len(rows.nests) > 1:
        parent = np.zeros(inner.shape[1], dtype=np.int64)
        parent[rows.nests[0]] = rows.nests[1]
        outer = indicator(parent, int(rows.nests[1].max()) + 1)
    group = np.concatenate([np.full(part.shape[1], i) for i, part in enumerate(chosen)] + [np.array([NONE])])
    return _Sums(
        rows=len(y),
        squares=float(y @ y),
        gram=(columns.T @ columns).toarray(),
        moment=columns.T @ y,
        inner=_compact(csr_array(inner.T @ columns)),
        inner_y=inner.T @ y,
        inner_rows=np.asarray(inner.sum(axis=0)).ravel(),
        outer=outer,
        group=group.astype(np.int64),
        fixed=np.full(1, WIDE),
    )


def _compact(matrix: csr_array) -> csr_array | Floats:
    """The matrix in the form that is multiplied faster: sparse where most of it is zero."""
    return matrix if matrix.nnz < SPARSE * matrix.shape[0] * matrix.shape[1] else matrix.toarray()


def _weighted(matrix: csr_array | Floats, weight: Floats) -> csr_array | Floats:
    """Rows of the matrix times their weights."""
    if isinstance(matrix, np.ndarray):
        return matrix * weight[:, None]
    return csr_array(matrix.multiply(weight[:, None]))


def _weighted_gram(matrix: csr_array | Floats, weight: Floats) -> Floats:
    """``matrix.T @ diag(weight) @ matrix``."""
    product = matrix.T @ _weighted(matrix, weight)
    return product if isinstance(product, np.ndarray) else product.toarray()


def _log_scale(x: Floats) -> Floats:
    """Log of a scale over its prior's; coordinates in which one that may be zero has the tail of a normal."""
    return x - 0.25 * np.logaddexp(0.0, -x) ** 2


def _sigma(x: Floats) -> Floats:
    """Scales, in SDs of y."""
    return np.exp(np.clip(_log_scale(x), SMALLEST, -SMALLEST))


def _log_posterior(sums: _Sums, x: Floats) -> float:
    """Log density of the coordinates of the scales."""
    log_scale, tail = _log_scale(x), np.logaddexp(0.0, -x)
    log_slope = np.log1p(0.5 * tail * expit(-x))
    prior = float((log_scale + log_slope - 0.5 * np.exp(2 * log_scale)).sum())
    return prior + _solve(sums, _sigma(x)).log_likelihood


def _solve(sums: _Sums, sigma: Floats) -> _Solved:
    """Integrate nests, then crossed effects: Woodbury's identity level by level."""
    noise, inner = sigma[0] ** 2, sigma[1] ** 2
    spread = noise + sums.inner_rows * inner
    weight = inner / (noise * spread)  # [inner] what each member's sum takes off
    matrix = sums.gram / noise - _weighted_gram(sums.inner, weight)
    vector = sums.moment / noise - sums.inner.T @ (weight * sums.inner_y)
    square = sums.squares / noise - float(weight @ sums.inner_y**2)
    log_det = (sums.rows - len(spread)) * np.log(noise) + float(np.log(spread).sum())
    first = 2
    if sums.outer is not None:
        first, outer = 3, sigma[2] ** 2
        lifted = sums.outer.T @ _weighted(sums.inner, 1 / spread)
        lifted_y = sums.outer.T @ (sums.inner_y / spread)
        mass = 1 + outer * (sums.outer.T @ (sums.inner_rows / spread))
        share = outer / mass
        matrix = matrix - _weighted_gram(lifted, share)
        vector = vector - lifted.T @ (share * lifted_y)
        square -= float(share @ lifted_y**2)
        log_det += float(np.log(mass).sum())
    prior = np.append(sigma[first:], sums.fixed)[sums.group]
    factor = np.linalg.cholesky(matrix + np.diag(prior**-2))
    half = solve_triangular(factor, vector, lower=True)
    log_det += 2 * float(np.log(np.diag(factor)).sum()) + 2 * float(np.log(prior).sum())
    return _Solved(
        log_likelihood=-0.5 * (log_det + square - float(half @ half)),
        mean=solve_triangular(factor, half, lower=True, trans=1),
        factor=factor,
    )


def _scales(sums: _Sums, draws: int, rng: np.random.Generator) -> tuple[Floats, float]:
    """Coordinates [D, scale] of the scales, and the Pareto shape of the importance ratios."""
    start = np.zeros(sums.scales)
    found = minimize(lambda x: -_log_posterior(sums, x), start, method="L-BFGS-B", bounds=[(-8.0, 4.0)] * len(start))
    centre, covariance = found.x, _covariance(sums, found.x)
    for count in PROPOSALS:
        proposal = multivariate_t(centre, covariance * WIDER, df=TAIL, seed=rng)
        points = proposal.rvs(count).reshape(count, -1)
        log_ratio = np.array([_log_posterior(sums, x) for x in points]) - proposal.logpdf(points)
        from arviz_stats.base import array_stats  # half a second, which a run that finds itself unchanged need not wait

        log_weight, k_hat = array_stats.psislw(-log_ratio)
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        if 1 / (weight**2).sum() > ENOUGH * len(start):
            centre = weight @ points
            covariance = (points - centre).T @ ((points - centre) * weight[:, None])
    return points[rng.choice(len(points), size=draws, p=weight)], float(k_hat)


def _covariance(sums: _Sums, x: Floats) -> Floats:
    """Inverse of the negative Hessian by central differences, repaired where the density is flat."""
    step = np.eye(len(x)) * STEP
    hessian = np.array(
        [
            [
                _log_posterior(sums, x + a + b)
                - _log_posterior(sums, x + a - b)
                - _log_posterior(sums, x - a + b)
                + _log_posterior(sums, x - a - b)
                for b in step
            ]
            for a in step
        ]
    ) / (4 * STEP**2)
    values, vectors = np.linalg.eigh(-(hessian + hessian.T) / 2)
    return (vectors / np.maximum(values, LEAST_CURVATURE)) @ vectors.T


def _effects(sums: _Sums, sigma: Floats, rng: np.random.Generator) -> tuple[Floats, list[Floats]]:
    """Exact draws of crossed effects [D, column] and of the nests' [D, member], the inner one first."""
    crossed = np.zeros((len(sigma), len(sums.group)))
    inner = np.zeros((len(sigma), len(sums.inner_rows)))
    outer = np.zeros((len(sigma), 0 if sums.outer is None else sums.outer.shape[1]))
    for d, scale in enumerate(sigma):
        solved = _solve(sums, scale)
        noise = rng.standard_normal(len(sums.group))
        crossed[d] = solved.mean + solve_triangular(solved.factor, noise, lower=True, trans=1)
        left = sums.inner_y - sums.inner @ crossed[d]
        spread = scale[0] ** 2 + sums.inner_rows * scale[1] ** 2
        if sums.outer is not None:
            precision = scale[2] ** -2 + sums.outer.T @ (sums.inner_rows / spread)
            noise = rng.standard_normal(len(precision))
            outer[d] = sums.outer.T @ (left / spread) / precision + noise / np.sqrt(precision)
            left = left - sums.inner_rows * (sums.outer @ outer[d])
        noise = rng.standard_normal(len(left))
        inner[d] = scale[1] ** 2 * left / spread + noise * scale[0] * scale[1] / np.sqrt(spread)
    return crossed, [inner] if sums.outer is None else [inner, outer]
