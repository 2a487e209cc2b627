"""Methods combined: quantiles averaged place by place and put back in the order of the engine's own paths.

Averaging quantiles keeps the shape of a forecast (averaging distributions would widen it); the common reordering
(Schaake shuffle) keeps how reps, territories and months hang together, so every level is a sum of the same paths.

References
----------
Lichtendahl, Grushka-Cockayne and Winkler (2013), Is it better to average probabilities or quantiles?,
doi:10.1287/mnsc.1120.1667. Clark et al. (2004), The Schaake shuffle,
doi:10.1175/1525-7541(2004)005<0243:TSSAMF>2.0.CO;2.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.stats import norm

from engine.methods.protocol import Forecast, Places, place_of
from engine.methods.schaake import in_order_of
from engine.scoring import PROBABILITIES, pinball
from models.panel import NONE, Floats

PRIOR_OWN = 0.9
"""Prior weight of the engine's legs once others may have a say; the others share the rest."""

PRIOR_ORIGINS = 1.0
"""Origins that the prior of the weights is worth."""

PRIOR_CALIBRATED = 4.0
"""Origins that a calibrated forecast is worth when the recalibration factor is learned."""

FEWEST_ORIGINS = 8
"""Origins below which nothing is learned, see `starting_weights`."""

STARTING_OWN = 0.5
"""Weight of the engine's legs beside a second opinion, before anything is learned."""

FARTHEST = 2.5
"""Largest normal score of an outcome: what lies beyond the outermost quantile is that far out."""


@dataclass(frozen=True)
class Combination:
    """What was learned.

    Attributes
    ----------
    weights : by method, summing to one; the first method lends its paths' order
    spread : factor on the distance of a path from its place's median
    origins : number of origins it was learned on, those that say little counted in part
    """

    weights: Mapping[str, float]
    spread: float
    origins: float


@dataclass(frozen=True)
class Lesson:
    """Forecasts of one origin and level with what came true.

    Attributes
    ----------
    quantiles : [method, target, quantile] at `engine.scoring.PROBABILITIES`
    actual : [target]
    weight : how much it says about the origin in question, 0 to 1
    """

    quantiles: Floats
    actual: Floats
    weight: float


def learn(names: list[str], lessons: list[Lesson], origins: float) -> Combination:
    """Weights by penalised CRPS, spread by calibration.

    The weights minimise ``origins * log(mean scaled CRPS) - PRIOR_ORIGINS * sum(prior * log(weight))`` on the simplex:
    a Dirichlet prior beside a likelihood that only knows the score. The spread is the root mean square of the outcomes'
    normal scores, one for a calibrated forecast: the CRPS is nearly flat in the spread and would give away coverage.

    Parameters
    ----------
    names : methods, the engine's own first
    lessons : each level of an origin counts the same
    origins : number of origins, those that say little counted in part

    Raises
    ------
    ValueError
        Without a lesson.
    """
    if not lessons:
        raise ValueError("nothing to learn from: no lessons; use starting_weights")
    prior = prior_weights(len(names))

    def objective(free: Floats) -> float:
        weights = _softmax(free)
        return origins * np.log(_loss(lessons, weights)) - PRIOR_ORIGINS * float(prior @ np.log(weights))

    found = minimize(objective, np.log(prior), method="L-BFGS-B", bounds=[(-12, 12)] * len(names))
    weights = _softmax(found.x)
    squares = np.array(
        [float((normal_scores(_averaged(lesson, weights), lesson.actual) ** 2).mean()) for lesson in lessons]
    )
    found_square = float(np.average(squares, weights=[lesson.weight for lesson in lessons]))
    spread = float(np.sqrt((origins * found_square + PRIOR_CALIBRATED) / (origins + PRIOR_CALIBRATED)))
    return Combination(dict(zip(names, weights.tolist(), strict=True)), spread, origins)


def starting_weights(names: list[str], second_opinion: Collection[str]) -> Combination:
    """Weights before anything is learned: half to the engine's own, half in equal parts to a second opinion.

    Equal weights for all methods, the usual start, would let ten rules of thumb outvote a model of the very process.
    Two opinions from different evidence at equal weights are hard to beat all the same (Clemen 1989, Combining
    forecasts, doi:10.1016/0169-2070(89)90012-5).

    Parameters
    ----------
    names : methods that have answered, the engine's own first
    second_opinion : those of them that know something else than the engine's own; without any, it stays alone
    """
    others = [name for name in names[1:] if name in second_opinion]
    own = STARTING_OWN if others else 1.0
    weights = {names[0]: own} | {name: (1 - own) / len(others) for name in others}
    return Combination({name: weights.get(name, 0.0) for name in names}, 1.0, 0.0)


def normal_scores(quantile: Floats, actual: Floats) -> Floats:
    """Normal scores [target] of outcomes by linear interpolation between quantiles [target, quantile]."""
    scores = norm.ppf(PROBABILITIES)
    found = [
        np.interp(y, row, scores, left=-FARTHEST, right=FARTHEST)
        if row[-1] > row[0]
        else np.sign(y - row[0]) * FARTHEST
        for y, row in zip(actual, quantile, strict=True)
    ]
    return np.asarray(found, dtype=float)


def prior_weights(count: int) -> Floats:
    """Weights [method] before anything is learned."""
    if count == 1:
        return np.ones(1)
    return np.concatenate([[PRIOR_OWN], np.full(count - 1, (1 - PRIOR_OWN) / (count - 1))])


def _softmax(free: Floats) -> Floats:
    raised = np.exp(free - free.max())
    weights = np.maximum(raised / raised.sum(), 1e-9)
    return weights / weights.sum()


def _averaged(lesson: Lesson, weights: Floats) -> Floats:
    """Averaged quantiles [target, quantile]."""
    return np.asarray(np.einsum("m,mtq->tq", weights, lesson.quantiles))


def _loss(lessons: list[Lesson], weights: Floats) -> float:
    """Mean over lessons of the scaled CRPS of the averaged quantiles."""
    losses = []
    for lesson in lessons:
        size = max(float(np.abs(lesson.actual).sum()), 1e-9)
        losses.append(pinball(lesson.actual, _averaged(lesson, weights)).sum() / size)
    return max(float(np.average(losses, weights=[lesson.weight for lesson in lessons])), 1e-9)


def combine(forecasts: Mapping[str, Forecast], combination: Combination) -> Forecast:
    """Paths of the combination, in the order of the first method's; a method that is missing gives its weight away.

    Parameters
    ----------
    forecasts : by method, with equal numbers of paths and months
    """
    present = {name: weight for name, weight in combination.weights.items() if name in forecasts}
    total = sum(present.values())
    if not total > 0:  # the one with all the weight is missing: the others have nothing to choose between them
        present, total = dict.fromkeys(present, 1.0), float(len(present))
    places = _union([forecasts[name].places for name in present])
    template = _at(forecasts[next(iter(present))], places)
    ranked = np.zeros(template.shape)
    for name, weight in present.items():
        ranked += weight / total * np.sort(_at(forecasts[name], places), axis=0)
    middle = np.median(ranked, axis=0)
    ranked = middle + combination.spread * (ranked - middle)
    floor = np.minimum(template.min(axis=0), 0.0)  # returns apart, revenue is not negative
    return Forecast(places, np.maximum(in_order_of(template, ranked), floor).astype(np.float32))


def _union(all_places: list[Places]) -> Places:
    """Places of any of them, sorted."""
    pairs = np.unique(
        np.concatenate([np.stack([places.territory, places.rep]) for places in all_places], axis=1), axis=1
    )
    return Places(rep=pairs[1], territory=pairs[0])


def _at(forecast: Forecast, places: Places) -> Floats:
    """Paths [path, place, month] at other places; zero where the method says nothing."""
    where = place_of(forecast.places, places.rep, places.territory)
    found = np.where((where != NONE)[None, :, None], forecast.total[:, where], 0.0)
    return np.asarray(found, dtype=float)
