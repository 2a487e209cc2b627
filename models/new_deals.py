"""Arrivals of new deals per rep and month: negative binomial around season, level, territory, rep and ramp.

The rule this module keeps: only whole months count, from the first whose creations the export covers fully to the last
that ended by the as-of date; a rep is exposed only while employed.
"""

from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from models.calendar import MONTHS_PER_YEAR, day_of_month, month_number, month_of_year
from models.diagnostics import diagnose
from models.draws import ArrivalDraws, Diagnostics
from models.fitting import sample
from models.panel import NONE, Floats, Ints, Panel
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

DAYS_PER_MONTH = 365.25 / 12
MONTHS_TO_TELL_A_SEASON = 24
"""Below this many months a season cannot be told from a trend."""


@dataclass(frozen=True)
class Counts:
    """New deals per rep and month in which the rep was exposed.

    Attributes
    ----------
    rep : [row] index
    month : [row] months after ``first``
    count : [row] deals created
    exposure : [row] full-time equivalents employed, above zero
    tenure : [row] months since the rep's start at the middle of the month, infinite where the start is unknown
    first, months : first month since 1970-01, and how many
    """

    rep: Ints
    month: Ints
    count: Ints
    exposure: Floats
    tenure: Floats
    first: int
    months: int


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


def count_new_deals(panel: Panel, recent_months: int) -> Counts:
    """Count created deals by rep and month of the observed window.

    A rep without a start date is exposed from the month after the first deal on; without an end date to the window's
    end while active, else to the month of the last deal.
    """
    last = int(month_number(np.array([panel.as_of + np.timedelta64(1, "D")]))[0]) - 1
    first = max(first_whole_month(panel), last - recent_months + 1)
    months, reps = max(last - first + 1, 0), len(panel.reps.labels)
    sold = panel.deals.rep != NONE
    created, rep = month_number(panel.deals.created[sold]), panel.deals.rep[sold]
    inside = (created >= first) & (created <= last)
    table = np.zeros((reps, months), dtype=np.int64)
    np.add.at(table, (rep[inside], created[inside] - first), 1)
    share = _employed(panel, rep, created, np.arange(first, last + 1))
    where, month = np.nonzero(share > 0)
    middle = np.arange(first, last + 1).astype("datetime64[M]").astype("datetime64[D]") + np.timedelta64(15, "D")
    start = panel.reps.start[where].astype("datetime64[D]")
    tenure = np.where(np.isnat(start), np.inf, (middle[month] - start) / np.timedelta64(1, "D") / DAYS_PER_MONTH)
    exposure = panel.reps.fte[where] * share[where, month]
    kept = exposure > 0
    return Counts(
        rep=where[kept],
        month=month[kept],
        count=table[where, month][kept],
        exposure=exposure[kept],
        tenure=np.maximum(tenure[kept], 0.25),
        first=first,
        months=months,
    )


def first_whole_month(panel: Panel) -> int:
    """First month whose creations the export holds whole.

    An export cut by closing date lacks the deals that closed before its first recorded closing, so months before that
    show only some of what was created.
    """
    closed = panel.deals.closed[~np.isnat(panel.deals.closed)]
    if not len(closed):
        return int(month_number(np.array([panel.as_of]))[0]) + 1
    seen = np.array([max(panel.deals.created.min(), closed.min())])
    return int(month_number(seen)[0]) + int(day_of_month(seen)[0] > 1)


def _employed(panel: Panel, rep: Ints, created: Ints, months: Ints) -> Floats:
    """[rep, month] share of the days of each month in which the rep was there to sell."""
    opens = months.astype("datetime64[M]").astype("datetime64[D]")
    closes = (months + 1).astype("datetime64[M]").astype("datetime64[D]")
    reps = panel.reps
    earliest, latest = np.full(len(reps.labels), np.iinfo(np.int64).max), np.full(len(reps.labels), -1)
    np.minimum.at(earliest, rep, created)
    np.maximum.at(latest, rep, created)
    seen = latest >= 0
    after_first = np.where(seen, earliest + 1, 0).astype("datetime64[M]").astype("datetime64[D]")
    # A rep who is there and has no deal yet is exposed too: leaving such reps out would choose by the outcome.
    there = reps.active & (seen | ~np.isnat(reps.start))
    through_last = np.where(there, months[-1] + 1 if len(months) else 0, np.where(seen, latest + 1, 0))
    start = np.where(np.isnat(reps.start), after_first, reps.start.astype("datetime64[D]"))
    stop = np.where(
        np.isnat(reps.end),
        through_last.astype("datetime64[M]").astype("datetime64[D]"),
        reps.end.astype("datetime64[D]") + np.timedelta64(1, "D"),
    )
    days = np.minimum(stop[:, None], closes) - np.maximum(start[:, None], opens)
    share = days.astype("timedelta64[D]").astype(float).clip(min=0.0) / (closes - opens).astype(float)
    return np.where(seen[:, None] | ~np.isnat(reps.start)[:, None], share, 0.0)


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


def log_ramp(tenure: Floats, ramp_months: float) -> Floats:
    """Log of the share of full speed after ``tenure`` months: ``log(1 - exp(-tenure / ramp_months))``."""
    return np.log(-np.expm1(-tenure / ramp_months))


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
