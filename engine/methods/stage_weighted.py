"""Stage-weighted pipeline: every open deal counts with the share of its stage that was ever won."""

import numpy as np

from engine.methods.error_paths import monthly, with_errors
from engine.methods.protocol import Forecast, MethodUnavailableError, Question
from engine.methods.snapshots import Past, Snapshot, look_back
from models.panel import OPEN, WON, Floats, Panel


def forecast(panel: Panel, question: Question) -> Forecast:
    """Sum of list amounts times the win rate of the stage; closings are spread over the horizon as they used to be."""
    if not panel.has_pipeline:
        raise MethodUnavailableError("needs closed opportunities")
    past = look_back(panel, question)

    def rule(now: Snapshot, others: tuple[Snapshot, ...]) -> Floats:
        value = stage_win_rates(past, now.day)[now.stage] * now.amount
        return monthly(np.bincount(now.place, value, minlength=len(past.places)), now, others)

    return with_errors(rule, past, question)


def stage_win_rates(past: Past, day: np.datetime64) -> Floats:
    """[stage] won / closed among the deals closed by the day that were ever in the stage, one pseudo-deal added."""
    deals, moves = past.panel.deals, past.panel.stage_moves
    closed = (deals.outcome != OPEN) & (deals.closed <= day)
    won = closed & (deals.outcome == WON)
    stages = max(len(past.panel.stages), 1)
    overall = (won.sum() + 1) / (closed.sum() + 2)
    if not len(moves.deal):
        return np.full(stages, overall)
    reached = np.unique(np.stack([moves.deal, np.maximum(moves.stage, 0)]), axis=1)
    known = closed[reached[0]]
    total = np.bincount(reached[1][known], minlength=stages)
    wins = np.bincount(reached[1][known], won[reached[0][known]], minlength=stages)
    return (wins + overall) / (total + 1)
