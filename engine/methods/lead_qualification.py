"""Lead-qualification driven: what was qualified lately will be won at the usual rate, for the usual amount, in time.

Qualification is a deal's entry into the second open stage where stages have a history, else its creation.
"""

import numpy as np

from engine.methods.error_paths import monthly, with_errors
from engine.methods.protocol import Forecast, MethodUnavailableError, Question, place_of
from engine.methods.snapshots import Past, Snapshot, look_back
from models.panel import NONE, Dates, Floats, Panel

WINDOW_DAYS = 91
"""Days before the as-of date whose qualifications announce the horizon."""


def forecast(panel: Panel, question: Question) -> Forecast:
    """Number of deals qualified in the last 13 weeks times the revenue that followed one in earlier horizons."""
    if not panel.has_pipeline:
        raise MethodUnavailableError("needs closed opportunities")
    past = look_back(panel, question)
    qualified = qualification_days(panel)

    def rule(now: Snapshot, others: tuple[Snapshot, ...]) -> Floats:
        numbers = np.sum([_numbers(past, qualified, other) for other in others], axis=0)
        revenue = np.sum([other.remaining.sum(axis=1) for other in others], axis=0)
        team = revenue.sum() / max(float(numbers.sum()), 1.0)
        worth = (revenue + 10 * team) / (numbers + 10)  # ten qualified deals of the team beside a place's own
        return monthly(worth * _numbers(past, qualified, now), now, others)

    return with_errors(rule, past, question)


def qualification_days(panel: Panel) -> Dates:
    """[deal] day of qualification; NaT for deals never qualified."""
    moves = panel.stage_moves
    if not len(moves.deal) or len(panel.stages) < 2:
        return panel.deals.created
    days = np.full(len(panel.deals), np.datetime64("NaT", "D"))
    entered = np.flatnonzero(moves.stage >= 1)[::-1]  # by deal and date: the first one stays
    days[moves.deal[entered]] = moves.date[entered]
    return days


def _numbers(past: Past, qualified: Dates, when: Snapshot) -> Floats:
    """[place] deals qualified in the window before the day."""
    deals = past.panel.deals
    recent = (qualified <= when.day) & (qualified > when.day - np.timedelta64(WINDOW_DAYS, "D")) & (deals.rep != NONE)
    index = np.flatnonzero(recent)
    territory = past.panel.cell_territory(deals.account[index], deals.rep[index])
    place = place_of(past.places, deals.rep[index], territory)
    return np.bincount(place[place != NONE], minlength=len(past.places)).astype(float)
