"""Coaching signals: conversion of every rep at every stage, shrunk, with the chance of being below the team."""

import numpy as np
import pandas as pd

from engine.planning.conversion import LIKE_FOR_LIKE, conversion_table, teams
from engine.planning.pooled_rates import pooled_rates
from engine.planning.stage_counts import stage_counts
from engine.results import ForecastResult
from engine.seeds import seed_for
from models.win_rates import rep_win_probability

DRAWS = 2000
"""Posterior draws of the shrunk rates."""

ERROR_RATE = 0.05
"""Share of wrong claims accepted among the pairs of rep and step that are called below the team."""


def coaching_signals(result: ForecastResult) -> pd.DataFrame:
    """One row a step and active rep with a deal to judge by, the least likely to keep up with the team first.

    Rates are shrunk towards the company's (`engine.planning.pooled_rates`); the last step is from the closing model's
    posterior, where the run has one. No rows without a closed deal.
    """
    panel = result.panel
    counts = stage_counts(panel, np.ones(len(panel.deals), dtype=bool))
    rng = np.random.default_rng(seed_for(result.config.seed, "coaching"))
    steps = list(counts.steps)
    rates = [
        pooled_rates(tried, passed, DRAWS, rng).rate for tried, passed in zip(counts.tried, counts.passed, strict=True)
    ]
    if result.draws.closing is not None and counts.tried[-1].any():
        steps.append(LIKE_FOR_LIKE)
        rates.append(rep_win_probability(result.draws.closing, panel))
    team, _ = teams(panel, counts.tried[-1])
    return conversion_table(panel, counts, (steps, rates), team, ERROR_RATE)
