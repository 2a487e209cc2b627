"""Whether chains can be trusted."""

import arviz as az
import numpy as np
import xarray as xr

from models.draws import Diagnostics
from models.fitting import Trace


def diagnose(model: str, trace: Trace, names: tuple[str, ...], rows: int, cells: int) -> Diagnostics:
    """Judge the chains of one sub-model by its reported variables, scales included.

    Parameters
    ----------
    model : name of the sub-model
    trace : its chains
    names : variables of ``trace.posterior`` to judge; elements that do not vary by construction are left out
    rows, cells : records before and after rows with equal covariates are summed

    Raises
    ------
    FloatingPointError
        When a statistic is not a number: chains that cannot be judged have not converged.

    References
    ----------
    Vehtari et al. (2021), Rank-normalization, folding, and localization: an improved R-hat, doi:10.1214/20-BA1221.
    """
    chosen = xr.Dataset({"all": _varying(trace.posterior[list(names)])})
    r_hat = az.rhat(chosen, method="rank")["all"].to_numpy()
    bulk = az.ess(chosen, method="bulk")["all"].to_numpy()
    tail = az.ess(chosen, method="tail")["all"].to_numpy()
    if np.isnan(r_hat).any() or np.isnan(bulk).any() or np.isnan(tail).any():
        raise FloatingPointError(f"{model}: R-hat or effective sample size is not a number for some parameter")
    return Diagnostics(
        model=model,
        r_hat=float(r_hat.max()),
        ess=float(min(bulk.min(), tail.min())),
        divergences=trace.divergences,
        rows=rows,
        cells=cells,
        parameters=trace.parameters,
        k_hat=trace.k_hat,
    )


def _varying(posterior: xr.Dataset) -> xr.DataArray:
    """All elements of all variables as (chain, draw, element), without those that are constant by construction."""
    parts = [v.to_numpy().reshape(v.shape[0], v.shape[1], -1) for v in posterior.values()]
    elements = np.concatenate(parts, axis=2)
    # Stuck chains differ from each other: constant by construction is only what is the same in all draws of all chains.
    constant = elements.max(axis=(0, 1)) == elements.min(axis=(0, 1))
    moving = ~constant  # not a number is never equal: such elements stay and are refused
    return xr.DataArray(elements[:, :, moving], dims=("chain", "draw", "element"))
