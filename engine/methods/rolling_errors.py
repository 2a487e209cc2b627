"""Point forecasts of every series made into joint sample paths by their own past errors.

A point rule is replayed at every past origin. The error vectors it left there, over all series and all steps at once,
are what paths are drawn from, so dependence between series, between levels and between months is kept as it was.
Errors are centred series by series (the drift of past years is no forecast of the coming one), grow with the size of
what is forecast, and are projected to the bottom series, whose sums are every other level. Gamakumara (2020),
doi:10.26180/5f1cf4e4d0a9d, "Probabilistic forecast reconciliation"; the weights as in `engine.methods.reconcile`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.methods.reconcile import wls
from engine.methods.series import Series, filled, first_periods
from models.panel import Bools, Floats, Ints

type PointRule = Callable[[Series, int], Floats]
"""Forecasts [period + 1, series, horizon]; row t knows the first t periods only. NaN where it cannot tell."""


@dataclass(frozen=True)
class ErrorSettings:
    """How errors become paths. The defaults were chosen on yearly origins before any test window.

    Attributes
    ----------
    growth : errors grow with the forecast to this power (0.5: like counts; 1: like money with constant relative error)
    smallest : smallest size of a forecast, in the mean of its series, so that no error is blown up
    centring : share of the mean past error taken out
    enough : full-horizon origins from which on incomplete ones are left out
    burn_seasons : seasons after the start of a series of which errors do not count, at most a third of its history
    """

    growth: float = 0.7
    smallest: float = 0.3
    centring: float = 1.0
    enough: int = 24
    burn_seasons: int = 3


DEFAULTS = ErrorSettings()

PRETENDED = 256
"""Error vectors made up where there is no past error at all."""


def draw_with_errors(history: Series, forecasts: Floats, paths: int, seed: int) -> Floats:
    """Joint paths of the bottom series, [path, bottom, horizon].

    Parameters
    ----------
    history : what is known
    forecasts : [period + 1, series, horizon] of a `PointRule`; the last row is the forecast asked for
    paths : number of paths; each past origin is used about equally often
    seed : of everything random
    """
    rng = np.random.default_rng(seed)
    point, errors = coherent_errors(history, forecasts, rng)
    turns = -(-paths // len(errors))
    order = np.concatenate([rng.permutation(len(errors)) for _ in range(turns)])[:paths]
    drawn = point + errors[order]
    return drawn if (filled(history.values) < 0).any() else np.maximum(drawn, 0.0)


def coherent_errors(
    history: Series, forecasts: Floats, rng: np.random.Generator, settings: ErrorSettings = DEFAULTS
) -> tuple[Floats, Floats]:
    """Reconciled forecast [bottom, horizon] and error vectors [origin, bottom, horizon], scaled to the present."""
    projection = wls(history.summing, np.sqrt(history.summing.sum(axis=1)))
    bottom = projection @ filled(forecasts)  # [period + 1, bottom, horizon]
    coherent = history.summing @ bottom
    origins = _origins(history, forecasts, settings)
    usual = np.abs(filled(history.values)).sum(axis=1) / np.maximum(_known_periods(history), 1)  # [series]
    size = np.maximum(np.abs(coherent), settings.smallest * usual[:, None])
    unit = size**settings.growth * usual[:, None] ** (1 - settings.growth)  # [period + 1, series, horizon]
    relative = _relative_errors(history, forecasts, coherent, unit, origins, settings)
    relative = relative[np.isfinite(relative[:, :, 0]).any(axis=1)]
    if not len(relative):
        shape = (PRETENDED, *bottom.shape[1:])
        return bottom[-1], (rng.standard_exponential(shape) - 1) * unit[-1, -history.bottom :]
    relative = _with_donors(_all_steps(relative, rng), history.bottom, rng)
    relative = relative - settings.centring * relative.mean(axis=(0, 2))[None, :, None]
    return bottom[-1], projection @ (relative * unit[-1])


def _known_periods(history: Series) -> Ints:
    """[series] periods since the start of each."""
    return history.periods - first_periods(history.values)


def _origins(history: Series, forecasts: Floats, settings: ErrorSettings) -> Ints:
    """Origins whose errors count: those with the whole horizon known, all where these are few."""
    horizon = forecasts.shape[2]
    usable = _usable(history, forecasts, np.arange(history.periods), settings).any(axis=1)
    origins = np.flatnonzero(usable)
    full = origins[origins <= history.periods - horizon]
    return full if len(full) >= settings.enough else origins


def _usable(history: Series, forecasts: Floats, origins: Ints, settings: ErrorSettings) -> Bools:
    """[origin, series] the series has run for its burn-in and the rule has a forecast."""
    known = _known_periods(history)
    burn = np.maximum(1, np.minimum(settings.burn_seasons * history.season, known // 3))
    ready = origins[:, None] >= (history.periods - known + burn)[None, :]
    return ready & np.isfinite(forecasts[origins]).all(axis=2)


def _relative_errors(
    history: Series, forecasts: Floats, coherent: Floats, unit: Floats, origins: Ints, settings: ErrorSettings
) -> Floats:
    """Errors in units of their forecasts, [origin, series, horizon]; NaN where the outcome or the forecast lacks."""
    horizon = forecasts.shape[2]
    ahead = origins[:, None] + np.arange(horizon)  # [origin, step]
    values = filled(history.values)[:, np.minimum(ahead, history.periods - 1)].swapaxes(0, 1)
    errors = (values - coherent[origins]) / np.where(unit[origins] > 0, unit[origins], 1.0)
    seen = _usable(history, forecasts, origins, settings)[:, :, None] & (ahead < history.periods)[:, None, :]
    return np.where(seen, errors, np.nan)


def _all_steps(relative: Floats, rng: np.random.Generator) -> Floats:
    """Steps whose outcomes are not known yet, taken from any origin and step where they are, all series together.

    Only for short histories: far steps would otherwise all repeat the one or two origins that reach them.
    """
    known = np.isfinite(relative).any(axis=1)  # [origin, step]
    done, pool = relative.copy(), np.argwhere(known)
    for origin, step in np.argwhere(~known):
        giver, given = pool[rng.integers(len(pool))]
        done[origin, :, step] = relative[giver, :, given]
    return done


def _with_donors(relative: Floats, bottom: int, rng: np.random.Generator) -> Floats:
    """Errors of series that were not there yet, taken from another one of their kind (aggregate or bottom)."""
    done = relative.copy()
    kinds = (np.arange(relative.shape[1] - bottom), np.arange(relative.shape[1] - bottom, relative.shape[1]))
    for row in done:
        missing = ~np.isfinite(row).all(axis=1)
        everyone = np.flatnonzero(~missing)
        for kind in kinds:
            need = kind[missing[kind]]
            own = kind[~missing[kind]]
            givers = own if len(own) else everyone
            row[need] = row[rng.choice(givers, size=len(need))] if len(givers) else 0.0
    return done
