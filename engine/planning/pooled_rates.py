"""Rates of reps by partial pooling: a beta-binomial model whose population is learned from all reps.

``passed_i ~ Binomial(tried_i, p_i)``, ``p_i ~ Beta(m k, (1 - m) k)``, with the prior of Gelman et al. (Bayesian Data
Analysis, 3rd ed., section 5.3): uniform on ``m`` and on ``(k + 1)^(-1/2)``, the scale of the spread between reps. The
two are integrated over a grid, so rates of a population that hardly differs are pulled together, and how far is part of
the uncertainty.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaln

from models.panel import Floats, Ints

MEANS = (np.arange(400) + 0.5) / 400
"""Grid of the population's mean."""

SPREADS = (np.arange(60) + 0.5) / 60
"""Grid of ``(k + 1)^(-1/2)``: 0 where all reps are the same, 1 where k is 0."""


@dataclass(frozen=True)
class PooledRates:
    """Posterior draws of one step.

    Attributes
    ----------
    rate : [draw, rep]
    population : [draw] mean of the population of reps
    spread : [draw] standard deviation between reps
    """

    rate: Floats
    population: Floats
    spread: Floats


def pooled_rates(tried: Ints, passed: Ints, draws: int, rng: np.random.Generator) -> PooledRates:
    """Draw the rates [rep] given what was tried and what passed; a rep without a trial gets the population's."""
    mean, strength, weight = population_grid(tried, passed)
    chosen = rng.choice(len(weight), size=draws, p=weight)
    m, k = mean[chosen, None], strength[chosen, None]
    rate = rng.beta(m * k + passed, (1 - m) * k + (tried - passed))
    spread = np.sqrt(m * (1 - m) / (k + 1))[:, 0]
    return PooledRates(rate, m[:, 0], spread)


def population_grid(tried: Ints, passed: Ints) -> tuple[Floats, Floats, Floats]:
    """Means, strengths and posterior weights of the grid's points, flat."""
    mean, scale = (part.ravel() for part in np.meshgrid(MEANS, SPREADS, indexing="ij"))
    strength = scale**-2.0 - 1.0
    a, b = mean * strength, (1 - mean) * strength
    # Reps with the same counts have the same likelihood.
    pairs, times = np.unique(np.stack([tried, passed], axis=1)[tried > 0], axis=0, return_counts=True)
    log_weight = -times.sum() * betaln(a, b)
    for (n, y), count in zip(pairs, times, strict=True):
        log_weight += count * betaln(a + y, b + n - y)
    weight = np.exp(log_weight - log_weight.max())
    return mean, strength, weight / weight.sum()


def chance_below_team(rate: Floats, weight: Ints, team: Ints) -> tuple[Floats, Floats]:
    """Chance [rep] that a rep's rate is below that of the rest of the team, and the mean of that rate [rep].

    Parameters
    ----------
    rate : [draw, rep]
    weight : [rep] deals by which the others are averaged
    team : [rep] number of the team
    """
    below, mean = np.full(len(team), np.nan), np.full(len(team), np.nan)
    for name in np.unique(team):
        member = np.flatnonzero(team == name)
        total, count = rate[:, member] @ weight[member].astype(float), float(weight[member].sum())
        for rep in member:
            others = count - weight[rep]
            if others > 0:
                rest = (total - rate[:, rep] * weight[rep]) / others
                below[rep], mean[rep] = float((rate[:, rep] < rest).mean()), float(rest.mean())
    return below, mean


def claims(chance: Floats) -> Floats:
    """Share of wrong claims expected among all claims at least as sure as this one, any shape; NaN stays NaN.

    The mean of ``1 - chance`` over the claims with the same or a higher chance (s-values: Stephens 2017,
    doi:10.1093/biostatistics/kxw041; Storey 2003, doi:10.1214/aos/1074290335). Claiming all with a value up to 5 %
    gives 5 % wrong claims on average, whatever the number of reps and steps.
    """
    flat = chance.ravel()
    known = np.flatnonzero(np.isfinite(flat))
    order = known[np.argsort(-flat[known], kind="stable")]
    found = np.full(len(flat), np.nan)
    found[order] = np.cumsum(1.0 - flat[order]) / np.arange(1, len(order) + 1)
    return found.reshape(chance.shape)
