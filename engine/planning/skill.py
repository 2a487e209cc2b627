"""How far reps differ in winning: what the model believes beside what raw rates say."""

import numpy as np

from engine.results import RepSkill
from models.draws import Draws
from models.panel import NONE, OPEN, Panel
from models.win_rates import quarter_end_effect, raw_win_rate, rep_win_probability


def rep_skill(panel: Panel, draws: Draws) -> RepSkill | None:
    """Summarise the win effects of reps; None without a pipeline leg."""
    if draws.closing is None:
        return None
    chance = rep_win_probability(draws.closing, panel)  # [D, rep]
    low, high = np.quantile(chance, [0.05, 0.95], axis=0)
    counted = (panel.deals.outcome != OPEN) & (panel.deals.rep != NONE)
    closed = np.bincount(panel.deals.rep[counted], minlength=len(panel.reps.labels))
    effect = quarter_end_effect(draws.closing)
    return RepSkill(chance.mean(axis=0), low, high, raw_win_rate(panel), closed, effect)
