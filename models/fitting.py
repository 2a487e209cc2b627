"""Sampling of a PyMC model with nutpie, fast to start and the same on every number of workers.

nutpie's own compilation wraps the log density in two Numba callbacks, which no cache keeps: ten seconds and
more a model in every run. Here PyTensor compiles the density once (its Numba code is cached on disk), nutpie calls it,
and the named variables are computed from the raw draws in one vectorised NumPy evaluation. The chains of a model run
one after another: models, not chains, are what runs side by side (see `models.fit`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import nutpie
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr
from numpy.typing import NDArray
from nutpie.compiled_pyfunc import from_pyfunc
from pymc.pytensorf import join_nonshared_inputs
from pytensor.graph.replace import vectorize_graph
from scipy.special import expit

from models.panel import Floats
from models.settings import SamplerSettings

RAW = "unconstrained"
"""Name of the vector that nutpie samples: all free variables, transformed to the real line."""

JITTER = 1.0
"""Half-width of the uniform noise around a model's initial point at which the chains start, as in PyMC."""


@dataclass(frozen=True)
class Trace:
    """What the chains of one model left.

    Attributes
    ----------
    posterior : every free and deterministic variable with dims (chain, draw, ...)
    divergences : number of divergent transitions after tuning
    steps : mean number of gradient evaluations a draw
    parameters : number of free parameters
    """

    posterior: xr.Dataset
    divergences: int
    steps: float
    parameters: int

    def draws(self, name: str, every: int = 1) -> Floats:
        """Draws [D, ...] of a variable, chain after chain, one in ``every`` of them."""
        values = self.posterior[name].to_numpy()[:, ::every]
        return np.ascontiguousarray(values.reshape(-1, *values.shape[2:]))


def sample(model: pm.Model, settings: SamplerSettings, seed: int) -> Trace:
    """Draw from the posterior of a model of continuous variables with NUTS.

    Parameters
    ----------
    model : with all its arrays in ``pm.Data``, so that the compiled density can be cached
    settings : chains, steps and acceptance rate; ``cores`` is not used here
    seed : of the sampler and the starting points; the same seed gives the same bytes

    Raises
    ------
    KeyboardInterrupt
        When the user stopped the chains: half a posterior is none.

    References
    ----------
    Hoffman and Gelman (2014), The No-U-Turn Sampler, JMLR 15, 1593-1623.
    """
    start = model.initial_point()
    origin = np.concatenate([np.ravel(start[variable.name]) for variable in model.value_vars]).astype(float)
    density = _density(model, start)

    def starting_point(chain_seed: int) -> Floats:
        return origin + np.random.default_rng(chain_seed).uniform(-JITTER, JITTER, origin.size)

    compiled = from_pyfunc(
        ndim=origin.size,
        make_logp_fn=lambda: density,
        make_expand_fn=lambda *_: lambda x: {RAW: x},
        expanded_dtypes=[np.dtype(float)],
        expanded_shapes=[(origin.size,)],
        expanded_names=[RAW],
        make_initial_point_fn=starting_point,
    )
    result = nutpie.sample(
        compiled,
        draws=settings.draws,
        tune=settings.tune,
        chains=settings.chains,
        cores=1,
        seed=seed,
        target_accept=settings.target_accept,
        save_warmup=False,
        progress_bar=False,
    )
    raw = result["posterior"][RAW].to_numpy()
    if raw.shape[:2] != (settings.chains, settings.draws):
        raise KeyboardInterrupt
    stats = result["sample_stats"]
    return Trace(
        posterior=_named(model, start, raw),
        divergences=int(stats["diverging"].sum()),
        steps=float(stats["n_steps"].mean()),
        parameters=origin.size,
    )


def half_normal(name: str, prior: Floats, start: Floats) -> pt.TensorVariable:
    """Scales [group] with half-normal priors, added to the model of the context in coordinates without a long tail.

    On the log of a scale the posterior of one that may be zero has an exponential tail to the left, in which chains get
    lost. With ``log(scale / prior) = x - softplus(-x)^2 / 4`` the tail of x is that of a normal; the prior is
    unchanged.

    Parameters
    ----------
    name : of the deterministic variable
    prior : [group] scale of the half-normal
    start : [group] where the chains start
    """
    x = pm.Flat(f"{name}_raw", shape=len(prior), initval=_below(np.log(start / prior)))
    tail = pt.softplus(-x)
    log_ratio = x - 0.25 * tail**2
    log_slope = pt.log1p(0.5 * tail * pt.sigmoid(-x))
    pm.Potential(f"{name}_prior", (log_ratio + log_slope - 0.5 * pt.exp(2 * log_ratio)).sum())
    return pm.Deterministic(name, pm.Data(f"{name}_unit", prior) * pt.exp(log_ratio))


def _below(log_ratio: Floats) -> Floats:
    """Solve ``log_ratio = x - softplus(-x)^2 / 4`` for x by Newton steps; the left side is increasing and concave."""
    x = np.zeros_like(log_ratio)
    for _ in range(50):
        tail = np.logaddexp(0.0, -x)
        x = x - (x - tail**2 / 4 - log_ratio) / (1 + tail * expit(-x) / 2)
    return x


def _density(model: pm.Model, start: dict[str, Any]) -> Callable[[Floats], tuple[float, Floats]]:
    """Log density and its gradient at a point of the real line."""
    (log_density,), point = join_nonshared_inputs(point=start, outputs=[model.logp()], inputs=model.value_vars)
    gradient = pt.grad(log_density, point)
    compiled = pytensor.function([point], [log_density, gradient], mode="NUMBA", trust_input=True)

    def density(x: NDArray[np.float64]) -> tuple[float, Floats]:
        value, slope = compiled(x)
        return float(value), slope

    return density


def _named(model: pm.Model, start: dict[str, Any], raw: Floats) -> xr.Dataset:
    """Free and deterministic variables of raw draws [chain, draw, parameter]."""
    variables = [*model.free_RVs, *model.deterministics]
    values, point = join_nonshared_inputs(
        point=start, outputs=model.replace_rvs_by_values(variables), inputs=model.value_vars
    )
    batch = pt.matrix("batch", shape=(None, raw.shape[-1]))
    evaluate = pytensor.function(
        [batch], vectorize_graph(values, {point: batch}), mode="FAST_COMPILE", trust_input=True
    )
    flat = np.ascontiguousarray(raw.reshape(-1, raw.shape[-1]))
    data = {}
    for variable, array in zip(variables, evaluate(flat), strict=True):
        dims = model.named_vars_to_dims.get(variable.name) or [f"{variable.name}_{i}" for i in range(array.ndim - 1)]
        data[variable.name] = (("chain", "draw", *dims), array.reshape(*raw.shape[:2], *array.shape[1:]))
    return xr.Dataset(data)
