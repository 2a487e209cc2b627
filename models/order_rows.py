"""Rows of the bookings leg's models: counts of orders by state, repeated orders, product mix."""

from dataclasses import dataclass

import numpy as np

from models.calendar import MONTHS_PER_YEAR, month_of_year
from models.order_cycles import Cycles
from models.order_history import (
    FIRST_MISSED,
    LAST_MISSED,
    STATES,
    AccountMonths,
    OrderHistory,
    order_state,
    usual_gap,
)
from models.panel import NONE, Floats, Ints, Panel
from models.settings import OrderSettings

SMALLEST_WEIGHT = 1e-4
"""Account-months of a cycle length less likely than this are left out of the counts."""


@dataclass(frozen=True)
class OrderCells:
    """Account-months with equal covariates, summed; all [cell].

    Attributes
    ----------
    state, month, grade : index into `STATES`, months since 1970-01, grade of the account's level
    missed : month of the calendar year that the account let pass, where the state says so, else NONE
    trials, orders : expected number (over the cycle lengths) of account-months and of orders among them
    """

    state: Ints
    month: Ints
    grade: Ints
    missed: Ints
    trials: Floats
    orders: Floats

    def __len__(self) -> int:
        return len(self.month)


@dataclass(frozen=True)
class AmountRows:
    """Repeated orders; all [row]. ``age``: index of the age class before the order, from 0."""

    log_amount: Floats
    level: Floats
    group: Floats
    age: Ints
    grade: Ints
    month: Ints

    def __len__(self) -> int:
        return len(self.month)


def grade_edges(history: OrderHistory, settings: OrderSettings) -> Floats:
    """Inner edges [grade - 1] of the grades: quantiles of levels before orders, fewer where orders are few."""
    level = history.level[history.number > 1]
    grades = max(1, min(settings.grades, len(level) // settings.orders_per_grade))
    return np.unique(np.quantile(level, np.arange(1, grades) / grades)) if grades > 1 else np.zeros(0)


def order_cells(months: AccountMonths, cycles: Cycles, edges: Floats) -> OrderCells:
    """Sum account-months over states, months, grades and seasons missed, each cycle length weighted by its chance."""
    grade = np.searchsorted(edges, months.level, side="right")
    grades = len(edges) + 1
    start, count = span(months.month)
    seasons = MONTHS_PER_YEAR + 1  # the last one stands for NONE
    size = count * len(STATES) * grades * seasons
    trials, orders = np.zeros(size), np.zeros(size)
    for length in range(cycles.posterior.shape[1]):
        weight = cycles.posterior[months.account, length]
        state = order_state(np.full(len(months), length), months.elapsed)
        late = (state >= FIRST_MISSED) & (state <= LAST_MISSED)
        missed = np.where(late, month_of_year(months.month - months.elapsed + length), MONTHS_PER_YEAR)
        place = (((months.month - start) * len(STATES) + state) * grades + grade) * seasons + missed
        trials += np.bincount(place, weights=weight, minlength=size)
        orders += np.bincount(place, weights=weight * months.ordered, minlength=size)
    kept = np.flatnonzero(trials > SMALLEST_WEIGHT)
    cell = kept // seasons
    return OrderCells(
        state=cell // grades % len(STATES),
        month=cell // grades // len(STATES) + start,
        grade=cell % grades,
        missed=np.where(kept % seasons < MONTHS_PER_YEAR, kept % seasons, NONE),
        trials=trials[kept],
        orders=orders[kept],
    )


def group_level(panel: Panel, history: OrderHistory, accounts_worth: float = 5.0) -> Floats:
    """Log amount typical of every account's segment [account], shrunk to the company's by a handful of orders."""
    accounts = len(panel.accounts.labels)
    segment = panel.accounts.segment + 1  # the unknown segment is a group of its own
    overall = history.log_amount.mean()
    of_order = segment[history.account]
    number = np.bincount(of_order, minlength=int(segment.max(initial=0)) + 1)
    total = np.bincount(of_order, weights=history.log_amount, minlength=len(number))
    typical = (total + accounts_worth * overall) / (number + accounts_worth)
    return typical[segment] if accounts else np.zeros(0)


def amount_rows(history: OrderHistory, group: Floats, edges: Floats, settings: OrderSettings) -> AmountRows:
    """Repeated orders as regression rows, the latest ``settings.max_orders`` of them.

    The second order seen of an account whose history is cut off where the export begins is left out: the one before it
    was not its first, and may not have been seen whole.
    """
    again = np.flatnonzero(history.number > 1)
    cut_off = (history.number[again] == 2) & (history.month[again - 1] < history.first_month + usual_gap(history))
    again = again[~cut_off] if not cut_off.all() else again
    again = np.sort(again[np.argsort(-history.month[again], kind="stable")][: settings.max_orders])
    return AmountRows(
        log_amount=history.log_amount[again],
        level=history.level[again],
        group=group[history.account[again]],
        age=np.minimum(history.number[again] - 1, settings.age_classes) - 1,
        grade=np.searchsorted(edges, history.level[again], side="right"),
        month=history.month[again],
    )


def product_split(panel: Panel, history: OrderHistory, recent_months: int) -> tuple[Ints, Ints, Floats]:
    """Account, product and expected share [split]: the account's recent mix, the company's for NONE and the silent.

    Returned goods do not count, so shares are between zero and one.
    """
    orders = panel.orders
    recent = (orders.month > history.as_of_month - recent_months) & (orders.amount > 0) & (orders.account != NONE)
    if not recent.any():
        recent = (orders.amount > 0) & (orders.account != NONE)
    keys, place = np.unique(np.stack([orders.account[recent], orders.product[recent]]), axis=1, return_inverse=True)
    money = np.bincount(place.ravel(), weights=orders.amount[recent])
    products, at = np.unique(keys[1], return_inverse=True)
    company = np.bincount(at.ravel(), weights=money)
    silent = np.setdiff1d(np.append(history.account, NONE), keys[0])
    account = np.concatenate([keys[0], np.repeat(silent, len(products))])
    product = np.concatenate([keys[1], np.tile(products, len(silent))])
    money = np.concatenate([money, np.tile(company, len(silent))])
    order = np.lexsort((product, account))
    account, product, money = account[order], product[order], money[order]
    total = np.bincount(account - NONE, weights=money)
    return account, product, money / total[account - NONE]


def span(month: Ints) -> tuple[int, int]:
    """First month and number of months from the first to the last; one month where there is none."""
    return (int(month.min()), int(np.ptp(month)) + 1) if len(month) else (0, 1)
