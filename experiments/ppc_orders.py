"""Replicated orders of known accounts (whether, and how much) and replicated first orders of new ones.

Every account-month is drawn given the account's history before it. Shocks of the past are not kept with a posterior:
they are drawn anew, so statistics of months ask whether the shocks' law is right.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import expit
from scipy.stats import kurtosis

from experiments.ppc_statistics import (
    Check,
    Reference,
    compare,
    correlation,
    dispersion,
    group_means,
    highest,
    neighbours,
    pair,
    ratios,
    spread,
)
from models.calendar import month_of_year
from models.draws import OrderDraws
from models.first_orders import FirstOrders, account_territory, first_orders
from models.order_history import (
    DUE,
    DUE_2,
    DUE_3,
    DUE_MORE,
    FIRST_MISSED,
    LAST_MISSED,
    MAX_CYCLE,
    AccountMonths,
    OrderHistory,
    account_months,
    order_history,
    order_state,
)
from models.order_rows import AmountRows, amount_rows
from models.panel import Bools, Floats, Ints, Panel
from models.settings import ModelSettings

LEAST_ORDERS = 5
"""Orders below which a month, territory or account says too little about amounts."""


def order_checks(
    panel: Panel, draws: OrderDraws, settings: ModelSettings, chosen: Ints, rng: np.random.Generator
) -> list[Check]:
    """Checks of the three parts of the bookings leg."""
    history = order_history(panel, settings.orders.decays)
    territory = account_territory(panel)
    return [
        *_timing_checks(account_months(history), territory, draws, chosen, rng),
        *_amount_checks(history, territory, draws, settings, chosen, rng),
        *_first_checks(first_orders(panel, history), draws, chosen, rng),
    ]


def _timing_checks(
    months: AccountMonths, territory: Ints, draws: OrderDraws, chosen: Ints, rng: np.random.Generator
) -> list[Check]:
    """Whether accounts order in a month; who is due goes by the account's likeliest cycle, in all replicates alike."""
    if not len(months):
        return []
    month = months.month - months.month.min()
    state = order_state(_likeliest(draws.cycle)[months.account], months.elapsed)
    due = np.isin(state, (DUE, DUE_2, DUE_3, DUE_MORE))

    def replicates() -> Iterator[tuple[Floats, Reference]]:
        for draw in chosen:
            shock = rng.normal(0.0, draws.shock_scale[draw], int(month.max()) + 1)
            logit, on_time = _order_logit(months, draws, draw)
            chance, expected = expit(logit + np.where(on_time, shock[month], 0.0)), expit(logit)
            data = (rng.random(len(chance)) < chance).astype(float)
            yield data, Reference(expected, expected * (1 - expected))

    statistics = partial(timing_statistics, months, due, territory[months.account])
    return compare("order", statistics, months.ordered.astype(float), replicates())


def _likeliest(cycle: Ints) -> Ints:
    """Commonest cycle [account] over the draws."""
    counts = np.stack([(cycle == length).sum(axis=0) for length in range(MAX_CYCLE + 1)])
    return counts.argmax(axis=0)


def _order_logit(months: AccountMonths, draws: OrderDraws, draw: int) -> tuple[Floats, Bools]:
    """Logit to order [row] without shocks, as `models.draws.OrderDraws` has it, and where a shock belongs to it."""
    length = draws.cycle[draw][months.account]
    state = order_state(length, months.elapsed)
    late = (state >= FIRST_MISSED) & (state <= LAST_MISSED)
    grade = np.searchsorted(draws.grade_edges, months.level, side="right")
    on_time = draws.season[draw][month_of_year(months.month), grade]
    after = draws.missed[draw][month_of_year(months.month - months.elapsed + length), grade]
    return draws.base[draw] + draws.state[draw][state] + np.where(late, after, on_time), ~late


def timing_statistics(
    months: AccountMonths, due: Bools, territory: Ints, data: Floats, reference: Reference
) -> dict[str, float]:
    """The timing knows no territory, and of an account its cycle, grade and elapsed time only."""
    month = months.month - months.month.min()
    of_due = group_means(data[due], month[due])
    monthly = ratios(data, reference, month)
    away = (data - reference.mean) / np.sqrt(reference.variance)
    follows = (months.account[1:] == months.account[:-1]) & (months.month[1:] == months.month[:-1] + 1)
    return {
        "share of due that order, lowest month": -highest(-of_due),
        "share of due that order, SD over months": spread(of_due),
        "SD over months": spread(monthly),
        "correlation of neighbouring months": neighbours(monthly),
        "most in one month": highest(np.bincount(month, data)),
        "spread over territories": spread(ratios(data, reference, territory)),
        "dispersion over territory-months": dispersion(data, reference, pair(territory, month)),
        "dispersion over accounts": dispersion(data, reference, months.account),
        "correlation of an account's neighbouring months": correlation(away[:-1][follows], away[1:][follows]),
    }


@dataclass(frozen=True)
class Repeats:
    """Repeated orders: regression rows, and [row] account and its territory."""

    rows: AmountRows
    account: Ints
    territory: Ints


def _amount_checks(
    history: OrderHistory,
    territory: Ints,
    draws: OrderDraws,
    settings: ModelSettings,
    chosen: Ints,
    rng: np.random.Generator,
) -> list[Check]:
    rows = amount_rows(history, draws.group, draws.grade_edges, settings.orders)
    if not len(rows):
        return []
    # The rows carry what stands in place of the group's level: here the account itself.
    named = amount_rows(history, np.arange(len(draws.group), dtype=float), draws.grade_edges, settings.orders)
    account = named.group.astype(np.int64)
    repeats = Repeats(rows, account, territory[account])
    month = rows.month - rows.month.min()

    def replicates() -> Iterator[tuple[Floats, Reference]]:
        for draw in chosen:
            shock = rng.normal(0.0, draws.amount_shock_scale[draw], int(month.max()) + 1)
            mean, scale = _amount_mean(rows, draws, draw), draws.amount_scale[draw][rows.grade]
            usual = rng.normal(mean + shock[month], scale)
            odd = rng.random(len(mean)) < draws.odd_chance[draw][rows.grade]
            unlike = rng.normal(draws.odd_mean[draw], draws.odd_sd[draw], len(mean))
            yield np.minimum(np.where(odd, unlike, usual), draws.cap), Reference(mean, scale**2)

    return compare("order amount", partial(amount_statistics, repeats), rows.log_amount, replicates())


def _amount_mean(rows: AmountRows, draws: OrderDraws, draw: int) -> Floats:
    """Mean [row] of a usual order's log amount, without shocks."""
    carry = draws.carry[draw][rows.age]
    mean = carry * rows.level + (1 - carry) * rows.group + draws.amount_age[draw][rows.age]
    mean += draws.amount_grade[draw][rows.grade] + draws.amount_season[draw][month_of_year(rows.month)]
    return np.asarray(mean)


def amount_statistics(repeats: Repeats, log_amount: Floats, reference: Reference) -> dict[str, float]:
    """Tails of the distance from an account's usual order, months, and what the model has no effect for."""
    away = log_amount - reference.mean
    month = repeats.rows.month - repeats.rows.month.min()
    monthly = group_means(away, month, LEAST_ORDERS)
    follows = repeats.account[1:] == repeats.account[:-1]
    total = np.bincount(month, np.exp(log_amount))
    quantile = np.quantile(away, [0.01, 0.25, 0.75, 0.99])
    return {
        **{f"log distance, {name} % quantile": float(q) for name, q in zip((1, 25, 75, 99), quantile, strict=True)},
        "log distance, kurtosis": float(kurtosis(away)),
        "log amount, largest": float(log_amount.max()),
        "money, highest month over mean": float(total.max() / total.mean()),
        "log distance, SD over months": spread(monthly),
        "log distance, correlation of neighbouring months": neighbours(monthly),
        "log distance, spread over territories": spread(group_means(away, repeats.territory, LEAST_ORDERS)),
        "log distance, correlation of an account's neighbouring orders": correlation(
            away[:-1][follows], away[1:][follows]
        ),
    }


def _first_checks(first: FirstOrders, draws: OrderDraws, chosen: Ints, rng: np.random.Generator) -> list[Check]:
    """First orders per territory and month."""
    months = first.counts.shape[1]
    where, when = np.indices(first.counts.shape).reshape(2, -1)

    def statistics(data: Floats, reference: Reference) -> dict[str, float]:
        monthly = np.bincount(when, data)
        return {
            "share of territory-months without any": float((data == 0).mean()),
            "most of a territory in a month": float(data.max()),
            "most in one month": highest(monthly),
            "dispersion over months": dispersion(data, reference, when),
            "correlation of neighbouring months": neighbours(monthly),
            "spread over territories": spread(ratios(data, reference, where)),
        }

    def replicates() -> Iterator[tuple[Floats, Reference]]:
        for draw in chosen:
            shock = rng.normal(0.0, draws.first_shock_scale[draw], months)
            season = draws.first_season[draw][month_of_year(first.months)]
            mean, alpha = (
                draws.first_rate[draw][where] / first.unplaced * np.exp(season)[when],
                draws.first_dispersion[draw],
            )
            expected = mean * np.exp(shock)[when]
            data = rng.poisson(expected * rng.gamma(alpha, 1 / alpha, len(mean))).astype(float)
            yield data, Reference(mean, mean + mean**2 / alpha)

    if not first.counts.size or not first.counts.any():
        return []
    return compare("first orders", statistics, first.counts.ravel().astype(float), replicates())
