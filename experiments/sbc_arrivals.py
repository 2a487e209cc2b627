"""Calibration of arrivals: deals created by reps month by month go through `fit_arrivals` as a panel.

Covered: counting by rep and month of employment, the pooled negative binomial with walk, shocks and ramp. Not covered:
the centre of the base's prior taken from the data (a constant here, see `sbc_study`), reps without a start date.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

import models.new_deals as production
from experiments.sbc_company import REPS, TERRITORIES, UNKNOWN, DealTable, no_moves, small_company
from experiments.sbc_study import Params, Study, Term, draw_terms, named_effects, recorded
from models.panel import LOST, OPEN, Floats, Ints, Panel
from models.settings import ArrivalSettings, ModelSettings, SamplerSettings

AS_OF = "2025-12-31"
MONTHS = 24
FIRST_MONTH = np.datetime64("2024-01", "M")
USUAL = float(np.log(2.0))
"""Centre of the prior of the log rate: in production the data's own."""

HIRED = np.array(
    ["2020-01-01"] * 6 + ["2023-10-01", "2024-01-01", "2024-04-01", "2024-09-01", "2025-02-01", "2025-08-01"],
    dtype="datetime64[D]",
)
"""First day of every rep: half of them ramp within the window."""

DAYS_PER_MONTH = 365.25 / 12
SETTINGS = ArrivalSettings()
TERMS = (
    Term("base", 1, 1.0, "fixed"),
    Term("season", 12, SETTINGS.season_scale, "log_normal"),
    Term("territory", TERRITORIES, SETTINGS.effect_scale, "fixed"),
    Term("rep", REPS, SETTINGS.effect_scale, "log_normal"),
    Term("shock", MONTHS, SETTINGS.shock_scale, "log_normal"),
    Term("step", MONTHS - 1, SETTINGS.level_scale, "fixed"),
)


@dataclass(frozen=True)
class Simulated:
    """A company and its counts [row] of reps and months."""

    panel: Panel
    rep: Ints
    month: Ints
    count: Ints


def prior(rng: np.random.Generator) -> Params:
    """Effects, ramp and dispersion."""
    return draw_terms(TERMS, rng) | {
        "ramp_months": np.exp(rng.normal(np.log(SETTINGS.ramp_months), 0.5, 1)),
        "dispersion": np.exp(rng.normal(np.log(production.USUAL_DISPERSION), 1.0, 1)),
    }


def _rows() -> tuple[Ints, Ints, Floats]:
    """Rep, month and tenure in months of every rep and month in which the rep is employed."""
    opens = (FIRST_MONTH + np.arange(MONTHS)).astype("datetime64[D]")
    rep, month = np.nonzero(HIRED[:, None] <= opens[None, :])
    tenure = (opens[month] + np.timedelta64(15, "D") - HIRED[rep]).astype(float) / DAYS_PER_MONTH
    return rep, month, tenure


def _log_mean(params: Params, rep: Ints, month: Ints, tenure: Floats) -> Floats:
    """Log of the expected count [D, row] of reps in months of the window."""
    level = np.concatenate([np.zeros((len(params["step"]), 1)), np.cumsum(params["step"], axis=1)], axis=1)
    return (
        USUAL
        + params["base"]
        + params["season"][:, month % 12]
        + params["territory"][:, rep % TERRITORIES]
        + params["rep"][:, rep]
        + params["shock"][:, month]
        + level[:, month]
        + np.log(-np.expm1(-tenure / params["ramp_months"][:, None]))
    )


def simulate(params: Params, rng: np.random.Generator) -> Simulated:
    """Deals on days of their months, and one older deal whose closing opens the window."""
    rep, month, tenure = _rows()
    mean, size = np.exp(_log_mean(params, rep, month, tenure)[0]), params["dispersion"][0]
    count = rng.poisson(rng.gamma(size, mean / size))
    total = int(count.sum()) + 1
    created = (FIRST_MONTH + np.repeat(month, count)).astype("datetime64[D]") + rng.integers(0, 28, total - 1)
    older = FIRST_MONTH.astype("datetime64[D]") - np.timedelta64(20, "D")
    closed = np.full(total, UNKNOWN)
    closed[0] = older + np.timedelta64(5, "D")
    none = np.zeros(total, dtype=np.int64)
    table = DealTable(
        rep=np.append(0, np.repeat(rep, count)),
        product=none,
        segment=none,
        created=np.append(older, created),
        closed=closed,
        outcome=np.where(np.arange(total) == 0, LOST, OPEN),
        list_amount=np.ones(total),
        won_amount=np.full(total, np.nan),
    )
    return Simulated(small_company(AS_OF, table, no_moves(), HIRED), rep, month, count)


def fit(data: Simulated, sampler: SamplerSettings, seed: int) -> Params:
    """Draws of `fit_arrivals`."""
    settings = ModelSettings(arrivals=SETTINGS, sampler=sampler)
    _, _, tenure = _rows()
    shift = USUAL + np.log(-np.expm1(-tenure / SETTINGS.ramp_months))
    with recorded(production, {"effects_shift": shift}) as traces:
        fitted = production.fit_arrivals(data.panel, settings, seed)
    if fitted is None:
        raise ValueError("no rep was ever exposed")
    trace = traces[0]
    return named_effects(TERMS, trace) | {name: trace.draws(name) for name in ("ramp_months", "dispersion")}


def negative_binomial(count: Ints, log_mean: Floats, dispersion: Floats) -> Floats:
    """Log likelihood [D] of counts [row] with variance mean + mean^2 / dispersion."""
    size = dispersion[:, None]
    total = np.logaddexp(log_mean, np.log(size))
    terms = gammaln(count + size) - gammaln(size) + size * (np.log(size) - total) + count * (log_mean - total)
    return terms.sum(axis=1) - gammaln(count + 1.0).sum()


def expected_total(params: Params) -> Floats:
    """Deals expected in the three months ahead, shocks at fixed quantiles [D]."""
    last = np.full(REPS, MONTHS - 1)
    ended = (np.datetime64(AS_OF) - HIRED).astype(float) / DAYS_PER_MONTH
    total = np.zeros(len(params["base"]))
    for ahead, shock in enumerate((-0.7, 1.1, 0.2), start=1):
        change = params["season"][:, (MONTHS - 1 + ahead) % 12] - params["season"][:, (MONTHS - 1) % 12]
        change = change + params["shock scale"] * shock - params["shock"][:, MONTHS - 1]
        log_mean = _log_mean(params, np.arange(REPS), last, ended + ahead - 0.5)
        total += np.exp(log_mean + change[:, None]).sum(axis=1)
    return total


def quantities(params: Params, data: Simulated) -> dict[str, Floats]:
    """What is ranked."""
    log_mean = _log_mean(params, data.rep, data.month, _rows()[2])
    return {
        "base": params["base"][:, 0],
        "latest level": params["step"].sum(axis=1),
        "season SD": params["season scale"],
        "season, December against June": params["season"][:, 11] - params["season"][:, 5],
        "territory 0 against 1": params["territory"][:, 0] - params["territory"][:, 1],
        "rep SD": params["rep scale"],
        "rep 0 against 3": params["rep"][:, 0] - params["rep"][:, 3],
        "shock SD": params["shock scale"],
        "ramp": params["ramp_months"],
        "dispersion": params["dispersion"],
        "log likelihood": negative_binomial(data.count, log_mean, params["dispersion"]),
        "new deals of three months": expected_total(params),
    }


STUDY = Study("arrivals", prior, simulate, fit, quantities)
