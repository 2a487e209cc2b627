"""Deals not created yet, compiled: arrivals, and every new deal week by week."""

import math

import numpy as np
from numba import njit

from engine.simulation.amount_kernels import drawn_list_log, log_multiple, won_amount
from engine.simulation.clock import Clock
from engine.simulation.kernels import block_hazards, month_shocks
from engine.simulation.ledger import NEW_REVENUE, Ledger, book_deal
from engine.simulation.streams import ARRIVALS, MARKET, NEW_DEALS, Stream, negative_binomial, normal, pick, start, uniform
from engine.simulation.world import Amounts, Arrivals, Hazards, Odds, Span
from models.panel import NONE, Floats, Ints


@njit(cache=True, error_model="numpy")
def seller_rate(arrivals: Arrivals, draw: int, seller: int, month: int) -> float:
    """Expected new deals of a seller in a month under one posterior draw, the market's factor left out."""
    ramp = 1.0 - math.exp(-arrivals.tenure[seller, month] / arrivals.ramp_months[draw])
    return math.exp(arrivals.log_rate[draw, seller] + arrivals.season[draw, month]) * arrivals.exposure[seller, month] * ramp


@njit(cache=True, error_model="numpy")
def market(arrivals: Arrivals, draw: int, state: Stream, factors: Floats) -> None:
    """Fill the factors [month] that all sellers share on one path: the walk of the level, and a shock of each month."""
    level, step = 0.0, 0
    for month in range(len(factors)):
        while step < arrivals.steps[month]:
            level += arrivals.level_scale[draw] * normal(state)
            step += 1
        factors[month] = math.exp(level + arrivals.shock_scale[draw] * normal(state))


@njit(cache=True, error_model="numpy", nogil=True)
def new_deals(odds: Odds, amounts: Amounts, arrivals: Arrivals, clock: Clock, span: Span, draws: Ints, ledger: Ledger) -> None:
    """Create and work the new deals of a chunk. ``draws`` [block], the posterior draw of every block of the run."""
    state, factors = np.empty(4, np.uint64), np.empty((span.size, len(clock.months)))
    for block in range(span.first, span.last):
        draw, offset, first = draws[block], (block - span.first) * span.size, block * span.size
        paths = min(span.size, span.paths - first)
        hazards = block_hazards(odds, clock, draw, clock.weeks, month_shocks(odds, draw, len(clock.months), span.seed, block))
        for path in range(paths):
            start(state, span.seed, MARKET, np.uint64(first + path), np.uint64(0))
            market(arrivals, draw, state, factors[path])
        for seller in range(len(arrivals.rep)):
            for month in range(len(clock.months)):
                rate = seller_rate(arrivals, draw, seller, month)
                # months since 1970 leave room for a million deals each
                name = arrivals.key[seller] + (np.uint64(clock.months[month]) << np.uint64(20))
                for path in range(paths):
                    start(state, span.seed, ARRIVALS, np.uint64(first + path), name)
                    for number in range(negative_binomial(state, rate * factors[path, month], arrivals.dispersion[draw])):
                        start(state, span.seed, NEW_DEALS, np.uint64(first + path), name + np.uint64(number))
                        cell, won, amount = new_deal(hazards, odds.size_edges, amounts, arrivals, clock, draw, seller, month, state)
                        if won >= 0:
                            book_deal(ledger, offset + path, cell, won, amount, NEW_REVENUE)


@njit(cache=True, error_model="numpy")
def new_deal(
    hazards: Hazards,
    size_edges: Floats,
    amounts: Amounts,
    arrivals: Arrivals,
    clock: Clock,
    draw: int,
    seller: int,
    month: int,
    state: Stream,
) -> tuple[int, int, float]:
    """One deal from its creation to the end of the horizon: its cell, the month it is won in or NONE, and the amount."""
    entry = pick(arrivals.account_cumulative, arrivals.account_start[seller], arrivals.account_start[seller + 1], uniform(state))
    slot = pick(arrivals.product_cumulative[seller], 0, arrivals.product.shape[1], uniform(state))
    rep, product = arrivals.rep[seller], arrivals.product[seller, slot]
    segment, territory = arrivals.account_segment[entry], arrivals.account_territory[entry]
    list_log = drawn_list_log(amounts, product, state)
    size = 0 if math.isnan(amounts.list_log_mean[product]) else size_class(size_edges, list_log)
    close_factor = hazards.close_size[size] * hazards.close_segment[segment] * hazards.close_product[product]
    win_factor = hazards.win_size[size] * hazards.win_segment[segment] * hazards.win_product[product]
    win_factor *= hazards.win_territory[territory] * hazards.win_rep[rep]
    born = clock.creation_week[month] + pick(clock.creation[month], 0, clock.creation.shape[1], uniform(state))
    week, stage = closing_week(hazards, clock, close_factor, born, state)
    if week < 0:
        return NONE, NONE, 0.0
    age = min(week - born, len(hazards.win_age) - 1)
    odds_against = win_factor * hazards.win_calendar[week] * hazards.win_age[age] * hazards.win_stage[stage]
    if uniform(state) >= 1.0 / (1.0 + odds_against):
        return NONE, NONE, 0.0
    centre = log_multiple(amounts, draw, segment, product, rep)
    return arrivals.cell[entry, slot], clock.week_month[week], won_amount(amounts, draw, centre, list_log, state)


@njit(cache=True, error_model="numpy")
def closing_week(hazards: Hazards, clock: Clock, close_factor: float, born: int, state: Stream) -> tuple[int, int]:
    """Week and stage in which a deal created in week ``born`` closes, NONE when it is open at the end: one uniform a week."""
    stages, last_age = len(hazards.close_stage), len(hazards.close_age) - 1
    stage = pick(hazards.first_cumulative, 0, stages, uniform(state))
    for week in range(born, clock.weeks):
        close = close_factor * hazards.close_calendar[week] * hazards.close_age[min(week - born, last_age)]
        hazard, share = 1.0 / (1.0 + close * hazards.close_stage[stage]), clock.week_share[week]
        if share < 1.0:
            hazard = 1.0 - (1.0 - hazard) ** share
        u = uniform(state)
        if u < hazard:
            return week, stage
        move = (u - hazard) / (1.0 - hazard)  # uniform again, given that the deal stays open
        if stages > 1 and move < share:
            stage = pick(hazards.move_cumulative[stage], 0, stages, move / share)
    return NONE, NONE


@njit(cache=True, error_model="numpy")
def size_class(edges: Floats, list_log: float) -> int:
    """Bin of a known list amount."""
    size = 0
    while size < len(edges) and list_log >= edges[size]:
        size += 1
    return size
