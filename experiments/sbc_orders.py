"""Calibration of the bookings leg: timing of orders, amounts of repeated orders, first orders.

Covered: the three models from counts and rows to draws (`models.order_parts`). Not covered: what comes before them and
is plugged in (cycles of accounts by EM and their responsibilities as weights, decayed levels, grades), the Dirichlet
draws of cycles, the bootstrap of first amounts, and centres of priors taken from the data (constants here, see
`sbc_study`).
"""

from dataclasses import replace
from functools import cache

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm

import models.order_parts as production
from experiments.sbc_arrivals import negative_binomial
from experiments.sbc_study import Params, Study, Term, draw_terms, named_effects, recorded, take
from models.calendar import MONTHS_PER_YEAR
from models.first_orders import FirstOrders
from models.order_cycles import PRIOR_CHANCE
from models.order_history import FIRST_MISSED, LAST_MISSED, STATES
from models.order_rows import AmountRows, OrderCells
from models.panel import NONE, Floats, Ints
from models.settings import OrderSettings, SamplerSettings

SETTINGS = OrderSettings()
FIRST_MONTH = 12 * 54
"""January 2024."""

MONTHS, GRADES = 18, 3
AHEAD = 3

TIMING = (
    Term("state", len(STATES), SETTINGS.state_scale, "fixed"),
    Term("season", MONTHS_PER_YEAR, SETTINGS.season_scale, "log_normal"),
    Term("shock", MONTHS, SETTINGS.shock_scale, "log_normal"),
    Term("missed", MONTHS_PER_YEAR, SETTINGS.missed_scale, "log_normal"),
    Term("grade", GRADES, SETTINGS.grade_scale, "log_normal"),
    Term("season_grade", MONTHS_PER_YEAR * GRADES, SETTINGS.season_grade_scale, "log_normal"),
)


def _cells(months: Ints, seed: int) -> OrderCells:
    """Every state and grade in every month, each with one to six account-months."""
    month, state, grade = (x.ravel() for x in np.meshgrid(months, np.arange(len(STATES)), np.arange(GRADES)))
    rng = np.random.default_rng(seed)
    late = (state >= FIRST_MISSED) & (state <= LAST_MISSED)
    missed = np.where(late, rng.integers(0, MONTHS_PER_YEAR, len(month)), NONE)
    trials = rng.integers(1, 7, len(month)).astype(float)
    return OrderCells(state, month, grade, missed, trials, np.zeros(len(month)))


@cache
def timing_design() -> tuple[OrderCells, OrderCells]:
    """Cells of the past and of the months ahead."""
    start = FIRST_MONTH
    return _cells(np.arange(start, start + MONTHS), 1), _cells(np.arange(start + MONTHS, start + MONTHS + AHEAD), 2)


def _timing_logit(params: Params, cells: OrderCells, shock: Floats) -> Floats:
    """Logit [D, cell] of ordering; ``shock`` [D, month] from the cells' first month on."""
    season = np.where(cells.missed == NONE, cells.month % MONTHS_PER_YEAR, NONE)
    return (
        logit(PRIOR_CHANCE)[cells.state]
        + params["state"][:, cells.state]
        + take(params["season"], season)
        + take(shock, np.where(season == NONE, NONE, cells.month - cells.month.min()))
        + take(params["missed"], cells.missed)
        + params["grade"][:, cells.grade]
        + take(params["season_grade"], np.where(season == NONE, NONE, season * GRADES + cells.grade))
    )


def timing_simulate(params: Params, rng: np.random.Generator) -> OrderCells:
    """Orders among the account-months."""
    cells = timing_design()[0]
    chance = expit(_timing_logit(params, cells, params["shock"])[0])
    return replace(cells, orders=rng.binomial(cells.trials.astype(int), chance).astype(float))


def timing_fit(data: OrderCells, sampler: SamplerSettings, seed: int) -> Params:
    """Draws of `fit_timing`."""
    with recorded(production, {}) as traces:
        production.fit_timing(data, GRADES, SETTINGS, sampler, seed)
    return named_effects(TIMING, traces[0])


def timing_quantities(params: Params, data: OrderCells) -> dict[str, Floats]:
    """What is ranked."""
    eta = _timing_logit(params, data, params["shock"])
    ahead = timing_design()[1]
    fresh = params["shock scale"][:, None] * np.array([-0.7, 1.1, 0.2])
    chance = expit(_timing_logit(params, ahead, fresh))
    season, grade = params["season"], params["grade"]
    return {
        "due": params["state"][:, 2],
        "lapsed": params["state"][:, 9],
        "season SD": params["season scale"],
        "season, December against June": season[:, 11] - season[:, 5],
        "missed season SD": params["missed scale"],
        "grade SD": params["grade scale"],
        "grade 0 against 2": grade[:, 0] - grade[:, 2],
        "season by grade SD": params["season_grade scale"],
        "shock SD": params["shock scale"],
        "log likelihood": (data.orders * eta - data.trials * np.logaddexp(0.0, eta)).sum(axis=1),
        "orders of three months": (ahead.trials * chance).sum(axis=1),
    }


ROWS = 500
TYPICAL, SPREAD = 7.0, 1.0
"""Centre and SD of the prior of odd orders' mean: in production the data's own."""

CARRIED = (
    Term("carry", SETTINGS.age_classes, production.CARRY_SD, "fixed"),
    Term("age", SETTINGS.age_classes, SETTINGS.amount_age_scale, "fixed"),
    Term("season", MONTHS_PER_YEAR, SETTINGS.amount_season_scale, "log_normal"),
    Term("shock", MONTHS, SETTINGS.amount_shock_scale, "log_normal"),
    Term("grade", GRADES, SETTINGS.amount_effect_scale, "log_normal"),
)


@cache
def amount_design() -> AmountRows:
    """Repeated orders without their amounts; every month has some."""
    rng = np.random.default_rng(3)
    group = np.asarray(rng.choice([6.5, 7.5], ROWS), dtype=float)
    level = group + rng.normal(0.0, 0.8, ROWS)
    return AmountRows(
        log_amount=np.zeros(ROWS),
        level=level,
        group=group,
        age=rng.integers(0, SETTINGS.age_classes, ROWS),
        grade=np.searchsorted(np.quantile(level, np.arange(1, GRADES) / GRADES), level, side="right"),
        month=FIRST_MONTH + np.arange(ROWS) % MONTHS,
    )


def amount_prior(rng: np.random.Generator) -> Params:
    """Effects, SDs and chances of odd orders by grade, and where odd orders lie."""
    return draw_terms(CARRIED, rng) | {
        "log_scale": rng.normal(np.log(SETTINGS.amount_noise), 0.7, (1, GRADES)),
        "odd_logit": rng.normal(logit(0.1), 1.2, (1, GRADES)),
        "odd_mean": rng.normal(TYPICAL, SPREAD, 1),
        "odd_log_sd": rng.normal(np.log(1.5 * SPREAD), 0.3, 1),
    }


def _amount_mean(params: Params, rows: AmountRows, shock: Floats) -> Floats:
    """Mean [D, row] of the log amount of a usual order; ``shock`` [D, row]."""
    distance = rows.level - rows.group
    return (
        rows.group
        + (production.CARRY_MEAN + params["carry"][:, rows.age]) * distance
        + params["age"][:, rows.age]
        + params["season"][:, rows.month % MONTHS_PER_YEAR]
        + params["grade"][:, rows.grade]
        + shock
    )


def amount_simulate(params: Params, rng: np.random.Generator) -> AmountRows:
    """Log amounts, odd ones among them."""
    rows = amount_design()
    mean = _amount_mean(params, rows, params["shock"][:, rows.month - FIRST_MONTH])[0]
    usual = rng.normal(mean, np.exp(params["log_scale"][0, rows.grade]))
    odd = rng.normal(params["odd_mean"][0], np.exp(params["odd_log_sd"][0]), ROWS)
    return replace(rows, log_amount=np.where(rng.random(ROWS) < expit(params["odd_logit"][0, rows.grade]), odd, usual))


def amount_fit(data: AmountRows, sampler: SamplerSettings, seed: int) -> Params:
    """Draws of `fit_amounts` of the bookings leg."""
    centres = {"typical": TYPICAL, "spread": SPREAD, "odd_log_spread": np.log(1.5 * SPREAD)}
    with recorded(production, centres) as traces:
        production.fit_amounts(data, GRADES, SETTINGS, sampler, seed)
    others = ("log_scale", "odd_logit", "odd_mean", "odd_log_sd")
    return named_effects(CARRIED, traces[0]) | {name: traces[0].draws(name) for name in others}


def _amount_log_likelihood(params: Params, data: AmountRows) -> Floats:
    mean = _amount_mean(params, data, params["shock"][:, data.month - FIRST_MONTH])
    odd = expit(params["odd_logit"])[:, data.grade]
    usual = norm.logpdf(data.log_amount, mean, np.exp(params["log_scale"])[:, data.grade])
    far = norm.logpdf(data.log_amount, params["odd_mean"][:, None], np.exp(params["odd_log_sd"])[:, None])
    return np.logaddexp(np.log1p(-odd) + usual, np.log(odd) + far).sum(axis=1)


def _amount_total(params: Params) -> Floats:
    """Money of a fixed set of orders in the months ahead: medians of both kinds, by their chances [D]."""
    rows = replace(amount_design(), month=FIRST_MONTH + MONTHS + np.arange(ROWS) % AHEAD)
    shock = params["shock scale"][:, None] * np.array([-0.7, 1.1, 0.2])[np.arange(ROWS) % AHEAD]
    odd = expit(params["odd_logit"])[:, rows.grade]
    usual = np.exp(_amount_mean(params, rows, shock))
    return ((1 - odd) * usual + odd * np.exp(params["odd_mean"])[:, None]).sum(axis=1)


def amount_quantities(params: Params, data: AmountRows) -> dict[str, Floats]:
    """What is ranked."""
    season = params["season"]
    return {
        "carry of young accounts": params["carry"][:, 0],
        "season SD": params["season scale"],
        "season, December against June": season[:, 11] - season[:, 5],
        "shock SD": params["shock scale"],
        "grade SD": params["grade scale"],
        "noise, grade 0": params["log_scale"][:, 0],
        "chance of an odd order, grade 0": params["odd_logit"][:, 0],
        "mean of odd orders": params["odd_mean"],
        "SD of odd orders": params["odd_log_sd"],
        "log likelihood": _amount_log_likelihood(params, data),
        "money of three months": _amount_total(params),
    }


TERRITORIES, FIRST_MONTHS, USUAL_FIRST = 4, 18, 2.0
FIRST = (
    Term("base", 1, 1.5, "fixed"),
    Term("season", MONTHS_PER_YEAR, SETTINGS.first_season_scale, "log_normal"),
    Term("shock", FIRST_MONTHS, SETTINGS.first_shock_scale, "fixed"),
    Term("territory", TERRITORIES, SETTINGS.first_territory_scale, "log_normal"),
)


def first_prior(rng: np.random.Generator) -> Params:
    """Effects and dispersion."""
    dispersion = np.exp(rng.normal(np.log(production.USUAL_DISPERSION), 1.0, 1))
    return draw_terms(FIRST, rng) | {"dispersion": dispersion}


def _first_log_mean(params: Params) -> Floats:
    """Log expected count [D, row] of territories and months, territory by territory."""
    where, when = np.indices((TERRITORIES, FIRST_MONTHS)).reshape(2, -1)
    effects = params["season"][:, when % MONTHS_PER_YEAR] + params["shock"][:, when] + params["territory"][:, where]
    return np.log(USUAL_FIRST) + params["base"] + effects


def first_simulate(params: Params, rng: np.random.Generator) -> FirstOrders:
    """First orders of territories and months; their amounts play no part."""
    mean, size = np.exp(_first_log_mean(params)[0]), params["dispersion"][0]
    counts = rng.poisson(rng.gamma(size, mean / size)).reshape(TERRITORIES, FIRST_MONTHS)
    none = np.zeros(0, dtype=np.int64)
    return FirstOrders(counts, FIRST_MONTH + np.arange(FIRST_MONTHS), 1.0, np.zeros(0), none, none)


def first_fit(data: FirstOrders, sampler: SamplerSettings, seed: int) -> Params:
    """Draws of `fit_first`."""
    with recorded(production, {"effects_shift": np.full(data.counts.size, np.log(USUAL_FIRST))}) as traces:
        production.fit_first(data, SETTINGS, sampler, seed)
    return named_effects(FIRST, traces[0]) | {"dispersion": traces[0].draws("dispersion")}


def first_quantities(params: Params, data: FirstOrders) -> dict[str, Floats]:
    """What is ranked."""
    season, territory = params["season"], params["territory"]
    ahead = (FIRST_MONTHS + np.arange(AHEAD)) % MONTHS_PER_YEAR
    shock = SETTINGS.first_shock_scale * np.array([-0.7, 1.1, 0.2])
    rate = np.exp(params["base"] + season[:, ahead] + shock).sum(axis=1) * np.exp(territory).sum(axis=1)
    return {
        "base": params["base"][:, 0],
        "season SD": params["season scale"],
        "season, December against June": season[:, 11] - season[:, 5],
        "shock, month 0 against 12": params["shock"][:, 0] - params["shock"][:, 12],
        "territory SD": params["territory scale"],
        "territory 0 against 1": territory[:, 0] - territory[:, 1],
        "dispersion": params["dispersion"],
        "log likelihood": negative_binomial(data.counts.ravel(), _first_log_mean(params), params["dispersion"]),
        "first orders of three months": USUAL_FIRST * rate,
    }


STUDIES = (
    Study("order_timing", lambda rng: draw_terms(TIMING, rng), timing_simulate, timing_fit, timing_quantities),
    Study("order_amounts", amount_prior, amount_simulate, amount_fit, amount_quantities),
    Study("first_orders", first_prior, first_simulate, first_fit, first_quantities),
)
