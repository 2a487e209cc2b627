"""The reps' own call: as given, and corrected for how far each of them has been off."""

from dataclasses import dataclass

import numpy as np

from engine.methods.protocol import Forecast, MethodUnavailableError, Places, Question
from engine.methods.snapshots import Past, Snapshot, look_back, snapshot
from models.panel import NONE, Floats, Ints, Panel

FRESH_DAYS = 45
"""Days after which a call is too old to count."""

PRIOR_CALLS = 3.0
"""Horizons that the team's bias is worth beside a rep's own."""


@dataclass(frozen=True)
class Said:
    """The latest calls for a horizon as they were known on a day, all [rep]; NaN for reps without a fresh one.

    Attributes
    ----------
    call : revenue of the whole horizon, money
    to_come : what the call left to come when it was made: the call less what was booked before that day, zero or more
    since : booked from the day of the call up to the day in question
    """

    call: Floats
    to_come: Floats
    since: Floats


def raw(panel: Panel, question: Question) -> Forecast:
    """The latest call of every rep for the horizon, as one certain number; what a rep without a call has booked."""
    past = look_back(panel, question)
    called = calls_on(past, past.now).call
    place, total = _home_places(panel, past), booked_by_rep(past, past.now)
    final = np.where(np.isnan(called), total, np.maximum(called, 0.0))
    paths = _on_places(past.places, place, final, past.now)
    return Forecast(past.places, np.broadcast_to(paths.astype(np.float32), (question.paths, *paths.shape)))


def corrected(panel: Panel, question: Question) -> Forecast:
    """Calls multiplied by the rep's usual ratio of outcome to call, spread by past ratios of all reps.

    Only what was to come when the call was made is corrected. Bias and spread are learned on horizons that ended by the
    as-of date; a rep's own bias is shrunk to the team's.
    """
    past = look_back(panel, question)
    ratios = np.array([_log_ratio(panel, past, then) for then in past.before])  # [horizon, rep]
    if not len(ratios) or not (~np.isnan(ratios)).any():
        raise MethodUnavailableError("needs calls for an earlier horizon that has ended")
    said, booked = calls_on(past, past.now), booked_by_rep(past, past.now)
    team = float(np.nanmedian(ratios))
    known = (~np.isnan(ratios)).sum(axis=0)
    own = np.nansum(ratios - team, axis=0) / (known + PRIOR_CALLS)
    left_over = (ratios - team - own)[~np.isnan(ratios)]
    rng = np.random.default_rng(question.seed)
    noise = rng.choice(left_over, size=(question.paths, len(said.call)))
    comes = np.maximum(said.to_come, 0.05 * np.abs(said.call)) * np.exp(team + own + noise) - said.since
    final = booked + np.where(np.isnan(said.call), 0.0, np.maximum(comes, 0.0))
    place = _home_places(panel, past)
    total = np.stack([_on_places(past.places, place, row, past.now) for row in final])
    return Forecast(past.places, total.astype(np.float32))


def calls_on(past: Past, when: Snapshot) -> Said:
    """The latest call for the horizon of every rep, known on the day and not older than `FRESH_DAYS`.

    Raises
    ------
    MethodUnavailableError
        When nobody has said anything.
    """
    panel = past.panel
    calls = panel.calls
    fresh = (calls.day <= when.day) & (calls.day > when.day - np.timedelta64(FRESH_DAYS, "D"))
    chosen = np.flatnonzero(fresh & (calls.month == when.months[0]))
    if not len(chosen):
        raise MethodUnavailableError(f"no call for the horizon within {FRESH_DAYS} days before {when.day}")
    latest = np.full(len(panel.reps.labels), NONE)
    latest[calls.rep[chosen]] = chosen  # by day: the latest stays
    called = np.where(latest == NONE, np.nan, calls.amount[latest])
    booked, before = booked_by_rep(past, when), np.full(len(called), np.nan)
    for day in np.unique(calls.day[latest[latest != NONE]]):
        # Whoever calls in the morning does not know the day's own bookings.
        then = snapshot(panel, past.places, day - np.timedelta64(1, "D"), when.months)
        mine = (latest != NONE) & (calls.day[latest] == day)
        before[mine] = booked_by_rep(past, then)[mine]
    return Said(called, np.maximum(called - before, 0.0), booked - before)


def _log_ratio(panel: Panel, past: Past, then: Snapshot) -> Floats:
    """[rep] log of what came after the call over what it said would; NaN where there is no call."""
    try:
        said = calls_on(past, then)
    except MethodUnavailableError:
        return np.full(len(panel.reps.labels), np.nan)
    came = by_rep(past, then.remaining.sum(axis=1)) + said.since
    floor = 0.05 * np.abs(said.call) + 1.0
    return np.log(np.maximum(came, floor) / np.maximum(said.to_come, floor))


def booked_by_rep(past: Past, when: Snapshot) -> Floats:
    """[rep] booked in the horizon up to the day."""
    return by_rep(past, when.booked.sum(axis=1))


def by_rep(past: Past, values: Floats) -> Floats:
    """[rep] sum over the rep's places."""
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
