"""The three PyMC models of the bookings leg: timing of orders, log amounts, first orders. They share no parameters."""

from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from scipy.special import expit, logit

from models.calendar import MONTHS_PER_YEAR, month_of_year
from models.first_orders import FirstOrders
from models.fitting import Trace, sample
from models.order_cycles import PRIOR_CHANCE
from models.order_history import STATES
from models.order_rows import AmountRows, OrderCells, span
from models.panel import NONE, Floats
from models.pooling import (
    Group,
    Pooled,
    approximate,
    careful,
    count_working,
    logit_working,
    negative_binomial,
    predictor,
    scales,
)
from models.settings import OrderSettings, SamplerSettings

CARRY_MEAN, CARRY_SD = 0.8, 0.3
"""Prior of how much of an account's distance from its group lasts until its next order."""

USUAL_DISPERSION = 5.0
"""Prior median of the negative binomial's alpha."""

THINNING = 3
"""Steps per draw kept: scales of seasons and shocks mix slowly, and a step of these small models is cheap."""


@dataclass(frozen=True)
class Fit:
    """One part after sampling.

    Attributes
    ----------
    trace : chains at full length, for the diagnostics
    effects : by group [D, member]
    scales : learned scales by group [D]
    """

    trace: Trace
    effects: dict[str, Floats]
    scales: dict[str, Floats]

    def draws(self, name: str) -> Floats:
        """Kept draws [D, ...] of another variable."""
        return self.trace.draws(name)


def fit_timing(cells: OrderCells, grades: int, settings: OrderSettings, sampler: SamplerSettings, seed: int) -> Fit:
    """Logit of ordering on state, grade, season, season by grade, and monthly shock; binomial counts.

    For an account that let its due month pass it is the season of that month that counts, not the season it is now: in
    one season those who do not order return next time, in another they have gone for good.
    """
    start, months = span(cells.month)
    on_time = cells.missed == NONE
    season = np.where(on_time, month_of_year(cells.month), NONE)
    groups = [
        Group("state", cells.state, len(STATES), settings.state_scale, free=False),
        Group("season", season, MONTHS_PER_YEAR, settings.season_scale, free=True),
        Group("shock", np.where(on_time, cells.month - start, NONE), months, settings.shock_scale, free=True),
        Group("missed", cells.missed, MONTHS_PER_YEAR, settings.missed_scale, free=True),
    ]
    if grades > 1:
        groups += [
            Group("grade", cells.grade, grades, settings.grade_scale, free=True),
            Group(
                "season_grade",
                np.where(on_time, season * grades + cells.grade, NONE),
                MONTHS_PER_YEAR * grades,
                settings.season_grade_scale,
                free=True,
            ),
        ]
    pooled = Pooled(tuple(groups), logit(PRIOR_CHANCE)[cells.state])
    _, white = approximate(pooled, logit_working(cells.trials, cells.orders))
    with pm.Model() as model:
        eta = predictor("effects", pooled, white)
        trials, orders = pm.Data("trials", cells.trials), pm.Data("orders", cells.orders)
        pm.Potential("likelihood", pt.sum(orders * eta - trials * pt.softplus(eta)))
    return _fit(model, pooled, sampler, seed)


def fit_amounts(rows: AmountRows, grades: int, settings: OrderSettings, sampler: SamplerSettings, seed: int) -> Fit:
    """Log amounts: near the account's own level, or odd orders from a wide distribution common to all."""
    start, months = span(rows.month)
    distance = rows.level - rows.group
    groups = [
        Group("carry", rows.age, settings.age_classes, CARRY_SD, free=False, weight=distance),
        Group("age", rows.age, settings.age_classes, settings.amount_age_scale, free=False),
        Group("season", month_of_year(rows.month), MONTHS_PER_YEAR, settings.amount_season_scale, free=True),
        Group("shock", rows.month - start, months, settings.amount_shock_scale, free=True),
    ]
    if grades > 1:
        groups.append(Group("grade", rows.grade, grades, settings.amount_effect_scale, free=True))
    pooled = Pooled(tuple(groups), rows.group + CARRY_MEAN * distance)
    typical = float(rows.log_amount.mean()) if len(rows.age) else 0.0
    spread = max(float(rows.log_amount.std()), 0.1) if len(rows.age) else 1.0
    mixture = _Mixture(rows, grades, settings.amount_noise, typical, spread)
    _, white = approximate(pooled, mixture.working)
    with pm.Model() as model:
        mean = predictor("effects", pooled, white)
        log_scale = pm.Normal("log_scale", np.log(settings.amount_noise), 0.7, shape=grades)
        odd = pm.Normal("odd_logit", logit(0.1), 1.2, shape=grades)
        # In pm.Data: numbers from data that were compiled in would be compiled anew for every company.
        odd_mean = pm.Normal("odd_mean", pm.Data("typical", typical), pm.Data("spread", spread))
        odd_log_sd = pm.Normal("odd_log_sd", pm.Data("odd_log_spread", np.log(1.5 * spread)), 0.3)
        y, grade = pm.Data("log_amount", rows.log_amount), pm.Data("grade", rows.grade)
        usual = -pt.softplus(odd) - log_scale  # log of the chance of a usual order over its SD
        log_usual = usual[grade] - 0.5 * ((y - mean) * pt.exp(-log_scale)[grade]) ** 2
        log_odd = (-pt.softplus(-odd) - odd_log_sd)[grade] - 0.5 * ((y - odd_mean) * pt.exp(-odd_log_sd)) ** 2
        pm.Potential("likelihood", pt.sum(log_usual + pt.softplus(log_odd - log_usual)))
    return _fit(model, pooled, sampler, seed)


def fit_first(first: FirstOrders, settings: OrderSettings, sampler: SamplerSettings, seed: int) -> Fit:
    """Log rate of first orders on territory, season and a monthly shock; negative binomial counts."""
    territories, months = first.counts.shape
    where, when = np.indices(first.counts.shape).reshape(2, -1)
    mean = max(float(first.counts.mean()), 0.02) if first.counts.size else 0.02
    groups = [
        Group("base", np.zeros(len(when), dtype=np.int64), 1, 1.5, free=False),
        Group(
            "season",
            month_of_year(first.months)[when],
            MONTHS_PER_YEAR,
            settings.first_season_scale,
            free=True,
        ),
        # Not learned: few exports show the same month often enough to tell a shock from the season.
        Group("shock", when, max(months, 1), settings.first_shock_scale, free=False),
    ]
    if territories > 1:
        groups.append(Group("territory", where, territories, settings.first_territory_scale, free=True))
    pooled = Pooled(tuple(groups), np.full(len(when), np.log(mean)))
    counts = first.counts.ravel()
    _, white = approximate(pooled, count_working(counts, USUAL_DISPERSION))
    with pm.Model() as model:
        log_mean = predictor("effects", pooled, white)
        dispersion = pm.LogNormal("dispersion", np.log(USUAL_DISPERSION), 1.0)
        pm.Potential("likelihood", negative_binomial(counts, log_mean, dispersion))
    fit = _fit(model, pooled, sampler, seed)
    return Fit(fit.trace, fit.effects | {"base": fit.effects["base"] + np.log(mean)}, fit.scales)


class _Mixture:
    """Working weights of the amounts' mixture: its SDs and chances follow by EM while the effects settle."""

    def __init__(self, rows: AmountRows, grades: int, noise: float, typical: float, spread: float) -> None:
        self.rows, self.grades = rows, grades
        self.scale, self.odd = np.full(grades, noise), np.full(grades, 0.1)
        self.odd_mean, self.odd_sd = typical, 1.5 * spread

    def working(self, mean: Floats) -> tuple[Floats, Floats]:
        """Slope and curvature [row] of the expected log likelihood."""
        grade, y = self.rows.grade, self.rows.log_amount
        away = y - mean
        log_usual = np.log1p(-self.odd)[grade] - np.log(self.scale)[grade] - 0.5 * (away / self.scale[grade]) ** 2
        log_odd = np.log(self.odd)[grade] - np.log(self.odd_sd) - 0.5 * ((y - self.odd_mean) / self.odd_sd) ** 2
        usual = expit(log_usual - log_odd)
        number = np.bincount(grade, minlength=self.grades)
        weight = np.bincount(grade, usual, minlength=self.grades)
        # One pseudo-order each: no SD and no chance reaches zero.
        self.scale = np.sqrt((np.bincount(grade, usual * away**2, minlength=self.grades) + 0.25) / (weight + 1))
        self.odd = (number - weight + 0.1) / (number + 1)
        current = self.scale[grade] ** 2
        return usual * away / current, usual / current


def _fit(model: pm.Model, pooled: Pooled, sampler: SamplerSettings, seed: int) -> Fit:
    """Sample, thin, and name the effects."""
    trace = sample(model, careful(sampler), seed, THINNING)
    effects = trace.draws("effects")
    named = {name: effects[:, part] for name, part in pooled.slices().items()}
    return Fit(trace, named, scales(pooled, trace.draws("effects_scale")))
