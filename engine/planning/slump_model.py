"""A rep's months as a hidden two-state chain: usual, or slump; counts are overdispersed, and reps differ.

``y[t] ~ NegativeBinomial(mean = rate * expected[t] * (depth in a slump, else 1), variance = mean + noise * mean^2)``,
``rate ~ Gamma(shape, shape)``, states Markov with given mean lengths. A weak month is noise of one month, a slump a
run of them. The rate is integrated over quantiles of its prior and the states by the forward recursion, so the chance
of being in a slump now is exact for the model; shape and noise are learned from all reps by maximum marginal
likelihood, which is the shrinkage.

References
----------
Baum et al. (1970), doi:10.1214/aoms/1177697196 (forward recursion); Hamilton (1989), doi:10.2307/1912559 (regimes);
MacDonald and Zucchini (1997), Hidden Markov and Other Models for Discrete-valued Time Series, ISBN 9780412558504.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln
from scipy.stats import gamma, nbinom

from models.panel import Floats, Ints

GRID = 40
"""Points over which a rep's rate is integrated: middles of equally likely parts of its prior."""

PRIOR_SHAPE, PRIOR_NOISE, PRIOR_WIDTH = 4.0, 0.1, 1.5
"""Middles of shape and noise before data, and the SD of their logs: keeps few reps from saying "no noise at all"."""

SMALLEST, LARGEST = 1e-3, 1e3
"""Bounds of shape and noise."""


@dataclass(frozen=True)
class Chain:
    """What is believed before data about slumps.

    Attributes
    ----------
    depth : what is left of the usual rate in a slump
    enter, leave : chance a month to fall into a slump, and to come out of one
    """

    depth: float
    enter: float
    leave: float


@dataclass(frozen=True)
class Population:
    """What is learned from all reps.

    Attributes
    ----------
    shape : of the gamma distribution of rates between reps: their variance is 1 / shape
    noise : overdispersion of a month
    """

    shape: float
    noise: float

    @property
    def rates(self) -> Floats:
        """Grid [GRID] of equally likely rates."""
        return np.asarray(gamma.ppf((np.arange(GRID) + 0.5) / GRID, self.shape, scale=1 / self.shape))


@dataclass(frozen=True)
class States:
    """What a history says, all [history].

    Attributes
    ----------
    slump : chance to be in a slump in the last month
    lasting : chance to have been in one for all of the last months asked for
    log_likelihood : of the history
    rate : [history, GRID] posterior weight of every rate
    """

    slump: Floats
    lasting: Floats
    log_likelihood: Floats
    rate: Floats


def log_chances(count: Ints, mean: Floats, noise: float) -> Floats:
    """Log of the negative binomial's chance of a count, broadcast; 0 where the mean is 0: the month says nothing."""
    size = 1.0 / noise
    safe = np.where(mean > 0, mean, 1.0)
    value = (
        gammaln(count + size)
        - gammaln(size)
        - gammaln(count + 1.0)
        - size * np.log1p(safe / size)
        + count * (np.log(safe) - np.log(safe + size))
    )
    return np.where(mean > 0, value, 0.0)


def means(expected: Floats, population: Population, chain: Chain) -> Floats:
    """Mean [..., month, GRID, state] of the counts."""
    levels = population.rates[:, None] * np.array([1.0, chain.depth])
    return np.asarray(expected[..., None, None] * levels)


def filtered(log_chance: Floats, chain: Chain, lasting: int) -> States:
    """Forward recursion.

    Parameters
    ----------
    log_chance : [history, month, GRID, 2] of what was counted, state by state
    lasting : last months that have to be in a slump for `States.lasting`
    """
    histories, months = log_chance.shape[:2]
    often = chain.enter / (chain.enter + chain.leave)
    move = np.array([[1 - chain.enter, chain.enter], [chain.leave, 1 - chain.leave]])
    weight = np.broadcast_to(np.array([1 - often, often]) / GRID, (histories, GRID, 2))
    run, total = np.zeros((histories, GRID)), np.zeros(histories)
    for t in range(months):
        if t:
            run = run * move[1, 1]
            weight = weight @ move
        if t == months - lasting:
            run = weight[:, :, 1]
        top = log_chance[:, t].max(axis=(1, 2))
        chance = np.exp(log_chance[:, t] - top[:, None, None])
        weight, run = weight * chance, run * chance[:, :, 1]
        scale = weight.sum(axis=(1, 2))
        weight, run = weight / scale[:, None, None], run / scale[:, None]
        total += np.log(scale) + top
    return States(weight[:, :, 1].sum(axis=1), run.sum(axis=1), total, weight.sum(axis=2))


def judge(count: Ints, expected: Floats, population: Population, chain: Chain, lasting: int) -> States:
    """States of reps from counts and expected counts at rate 1, both [rep, month]; 0 expected: not there."""
    mean = means(expected, population, chain)
    return filtered(log_chances(count[:, :, None, None], mean, population.noise), chain, lasting)


def learn(count: Ints, expected: Floats, chain: Chain) -> Population:
    """Shape and noise that make all histories most likely, slumps among them."""

    def loss(logs: Floats) -> float:
        shape, noise = np.clip(np.exp(logs), SMALLEST, LARGEST)
        found = judge(count, expected, Population(shape, noise), chain, 1)
        away = (logs - start) / PRIOR_WIDTH
        return float(-found.log_likelihood.sum() + 0.5 * (away @ away))

    start = np.log([PRIOR_SHAPE, PRIOR_NOISE])
    found = minimize(loss, start, method="Nelder-Mead", options={"xatol": 0.02, "fatol": 0.01, "maxiter": 150})
    shape, noise = np.clip(np.exp(found.x), SMALLEST, LARGEST)
    return Population(float(shape), float(noise))


def simulated(mean: Floats, noise: float, rng: np.random.Generator) -> Ints:
    """Counts with the given means, any shape."""
    size = 1.0 / noise
    return np.asarray(rng.poisson(rng.gamma(size, np.maximum(mean, 0.0) / size)), dtype=np.int64)


def usual_tail(count: Ints, expected: Floats, rate: Floats, population: Population) -> Floats:
    """Chance [rep] that a usual month brings as little as the last one did, or less; ``rate`` [rep, GRID] weights."""
    size = 1.0 / population.noise
    mean = np.maximum(population.rates * expected[:, -1:], 1e-12)
    tail = nbinom.cdf(count[:, -1:], size, size / (size + mean))
    return np.asarray((tail * rate).sum(axis=1))
