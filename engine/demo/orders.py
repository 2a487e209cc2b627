"""Orders of the demo company that come without a deal: repeat customers on their own cycles."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from engine.demo.accounts import Accounts
from engine.demo.clock import MONTHS, pick_day, working_days
from engine.demo.truth import OrderTruth
from engine.demo.world import PRODUCT_IDS
from models.calendar import WEEKS_PER_MONTH, month_of_year
from models.panel import NONE, Bools, Floats, Ints

TWO_PRODUCTS = 0.35
"""Share of orders with a second product, which takes a fifth to a half of the amount."""


@dataclass(frozen=True)
class OrderLines:
    """Booked orders without a deal, sorted by day and account.

    Attributes
    ----------
    account, rep, product : [line] indices; the rep owned the account in that month
    day : [line] days since 1970-01-01
    amount : [line] money
    """

    account: Ints
    rep: Ints
    product: Ints
    day: Ints
    amount: Floats


def make_order_lines(rng: np.random.Generator, accounts: Accounts, truth: OrderTruth) -> OrderLines:
    """Who orders in which month, how much, and of which products."""
    ordered = _order_months(rng, accounts, truth)
    amount = _order_amounts(rng, accounts, truth)
    account, month = np.nonzero(ordered)
    day = np.empty(len(account), dtype=np.int64)
    weeks = working_days()
    for number in range(len(MONTHS)):
        days = np.concatenate(weeks[number * WEEKS_PER_MONTH : (number + 1) * WEEKS_PER_MONTH])
        here = month == number
        day[here] = pick_day(days, np.zeros(int(here.sum()), dtype=np.int64), rng.random(int(here.sum())))
    first, second = rng.integers(0, len(PRODUCT_IDS), (2, len(accounts)))
    second = np.where(second == first, (first + 1) % len(PRODUCT_IDS), second)
    split = np.where(rng.random(len(account)) < TWO_PRODUCTS, rng.uniform(0.2, 0.5, len(account)), 0.0)
    both = np.flatnonzero(split > 0)
    row = np.concatenate([np.arange(len(account)), both])
    product = np.concatenate([first[account], second[account[both]]])
    share = np.concatenate([1.0 - split, split[both]])
    order = np.lexsort((product, account[row], day[row]))
    row, product, share = row[order], product[order], share[order]
    return OrderLines(
        account=account[row],
        rep=accounts.owner[account[row], month[row]],
        product=product,
        day=day[row],
        amount=np.round(amount[account, month][row] * share, 2),
    )


def _order_months(rng: np.random.Generator, accounts: Accounts, truth: OrderTruth) -> Bools:
    """[account, month] whether the account orders: on its cycle with the truth's chance, else perhaps a month late."""
    customer = (truth.cycle > 0)[:, None]
    living = customer & (truth.phase[:, None] <= MONTHS) & (truth.lapsed[:, None] > MONTHS)
    since = MONTHS - truth.phase[:, None]
    due = living & (since % np.maximum(truth.cycle, 1)[:, None] == 0)
    logits = truth.base + truth.season[month_of_year(MONTHS)] + truth.account[:, None] + truth.shocks
    first = (accounts.first_order != NONE)[:, None] & (since == 0)
    ordered = due & ((rng.random(due.shape) < expit(logits)) | first)
    missed = np.zeros_like(due)
    missed[:, 1:] = (due & ~ordered)[:, :-1]
    return ordered | (missed & living & ~due & (rng.random(due.shape) < truth.late))


def _order_amounts(rng: np.random.Generator, accounts: Accounts, truth: OrderTruth) -> Floats:
    """[account, month] what an order would amount to, money; NaN for accounts that never order."""
    first = accounts.first_order[:, None] == np.arange(len(MONTHS))
    noise = truth.amount_scale * rng.standard_t(truth.amount_dof, truth.level.shape)
    season = truth.amount_season[month_of_year(MONTHS)]
    return np.exp(truth.level + truth.first_amount * first + season + truth.amount_shocks + noise)
