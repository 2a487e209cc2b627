"""The reps' own call: as given, and corrected for how far each of them has been off."""

import numpy as np

from engine.methods.protocol import Forecast, MethodUnavailableError, Places, Question
from engine.methods.snapshots import Past, Snapshot, look_back
from models.panel import Floats, Ints, Panel

FRESH_DAYS = 45
"""Days after which a call is too old to count."""

PRIOR_CALLS = 3.0
"""Horizons that the team's bias is worth beside a rep's own."""


def raw(panel: Panel, question: Question) -> Forecast:
    """The latest call of every rep for the horizon, as one certain number; what a rep without a call has booked."""
    past = look_back(panel, question)
    called = calls_on(panel, past.now)
    place, total = _home_places(panel, past), booked_by_rep(past, past.now)
    final = np.where(np.isnan(called), total, np.maximum(called, 0.0))
    paths = _on_places(past.places, place, final, past.now)
    return Forecast(past.places, np.broadcast_to(paths.astype(np.float32), (question.paths, *paths.shape)))


def corrected(panel: Panel, question: Question) -> Forecast:
    """Calls divided by the rep's usual ratio of call to outcome, spread by past ratios of all reps.

    Only what is still to come is corrected: call minus booked against what came. Bias and spread are learned on
    horizons that ended by the as-of date; a rep's own bias is shrunk to the team's.
    """
    past = look_back(panel, question)
    ratios = np.array([_log_ratio(panel, past, then) for then in past.before])  # [horizon, rep]
    if not len(ratios) or not (~np.isnan(ratios)).any():
        raise MethodUnavailableError("needs calls for an earlier horizon that has ended")
    called, booked = calls_on(panel, past.now), booked_by_rep(past, past.now)
    team = float(np.nanmedian(ratios))
    known = (~np.isnan(ratios)).sum(axis=0)
    own = np.nansum(ratios - team, axis=0) / (known + PRIOR_CALLS)
    left_over = (ratios - team - own)[~np.isnan(ratios)]
    rng = np.random.default_rng(question.seed)
    noise = rng.choice(left_over, size=(question.paths, len(called)))
    to_come = np.maximum(called - booked, 0.05 * np.abs(called)) * np.exp(team + own + noise)
    final = booked + np.where(np.isnan(called), 0.0, to_come)
    place = _home_places(panel, past)
    total = np.stack([_on_places(past.places, place, row, past.now) for row in final])
    return Forecast(past.places, total.astype(np.float32))


def calls_on(panel: Panel, when: Snapshot) -> Floats:
    """[rep] latest call for the horizon known on the day; NaN without a fresh one.

    Raises
    ------
    MethodUnavailableError
        When nobody has said anything.
    """
    calls = panel.calls
    fresh = (calls.day <= when.day) & (calls.day > when.day - np.timedelta64(FRESH_DAYS, "D"))
    chosen = np.flatnonzero(fresh & (calls.month == when.months[0]))
    found = np.full(len(panel.reps.labels), np.nan)
    found[calls.rep[chosen]] = calls.amount[chosen]  # by day: the latest stays
    if np.isnan(found).all():
        raise MethodUnavailableError(f"no call for the horizon within {FRESH_DAYS} days before {when.day}")
    return found


def _log_ratio(panel: Panel, past: Past, then: Snapshot) -> Floats:
    """[rep] log of what came after the day over what the call said would; NaN where there is no call."""
    try:
        called = calls_on(panel, then)
    except MethodUnavailableError:
        return np.full(len(panel.reps.labels), np.nan)
    booked = booked_by_rep(past, then)
    came = _by_rep(past, then.remaining.sum(axis=1))
    floor = 0.05 * np.abs(called) + 1.0
    return np.log(np.maximum(came, floor) / np.maximum(called - booked, floor))


def booked_by_rep(past: Past, when: Snapshot) -> Floats:
    """[rep] booked in the horizon up to the day."""
    return _by_rep(past, when.booked.sum(axis=1))


def _by_rep(past: Past, values: Floats) -> Floats:
    known = past.places.rep >= 0
    return np.bincount(past.places.rep[known], values[known], minlength=len(past.panel.reps.labels))


def _home_places(panel: Panel, past: Past) -> Ints:
    """[rep] place where a rep's call is put: the one with most booked in earlier horizons, else the first."""
    weight = np.sum([then.remaining.sum(axis=1) for then in past.before], axis=0) if past.before else 0.0
    weight = weight + past.now.booked.sum(axis=1)
    order = np.argsort(weight, kind="stable")
    place = np.full(len(panel.reps.labels), -1)
    known = past.places.rep[order] >= 0
    place[past.places.rep[order][known]] = order[known]
    return place


def _on_places(places: Places, place: Ints, final: Floats, now: Snapshot) -> Floats:
    """[place, month]: what is booked stays where and when it was, the rest falls into the horizon's last month."""
    table = now.booked.copy()
    known = np.flatnonzero(place >= 0)
    seen = places.rep >= 0
    booked = np.bincount(places.rep[seen], now.booked.sum(axis=1)[seen], minlength=len(final))
    table[place[known], -1] += (final - booked)[known]
    return table
