"""Orders of accounts as they were known month by month: the numbers the bookings leg learns from, without PyMC.

The rule this module keeps: what stands beside a month (elapsed time, level, number of orders) was known before it.
"""

from dataclasses import dataclass

import numpy as np

from models.calendar import month_number
from models.panel import NONE, Bools, Floats, Ints, Panel

MAX_CYCLE = 12
"""Longest cycle in months; lengths run from 1, and 0 stands for ordering without a cycle."""

STATES = (
    "early",  # more than a month before it is due
    "month before due",
    "due",
    "month after due",
    "overdue",  # later than that, before the next due month
    "due, one cycle missed",
    "due, two cycles missed",
    "due, more cycles missed",
    "off phase",  # a whole cycle missed and not in a due month
    "lapsed",  # neither ordered for two years nor for three cycles
    "no cycle, ordered within 3 months",
    "no cycle, ordered within 12 months",
    "no cycle, longer ago",
)
"""Where an account stands in a month, in the order of the codes of `order_state`."""

EARLY, BEFORE_DUE, DUE, AFTER_DUE, OVERDUE, DUE_2, DUE_3, DUE_MORE, OFF_PHASE, LAPSED, RECENT, QUIET, SILENT = range(13)
FIRST_MISSED, LAST_MISSED = AFTER_DUE, OFF_PHASE
"""States of an account that has let a due month pass, all from the first to the last of these codes."""

LAPSED_MONTHS, RECENT_MONTHS, QUIET_MONTHS = 24, 3, 12


def order_state(cycle, elapsed):  # type: ignore[no-untyped-def]  # ints, arrays, and Numba's own types
    """Where an account stands in a month: index into `STATES`. Integer arithmetic only, so that Numba can compile it.

    Parameters
    ----------
    cycle : int or integer array, 0 to `MAX_CYCLE`: months between orders, 0 for an account without a cycle
    elapsed : int or integer array, months since the last order counted at the month in question, 1 or more

    Examples
    --------
    >>> [STATES[order_state(3, elapsed)] for elapsed in (1, 3, 6, 7)]
    ['early', 'due', 'due, one cycle missed', 'off phase']
    """
    lapsed = (elapsed > LAPSED_MONTHS) * (elapsed > 3 * cycle)
    length = cycle + (cycle == 0)
    due = (elapsed % length) == 0
    cycles = elapsed // length
    in_phase = due * (DUE * (cycles == 1) + DUE_2 * (cycles == 2) + DUE_3 * (cycles == 3) + DUE_MORE * (cycles > 3))
    past_due = AFTER_DUE * (elapsed == cycle + 1) + OVERDUE * (elapsed > cycle + 1) * (elapsed < 2 * cycle)
    between = (1 - due) * (BEFORE_DUE * (elapsed == cycle - 1) + past_due + OFF_PHASE * (elapsed > 2 * cycle))
    aperiodic = (
        RECENT * (elapsed <= RECENT_MONTHS)
        + QUIET * (elapsed > RECENT_MONTHS) * (elapsed <= QUIET_MONTHS)
        + SILENT * (elapsed > QUIET_MONTHS)
    )
    regular = (1 - lapsed) * (in_phase + between) + LAPSED * lapsed
    return (cycle > 0) * regular + (cycle == 0) * aperiodic


@dataclass(frozen=True)
class OrderHistory:
    """Order months of accounts, sorted by account and month.

    Attributes
    ----------
    account, month : [order] index into the panel's accounts, months since 1970-01
    log_amount : [order] log of the month's net amount
    number : [order] 1 for the first order of an account, then 2, 3, ...
    level, weight : [order] decayed mean of the log amounts of the account's earlier orders and the weight behind it,
        as known before the order; 0 at a first order
    decay : share of the weight that older orders lose at each order
    first_month, last_month : first month of the export and last month observed to its end
    as_of_month : month of the as-of date, which may be an incomplete one
    """

    account: Ints
    month: Ints
    log_amount: Floats
    number: Ints
    level: Floats
    weight: Floats
    decay: float
    first_month: int
    last_month: int
    as_of_month: int

    def __len__(self) -> int:
        return len(self.account)


@dataclass(frozen=True)
class AccountMonths:
    """Every complete month in which an account that had ordered before might have ordered again; all [row].

    Attributes
    ----------
    account, month : index into the panel's accounts, months since 1970-01
    elapsed : months since the last order before this month, 1 or more
    ordered : whether it ordered
    level : decayed mean of its log amounts as known before the month
    """

    account: Ints
    month: Ints
    elapsed: Ints
    ordered: Bools
    level: Floats

    def __len__(self) -> int:
        return len(self.account)


def order_history(panel: Panel, decays: tuple[float, ...]) -> OrderHistory:
    """Order months of all accounts, with running levels by the one of ``decays`` that predicts the next order best.

    An order month is a month with a positive net amount. A month with a negative one is returned goods: it is taken
    off the account's latest earlier order, which disappears when nothing is left of it.

    Raises
    ------
    ValueError
        When no account has an order.
    """
    account, month, amount = _net_orders(panel)
    if not len(account):
        raise ValueError("no order belongs to an account: the bookings leg needs the account of each booking")
    log_amount = np.log(amount)
    number = np.arange(len(account)) - np.searchsorted(account, account) + 1
    levels = {decay: running_level(number, log_amount, decay) for decay in decays}
    again = number > 1
    errors = {decay: float(np.abs(log_amount - level)[again].sum()) for decay, (level, _) in levels.items()}
    decay = min(errors, key=lambda key: errors[key])
    return OrderHistory(
        account=account,
        month=month,
        log_amount=log_amount,
        number=number,
        level=levels[decay][0],
        weight=levels[decay][1],
        decay=decay,
        first_month=panel.orders.first_month,
        last_month=last_complete_month(panel.as_of),
        as_of_month=int(month_number(np.array([panel.as_of], dtype="datetime64[D]"))[0]),
    )


def last_complete_month(as_of: np.datetime64) -> int:
    """Last month, counted since 1970-01, whose every day is at or before ``as_of``."""
    return int(month_number(np.array([as_of + np.timedelta64(1, "D")], dtype="datetime64[D]"))[0]) - 1


def running_level(number: Ints, log_amount: Floats, decay: float) -> tuple[Floats, Floats]:
    """Exponentially decayed mean of an account's earlier log amounts before each of its orders, and its weight.

    Parameters
    ----------
    number : [order] 1 for the first order of an account, 2 for its second, ...; accounts one after another
    log_amount : [order]
    decay : share of the weight that older orders lose at each order, 0 (plain mean) to 1 (only the last order counts)
    """
    level, weight = np.zeros(len(number)), np.zeros(len(number))
    for n in range(2, int(number.max(initial=0)) + 1):  # all accounts at once, order by order
        rows = np.flatnonzero(number == n)
        level[rows], weight[rows] = next_level(level[rows - 1], weight[rows - 1], log_amount[rows - 1], decay)
    return level, weight


def next_level(level: Floats, weight: Floats, log_amount: Floats, decay: float) -> tuple[Floats, Floats]:
    """Level and weight after an order of ``log_amount``."""
    heavier = 1 + (1 - decay) * weight
    return level + (log_amount - level) / heavier, heavier


@dataclass(frozen=True)
class LatestState:
    """What is known of every account at the as-of date; all [account], see `models.draws.OrderDraws`."""

    elapsed: Ints
    orders: Ints
    level: Floats
    weight: Floats


def latest_state(history: OrderHistory, accounts: int) -> LatestState:
    """Elapsed months (-1 never ordered), number of orders, level and weight of every account at the as-of date."""
    elapsed, orders = np.full(accounts, -1), np.zeros(accounts, dtype=np.int64)
    level, weight = np.zeros(accounts), np.zeros(accounts)
    last = np.flatnonzero(np.append(history.account[1:] != history.account[:-1], True))
    who = history.account[last]
    elapsed[who] = history.as_of_month - history.month[last]
    orders[who] = history.number[last]
    level[who], weight[who] = next_level(
        history.level[last], history.weight[last], history.log_amount[last], history.decay
    )
    return LatestState(elapsed=elapsed, orders=orders, level=level, weight=weight)


def account_months(history: OrderHistory) -> AccountMonths:
    """Months at risk: from the month after an account's first order to the last complete month."""
    after_level, _ = next_level(history.level, history.weight, history.log_amount, history.decay)
    last_of_account = np.append(history.account[1:] != history.account[:-1], True)
    next_month = np.where(last_of_account, history.last_month, np.append(history.month[1:], 0))
    until = np.minimum(next_month, history.last_month)  # the stretch of months that ends with the next order, or not
    length = np.maximum(until - history.month, 0)
    order = np.repeat(np.arange(len(history)), length)
    elapsed = np.arange(len(order)) - np.repeat(np.cumsum(length) - length, length) + 1
    month = history.month[order] + elapsed
    ordered = ~last_of_account[order] & (month == next_month[order])
    return AccountMonths(
        account=history.account[order], month=month, elapsed=elapsed, ordered=ordered, level=after_level[order]
    )


def usual_gap(history: OrderHistory) -> int:
    """Months within which 19 of 20 repeated orders follow their predecessor, at most `MAX_CYCLE`.

    An account's first order this soon after the beginning of an export is truncated history, not a new customer.
    """
    again = np.flatnonzero(history.number > 1)
    if not len(again):
        return MAX_CYCLE
    gaps = history.month[again] - history.month[again - 1]
    return min(int(np.quantile(gaps, 0.95, method="higher")), MAX_CYCLE)


def _net_orders(panel: Panel) -> tuple[Ints, Ints, Floats]:
    """Account, month and net amount of every order month, sorted, with returns taken off earlier orders."""
    orders = panel.orders
    known = orders.account != NONE
    pairs = np.stack([orders.account[known], orders.month[known]], axis=1)
    keys, place = np.unique(pairs, axis=0, return_inverse=True)
    amount = np.bincount(place.ravel(), weights=orders.amount[known], minlength=len(keys))
    for row in np.flatnonzero(amount < 0):
        earlier = row - 1
        while earlier >= 0 and keys[earlier, 0] == keys[row, 0] and amount[earlier] <= 0:
            earlier -= 1
        if earlier >= 0 and keys[earlier, 0] == keys[row, 0]:
            amount[earlier] += amount[row]
    kept = amount > 0
    return keys[kept, 0], keys[kept, 1], amount[kept]
