"""Orders of known accounts and of customers to come, compiled."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from engine.simulation.clock import Clock
from engine.simulation.ledger import NEW_REVENUE, Ledger, book_total
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
from models.panel import Floats, Ints


class Buyer(NamedTuple):
    """What is known of one account at a month: see `models.draws.OrderDraws`."""

    cycle: int
    group: float
    elapsed: int
    orders: int
    level: float
    weight: float


class Site(NamedTuple):
    """Where an account's orders are entered: members as in `CellMap`, and cell, product and share of every split."""

    account: int
    rep: int
    territory: int
    cell: Ints
    product: Ints
    share: Floats


@njit(error_model="numpy")
def order_shocks(book: OrderBook, first_scale: float, draw: int, state: Stream, shocks: Floats) -> None:
    """Fill ``shocks`` [month, 3] of one path: factor of ordering ``exp(-shock)``, shift of log amounts, factor of first orders."""
    for month in range(len(shocks)):
        shocks[month, 0] = math.exp(-book.shock_scale[draw] * normal(state))
        shocks[month, 1] = book.amount_shock_scale[draw] * normal(state)
        shocks[month, 2] = math.exp(first_scale * normal(state))


@njit(error_model="numpy")
def block_shocks(book: OrderBook, first_scale: float, clock: Clock, draw: int, span: Span, block: int) -> Floats:
    """`order_shocks` of every path of a block; [path, month, 3]."""
    state, shocks = np.empty(4, np.uint64), np.empty((span.size, len(clock.months), 3))
    for path in range(span.size):
        start(state, span.seed, ORDER_MARKET, np.uint64(block * span.size + path), np.uint64(0))
        order_shocks(book, first_scale, draw, state, shocks[path])
    return shocks


@njit(error_model="numpy", inline="always")
def grade_of(edges: Floats, level: float) -> int:
    """Number of grades at or below the level."""
    grade = 0
    for edge in edges:
        grade += level >= edge
    return grade


@njit(error_model="numpy", inline="always")
def order_chance(book: OrderBook, draw: int, month: int, buyer: Buyer, shock: float) -> float:
    """Chance that an account orders in a month."""
    state = book.states[buyer.cycle, buyer.elapsed]
    grade = grade_of(book.grade_edges, buyer.level)
    return 1.0 / (1.0 + book.base[draw] * book.state[draw, state] * book.season[draw, month, grade] * shock)


@njit(error_model="numpy", inline="always")
def order_log_amount(book: OrderBook, draw: int, month: int, buyer: Buyer, shock: float, state: Stream) -> float:
    """Draw the log of an order's amount."""
    grade, age = grade_of(book.grade_edges, buyer.level), min(buyer.orders, book.carry.shape[1]) - 1
    odd, noise = uniform(state) < book.odd_chance[draw, grade], normal(state)
    if odd:
        return min(book.odd_mean[draw] + book.odd_sd[draw] * noise, book.cap)
    carry = book.carry[draw, age]
    centre = carry * buyer.level + (1.0 - carry) * buyer.group
    centre += book.amount_age[draw, age] + book.amount_grade[draw, grade] + book.amount_season[draw, month] + shock
    return min(centre + book.amount_scale[draw, grade] * noise, book.cap)


@njit(error_model="numpy", inline="always")
def after_order(decay: float, buyer: Buyer, log_amount: float) -> Buyer:
    """The account in the month of its order."""
    weight = 1.0 + (1.0 - decay) * buyer.weight
    return Buyer(buyer.cycle, buyer.group, 0, buyer.orders + 1, buyer.level + (log_amount - buyer.level) / weight, weight)


@njit(error_model="numpy", inline="always")
def later(buyer: Buyer) -> Buyer:
    """The account one month on."""
    return Buyer(buyer.cycle, buyer.group, buyer.elapsed + 1, buyer.orders, buyer.level, buyer.weight)


@njit(error_model="numpy", inline="always")
def book_order(ledger: Ledger, path: int, month: int, amount: float, site: Site) -> None:
    """Enter an order, split over its products."""
    book_total(ledger, path, site.account, site.rep, site.territory, month, amount, NEW_REVENUE)
    slot = ledger.slot[month]
    if slot < 0:
        return
    for split in range(len(site.product)):
        ledger.product[path, site.product[split], slot, NEW_REVENUE] += amount * site.share[split]
    if path < len(ledger.sample):
        for split in range(len(site.product)):
            ledger.sample[path, site.cell[split], slot] += amount * site.share[split]


@njit(error_model="numpy", nogil=True)
def known_orders(book: OrderBook, first_scales: Floats, clock: Clock, span: Span, draws: Ints, ledger: Ledger) -> None:
    """Run every known buyer through the months of every path of a chunk.

    Parameters
    ----------
    first_scales : [D] SD of the shocks to first orders, which come from the same streams
    draws : [block] posterior draw of every block of the run
    """
    state, other = np.empty(4, np.uint64), np.empty(4, np.uint64)
    for block in range(span.first, span.last):
        draw, offset = draws[block], (block - span.first) * span.size
        shocks = block_shocks(book, first_scales[draw], clock, draw, span, block)
        for number in range(len(book.account)):
            key, low, high = book.key[number], book.split_start[number], book.split_start[number + 1]
            site = Site(
                book.account[number],
                book.rep[number],
                book.territory[number],
                book.split_cell[low:high],
                book.split_product[low:high],
                book.split_share[low:high],
            )
            for path in range(min(span.size, span.paths - block * span.size)):
                place = np.uint64(block * span.size + path)
                start(state, span.seed, ORDERS, place, key)
                buyer = Buyer(
                    book.cycle[draw, number],
                    book.group[number],
                    book.elapsed[number],
                    book.orders[number],
                    book.level[number],
                    book.weight[number],
                )
                for month in range(len(clock.months)):
                    u, share = uniform(state), clock.month_share[month]
                    if clock.months[month] > clock.as_of_month:
                        buyer = later(buyer)
                    elif buyer.elapsed == 0:
                        continue  # it has had its order of the month that is still running
                    chance = order_chance(book, draw, month, buyer, shocks[path, month, 0])
                    if share < 1.0:
                        chance = 1.0 - (1.0 - chance) ** share
                    if u < chance:
                        start(other, span.seed, ORDER_AMOUNTS, place, key + np.uint64(clock.months[month]))
                        log_amount = order_log_amount(book, draw, month, buyer, shocks[path, month, 1], other)
                        buyer = after_order(book.decay, buyer, log_amount)
                        book_order(ledger, offset + path, month, math.exp(log_amount), site)


@njit(error_model="numpy", nogil=True)
def first_orders(
    book: OrderBook, first: FirstOrders, territories: Ints, clock: Clock, span: Span, draws: Ints, ledger: Ledger
) -> None:
    """Bring in the new customers of a chunk, and run them to the end of the horizon as accounts like any other.

    Parameters
    ----------
    territories : [cell] territory as in `CellMap`
    draws : [block] posterior draw of every block of the run
    """
    state, nobody = np.empty(4, np.uint64), ledger.account.shape[1] - 1
    for block in range(span.first, span.last):
        draw, offset = draws[block], (block - span.first) * span.size
        shocks = block_shocks(book, first.shock_scale[draw], clock, draw, span, block)
        for territory in range(len(first.key)):
            low, high = first.rep_start[territory], first.rep_start[territory + 1]
            for month in range(len(clock.months)):
                rate = first.rate[draw, territory] * first.season[draw, month] * clock.month_share[month]
                name = first.key[territory] + (np.uint64(clock.months[month]) << np.uint64(20))
                for path in range(min(span.size, span.paths - block * span.size)):
                    place = np.uint64(block * span.size + path)
                    start(state, span.seed, FIRST_ORDERS, place, name)
                    count = negative_binomial(state, rate * shocks[path, month, 2], first.dispersion[draw])
                    for number in range(count):
                        start(state, span.seed, NEW_CUSTOMERS, place, name + np.uint64(number))
                        entry = pick(first.rep_cumulative, low, high, uniform(state))
                        cells = first.cell[entry]
                        site = Site(nobody, first.rep[entry], territories[cells[0]], cells, first.product, first.share)
                        new_customer(book, first, draw, territory, month, shocks[path], site, ledger, offset + path, state)


@njit(error_model="numpy")
def new_customer(
    book: OrderBook,
    first: FirstOrders,
    draw: int,
    territory: int,
    born: int,
    shocks: Floats,
    site: Site,
    ledger: Ledger,
    path: int,
    state: Stream,
) -> None:
    """One customer: the first order in month ``born``, and those that follow."""
    cycle = pick(book.cycle_cumulative[draw], 0, book.cycle_cumulative.shape[1], uniform(state))
    amount = first.pool[draw, int(uniform(state) * first.pool.shape[1])]
    log_amount = min(math.log(amount) + first.shift[draw, territory], book.cap)
    book_order(ledger, path, born, math.exp(log_amount), site)
    buyer = Buyer(cycle, first.group[territory], 0, 1, log_amount, 1.0)
    for month in range(born + 1, len(shocks)):
        buyer = later(buyer)
        if uniform(state) < order_chance(book, draw, month, buyer, shocks[month, 0]):
            log_amount = order_log_amount(book, draw, month, buyer, shocks[month, 1], state)
            buyer = after_order(book.decay, buyer, log_amount)
            book_order(ledger, path, month, math.exp(log_amount), site)
