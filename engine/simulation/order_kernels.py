"""Orders of known accounts and of customers to come, compiled."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from engine.simulation.clock import Clock
from engine.simulation.ledger import Ledger, book_order
from engine.simulation.streams import (
    FIRST_ORDERS,
    NEW_CUSTOMERS,
    ORDER_AMOUNTS,
    ORDER_MARKET,
    ORDERS,
    Stream,
    negative_binomial,
    normal,
    pick,
    start,
    uniform,
)
from engine.simulation.world import FirstOrders, OrderBook, Span
from models.calendar import MONTHS_PER_YEAR
from models.order_history import FIRST_MISSED, LAST_MISSED
from models.panel import Floats, Ints


class OrderTerms(NamedTuple):
    """Numbers of one posterior draw: see `OrderBook`."""

    base: float
    odd_mean: float
    odd_sd: float
    decay: float
    cap: float


@njit(cache=True, error_model="numpy")
def order_terms(book: OrderBook, draw: int) -> OrderTerms:
    """Gather the numbers of one posterior draw."""
    return OrderTerms(book.base[draw], book.odd[draw, 0], book.odd[draw, 1], book.decay, book.cap)


@njit(cache=True, error_model="numpy")
def order_shocks(book: OrderBook, first_scale: float, months: int, draw: int, span: Span, block: int) -> Floats:
    """What all accounts share in a month of a path, for the paths of a block.

    Returns
    -------
    [path, month, 3] factor of the odds against ordering, shift of log amounts, factor of the number of first orders
    """
    state, shocks = np.empty(4, np.uint64), np.empty((span.size, months, 3))
    for path in range(span.size):
        start(state, span.seed, ORDER_MARKET, np.uint64(block * span.size + path), np.uint64(0))
        for month in range(months):
            shocks[path, month, 0] = math.exp(-book.shock_scale[draw] * normal(state))
            shocks[path, month, 1] = book.amount_shock_scale[draw] * normal(state)
            shocks[path, month, 2] = math.exp(first_scale * normal(state))
    return shocks


@njit(cache=True, error_model="numpy")
def grade_of(edges: Floats, level: float) -> int:
    """Number of grade edges at or below the level."""
    grade = 0
    while grade < len(edges) and level >= edges[grade]:
        grade += 1
    return grade


@njit(cache=True, error_model="numpy")
def order_log_amount(
    terms: OrderTerms,
    ages: Floats,
    grades: Floats,
    grade: int,
    orders: int,
    level: float,
    group: float,
    shift: float,
    state: Stream,
) -> float:
    """Draw the log of an order's amount. ``ages`` and ``grades`` are those of one draw, ``shift`` that of the month."""
    age = min(orders, len(ages)) - 1
    odd, noise = uniform(state) < grades[grade, 2], normal(state)
    if odd:
        return min(terms.odd_mean + terms.odd_sd * noise, terms.cap)
    centre = ages[age, 0] * level + (1.0 - ages[age, 0]) * group + ages[age, 1] + grades[grade, 0] + shift
    return min(centre + grades[grade, 1] * noise, terms.cap)


@njit(cache=True, error_model="numpy")
def season_odds(season: float, shock: float, missed: Floats, state: int, due: int) -> float:
    """Factor of the odds against ordering: of the season it is, or of the due month that the account let pass.

    Parameters
    ----------
    season, shock : factors of the simulated month
    missed : [12] factors by month of the calendar year
    state : index into `models.order_history.STATES`
    due : first due month after the last order, since 1970-01
    """
    if FIRST_MISSED <= state <= LAST_MISSED:
        return missed[due % MONTHS_PER_YEAR]
    return season * shock


@njit(cache=True, error_model="numpy", nogil=True)
def known_orders(book: OrderBook, first_scales: Floats, clock: Clock, span: Span, draws: Ints, ledger: Ledger) -> None:
    """Run every known buyer through the months of every path of a chunk.

    Parameters
    ----------
    first_scales : [D] SD of the shocks to first orders, which come from the same streams
    draws : [block] posterior draw of every block of the run
    """
    members, places, levels, planning, sample = (
        ledger.members,
        ledger.places,
        ledger.levels,
        ledger.planning,
        ledger.sample,
    )
    keys, edges, months, shares = book.key, book.grade_edges, clock.months, clock.month_share
    state, other = np.empty(4, np.uint64), np.empty(4, np.uint64)
    for block in range(span.first, span.last):
        draw, offset, first = draws[block], (block - span.first) * span.size, block * span.size
        shocks, terms = order_shocks(book, first_scales[draw], len(months), draw, span, block), order_terms(book, draw)
        odds, season, missed, ages, grades, shifts = (
            book.state[draw],
            book.season[draw],
            book.missed[draw],
            book.ages[draw],
            book.grades[draw],
            book.amount_season[draw],
        )
        for number in range(len(keys)):
            entry, key, cycle = book.entry[draw, number], keys[number], book.cycle[draw, number]
            low, high = book.split_start[entry], book.split_start[entry + 1]
            cells, split, states, group = (
                book.split_cell[low:high],
                book.split_share[low:high],
                book.states[cycle],
                book.group[number],
            )
            for path in range(min(span.size, span.paths - first)):
                start(state, span.seed, ORDERS, np.uint64(first + path), key)
                elapsed, orders, level, weight = (
                    book.elapsed[number],
                    book.orders[number],
                    book.level[number],
                    book.weight[number],
                )
                for month in range(len(months)):
                    u = uniform(state)
                    if months[month] > clock.as_of_month:
                        elapsed += 1
                    elif elapsed == 0:
                        continue  # it has had its order of the month that is still running
                    grade = grade_of(edges, level)
                    where, due = states[elapsed], months[month] - elapsed + cycle
                    turn = season_odds(season[month, grade], shocks[path, month, 0], missed[:, grade], where, due)
                    against = terms.base * odds[where] * turn
                    chance = 1.0 / (1.0 + against)
                    if shares[month] < 1.0:
                        chance = 1.0 - (1.0 - chance) ** shares[month]
                    if u >= chance:
                        continue
                    start(other, span.seed, ORDER_AMOUNTS, np.uint64(first + path), key + np.uint64(months[month]))
                    shift = shifts[month] + shocks[path, month, 1]
                    log_amount = order_log_amount(terms, ages, grades, grade, orders, level, group, shift, other)
                    elapsed, orders, weight = 0, orders + 1, 1.0 + (1.0 - terms.decay) * weight
                    level += (log_amount - level) / weight
                    book_order(
                        members,
                        places,
                        levels,
                        planning,
                        sample,
                        offset + path,
                        cells,
                        split,
                        month,
                        math.exp(log_amount),
                    )


@njit(cache=True, error_model="numpy", nogil=True)
def first_orders(book: OrderBook, first: FirstOrders, clock: Clock, span: Span, draws: Ints, ledger: Ledger) -> None:
    """Bring in the new customers of a chunk, and run them to the end of the horizon as accounts like any other.

    ``draws`` [block] is the posterior draw of every block of the run.
    """
    members, places, levels, planning, sample = (
        ledger.members,
        ledger.places,
        ledger.levels,
        ledger.planning,
        ledger.sample,
    )
    state, months = np.empty(4, np.uint64), clock.months
    orders = np.empty((len(months), 2))
    for block in range(span.first, span.last):
        draw, offset = draws[block], (block - span.first) * span.size
        shocks = order_shocks(book, first.shock_scale[draw], len(months), draw, span, block)
        winners = first.rep_cumulative[draw]
        for territory in range(len(first.key)):
            low, high = first.rep_start[territory], first.rep_start[territory + 1]
            for month in range(len(months)):
                rate = first.rate[draw, territory] * first.season[draw, month] * clock.month_share[month]
                name = first.key[territory] + (np.uint64(months[month]) << np.uint64(20))
                for path in range(min(span.size, span.paths - block * span.size)):
                    place = np.uint64(block * span.size + path)
                    start(state, span.seed, FIRST_ORDERS, place, name)
                    count = negative_binomial(state, rate * shocks[path, month, 2], first.dispersion[draw])
                    for number in range(count):
                        start(state, span.seed, NEW_CUSTOMERS, place, name + np.uint64(number))
                        cells = first.cell[pick(winners, low, high, uniform(state))]
                        found = new_customer(book, first, draw, territory, month, months, shocks[path], orders, state)
                        for order in range(found):
                            when, amount = np.int64(orders[order, 0]), orders[order, 1]
                            book_order(
                                members,
                                places,
                                levels,
                                planning,
                                sample,
                                offset + path,
                                cells,
                                first.share,
                                when,
                                amount,
                            )


@njit(cache=True, error_model="numpy")
def new_customer(
    book: OrderBook,
    first: FirstOrders,
    draw: int,
    territory: int,
    born: int,
    months: Ints,
    shocks: Floats,
    orders: Floats,
    state: Stream,
) -> int:
    """One customer: the first order in month ``born``, and those that follow.

    Parameters
    ----------
    months : [month] since 1970-01
    shocks : [month, 3] see `order_shocks`
    orders : [month, 2] filled with month and amount of every order

    Returns
    -------
    number of orders
    """
    terms, ages, grades = order_terms(book, draw), book.ages[draw], book.grades[draw]
    odds, season, missed = book.state[draw], book.season[draw], book.missed[draw]
    cycle = pick(book.cycle_cumulative[draw], 0, book.cycle_cumulative.shape[1], uniform(state))
    amount = first.pool[draw, int(uniform(state) * first.pool.shape[1])]
    level = min(math.log(amount) + first.shift[draw, territory] + first.amount_season[draw, born], terms.cap)
    orders[0, 0], orders[0, 1] = born, math.exp(level)
    elapsed, count, weight = 0, 1, 1.0
    for month in range(born + 1, len(shocks)):
        elapsed += 1
        grade = grade_of(book.grade_edges, level)
        where, due = book.states[cycle, elapsed], months[month] - elapsed + cycle
        turn = season_odds(season[month, grade], shocks[month, 0], missed[:, grade], where, due)
        against = terms.base * odds[where] * turn
        if uniform(state) >= 1.0 / (1.0 + against):
            continue
        shift = book.amount_season[draw, month] + shocks[month, 1]
        log_amount = order_log_amount(terms, ages, grades, grade, count, level, first.group[territory], shift, state)
        orders[count, 0], orders[count, 1] = month, math.exp(log_amount)
        elapsed, count, weight = 0, count + 1, 1.0 + (1.0 - terms.decay) * weight
        level += (log_amount - level) / weight
    return count
