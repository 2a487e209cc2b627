"""What simulation-based calibration needs of a sub-model, and how the production fit is called without a change.

The rule this module keeps: parameters and data are simulated by code that shares nothing with the model but its
settings; the fit is the production function from rows (or a panel) to draws.

Some priors are centred where the data lie (a median, a mean count): convenient, and a prior that looks at the data has
no joint distribution to simulate from. These centres are numbers in ``pm.Data``; for the calibration they are set to
constants of the design right before sampling (`recorded`). All else (coordinates, sampler, thinning, names) stays.

References
----------
Talts, Betancourt, Simpson, Vehtari and Gelman (2018), arXiv:1804.06788.
Modrak, Moon, Kim, Buerkner, Huurre, Faltejskova, Gelman and Vehtari (2023), Simulation-based calibration checking for
Bayesian computation: the choice of test quantities shapes sensitivity, doi:10.1214/23-BA1404.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np

from models.fitting import Trace
from models.panel import NONE, Floats, Ints
from models.settings import SamplerSettings

type Params = dict[str, Floats]
"""Parameters by name, each [D, ...]; the truth has D = 1."""

DIVERGENCES = "divergences"
"""Key under which a fit puts the number of its divergences beside the parameters."""

SPREAD_OF_SCALES = 0.7
"""SD of the log of a learned scale of kind ``log_normal``, as the pooled models state it."""


@dataclass(frozen=True)
class Study:
    """One sub-model under calibration.

    Attributes
    ----------
    name : of the sub-model
    prior : parameters [1, ...] drawn from the prior
    simulate : data given parameters
    fit : production fit of data: draws [D, ...] of the same parameters
    quantities : what is ranked, [D] by name, from parameters and data; the same function for truth and draws
    """

    name: str
    prior: Callable[[np.random.Generator], Params]
    simulate: Callable[[Params, np.random.Generator], Any]
    fit: Callable[[Any, SamplerSettings, int], Params]
    quantities: Callable[[Params, Any], dict[str, Floats]]


@dataclass(frozen=True)
class Term:
    """Effects with prior N(0, sigma^2).

    Attributes
    ----------
    name : of the effects; their learned sigma is called ``NAME scale``
    size : number of effects
    scale : sigma where it is fixed; else scale of its half-normal, or median of its log-normal prior
    kind : prior of sigma
    """

    name: str
    size: int
    scale: float
    kind: Literal["fixed", "half_normal", "log_normal"]


def draw_terms(terms: Sequence[Term], rng: np.random.Generator) -> Params:
    """Effects [1, member] and learned scales [1]."""
    found = {}
    for term in terms:
        sigma = np.full(1, term.scale)
        if term.kind == "half_normal":
            sigma = np.abs(rng.normal(0.0, term.scale, 1))
        elif term.kind == "log_normal":
            sigma = term.scale * np.exp(SPREAD_OF_SCALES * rng.standard_normal(1))
        if term.kind != "fixed":
            found[f"{term.name} scale"] = sigma
        found[term.name] = sigma[:, None] * rng.standard_normal((1, term.size))
    return found


def named_effects(terms: Sequence[Term], trace: Trace) -> Params:
    """Draws of the effects and scales of a pooled model, whose order is that of the terms."""
    effects, scales = trace.draws("effects"), trace.draws("effects_scale")
    learned = [term.name for term in terms if term.kind != "fixed"]
    if effects.shape[1] != sum(term.size for term in terms) or scales.shape[1] != len(learned):
        raise ValueError(f"the model has {effects.shape[1]} effects and {scales.shape[1]} scales, the study others")
    ends = np.cumsum([term.size for term in terms])
    found = {f"{name} scale": scales[:, i] for i, name in enumerate(learned)} | {DIVERGENCES: diverged(trace)}
    return found | {t.name: effects[:, end - t.size : end] for t, end in zip(terms, ends, strict=True)}


def diverged(trace: Trace) -> Floats:
    """Divergent transitions [1] of a fit; all draws where the fast tier found no centre."""
    return np.array([float(trace.divergences)])


def take(effects: Floats, index: Ints) -> Floats:
    """Effects [D, row] of rows; zero where the index is NONE."""
    padded = np.concatenate([effects, np.zeros((len(effects), 1))], axis=1)
    return padded[:, np.where(index == NONE, effects.shape[1], index)]


@contextmanager
def recorded(module: ModuleType, centres: Mapping[str, Floats | float]) -> Iterator[list[Trace]]:
    """Within the context: every model that a module samples has these prior centres, and its trace is kept.

    Parameters
    ----------
    module : of the production fit; samples by its global ``sample``
    centres : values by name of the ``pm.Data`` that hold them

    Raises
    ------
    KeyError
        When a model has no such data.
    """
    kept: list[Trace] = []
    production = module.sample

    def sample(model: Any, settings: SamplerSettings, seed: int, thinning: int = 1) -> Trace:
        for name, value in centres.items():
            model[name].set_value(np.asarray(value, dtype=float))
        kept.append(production(model, settings, seed, thinning))
        return kept[-1]

    vars(module)["sample"] = sample
    try:
        yield kept
    finally:
        vars(module)["sample"] = production
