"""Peers from statsforecast with hierarchicalforecast: bottom-up and MinT, bootstrap and normal, unchanged."""

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.methods.ets import BaseForecasts, base_forecasts, statsforecast_model
from engine.methods.series import Series
from models.panel import Floats


@dataclass(frozen=True)
class PeerPaths:
    """What a peer said.

    Attributes
    ----------
    method : name of the peer
    paths : [path, series, horizon] of every level; None where the package failed
    seconds : base forecasts and reconciliation together
    failure : what the package said when it failed
    """

    method: str
    paths: Floats | None
    seconds: float
    failure: str = ""


def peers(model: str, history: Series, horizon: int, paths: int, seed: int) -> Iterator[PeerPaths]:
    """Every reconciliation on one set of base forecasts; the seconds of the base count for each.

    Raises
    ------
    engine.methods.ets.StatsforecastMissingError
        Where the extra `bench` is not installed.
    """
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the packages warn of their own internals
        base = base_forecasts(history, horizon, statsforecast_model(model, history.season))
        base_seconds = time.perf_counter() - start
        for reconciler in ("BottomUp", "MinT"):
            for intervals in ("bootstrap", "normality"):
                start = time.perf_counter()
                drawn, failure = _reconciled(reconciler, intervals, history, base, paths, seed)
                seconds = base_seconds + time.perf_counter() - start
                yield PeerPaths(f"{model} {reconciler} {_WORDS[intervals]}", drawn, seconds, failure)


_WORDS = {"bootstrap": "bootstrap", "normality": "normal"}


def _reconciled(
    reconciler: str, intervals: str, history: Series, base: BaseForecasts, paths: int, seed: int
) -> tuple[Floats | None, str]:
    """Paths [path, series, horizon] of one reconciliation, or what the package said when it failed."""
    from hierarchicalforecast.methods import BottomUp, MinTrace

    method = BottomUp() if reconciler == "BottomUp" else MinTrace("mint_shrink")
    try:
        method.fit(
            S=history.summing,
            y_hat=base.mean,
            y_insample=history.values,
            y_hat_insample=base.fitted,
            sigmah=base.sigma,
            intervals_method=intervals,
            num_samples=paths,
            seed=seed,
            tags={"bottom": np.arange(len(history.values) - history.bottom, len(history.values))},
        )
        drawn = np.asarray(method.sample(num_samples=paths)).transpose(2, 0, 1)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong inside a peer is the peer's result
        return None, f"{type(error).__name__}: {error}"
    return (drawn, "") if np.isfinite(drawn).all() else (None, "samples that are not finite")
