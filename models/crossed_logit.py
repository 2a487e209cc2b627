"""A logit with very many crossed, partially pooled factors: mode, scales and posterior draws in seconds.

    ``y ~ Binomial(n, p)``,  ``logit p = base + sum over factors f of effect[f, level of f]``
    ``effect[f, .] ~ Normal(0, scale[f]^2)``,  ``scale[f] ~ HalfNormal(tau)``,  ``base`` flat

The levels of one factor never meet in a cell, so given the other factors its block of the curvature is diagonal:
a sweep over the factors costs one pass over the cells each, whatever the number of levels, and no matrix is made. The
same sweep is a Newton step (`climb`) and, with noise of the conditional spread added, a Gibbs sampler of a normal
approximation (`sample`). The warm-up renews its expansion around the posterior mean, with the curvature averaged over
the posterior (Gaussian variational inference; an expansion at the mode alone is too sure of rare levels). Scales follow
the maximum of their approximate marginal posterior: by EM with the variance within the factor only while climbing, then
by stochastic EM on the draws, which know how the factors hang together. What stays approximate: the likelihood is
quadratic in the logit and scales are plugged in. A test holds it against NUTS on the density above.

References
----------
Delyon, Lavielle and Moulines (1999), Convergence of a stochastic approximation version of the EM algorithm,
doi:10.1214/aos/1018031103. Papaspiliopoulos, Roberts and Zanella (2020), Scalable inference for crossed random effects
models, doi:10.1093/biomet/asz058. Opper and Archambeau (2009), The variational Gaussian approximation revisited,
doi:10.1162/neco.2008.08-07-592.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from models.panel import Floats, Ints

LEAST_WEIGHT = 1e-6
"""Floor of a cell's curvature, so that a certain cell does not divide by zero."""

LARGEST_STEP = 1.0
"""Largest Newton step of an effect, in logits."""

LEAST_SQUARE = 1e-8
"""Floor of a squared scale."""

NODES = 5
"""Points of the Gauss-Hermite average over a logit."""

EXPANSIONS = 4
"""Times that the warm-up expands the likelihood anew."""

TRIAL_SCALES = np.array([0.03, 0.06, 0.12, 0.25, 0.5])
"""Scales (logits) at which the gain of a factor that is not in the model yet is looked at."""


@dataclass(frozen=True)
class FactorCells:
    """Binomial counts and the level of every factor.

    Attributes
    ----------
    index : [factor] of [cell] level
    size : [factor] number of levels
    count, success : [cell]
    """

    index: tuple[Ints, ...]
    size: Ints
    count: Floats
    success: Floats


@dataclass(frozen=True)
class CrossedMode:
    """A point and the scales that belong to it.

    Attributes
    ----------
    base : logit
    effects : [factor] of [level]
    square : [factor] squared scales
    logit : [cell]
    """

    base: float
    effects: tuple[Floats, ...]
    square: Floats
    logit: Floats


@dataclass(frozen=True)
class CrossedDraws:
    """Posterior draws.

    Attributes
    ----------
    base : [draw]
    effects : [factor] of [level, draw]
    scale : [factor] plugged in
    """

    base: Floats
    effects: tuple[Floats, ...]
    scale: Floats


def start(count: Floats, success: Floats) -> CrossedMode:
    """The model without factors: the base rate.

    Parameters
    ----------
    count, success : [cell]
    """
    base = float(logit((success.sum() + 0.5) / (count.sum() + 1.0)))
    return CrossedMode(base, (), np.zeros(0), np.full(len(count), base))


def extended(mode: CrossedMode, size: Ints, square: Floats) -> CrossedMode:
    """The same point with further factors whose effects are zero.

    Parameters
    ----------
    mode : of fewer factors
    size, square : [new factor] number of levels, squared scale to begin with
    """
    effects = (*mode.effects, *(np.zeros(levels) for levels in size))
    return CrossedMode(mode.base, effects, np.concatenate([mode.square, square]), mode.logit)


def kept(mode: CrossedMode, cells: FactorCells, keep: list[int]) -> tuple[CrossedMode, FactorCells]:
    """The model with some of its factors only."""
    effects = tuple(mode.effects[i] for i in keep)
    index = tuple(cells.index[i] for i in keep)
    line = mode.base + sum((effect[level] for effect, level in zip(effects, index, strict=True)), np.zeros(1))
    return (
        CrossedMode(mode.base, effects, mode.square[keep], np.broadcast_to(line, cells.count.shape)),
        FactorCells(index, cells.size[keep], cells.count, cells.success),
    )


def curvature(cells: FactorCells, line: Floats) -> tuple[Floats, Floats]:
    """Weight and gradient [cell] of the log likelihood in the logit."""
    chance = expit(line)
    return np.maximum(cells.count * chance * (1 - chance), LEAST_WEIGHT), cells.success - cells.count * chance


def gain(information: Floats, pull: Floats) -> tuple[float, float]:
    """Gain of the log marginal likelihood by a new factor, the others held, and the squared scale that gives it.

    Parameters
    ----------
    information, pull : [level] sums of weights and gradients over the cells of the level
    """
    square = TRIAL_SCALES[:, None] ** 2
    worth = 0.5 * (square * pull**2 / (1 + square * information) - np.log1p(square * information)).sum(axis=1)
    best = int(np.argmax(worth))
    return float(worth[best]), float(square[best, 0])


def climb(cells: FactorCells, mode: CrossedMode, rounds: int, largest_scale: float) -> CrossedMode:
    """Newton sweeps over the factors, each scale following its effects.

    Parameters
    ----------
    cells : the counts
    mode : where to begin
    rounds : sweeps
    largest_scale : standard deviation of the half-normal prior of the scales, logits
    """
    base, line = mode.base, mode.logit.copy()
    effects, square = [effect.copy() for effect in mode.effects], mode.square.copy()
    for _ in range(rounds):
        weight, slope = curvature(cells, line)
        move = float(np.clip(slope.sum() / weight.sum(), -LARGEST_STEP, LARGEST_STEP))
        base, line, slope = base + move, line + move, slope - weight * move
        for f, level in enumerate(cells.index):
            size, effect = cells.size[f], effects[f]
            precision = np.bincount(level, weight, size) + 1 / square[f]
            step = (np.bincount(level, slope, size) - effect / square[f]) / precision
            step = np.clip(step, -LARGEST_STEP, LARGEST_STEP)
            effect += step
            moved = step[level]
            line += moved
            slope -= weight * moved
            moment = float((effect**2).sum() + (1 / precision).sum())
            square[f] = best_square(moment, size, largest_scale)
    return CrossedMode(base, tuple(effects), square, line)


def best_square(moment: float, number: float, largest_scale: float) -> float:
    """Squared scale s that maximises ``-number/2 log s - moment/(2 s) - s/(2 tau^2)``."""
    tau = largest_scale**2
    return max(tau / 2 * (np.sqrt(number**2 + 4 * moment / tau) - number), LEAST_SQUARE)


def sample(
    cells: FactorCells, mode: CrossedMode, sweeps: tuple[int, int], largest_scale: float, rng: np.random.Generator
) -> CrossedDraws:
    """Gibbs sampler of the normal approximation; it and the scales are learned in the warm-up, then held.

    Parameters
    ----------
    cells : the counts
    mode : where the likelihood is expanded at first
    sweeps : of warm-up, and draws kept
    largest_scale : standard deviation of the half-normal prior of the scales, logits
    rng : the stream
    """
    warmup, draws = sweeps
    renew = max(warmup // EXPANSIONS, 2)
    chain = _Chain(
        mode.base, [effect.copy() for effect in mode.effects], mode.square.copy(), mode.logit.copy(), mode.logit
    )
    likelihood = _expanded(cells, chain.line, np.zeros(len(chain.line)), chain)
    moments, bases = np.zeros(len(cells.size)), np.zeros(draws)
    stored = tuple(np.zeros((size, draws), dtype=np.float32) for size in cells.size)
    lines: list[Floats] = []
    for sweep in range(warmup):
        if len(lines) == renew:
            likelihood = _expanded(cells, np.mean(lines, axis=0), np.var(lines, axis=0), chain)
            lines = []
        _sweep(cells, chain, likelihood, rng)
        lines.append(chain.line.copy())
        squares = np.array([(effect**2).sum() for effect in chain.effects])
        moments += min(1.0, 4 / (sweep + 1)) * (squares - moments)
        chain.square = _squares(moments, cells.size, largest_scale)
    for draw in range(draws):
        _sweep(cells, chain, likelihood, rng)
        bases[draw] = chain.base
        for kept_draws, effect in zip(stored, chain.effects, strict=True):
            kept_draws[:, draw] = effect
    return CrossedDraws(bases, stored, np.sqrt(chain.square))


@dataclass
class _Chain:
    """State of the sampler; ``slope`` [cell] is the gradient of the expanded log likelihood at ``line`` [cell]."""

    base: float
    effects: list[Floats]
    square: Floats
    line: Floats
    slope: Floats


@dataclass(frozen=True)
class _Likelihood:
    """Curvature of the expansion: weight [cell], and its sums [factor] of [level]."""

    weight: Floats
    information: list[Floats]


def _expanded(cells: FactorCells, mean: Floats, variance: Floats, chain: _Chain) -> _Likelihood:
    """Expand the likelihood around normal logits and set the chain's slope to the new expansion."""
    weight, slope = expected_curvature(cells, mean, variance)
    chain.slope = slope - weight * (chain.line - mean)
    information = [np.bincount(level, weight, size) for level, size in zip(cells.index, cells.size, strict=True)]
    return _Likelihood(weight, information)


def _sweep(cells: FactorCells, chain: _Chain, likelihood: _Likelihood, rng: np.random.Generator) -> None:
    """One Gibbs sweep over the base and all factors."""
    weight, total = likelihood.weight, likelihood.weight.sum()
    move = chain.slope.sum() / total + rng.normal() / np.sqrt(total)
    chain.base += move
    chain.line += move
    chain.slope -= weight * move
    for f, level in enumerate(cells.index):
        precision = likelihood.information[f] + 1 / chain.square[f]
        pull = np.bincount(level, chain.slope, cells.size[f]) - chain.effects[f] / chain.square[f]
        step = pull / precision + rng.normal(size=cells.size[f]) / np.sqrt(precision)
        chain.effects[f] += step
        moved = step[level]
        chain.line += moved
        chain.slope -= weight * moved


def _squares(moments: Floats, size: Ints, largest_scale: float) -> Floats:
    return np.array([best_square(m, n, largest_scale) for m, n in zip(moments, size, strict=True)])


def expected_curvature(cells: FactorCells, mean: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Weight and gradient [cell] of the log likelihood, averaged over a normal logit of this mean and variance."""
    chance, weight = np.zeros_like(mean), np.zeros_like(mean)
    for node, share in zip(*np.polynomial.hermite_e.hermegauss(NODES), strict=True):
        point = expit(mean + node * np.sqrt(spread))
        chance += share / np.sqrt(2 * np.pi) * point
        weight += share / np.sqrt(2 * np.pi) * point * (1 - point)
    return np.maximum(cells.count * weight, LEAST_WEIGHT), cells.success - cells.count * chance
