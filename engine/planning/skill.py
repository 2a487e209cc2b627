"""How far reps differ in winning: what the model believes beside what raw rates say."""

import numpy as np

from engine.results import RepSkill
from models.close_hazard import quarter_end_effect, rep_win_probability
from models.draws import Draws
from models.panel import NONE, OPEN, WON, Panel


def rep_skill(panel: Panel, draws: Draws) -> RepSkill | None:
    """Summarise the win effects of reps; None without a pipeline leg."""
    if draws.closing is None:
        return None
    chance = rep_win_probability(draws.closing, panel)  # [D, rep]
    low, high = np.quantile(chance, [0.05, 0.95], axis=0)
    deals, reps = panel.deals, len(panel.reps.labels)
    counted = (deals.outcome != OPEN) & (deals.rep != NONE)
    closed = np.bincount(deals.rep[counted], minlength=reps)
    won = np.bincount(deals.rep[counted & (deals.outcome == WON)], minlength=reps)
    raw = np.divide(won, closed, out=np.full(reps, np.nan), where=closed > 0)
    return RepSkill(chance.mean(axis=0), low, high, raw, closed, quarter_end_effect(draws.closing))
