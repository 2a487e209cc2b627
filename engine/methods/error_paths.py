"""Point rules made into distributions by their own past errors, so that a rule of thumb competes as well as it can.

A rule gives one number a place and month. Replayed at earlier horizons it leaves relative errors; a path adds to the
rule's number one earlier horizon's error common to all places and, place by place, a deviation from it drawn from all
of them. A constant bias of the rule is thereby corrected: what is compared are the rules' ideas, not their slogans.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.methods.protocol import Forecast, MethodUnavailableError, Question
from engine.methods.snapshots import Past, Snapshot
from models.panel import Floats

type Rule = Callable[[Snapshot, tuple[Snapshot, ...]], Floats]
"""A snapshot and the others to learn from, to expected revenue after the snapshot's day [place, month]."""

FEWEST = 2
"""Fewest earlier horizons from which errors can be told."""


@dataclass(frozen=True)
class _Errors:
    """Relative errors: ``common`` [horizon, month] and ``own`` [row, month], deviations of single places from it."""

    common: Floats
    own: Floats


def with_errors(rule: Rule, past: Past, question: Question) -> Forecast:
    """Sample paths of a rule.

    Raises
    ------
    MethodUnavailableError
        When fewer than two horizons of the same kind have ended by the as-of date.
    """
    if len(past.before) < FEWEST:
        raise MethodUnavailableError(
            f"needs {FEWEST} horizons of {len(question.months)} months that ended by {past.panel.as_of}, "
            f"got {len(past.before)}"
        )
    point = rule(past.now, past.before)
    errors = _replay(rule, past)
    rng = np.random.default_rng(question.seed)
    size = _size(point)
    horizon = rng.integers(len(errors.common), size=question.paths)
    own = rng.integers(len(errors.own), size=(question.paths, len(point)))
    relative = errors.common[horizon][:, None, :] + errors.own[own]  # [path, place, month]
    open_months = past.now.months >= _first_open_month(past)
    drawn = np.maximum(point + relative * size[:, None], 0.0) * open_months
    return Forecast(past.places, (past.now.booked + drawn).astype(np.float32))


def _replay(rule: Rule, past: Past) -> _Errors:
    """Errors of the rule at every earlier horizon, learned from the other ones."""
    common, own = [], []
    for i, then in enumerate(past.before):
        point = rule(then, past.before[:i] + past.before[i + 1 :])
        size = _size(point)
        active = (point.sum(axis=1) > 0) | (then.remaining.sum(axis=1) != 0)
        error = then.remaining - point
        shared = error[active].sum(axis=0) / max(float(size[active].sum()), 1e-9)
        common.append(shared)
        own.append(error[active] / size[active, None] - shared)
    return _Errors(np.array(common), np.concatenate(own))


def _size(point: Floats) -> Floats:
    """[place] what errors are relative to: the place's own forecast, at least half of a usual place's; above zero."""
    total = point.sum(axis=1)
    usual = float(np.median(total[total > 0])) if (total > 0).any() else 1.0
    return np.maximum(total, 0.5 * usual)


def _first_open_month(past: Past) -> int:
    """First month of which a day is left."""
    return int((past.panel.as_of + np.timedelta64(1, "D")).astype("datetime64[M]").astype(np.int64))


def monthly(total: Floats, now: Snapshot, others: tuple[Snapshot, ...]) -> Floats:
    """Spread totals [place] over the months of the horizon as the remaining revenue of other horizons was spread."""
    share = np.sum([other.remaining.sum(axis=0) for other in others], axis=0).clip(min=0.0)
    if not share.sum() > 0:
        share = np.ones(len(now.months))
    return total[:, None] * share / share.sum()
