"""Conversion by stage and week of the quarter: a dollar open in a stage at this point of a quarter became so much.

Where the export grows, so do the conversions' numerators: a growth factor compares the last year with the one before.
"""

import numpy as np
from scipy.optimize import nnls

from engine.methods.error_paths import monthly, with_errors
from engine.methods.protocol import Forecast, MethodUnavailableError, Question
from engine.methods.snapshots import Past, Snapshot, look_back
from models.panel import Floats, Panel

GROWTH_LIMIT = 1.5
"""Largest growth factor, and the inverse of the smallest: two years say little about a third."""


def forecast(panel: Panel, question: Question) -> Forecast:
    """Open amount by stage times what such amounts became at the same week of earlier horizons, deals to come included.

    The conversions are non-negative least squares over earlier horizons and places, which shares what was booked by
    deals not yet created among the stages that announce it, and a mean per place.
    """
    if not panel.has_pipeline:
        raise MethodUnavailableError("needs closed opportunities")
    past = look_back(panel, question)

    def rule(now: Snapshot, others: tuple[Snapshot, ...]) -> Floats:
        design = np.concatenate([_by_stage(past, other) for other in others])
        outcome = np.concatenate([other.remaining.sum(axis=1) for other in others])
        rate, _ = nnls(design, np.maximum(outcome, 0.0))
        return monthly(growth(others) * (_by_stage(past, now) @ rate), now, others)

    return with_errors(rule, past, question)


def _by_stage(past: Past, when: Snapshot) -> Floats:
    """[place, stage + 1] open amount by stage, and one for every place that has anything open."""
    stages, places = max(len(past.panel.stages), 1), len(past.places)
    amounts = np.zeros((places, stages + 1))
    np.add.at(amounts, (when.place, when.stage), when.amount)
    scale = float(amounts.sum()) / max(float((amounts.sum(axis=1) > 0).sum()), 1.0)
    amounts[:, -1] = np.where(amounts.sum(axis=1) > 0, scale, 0.0)
    return amounts


def growth(others: tuple[Snapshot, ...]) -> float:
    """Half of the growth from the older to the newer half of the horizons, latest first."""
    totals = np.array([other.remaining.sum() for other in others])
    half = len(totals) // 2
    if half < 1 or totals[half:].mean() <= 0 or totals[:half].mean() <= 0:
        return 1.0
    factor = np.sqrt(totals[:half].mean() / totals[half:].mean())
    return float(np.clip(factor, 1 / GROWTH_LIMIT, GROWTH_LIMIT))
