"""Replicated amounts of won deals, and replicated arrivals of new ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from experiments.ppc_statistics import (
    Check,
    Reference,
    compare,
    correlation,
    dispersion,
    group_means,
    neighbours,
    pair,
    ratios,
    spread,
)
from models.arrival_counts import Counts, count_new_deals, log_ramp
from models.calendar import WEEKS_PER_QUARTER, month_number, month_of_year, week_number, week_of_quarter
from models.draws import AmountDraws, ArrivalDraws
from models.panel import WON, Bools, Floats, Ints, Panel
from models.settings import ModelSettings

LEAST_WON = 10
"""Won deals below which a rep or a month says too little about amounts."""


@dataclass(frozen=True)
class Won:
    """Won deals with a list amount; all [row].

    Attributes
    ----------
    ratio : won over list amount
    product, segment, rep : indices, NONE where unknown
    month : of closing, from 0
    quarter_end : closed in the last week of a quarter
    log_list : log of the list amount
    """

    ratio: Floats
    product: Ints
    segment: Ints
    rep: Ints
    month: Ints
    quarter_end: Bools
    log_list: Floats


def amount_checks(
    panel: Panel, draws: AmountDraws, settings: ModelSettings, chosen: Ints, rng: np.random.Generator
) -> list[Check]:
    """Checks of won over list amount: mass at zero and at one, and the multiples between."""
    rows = won_deals(panel)
    statistics = partial(amount_statistics, rows, settings.amount.exact_tolerance)
    return compare("amount", statistics, rows.ratio, _amounts(rows, draws, chosen, rng))


def won_deals(panel: Panel) -> Won:
    """Rows the amounts were fitted to; a company without list amounts has 1 everywhere."""
    deals = panel.deals
    listed = deals.list_amount if (deals.list_amount > 0).any() else np.ones(len(deals))
    kept = (deals.outcome == WON) & np.isfinite(deals.won_amount) & (listed > 0)
    month = month_number(deals.closed[kept])
    return Won(
        ratio=np.maximum(deals.won_amount[kept], 0.0) / listed[kept],
        product=deals.product[kept],
        segment=deals.segment[kept],
        rep=deals.rep[kept],
        month=month - int(month.min(initial=0 if not len(month) else int(month[0]))),
        quarter_end=week_of_quarter(week_number(deals.closed[kept]), panel.fiscal_year_start) == WEEKS_PER_QUARTER - 1,
        log_list=np.log(listed[kept]),
    )


def amount_statistics(rows: Won, tolerance: float, ratio: Floats, reference: Reference) -> dict[str, float]:
    """The model has one share of zeros, one of exact amounts, no months and no slope on the list amount."""
    zero = ratio <= 0
    exact = np.abs(ratio - 1.0) <= tolerance
    other = ~zero & ~exact
    found = {
        "share of zeros, spread over reps": spread(group_means(zero.astype(float), rows.rep, LEAST_WON)),
        "share exact, spread over reps": spread(group_means(exact.astype(float), rows.rep, LEAST_WON)),
        "share exact, spread over products": spread(group_means(exact.astype(float), rows.product, LEAST_WON)),
    }
    log, end = np.log(ratio[other]), rows.quarter_end[other]
    away = log - reference.mean[other]
    monthly = group_means(away, rows.month[other], LEAST_WON)
    quantile = np.quantile(log, [0.01, 0.25, 0.75, 0.99]) if len(log) else np.full(4, np.nan)
    return found | {
        **{f"log multiple, {name} % quantile": float(q) for name, q in zip((1, 25, 75, 99), quantile, strict=True)},
        "log multiple, largest": float(log.max(initial=-np.inf)),
        "log multiple, spread over reps": spread(group_means(log, rows.rep[other], LEAST_WON)),
        "log multiple, quarter-end less others": _difference(away, end),
        "log multiple, correlation with list amount": correlation(away, rows.log_list[other]),
        "log multiple, SD over months": spread(monthly),
        "log multiple, correlation of neighbouring months": neighbours(monthly),
    }


def _difference(values: Floats, inside: Bools) -> float:
    if min(inside.sum(), (~inside).sum()) < LEAST_WON:
        return np.nan
    return float(values[inside].mean() - values[~inside].mean())


def _amounts(
    rows: Won, draws: AmountDraws, chosen: Ints, rng: np.random.Generator
) -> Iterator[tuple[Floats, Reference]]:
    for draw in chosen:
        mean = np.full(len(rows.ratio), draws.base[draw])
        for effects, index in ((draws.product, rows.product), (draws.segment, rows.segment), (draws.rep, rows.rep)):
            mean += np.append(effects[draw], 0.0)[index]
        noise = rng.standard_t(draws.dof[draw], len(mean))
        multiple = np.exp(np.minimum(mean + draws.scale[draw] * noise, np.log(draws.cap)))
        kind = rng.random(len(mean))
        nothing, listing = draws.zero[draw], draws.exact[draw]
        ratio = np.where(kind < nothing, 0.0, np.where(kind < nothing + listing, 1.0, multiple))
        yield ratio, Reference(mean, np.full(len(mean), draws.scale[draw] ** 2))


def arrival_checks(
    panel: Panel, draws: ArrivalDraws, settings: ModelSettings, chosen: Ints, rng: np.random.Generator
) -> list[Check]:
    """Checks of new deals per rep and month.

    Shocks of the past are not kept with a posterior: they are drawn anew, as is the walk of the level between its ends.
    """
    counts = count_new_deals(panel, settings.arrivals.recent_months)
    home = panel.reps.territory[counts.rep]

    def replicates() -> Iterator[tuple[Floats, Reference]]:
        for draw in chosen:
            path = _bridge(counts.months, float(draws.level_scale[draw]), rng)
            shock = rng.normal(0.0, draws.shock_scale[draw], counts.months)
            mean, alpha = _arrival_mean(counts, home, draws, draw), draws.dispersion[draw]
            expected = mean * np.exp(path + shock)[counts.month]
            data = rng.poisson(expected * rng.gamma(alpha, 1 / alpha, len(mean))).astype(float)
            yield data, Reference(mean, mean + mean**2 / alpha)

    statistics = partial(arrival_statistics, counts, home)
    return compare("arrivals", statistics, counts.count.astype(float), replicates())


def arrival_statistics(counts: Counts, home: Ints, data: Floats, reference: Reference) -> dict[str, float]:
    """Zeros and maxima of rep-months, what territories share in a month, and whether departures last."""
    monthly = ratios(data, reference, counts.month)
    away = (data - reference.mean) / np.sqrt(reference.variance)
    follows = (counts.rep[1:] == counts.rep[:-1]) & (counts.month[1:] == counts.month[:-1] + 1)
    return {
        "share of rep-months without any": float((data == 0).mean()),
        "most of a rep in a month": float(data.max()),
        "dispersion over rep-months": dispersion(data, reference, pair(counts.rep, counts.month)),
        "dispersion over territory-months": dispersion(data, reference, pair(home, counts.month)),
        "spread over reps": spread(ratios(data, reference, counts.rep)),
        "correlation of a rep's neighbouring months": correlation(away[:-1][follows], away[1:][follows]),
        "SD over months": spread(monthly),
        "correlation of neighbouring months": neighbours(monthly),
    }


def _arrival_mean(counts: Counts, home: Ints, draws: ArrivalDraws, draw: int) -> Floats:
    """Mean [row] at one draw, the level on a straight line between its two ends."""
    line = draws.level[draw] * np.linspace(0.0, 1.0, counts.months)
    log_mean = draws.base[draw] + line[counts.month] + draws.rep[draw][counts.rep]
    log_mean += draws.season[draw][month_of_year(counts.first + counts.month)]
    log_mean += np.append(draws.territory[draw], 0.0)[home] + log_ramp(counts.tenure, float(draws.ramp_months[draw]))
    return np.asarray(np.exp(log_mean) * counts.exposure)


def _bridge(months: int, scale: float, rng: np.random.Generator) -> Floats:
    """Random walk [month] from zero to zero: what the prior says of the level once its two ends are known."""
    walk = np.append(0.0, np.cumsum(rng.normal(0.0, scale, max(months - 1, 0))))
    return walk - walk[-1] * np.linspace(0.0, 1.0, len(walk))
