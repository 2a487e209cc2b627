"""First orders of accounts not known yet: counts per territory and month, and the amounts they may have."""

from dataclasses import dataclass

import numpy as np

from models.calendar import MONTHS_PER_YEAR, month_of_year
from models.order_history import OrderHistory, usual_gap
from models.panel import NONE, Floats, Ints, Panel

FEWEST_MONTHS = 3
"""Months of first orders kept even where the export's first cycle would swallow them."""

FEWEST_AMOUNTS = 30
"""Below this many first orders the truncated ones of the export's first cycle also say how large a first order is."""


@dataclass(frozen=True)
class FirstOrders:
    """What is seen of new customers after the export's first cycle.

    Attributes
    ----------
    counts : [territory, month] first orders
    months : [month] months since 1970-01, consecutive, complete
    unplaced : factor by which the counts miss first orders of accounts without a territory, 1 or more
    amounts, month : [order] money, months since 1970-01
    territory : [order] index into the panel's territories, NONE unknown
    """

    counts: Ints
    months: Ints
    unplaced: float
    amounts: Floats
    month: Ints
    territory: Ints


def first_orders(panel: Panel, history: OrderHistory) -> FirstOrders:
    """First orders of every territory and month since customers could be told from truncated history."""
    first = np.flatnonzero(history.number == 1)
    territory = account_territory(panel)[history.account[first]]
    month = history.month[first]
    start = min(history.first_month + usual_gap(history), history.last_month - FEWEST_MONTHS + 1)
    start = max(start, history.first_month)
    months = np.arange(start, max(history.last_month + 1, start))
    seen = (month >= start) & (month <= history.last_month)
    counts = np.zeros((len(panel.territories), len(months)), dtype=np.int64)
    placed = seen & (territory != NONE)
    np.add.at(counts, (territory[placed], month[placed] - start), 1)
    of_amounts = seen if seen.sum() >= FEWEST_AMOUNTS else np.ones_like(seen)
    return FirstOrders(
        counts=counts,
        months=months,
        unplaced=float(seen.sum() / placed.sum()) if placed.any() else 1.0,
        amounts=np.exp(history.log_amount[first][of_amounts]),
        month=month[of_amounts],
        territory=territory[of_amounts],
    )


def account_territory(panel: Panel) -> Ints:
    """Territory of every account: its own, else (where no account has one) the home of the rep who booked it last."""
    accounts = np.arange(len(panel.accounts.labels))
    rep = np.full(len(accounts), NONE)
    known = np.flatnonzero(panel.orders.account != NONE)
    known = known[np.argsort(panel.orders.month[known], kind="stable")]
    rep[panel.orders.account[known]] = panel.orders.rep[known]
    return panel.cell_territory(accounts, rep)


def draw_first_amounts(
    first: FirstOrders, draws: int, size: int, territories: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Pools of amounts [draw, size], and log effects of territories [draw, territory] and of seasons [draw, 12].

    The pool of a draw is a sample with replacement under random weights, so that a new amount drawn from it has the
    uncertainty of few data; no shape of the distribution is assumed, since first orders are often of two kinds, trials
    and full assortments. It holds amounts as they would be in an average season and territory.

    References
    ----------
    Rubin (1981), The Bayesian bootstrap, doi:10.1214/aos/1176345338.
    """
    n, log_amount = len(first.amounts), np.log(first.amounts)
    expected, season = _group_effects(log_amount, month_of_year(first.month), MONTHS_PER_YEAR, draws, rng)
    log_amount = log_amount - expected[month_of_year(first.month)]
    expected, territory = _group_effects(log_amount, first.territory, territories, draws, rng)
    amounts = np.exp(log_amount - np.append(expected, 0.0)[first.territory])
    pool = np.empty((draws, size))
    for draw in range(draws):
        pool[draw] = amounts[rng.choice(n, size=size, p=rng.dirichlet(np.ones(n)))]
    return pool, territory, season


def _group_effects(
    log_amount: Floats, group: Ints, size: int, draws: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Log effects of groups: expected [group] and drawn [draw, group]; those without data get the prior.

    The posterior of normal means around their common one, whose spread is estimated (empirical Bayes). ``group`` is an
    index, NONE unknown.
    """
    known = group != NONE
    number = np.bincount(group[known], minlength=size)
    total = np.bincount(group[known], weights=log_amount[known] - log_amount.mean(), minlength=size)
    mean = total / np.maximum(number, 1)
    noise = float(log_amount.var()) + 1e-12
    several = number > 1
    between = float(np.var(mean[several]) - np.mean(noise / number[several])) if several.sum() > 2 else 0.0
    between = max(between, 0.0)
    gain = between / (between + noise / np.maximum(number, 1)) * (number > 0)
    drawn = gain * mean + np.sqrt(between * (1 - gain)) * rng.standard_normal((draws, size))
    return gain * mean, drawn
