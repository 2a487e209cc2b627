"""Partially pooled effects of a linear predictor, in coordinates that NUTS finds easy, for any likelihood.

Effects of a group have prior N(0, sigma[group]^2), sigma learned or fixed, and no constraint to sum to zero. Centred
coordinates suit effects that data determine, non-centred ones those they do not. From one quick approximate fit

    ``beta = s^2 * information * estimate + s * (L v)``,  ``s^2 = 1 / (information + 1 / sigma^2)``

interpolates between the two per effect, for every sigma, and ``L`` takes the correlation between effects out. The map
is exact whatever the approximate fit was (its Jacobian ``sum(log s)`` is in the model): a poor fit costs time, not
truth. All it needs of a likelihood is slope and curvature in the predictor, row by row: binomial, negative binomial and
normal mixtures here (`models.whitening` does the like for the closing hazard's large counts).

References
----------
Papaspiliopoulos, Roberts and Skold (2007), A general framework for the parametrization of hierarchical models,
doi:10.1214/088342307000000014.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array, hstack
from scipy.special import expit

from models.panel import Bools, Floats, Ints
from models.settings import SamplerSettings

SMALLEST_SCALE = 0.03
"""Floor of a scale in the approximate fit: EM would otherwise let a group without effect collapse to zero."""

SPREAD_OF_SCALES = 0.7
"""Prior SD of the log of a learned scale: half to twice its middle with a chance of two thirds."""

CAREFUL = 0.9
"""Least acceptance rate for these models: below it a few trajectories diverge where a scale is small."""

type Working = Callable[[Floats], tuple[Floats, Floats]]
"""Predictor [row] to slope and (positive) curvature of the log likelihood, both [row]."""

LONGEST_STEP = 2.0
"""Longest Newton step of one effect: keeps empty cells from running away."""


@dataclass(frozen=True)
class Group:
    """Effects with a common scale.

    Attributes
    ----------
    name : of the group
    member : [row] whose effect enters the row, none where negative
    size : number of members
    scale : prior SD of the effects; prior median of that SD where ``free``
    free : whether the SD is learned
    weight : [row] what multiplies the effect; 1 where None
    walk : effects are steps, and a row has the sum of those up to its own
    """

    name: str
    member: Ints
    size: int
    scale: float
    free: bool
    weight: Floats | None = None
    walk: bool = False

    def columns(self) -> csr_array:
        """What multiplies each effect [row, member]."""
        known = np.flatnonzero(self.member >= 0)
        row, member = known, self.member[known]
        if self.walk:
            row, member = np.repeat(known, member + 1), np.concatenate([np.arange(m + 1) for m in member] or [member])
        values = np.ones(len(row)) if self.weight is None else self.weight[row]
        return csr_array((values, (row, member)), shape=(len(self.member), self.size))


@dataclass(frozen=True)
class Pooled:
    """A linear predictor: ``shift`` plus every group's effects, or walks over them, of the row's members.

    Attributes
    ----------
    groups : in the order of the effects
    shift : [row] known part of the predictor
    """

    groups: tuple[Group, ...]
    shift: Floats

    def columns(self) -> csr_array:
        """All columns [row, effect]."""
        return csr_array(hstack([group.columns() for group in self.groups]))

    def group_of(self) -> Ints:
        """Index [effect] of each effect's group."""
        return np.repeat(np.arange(len(self.groups)), [group.size for group in self.groups])

    def slices(self) -> dict[str, slice]:
        """Where each group's effects lie."""
        ends = np.cumsum([group.size for group in self.groups])
        starts = ends - [group.size for group in self.groups]
        return {group.name: slice(int(a), int(b)) for group, a, b in zip(self.groups, starts, ends, strict=True)}


@dataclass(frozen=True)
class Coordinates:
    """Constants of the map.

    Attributes
    ----------
    information : [effect] what the data say about each effect, as a precision
    pull : [effect] information times where the data alone would put the effect
    factor : [effect, effect] lower triangular L, a Cholesky factor of the approximate posterior correlation
    """

    information: Floats
    pull: Floats
    factor: Floats


def approximate(pooled: Pooled, working: Working, rounds: int = 40) -> tuple[Floats, Coordinates]:
    """Approximate effects [effect] by Newton steps, scales by EM (Laplace approximation), and the map that follows.

    References
    ----------
    Breslow and Clayton (1993), Approximate inference in generalized linear mixed models,
    doi:10.1080/01621459.1993.10594284.
    """
    design, of = pooled.columns(), pooled.group_of()
    across = csr_array(design.T)
    free = np.array([group.free for group in pooled.groups])
    prior = np.array([group.scale for group in pooled.groups])
    scale, size = prior.copy(), len(of)
    number = np.bincount(of, minlength=len(scale))
    effects, covariance = np.zeros(size), np.eye(size)
    for step in range(rounds):
        slope, weight = working(pooled.shift + design @ effects)
        penalty = 1 / scale[of] ** 2
        information = (across @ csr_array(design.multiply(weight[:, None]))).toarray()
        solver = cho_factor(information + np.diag(penalty), lower=True)
        move = cho_solve(solver, across @ slope - penalty * effects)
        effects = effects + move * min(1.0, LONGEST_STEP / max(float(np.abs(move).max(initial=0.0)), 1e-12))
        covariance = cho_solve(solver, np.eye(size))
        if step < rounds - 1:
            moment = np.bincount(of, effects**2 + np.diag(covariance), minlength=len(scale))
            # One pseudo-member at the prior scale: a group of three says little about its own spread.
            learned = np.sqrt((moment + prior**2) / (number + 1))
            scale = np.where(free & (number > 0), np.maximum(learned, SMALLEST_SCALE), scale)
    return effects, _coordinates(effects, covariance, scale[of])


def _coordinates(effects: Floats, covariance: Floats, scale: Floats) -> Coordinates:
    """Constants that make the map meet the approximate posterior at the approximate scales."""
    variance = np.diag(covariance)
    information = np.maximum(1 / variance - scale**-2, 0.0)
    information[information < 1e-6 * scale**-2] = 0.0
    pull = np.where(information > 0, effects / variance, 0.0)
    deviation = np.sqrt(variance)
    return Coordinates(information, pull, np.linalg.cholesky(covariance / np.outer(deviation, deviation)))


def logit_working(trials: Floats, successes: Floats) -> Working:
    """Slope and curvature of binomial counts."""

    def working(predictor: Floats) -> tuple[Floats, Floats]:
        chance = expit(predictor)
        return successes - trials * chance, trials * chance * (1 - chance)

    return working


def count_working(counts: Ints, dispersion: float) -> Working:
    """Slope and expected curvature of negative binomial counts with a log link."""

    def working(predictor: Floats) -> tuple[Floats, Floats]:
        mean = np.exp(np.minimum(predictor, 30.0))
        damping = dispersion / (dispersion + mean)
        return (counts - mean) * damping, mean * damping

    return working


def predictor(name: str, pooled: Pooled, white: Coordinates) -> pt.TensorVariable:
    """Add the effects to the model of the context and return the linear predictor [row].

    Registers ``name`` [effect] and, where a scale is learned, ``name_scale`` [learned group].
    """
    free: Bools = np.array([group.free for group in pooled.groups])
    prior = np.array([group.scale for group in pooled.groups])
    place = np.where(free, np.cumsum(free) - 1, free.sum() + np.cumsum(~free) - 1)[pooled.group_of()]
    # Zero density at zero: a scale cannot collapse (Chung et al. 2013, doi:10.1007/s11336-013-9328-2).
    middle = pm.Data(f"{name}_middle", np.log(prior[free]))
    standard = pm.Flat(f"{name}_log_scale", shape=int(free.sum()))
    # A normal prior written out: PyMC's own would compile the number of scales in (`models.density`).
    pm.Potential(f"{name}_scale_prior", -0.5 * (standard**2).sum())
    learned = pm.Deterministic(f"{name}_scale", pt.exp(middle + SPREAD_OF_SCALES * standard))
    fixed = pm.Data(f"{name}_fixed", prior[~free])
    sigma = pt.concatenate([learned, fixed])[pm.Data(f"{name}_group", place)]
    variance = 1 / (pm.Data(f"{name}_information", white.information) + sigma**-2)
    free_effects = pm.Flat(f"{name}_white", shape=len(place))
    pull = pm.Data(f"{name}_pull", white.pull)
    turned = pt.dot(pm.Data(f"{name}_factor", white.factor), free_effects)
    effects = pm.Deterministic(name, variance * pull + pt.sqrt(variance) * turned)
    log_jacobian = 0.5 * pt.log(variance) - pt.log(sigma)
    pm.Potential(f"{name}_prior", (log_jacobian - 0.5 * (effects / sigma) ** 2).sum())
    total = pm.Data(f"{name}_shift", pooled.shift)
    ends = pm.Data(f"{name}_ends", np.cumsum([0, *(group.size for group in pooled.groups)]))
    for i, group in enumerate(pooled.groups):
        part = effects[ends[i] : ends[i + 1]]
        # Unknown members read the zero at the end.
        values = pt.concatenate([pt.cumsum(part) if group.walk else part, pt.zeros(1)])
        members = np.where(group.member >= 0, group.member, group.size)
        term = values[pm.Data(f"{name}_{group.name}_member", members)]
        total = total + (term if group.weight is None else pm.Data(f"{name}_{group.name}_weight", group.weight) * term)
    return total


def careful(sampler: SamplerSettings) -> SamplerSettings:
    """The sampler for a pooled model: smaller steps and longer tuning."""
    changes = {"tune": sampler.tune * 2, "target_accept": max(sampler.target_accept, CAREFUL)}
    return sampler.model_copy(update=changes)


def scales(pooled: Pooled, draws: Floats) -> dict[str, Floats]:
    """Draws [D] of the learned scales [D, learned group] by name of their group."""
    names = [group.name for group in pooled.groups if group.free]
    return {name: draws[:, i] for i, name in enumerate(names)}


def negative_binomial(counts: Ints, log_mean: pt.TensorVariable, dispersion: pt.TensorVariable) -> pt.TensorVariable:
    """Log likelihood of counts up to a constant; variance = mean + mean^2 / dispersion."""
    log_total = pt.logaddexp(log_mean, pt.log(dispersion))
    seen = pm.Data("counts", counts.astype(float))
    return pt.sum(
        pt.gammaln(seen + dispersion)
        - pt.gammaln(dispersion)
        + dispersion * (pt.log(dispersion) - log_total)
        + seen * (log_mean - log_total)
    )
