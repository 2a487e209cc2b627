"""All sub-models of a company, side by side in worker processes: the same draws on any number of them."""

from collections.abc import Callable
from typing import Any

from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.draws import Diagnostics, Draws
from models.panel import Panel
from models.settings import Leg, ModelSettings

NAMES = ("closing", "amounts", "arrivals", "orders")
"""Sub-models, in the order of the fields of `Draws`."""

LONGEST_FIRST = ("orders", "closing", "arrivals", "amounts")
"""The order in which workers take them, so that none of them ends with a long one alone."""

type Part = tuple[Any, Diagnostics] | None
"""Draws of one sub-model and their diagnostics; None where the panel has nothing to learn from."""


def fit_all(panel: Panel, settings: ModelSettings, seed: int) -> Draws:
    """Fit every leg whose table exists.

    Parameters
    ----------
    panel : a company as of a date
    settings : legs, priors and sampler
    seed : every sub-model takes its own from it

    Returns
    -------
    draws of all legs, ``settings.sampler.chains * settings.sampler.draws`` of each

    Raises
    ------
    ValueError
        When no leg has anything to learn from.
    """
    names = sub_models(panel, settings)
    if not names:
        raise ValueError(f"nothing to fit: no closed deal and no order for the legs {settings.legs}")
    ordered = sorted(names, key=LONGEST_FIRST.index)
    jobs = [delayed(fit_one)(name, panel, settings, seed + NAMES.index(name)) for name in ordered]
    parts = Parallel(n_jobs=min(settings.sampler.cores, 2, len(jobs)))(jobs)
    fitted = dict(zip(ordered, parts, strict=True))
    found = {name: part for name in names if (part := fitted[name]) is not None}
    return Draws(
        count=settings.sampler.chains * settings.sampler.draws,
        **{name: found[name][0] if name in found else None for name in NAMES},
        diagnostics=tuple(item[1] for item in found.values()),
    )


def sub_models(panel: Panel, settings: ModelSettings) -> list[str]:
    """Names of the sub-models that run, in the order of `Draws`."""
    wanted: tuple[Leg, ...] = ("pipeline", "bookings") if settings.legs == "auto" else settings.legs
    names = ["closing", "amounts", "arrivals"] if "pipeline" in wanted and panel.has_pipeline else []
    return names + (["orders"] if "bookings" in wanted and panel.has_orders else [])


def fit_one(name: str, panel: Panel, settings: ModelSettings, seed: int) -> Part:
    """Fit one sub-model."""
    fit = _fitter(name)
    # How BLAS splits a sum depends on its threads, and their number on the process: one thread, the same bytes in all.
    with threadpool_limits(1):
        return fit(panel, settings, seed)


def _fitter(name: str) -> Callable[[Panel, ModelSettings, int], Part]:
    """Function of a sub-model. Imported here: the worker process loads PyMC, the one that waits for it need not."""
    if name == "closing":
        from models.close_hazard import fit_closing

        return fit_closing
    if name == "amounts":
        from models.deal_amount import fit_amounts

        return fit_amounts
    if name == "arrivals":
        from models.new_deals import fit_arrivals

        return fit_arrivals
    from models.account_bookings import fit_bookings

    return fit_bookings
