"""Calibration of the closing hazard: deals are simulated week by week and go through `fit_closing` as a panel.

Covered: summing deals to weeks and cells, both logits with their correlated shocks, the sampler, and the names and
centring of `ClosingDraws`. Not covered: moves between stages (each deal's path is given; their Dirichlet posteriors are
closed forms), left truncation, and covariates left out of large companies.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import expit

import models.close_hazard as production
from experiments.sbc_company import (
    PRODUCTS,
    REPS,
    SEGMENTS,
    STAGES,
    TERRITORIES,
    UNKNOWN,
    DealTable,
    small_company,
)
from experiments.sbc_study import DIVERGENCES, Params, Study, Term, diverged, draw_terms, recorded
from models.calendar import WEEKS_PER_MONTH, last_complete_week, week_number, week_start
from models.deal_weeks import size_bin
from models.draws import ClosingDraws
from models.fitting import Trace
from models.panel import LOST, OPEN, WON, Bools, Floats, Ints, Panel, StageMoves
from models.settings import ClosingSettings, ModelSettings, SamplerSettings

AS_OF, FIRST_DAY = "2025-12-31", "2025-01-01"
DEALS = 150
SETTINGS = ClosingSettings(base_scale=1.0, age_bins=(0, 2, 4, 8, 16), max_cells=200_000)
"""A narrower base than the default: under that one in thirty companies would not close a single deal. Cells without a
bound: a covariate left out is another model than the one simulated."""

USUAL_CLOSE_LOGIT = float(np.log(0.05 / 0.95))
MONTHS, HORIZON_WEEKS, BOOK = 12, 12, 40
AGES, BINS = len(SETTINGS.age_bins), SETTINGS.size_bins
COMMON = ("size", "segment", "product")
OWN = {"close": ("age_month",), "win": ("territory", "rep")}
"""Covariates of one side only."""


def _terms(side: str) -> tuple[Term, ...]:
    """Effects of a side, with the priors of the settings."""
    s = SETTINGS
    sizes = {"size": BINS, "segment": SEGMENTS, "product": PRODUCTS}
    sizes |= {"territory": TERRITORIES, "rep": REPS} if side == "win" else {}
    return (
        Term("base", 1, s.base_scale, "fixed"),
        Term("age", AGES, s.age_scale, "fixed"),
        *([Term("age_month", AGES * 3, s.age_month_scale, "fixed")] if side == "close" else []),
        Term("stage", STAGES, s.stage_scale, "fixed"),
        Term("quarter_end", 2, s.quarter_scale, "fixed"),
        Term("week", 12, s.effect_scale, "half_normal"),
        *(Term(name, size, s.effect_scale, "half_normal") for name, size in sizes.items()),
    )


@dataclass(frozen=True)
class Design:
    """Deals [deal] and every week [row] in which one might be open; none of it depends on an outcome."""

    rep: Ints
    product: Ints
    segment: Ints
    created: Ints
    moved: Ints
    list_amount: Floats
    size: Ints
    deal: Ints
    week: Ints
    shocks_ahead: Floats


@cache
def design(deals: int = DEALS) -> Design:
    """The one design of a size, from a fixed seed; a deal is created in the first week and one in the last."""
    rng = np.random.default_rng(20251231)
    first = int(week_number(np.array([FIRST_DAY], dtype="datetime64[D]"))[0])
    last = last_complete_week(np.datetime64(AS_OF, "D"))
    created = np.sort(np.append(rng.integers(first, last + 1, deals - 2), [first, last]))
    product = rng.integers(0, PRODUCTS, deals)
    amount = np.exp(rng.normal(7.0 + product, 1.0))
    weeks = last - created + 1
    deal = np.repeat(np.arange(deals), weeks)
    return Design(
        rep=rng.permutation(np.arange(deals) % REPS),
        product=product,
        segment=rng.integers(0, SEGMENTS, deals),
        created=created,
        moved=created[:, None] + np.cumsum(rng.integers(0, 6, (deals, STAGES - 1)), axis=1),
        list_amount=amount,
        size=size_bin(amount, np.quantile(np.log(amount), np.arange(1, BINS) / BINS)),
        deal=deal,
        week=np.arange(len(deal)) - np.repeat(np.cumsum(weeks) - weeks, weeks) + created[deal],
        shocks_ahead=rng.standard_normal((HORIZON_WEEKS // WEEKS_PER_MONTH, 2)),
    )


@dataclass(frozen=True)
class Simulated:
    """A company and the rows behind it; ``closing``, ``winning`` [row] of the rows at risk ``row``."""

    design: Design
    panel: Panel
    row: Ints
    closing: Bools
    winning: Bools


def prior(rng: np.random.Generator) -> Params:
    """Effects of both sides in the form of `ClosingDraws`."""
    scale = np.abs(rng.normal(0.0, SETTINGS.shock_scale, (1, 2)))
    correlation = 2 * rng.beta(production.LIKENESS, production.LIKENESS, 1) - 1
    first, second = rng.standard_normal((2, 1, MONTHS))
    second = correlation * first + np.sqrt(1 - correlation**2) * second
    found = {"shock_scale": scale, "correlation": correlation}
    found["shocks"] = np.stack([scale[:, :1] * first, scale[:, 1:] * second], axis=2)
    for side in ("close", "win"):
        effects = draw_terms(_terms(side), rng)
        effects["week"] = effects["week"] + np.repeat(effects.pop("quarter_end"), [8, 4], axis=1)
        base = effects["base"][:, 0] + (USUAL_CLOSE_LOGIT if side == "close" else 0.0)
        for name in ("age", "stage", "week", "size"):
            base = base + effects[name].mean(axis=1)
            effects[name] = effects[name] - effects[name].mean(axis=1, keepdims=True)
        found |= {f"{side}_{name}": value for name, value in (effects | {"base": base}).items()}
    return found


def _logit(side: str, params: Params, levels: dict[str, Ints], shock: Floats) -> Floats:
    """Logit [D, row] of a side; ``shock`` [D, row, 2]."""
    total = params[f"{side}_base"][:, None] + shock[:, :, int(side == "win")]
    for name in ("age", "stage", "week", *COMMON, *OWN[side]):
        total = total + params[f"{side}_{name}"][:, levels[name]]
    return total


def _levels(d: Design, deal: Ints, week: Ints, age: Ints) -> dict[str, Ints]:
    """Covariates of weeks of deals."""
    age_class = np.searchsorted(SETTINGS.age_bins, age, side="right") - 1
    return {
        "age": age_class,
        "age_month": age_class + AGES * (week % 12 // WEEKS_PER_MONTH),
        "stage": (d.moved[deal] < week[:, None]).sum(axis=1),
        "week": week % 12,
        "size": d.size[deal],
        "segment": d.segment[deal],
        "product": d.product[deal],
        "territory": d.rep[deal] % TERRITORIES,
        "rep": d.rep[deal],
    }


def _row_logits(d: Design, params: Params, row: Ints) -> tuple[Floats, Floats]:
    """Logits [D, row] of closing and of winning of rows of the design."""
    deal, week = d.deal[row], d.week[row]
    levels = _levels(d, deal, week, week - d.created[deal])
    shock = params["shocks"][:, week // WEEKS_PER_MONTH - d.week.min() // WEEKS_PER_MONTH]
    return _logit("close", params, levels, shock), _logit("win", params, levels, shock)


def simulate(params: Params, rng: np.random.Generator) -> Simulated:
    """A company of the calibration's design."""
    return simulate_deals(design(), params, rng)


def simulate_deals(d: Design, params: Params, rng: np.random.Generator) -> Simulated:
    """Each deal closes in the first week in which its own coin says so."""
    rows = np.arange(len(d.deal))
    close, win = (expit(logit[0]) for logit in _row_logits(d, params, rows))
    hit = rng.random(len(rows)) < close
    won_then = rng.random(len(rows)) < win
    never = len(rows)
    first_hit = np.full(len(d.rep), never)
    np.minimum.at(first_hit, d.deal[hit], rows[hit])
    row = rows[rows <= first_hit[d.deal]]
    closing = row == first_hit[d.deal[row]]
    closed = first_hit < never
    at = np.where(closed, first_hit, 0)
    outcome = np.where(closed, np.where(won_then[at], WON, LOST), OPEN)
    end = np.where(closed, d.week[at], d.week.max())
    table = DealTable(
        rep=d.rep,
        product=d.product,
        segment=d.segment,
        created=week_start(d.created),
        closed=np.where(closed, week_start(end) + np.timedelta64(4, "D"), UNKNOWN),
        outcome=outcome,
        list_amount=d.list_amount,
        won_amount=np.where(outcome == WON, d.list_amount, np.nan),
    )
    hired = np.full(REPS, np.datetime64("2020-01-01"))
    return Simulated(d, small_company(AS_OF, table, _moves(d, end), hired), row, closing, closing & won_then[row])


def _moves(d: Design, end: Ints) -> StageMoves:
    """Stage history up to each deal's last week [deal]."""
    entered = np.column_stack([d.created, d.moved])
    seen = (entered <= end[:, None]) & np.column_stack([np.ones(len(end), dtype=bool), d.moved <= end[:, None]])
    deal, stage = np.nonzero(seen)
    return StageMoves(deal, stage, week_start(entered[seen]) + np.timedelta64(4, "D"))


def fit(data: Simulated, sampler: SamplerSettings, seed: int) -> Params:
    """Draws of `fit_closing`, with the learned scales beside them."""
    settings = ModelSettings(closing=SETTINGS, sampler=sampler)
    with recorded(production, {}) as traces:
        fitted = production.fit_closing(data.panel, settings, seed)
    if fitted is None:
        raise ValueError("no deal has closed: the design is too small for its prior")
    return _of_draws(fitted[0]) | _scales(traces[0])


def _of_draws(draws: ClosingDraws) -> Params:
    names = ("base", "age", "stage", "week", *COMMON)
    found: Params = {f"{side}_{name}": getattr(draws, f"{side}_{name}") for side in ("close", "win") for name in names}
    return found | {
        "close_age_month": draws.close_age_month.reshape(len(draws.close_base), -1),
        "win_territory": draws.win_territory,
        "win_rep": draws.win_rep,
        "shock_scale": draws.shock_scale,
        "correlation": draws.shock_correlation,
        "shocks": draws.shocks,
    }


def _scales(trace: Trace) -> Params:
    """Learned scales under the names of the prior; the model keeps the close side's first, shocks last on each."""
    names = [
        f"{side}_{term.name} scale"
        for side in ("close", "win")
        for term in (*_terms(side), Term("shock", MONTHS, SETTINGS.shock_scale, "half_normal"))
        if term.kind != "fixed"
    ]
    scale = trace.draws("scale")
    if scale.shape[1] != len(names):
        raise ValueError(f"the model learned {scale.shape[1]} scales, the study knows {len(names)}")
    return {name: scale[:, i] for i, name in enumerate(names)} | {DIVERGENCES: diverged(trace)}


def log_likelihood(params: Params, data: Simulated) -> Floats:
    """Of closing or not in every week at risk, and of winning or not at each closing [D]."""
    close, win = _row_logits(data.design, params, data.row)
    weeks = (data.closing * close - np.logaddexp(0.0, close)).sum(axis=1)
    closings = data.closing * (data.winning * win - np.logaddexp(0.0, win))
    return weeks + closings.sum(axis=1)


def expected_wins(d: Design, params: Params) -> Floats:
    """Wins expected in the three months ahead of a book of new deals, shocks at fixed quantiles [D]."""
    deal, total = np.arange(BOOK), np.zeros(len(params["close_base"]))
    open_share = np.ones((len(total), BOOK))
    correlation = params["correlation"]
    ahead = d.shocks_ahead
    for week in range(HORIZON_WEEKS):
        first, second = ahead[week // WEEKS_PER_MONTH]
        pair = np.stack([np.full_like(correlation, first), correlation * first + np.sqrt(1 - correlation**2) * second])
        shock = np.repeat((params["shock_scale"] * pair.T)[:, None, :], BOOK, axis=1)
        levels = _levels(d, deal, np.full(BOOK, week), np.full(BOOK, week)) | {"stage": np.zeros(BOOK, dtype=np.int64)}
        close = expit(_logit("close", params, levels, shock))
        total += (open_share * close * expit(_logit("win", params, levels, shock))).sum(axis=1)
        open_share = open_share * (1 - close)
    return total


def quantities(params: Params, data: Simulated) -> dict[str, Floats]:
    """What is ranked."""
    win_rep, win_week, shocks = params["win_rep"], params["win_week"], params["shocks"]
    age_month = params["close_age_month"]
    return {
        "close base": params["close_base"],
        "close, young against old": params["close_age"][:, 0] - params["close_age"][:, -1],
        "close, product 0 against 1": params["close_product"][:, 0] - params["close_product"][:, 1],
        "close, last month against first when old": age_month[:, -1] - age_month[:, AGES - 1],
        "close shock SD": params["shock_scale"][:, 0],
        "close shock, month 0 against 1": shocks[:, 0, 0] - shocks[:, 1, 0],
        "win base": params["win_base"],
        "win, quarter end": win_week[:, 8:].mean(axis=1) - win_week[:, :8].mean(axis=1),
        "win rep SD": params["win_rep scale"],
        "win, rep 0 against 1": win_rep[:, 0] - win_rep[:, 1],
        "win territory SD": params["win_territory scale"],
        "win shock SD": params["shock_scale"][:, 1],
        "shock correlation": params["correlation"],
        "log likelihood": log_likelihood(params, data),
        "wins of three months": expected_wins(data.design, params),
    }


STUDY = Study("closing", prior, simulate, fit, quantities)
