"""Arrivals of new deals per rep and month: negative binomial around season, level, territory, rep and ramp.

What is counted stands in `models.arrival_counts`.
"""

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from models.arrival_counts import Counts, count_new_deals, log_ramp
from models.calendar import MONTHS_PER_YEAR, month_of_year
from models.diagnostics import diagnose
from models.draws import ArrivalDraws, Diagnostics
from models.fitting import sample
from models.panel import Panel
from models.pooling import (
    Group,
    Pooled,
    approximate,
    careful,
    count_working,
    negative_binomial,
    predictor,
    scales,
)
from models.settings import ArrivalSettings, ModelSettings

USUAL_DISPERSION = 8.0
"""Prior median of the negative binomial's alpha per rep and month."""

THINNING = 3
"""Steps per draw kept: the scale of the shocks mixes slowly, and a step of this small model is cheap."""

MONTHS_TO_TELL_A_SEASON = 24
"""Below this many months a season cannot be told from a trend."""


def fit_arrivals(panel: Panel, settings: ModelSettings, seed: int) -> tuple[ArrivalDraws, Diagnostics] | None:
    """Fit the arrivals of new deals.

    Parameters
    ----------
    panel : a company as of a date
    settings : of all models; ``settings.arrivals`` and ``settings.sampler`` are used
    seed : of the chains

    Returns
    -------
    tuple of ArrivalDraws and Diagnostics, or None when there is no whole month with an exposed rep
    """
    asked = settings.arrivals
    counts = count_new_deals(panel, asked.recent_months)
    if not len(counts.count):
        return None
    usual = float(np.log(max(int(counts.count.sum()), 1) / counts.exposure.sum()))
    pooled = _pooled(panel, counts, asked, usual)
    trace = sample(_model(counts, pooled, asked), careful(settings.sampler), seed, THINNING)
    effects = {name: trace.draws("effects")[:, where] for name, where in pooled.slices().items()}
    learned = scales(pooled, trace.draws("effects_scale"))
    draws = ArrivalDraws(
        base=effects["base"][:, 0] + usual,
        level=effects["step"].sum(axis=1),
        level_scale=np.full(len(effects["step"]), asked.level_scale),
        season=effects["season"],
        territory=effects["territory"],
        rep=effects["rep"],
        ramp_months=trace.draws("ramp_months"),
        shock_scale=learned["shock"],
        dispersion=trace.draws("dispersion"),
    )
    names = ("effects", "effects_scale", "ramp_months", "dispersion")
    return draws, diagnose("arrivals", trace, names, int(counts.count.sum()), len(counts.count))


def _pooled(panel: Panel, counts: Counts, settings: ArrivalSettings, usual: float) -> Pooled:
    """Effects on the log rate; the level is a sum of monthly steps, so that its latest value is known best."""
    season = month_of_year(counts.first + counts.month)
    enough = counts.months >= MONTHS_TO_TELL_A_SEASON
    territory = panel.reps.territory[counts.rep]
    season_scale = settings.season_scale if enough else settings.short_season_scale
    groups = (
        Group("base", np.zeros(len(counts.count), dtype=np.int64), 1, 1.0, free=False),
        # A spread is learned only where the data can tell it: not from one year, a few places, or steps beside shocks.
        Group("season", season, MONTHS_PER_YEAR, season_scale, free=enough),
        Group("territory", territory, len(panel.territories), settings.effect_scale, free=False),
        Group("rep", counts.rep, len(panel.reps.labels), settings.effect_scale, free=True),
        Group("shock", counts.month, counts.months, settings.shock_scale, free=True),
        Group("step", counts.month - 1, counts.months - 1, settings.level_scale, free=False, walk=True),
    )
    return Pooled(groups, usual + np.log(counts.exposure) + log_ramp(counts.tenure, settings.ramp_months))


def _model(counts: Counts, pooled: Pooled, settings: ArrivalSettings) -> pm.Model:
    """Negative binomial counts; the ramp enters as a correction of the one that the coordinates were found with."""
    _, white = approximate(pooled, count_working(counts.count, USUAL_DISPERSION))
    ramping = np.flatnonzero(np.isfinite(counts.tenure))
    with pm.Model() as model:
        log_mean = predictor("effects", pooled, white)
        log_months = pm.Normal("log_ramp_months", np.log(settings.ramp_months), 0.5)
        months = pm.Deterministic("ramp_months", pt.exp(log_months))
        if len(ramping):
            tenure = pm.Data("tenure", counts.tenure[ramping])
            usual = pm.Data("usual_ramp", log_ramp(counts.tenure[ramping], settings.ramp_months))
            correction = pt.log(-pt.expm1(-tenure / months)) - usual
            log_mean = pt.inc_subtensor(log_mean[pm.Data("ramping", ramping)], correction)
        dispersion = pm.LogNormal("dispersion", np.log(USUAL_DISPERSION), 1.0)
        pm.Potential("likelihood", negative_binomial(counts.count, log_mean, dispersion))
    return model
