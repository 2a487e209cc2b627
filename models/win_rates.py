"""What the closing draws say about winning, in probabilities. NumPy only: the report reads it without PyMC."""

import numpy as np
from scipy.special import expit

from models.closing_cells import QUARTER_END_WEEK, covariates
from models.deal_weeks import deal_weeks
from models.draws import ClosingDraws
from models.panel import OPEN, WON, Floats, Panel
from models.settings import ClosingSettings


def rep_win_probability(closing: ClosingDraws, panel: Panel) -> Floats:
    """Chance [D, rep] that a rep wins a closing deal with the covariates of the company's average closing.

    The other covariates enter by their mean effect over all closings of the panel: reps differ by their own only.
    """
    return expit(_average_logit(closing, panel)[:, None] + closing.win_rep)


def raw_win_rate(panel: Panel) -> Floats:
    """Share [rep] of a rep's closed deals that were won, as an analyst would compute it; NaN without any."""
    closed = (panel.deals.outcome != OPEN) & (panel.deals.rep >= 0)
    reps = len(panel.reps.labels)
    count = np.bincount(panel.deals.rep[closed], minlength=reps)
    won = np.bincount(panel.deals.rep[closed & (panel.deals.outcome == WON)], minlength=reps)
    return np.where(count > 0, won / np.maximum(count, 1), np.nan)


def quarter_end_effect(closing: ClosingDraws) -> Floats:
    """Win probability [D] in the last month of a quarter minus that in its other months, all else at the base."""
    chance = expit(closing.win_base[:, None] + closing.win_week)
    return chance[:, QUARTER_END_WEEK:].mean(axis=1) - chance[:, :QUARTER_END_WEEK].mean(axis=1)


def _average_logit(closing: ClosingDraws, panel: Panel) -> Floats:
    """Mean logit of winning [D] over the closings of the panel, without the rep's effect."""
    rows = deal_weeks(panel)
    settings = ClosingSettings(age_bins=tuple(closing.age_bins.tolist()))
    levels = covariates(panel, rows, settings, closing.size_edges, closing.shock_months).levels
    effects = {
        "age": closing.win_age,
        "stage": closing.win_stage,
        "week": closing.win_week,
        "size": closing.win_size,
        "segment": closing.win_segment,
        "product": closing.win_product,
        "territory": closing.win_territory,
        "shock": closing.shocks[:, :, 1],
    }
    total = closing.win_base.copy()
    for name, effect in effects.items():
        level = levels[name][rows.closing]
        share = np.bincount(level[level >= 0], minlength=effect.shape[1]) / max(len(level), 1)
        total += effect @ share
    return total
