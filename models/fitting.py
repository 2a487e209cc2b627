"""Draws from the posterior of a PyMC model: by NUTS, or fast by a normal approximation at the mode.

Both run on the compiled density of `models.density`. nutpie's own compilation wraps the density in two Numba callbacks,
which no cache keeps: ten seconds and more a model in every run. Here nutpie calls the compiled density, and the named
variables are computed from the raw draws in one vectorised evaluation. The chains of a model run one after another:
models, not chains, are what runs side by side (see `models.fit`).
"""

from dataclasses import dataclass

import numpy as np
import nutpie
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from nutpie.compiled_pyfunc import from_pyfunc
from scipy.special import expit

from models.density import Density, density_of
from models.laplace import approximate_draws
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
    divergences : number of divergent transitions after tuning; all draws where the fast tier found no mode
    steps : mean number of gradient evaluations a draw
    parameters : number of free parameters
    thinning : `draws` keeps one step in so many
    k_hat : Pareto shape of the fast tier's importance ratios, None for NUTS; see `models.laplace`
    """

    posterior: xr.Dataset
    divergences: int
    steps: float
    parameters: int
    thinning: int = 1
    k_hat: float | None = None

    def draws(self, name: str) -> Floats:
        """Kept draws [D, ...] of a variable, chain after chain."""
        values = self.posterior[name].to_numpy()[:, :: self.thinning]
        return np.ascontiguousarray(values.reshape(-1, *values.shape[2:]))


def sample(model: pm.Model, settings: SamplerSettings, seed: int, thinning: int = 1) -> Trace:
    """Draw from the posterior of a model of continuous variables.

    Parameters
    ----------
    model : with all its arrays, and all numbers that follow from data, in ``pm.Data``: see `models.density`
    settings : method, chains, steps and acceptance rate; ``cores`` is not used here
    seed : of the sampler and the starting points; the same seed gives the same bytes
    thinning : steps of a chain per draw kept; the fast tier's draws are independent and all kept

    Raises
    ------
    KeyboardInterrupt
        When the user stopped the chains: half a posterior is none.
    """
    density = density_of(model)
    if settings.method == "laplace":
        found = approximate_draws(density, density.origin, settings.chains * settings.draws, seed, density.leaves)
        raw = found.draws.reshape(settings.chains, settings.draws, -1)
        failed = 0 if found.problem is None else settings.chains * settings.draws
        steps = found.evaluations / len(found.draws)
        return Trace(density.named(raw), failed, steps, density.origin.size, k_hat=found.k_hat)
    raw, divergences, steps = _nuts(density, settings, seed, thinning)
    return Trace(density.named(raw), divergences, steps, density.origin.size, thinning)


def _nuts(density: Density, settings: SamplerSettings, seed: int, thinning: int) -> tuple[Floats, int, float]:
    """Raw draws [chain, draw, parameter], divergences and mean steps a draw.

    References
    ----------
    Hoffman and Gelman (2014), The No-U-Turn Sampler, JMLR 15, 1593-1623.
    """
    size = density.origin.size

    def starting_point(chain_seed: int) -> Floats:
        return density.origin + np.random.default_rng(chain_seed).uniform(-JITTER, JITTER, size)

    compiled = from_pyfunc(
        ndim=size,
        make_logp_fn=lambda: density,
        make_expand_fn=lambda *_: lambda x: {RAW: x},
        expanded_dtypes=[np.dtype(float)],
        expanded_shapes=[(size,)],
        expanded_names=[RAW],
        make_initial_point_fn=starting_point,
    )
    result = nutpie.sample(
        compiled,
        draws=settings.draws * thinning,
        tune=settings.tune,
        chains=settings.chains,
        cores=1,
        seed=seed,
        target_accept=settings.target_accept,
        save_warmup=False,
        progress_bar=False,
    )
    raw = result["posterior"][RAW].to_numpy()
    if raw.shape[:2] != (settings.chains, settings.draws * thinning):
        raise KeyboardInterrupt
    stats = result["sample_stats"]
    return raw, int(stats["diverging"].sum()), float(stats["n_steps"].mean())


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
