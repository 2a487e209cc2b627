"""The engine's leg for series that book nearly every period: several methods, averaged quantile by quantile.

Each method draws joint paths; at every bottom series and step their sorted values are averaged (Vincentization), and
the result is put back into the order of the averaged paths (Schaake shuffle: Clark et al. 2004,
doi:10.1175/1525-7541(2004)005<0243:TSSAMF>2.0.CO;2), so that dependence is kept and levels add up. Weights minimise the
scaled CRPS, mean over levels, at past origins whose horizon had ended, with a Dirichlet prior around equal weights;
below eight such origins they are equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from engine.methods import holt_winters, pooled_shape, pooled_smoothing, root_holt_winters
from engine.methods.schaake import in_order_of
from engine.methods.series import Series, SeriesMethod, at_all_levels, filled, levels_of
from models.panel import Floats, Ints

MEMBERS: tuple[SeriesMethod, ...] = (
    root_holt_winters.draw,
    pooled_shape.draw,
    pooled_smoothing.draw,
    holt_winters.draw,
)
"""Methods that the engine combines."""

FEWEST_ORIGINS = 8
"""Origins below which weights stay equal."""

MOST_ORIGINS = 12
"""Origins from which weights are learned, the latest ones."""

PRIOR = 0.1
"""Strength of the Dirichlet prior, in origins' worth of relative loss."""

LEARNING_PATHS = 200
"""Paths a method draws at each origin from which weights are learned."""

GRID = np.arange(1, 20) / 20
"""Quantiles of the loss."""


def draw(history: Series, horizon: int, paths: int, seed: int) -> Floats:
    """Joint paths [path, bottom, horizon] of the engine's combination."""
    weights = learned_weights(MEMBERS, history, horizon, seed)
    return combined([method(history, horizon, paths, seed) for method in MEMBERS], weights)


def combined(members: Sequence[Floats], weights: Floats) -> Floats:
    """Quantile average of joint paths, each [path, bottom, horizon], in the order of their weighted mean.

    Members drawn with one seed take their errors from the same past origins path by path, so the mean path has the
    dependence that all of them saw.
    """
    template = sum(weight * member for weight, member in zip(weights, members, strict=True))
    values = sum(weight * np.sort(member, axis=0) for weight, member in zip(weights, members, strict=True))
    return in_order_of(np.asarray(template), np.asarray(values))


@dataclass(frozen=True)
class _Past:
    """What members said at one origin and what came: ``quantiles`` [member, quantile, series, step] and ``actual``."""

    quantiles: Floats
    actual: Floats


def learned_weights(methods: Sequence[SeriesMethod], history: Series, horizon: int, seed: int) -> Floats:
    """Weights [method] that sum to one, from origins whose horizon ended within the history."""
    equal = np.full(len(methods), 1 / len(methods))
    origins = _origins(history, horizon)
    if len(origins) < FEWEST_ORIGINS:
        return equal
    levels = levels_of(history.summing)
    past = [_replay(methods, history, int(origin), horizon, seed) for origin in origins]
    return _best(past, levels, equal)


def _origins(history: Series, horizon: int) -> Ints:
    """The latest origins, half a season apart, with four seasons of history before and the horizon known after."""
    apart = max(1, history.season // 2)
    last = history.periods - horizon
    origins = np.arange(last, 4 * history.season - 1, -apart, dtype=np.int64)
    return origins[:MOST_ORIGINS][::-1]


def _replay(methods: Sequence[SeriesMethod], history: Series, origin: int, horizon: int, seed: int) -> _Past:
    """Forecasts of every method as of one origin, at all levels."""
    known = history.until(origin)
    quantiles = [
        np.quantile(at_all_levels(method(known, horizon, LEARNING_PATHS, seed), history.summing), GRID, axis=0)
        for method in methods
    ]
    return _Past(np.array(quantiles, dtype=np.float32), filled(history.values[:, origin : origin + horizon]))


def _score(past: _Past, levels: Ints, weights: Floats) -> tuple[float, Floats]:
    """Scaled CRPS of the quantile average, mean over levels, and its gradient by weight."""
    size = np.bincount(levels, np.abs(past.actual).sum(axis=1))
    share = np.where(size > 0, 1 / np.where(size > 0, size, 1.0), 0.0)[levels] / max(int((size > 0).sum()), 1)
    gap = past.actual - np.tensordot(weights, past.quantiles, axes=1)  # [quantile, series, step]
    slope = np.where(gap > 0, GRID[:, None, None], GRID[:, None, None] - 1) * (2 / len(GRID)) * share[:, None]
    return float((slope * gap).sum()), -np.einsum("mqns,qns->m", past.quantiles, slope, optimize=True)


def _best(past: Sequence[_Past], levels: Ints, equal: Floats) -> Floats:
    """Weights of smallest loss relative to equal weights plus prior, on the simplex by softmax."""
    reference = [max(_score(origin, levels, equal)[0], np.finfo(float).tiny) for origin in past]

    def loss(logits: Floats) -> tuple[float, Floats]:
        weights = np.exp(logits - logits.max())
        weights /= weights.sum()
        scores = [_score(origin, levels, weights) for origin in past]
        value = sum(score / base for (score, _), base in zip(scores, reference, strict=True))
        slope = np.sum([gradient / base for (_, gradient), base in zip(scores, reference, strict=True)], axis=0)
        value -= PRIOR * float(np.log(weights).sum())
        by_weight = slope - PRIOR / weights
        return float(value), weights * (by_weight - weights @ by_weight)

    found = minimize(loss, np.zeros(len(equal)), jac=True, method="L-BFGS-B", options={"maxiter": 50}).x
    weights = np.exp(found - found.max())
    return np.asarray(weights / weights.sum())
