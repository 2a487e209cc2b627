"""Calibration of deal amounts: won deals go through `fit_amounts` as a panel.

Covered: telling zero, exact and other amounts apart, the pooled Student t, the shares of zero and exact amounts. Not
covered: centres of the priors taken from the data (constants here, see `sbc_study`), the list amounts of new deals.
"""

from functools import cache

import numpy as np
from scipy.special import xlogy
from scipy.stats import t as student

import models.deal_amount as production
from experiments.sbc_company import PRODUCTS, REPS, SEGMENTS, DealTable, no_moves, small_company
from experiments.sbc_study import Params, Study, Term, draw_terms, named_effects, recorded
from models.panel import WON, Bools, Floats, Panel
from models.settings import AmountSettings, ModelSettings, SamplerSettings

DEALS, BOOK = 250, 60
SETTINGS = AmountSettings(exact_tolerance=0.0)
USUAL_NOISE = 0.3
"""Centre of the prior of the noise, and zero is that of the base: in production the data's own."""

CAP = 20.0
TERMS = (
    Term("base", 1, 1.0, "fixed"),
    Term("product", PRODUCTS, SETTINGS.effect_scale, "fixed"),
    Term("segment", SEGMENTS, SETTINGS.effect_scale, "fixed"),
    Term("rep", REPS, SETTINGS.effect_scale, "log_normal"),
)


@cache
def design() -> DealTable:
    """Won deals without their amounts."""
    rng = np.random.default_rng(20260101)
    closed = np.datetime64("2025-01-15") + rng.integers(0, 340, DEALS).astype("timedelta64[D]")
    return DealTable(
        rep=rng.permutation(np.arange(DEALS) % REPS),
        product=rng.integers(0, PRODUCTS, DEALS),
        segment=rng.integers(0, SEGMENTS, DEALS),
        created=closed - np.timedelta64(10, "D"),
        closed=closed,
        outcome=np.full(DEALS, WON),
        list_amount=np.exp(rng.normal(8.0, 1.0, DEALS)),
        won_amount=np.full(DEALS, np.nan),
    )


def prior(rng: np.random.Generator) -> Params:
    """Effects, spread, tail, and shares of zero and exact amounts."""
    zero = rng.beta(0.5, 9.5, 1)
    return draw_terms(TERMS, rng) | {
        "noise": np.exp(rng.normal(np.log(USUAL_NOISE), 1.0, 1)),
        "dof": production.LEAST_DOF + np.exp(rng.normal(np.log(production.USUAL_DOF), 0.7, 1)),
        "zero": zero,
        "exact": (1 - zero) * rng.beta(0.5, 0.5, 1),
    }


def _mean(params: Params, deals: slice | Bools) -> Floats:
    """Centre [D, deal] of the log multiples."""
    d = design()
    effects = (params["product"][:, d.product], params["segment"][:, d.segment], params["rep"][:, d.rep])
    return params["base"] + sum(effect[:, deals] for effect in effects)


def simulate(params: Params, rng: np.random.Generator) -> Panel:
    """Panel with a won amount on every deal."""
    d = design()
    zero, exact = params["zero"][0], params["exact"][0]
    noise = params["noise"][0] * rng.standard_t(params["dof"][0], DEALS)
    kind = rng.random(DEALS)
    multiple = np.exp(_mean(params, slice(None))[0] + noise)
    multiple = np.where(kind < zero, 0.0, np.where(kind < zero + exact, 1.0, multiple))
    amounts = DealTable(**(vars(d) | {"won_amount": d.list_amount * multiple}))
    return small_company("2025-12-31", amounts, no_moves(), np.full(REPS, np.datetime64("2020-01-01")))


def fit(data: Panel, sampler: SamplerSettings, seed: int) -> Params:
    """Draws of `fit_amounts`."""
    settings = ModelSettings(amount=SETTINGS, sampler=sampler)
    rows = int(_other(data).sum())
    rows = len(np.unique(data.deals.won_amount[_other(data)] / data.deals.list_amount[_other(data)])) if rows else 0
    centres = {"effects_shift": np.zeros(rows), "usual_log_noise": np.log(USUAL_NOISE)}
    with recorded(production, centres) as traces:
        fitted = production.fit_amounts(data, settings, seed)
    if fitted is None:
        raise ValueError("no deal was won")
    trace = traces[0]
    found = {"noise": trace.draws("noise"), "dof": trace.draws("dof")}
    return named_effects(TERMS, trace) | found | {"zero": fitted[0].zero, "exact": fitted[0].exact}


def _other(data: Panel) -> Bools:
    """Deals [deal] won for something that is not the list amount."""
    won = data.deals.won_amount
    return (won > 0) & (won != data.deals.list_amount)


def log_likelihood(params: Params, data: Panel) -> Floats:
    """Of the kinds of amounts and of the multiples [D]."""
    other = _other(data)
    ratio = np.log(data.deals.won_amount[other] / data.deals.list_amount[other])
    zeros, exacts = (
        int((data.deals.won_amount == 0).sum()),
        int((data.deals.won_amount == data.deals.list_amount).sum()),
    )
    zero, exact = params["zero"], params["exact"]
    rest = np.maximum(1 - zero - exact, 1e-300)
    kinds = xlogy(zeros, zero) + xlogy(exacts, exact) + xlogy(int(other.sum()), rest)
    noise, dof = params["noise"][:, None], params["dof"][:, None]
    return kinds + student.logpdf(ratio, dof, _mean(params, other), noise).sum(axis=1)


def expected_total(params: Params) -> Floats:
    """Booked amount of a book of won deals at fixed quantiles of the noise, each multiple capped [D]."""
    level = (np.arange(BOOK) + 0.5) / BOOK
    quantile = student.ppf(np.random.default_rng(1).permutation(level), params["dof"][:, None])
    log_multiple = _mean(params, slice(0, BOOK)) + params["noise"][:, None] * quantile
    multiple = np.exp(np.minimum(log_multiple, np.log(CAP)))
    zero, exact = params["zero"][:, None], params["exact"][:, None]
    return (design().list_amount[:BOOK] * (exact + (1 - zero - exact) * multiple)).sum(axis=1)


def quantities(params: Params, data: Panel) -> dict[str, Floats]:
    """What is ranked."""
    return {
        "base": params["base"][:, 0],
        "product 0 against 1": params["product"][:, 0] - params["product"][:, 1],
        "segment 0 against 1": params["segment"][:, 0] - params["segment"][:, 1],
        "rep SD": params["rep scale"],
        "rep 0 against 1": params["rep"][:, 0] - params["rep"][:, 1],
        "noise": params["noise"],
        "degrees of freedom": params["dof"],
        "share of zero": params["zero"],
        "share of exact": params["exact"],
        "log likelihood": log_likelihood(params, data),
        "booked in three months": expected_total(params),
    }


STUDY = Study("amounts", prior, simulate, fit, quantities)
