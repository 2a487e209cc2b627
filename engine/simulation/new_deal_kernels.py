"""Deals not created yet, compiled: arrivals, and every new deal week by week."""

import math

import numpy as np
from numba import njit

from engine.simulation.amount_kernels import amount_terms, won_amount
from engine.simulation.clock import Clock
from engine.simulation.kernels import calendar, hazard_of, month_shocks
from engine.simulation.ledger import NEW_REVENUE, Ledger, book_deal
from engine.simulation.streams import (
    ARRIVALS,
    MARKET,
    NEW_DEALS,
    Stream,
    negative_binomial,
    normal,
    pick,
    start,
    uniform,
)
from engine.simulation.world import CLOSE, PHASE, SHARE, WIN, Amounts, Arrivals, Odds, Span
from models.panel import NONE, Floats, Ints


@njit(cache=True, error_model="numpy")
def seller_rates(arrivals: Arrivals, draw: int, rates: Floats) -> None:
    """Fill ``rates`` [seller, month]: expected new deals under one posterior draw, the market's factors left out."""
    for seller in range(rates.shape[0]):
        for month in range(rates.shape[1]):
            ramp = 1.0 - math.exp(-arrivals.tenure[seller, month] / arrivals.ramp_months[draw])
            log_rate = arrivals.log_rate[draw, seller] + arrivals.season[draw, month]
            rates[seller, month] = math.exp(log_rate) * arrivals.exposure[seller, month] * ramp


@njit(cache=True, error_model="numpy")
def market(arrivals: Arrivals, draw: int, state: Stream, factors: Floats) -> None:
    """Fill the factors [month] that all sellers share on one path: the walk of the level, and a shock of each month."""
    level, step = 0.0, 0
    for month in range(len(factors)):
        while step < arrivals.steps[month]:
            level += arrivals.level_scale[draw] * normal(state)
            step += 1
        factors[month] = math.exp(level + arrivals.shock_scale[draw] * normal(state))


@njit(cache=True, error_model="numpy")
def seller_odds(odds: Odds, arrivals: Arrivals, draw: int, seller: int, entries: Floats, slots: Floats) -> None:
    """Fill the odds of a seller's accounts [entry, 2] and products [slot, 2]: all but time, stage and size."""
    first = arrivals.account_start[seller]
    for side in range(2):
        for entry in range(first, arrivals.account_start[seller + 1]):
            segment, territory = arrivals.account_segment[entry], arrivals.account_territory[entry]
            entries[entry - first, side] = odds.segment[draw, segment, side] * odds.territory[draw, territory, side]
        for slot in range(len(slots)):
            product, rep = arrivals.product[seller, slot], arrivals.rep[seller]
            slots[slot, side] = odds.product[draw, product, side] * odds.rep[draw, rep, side]


@njit(cache=True, error_model="numpy", nogil=True)
def new_deals(
    odds: Odds, amounts: Amounts, arrivals: Arrivals, clock: Clock, span: Span, draws: Ints, ledger: Ledger
) -> None:
    """Create and work the new deals of a chunk. ``draws`` [block], the posterior draw of every block of the run."""
    members, places, levels, planning, sample = (
        ledger.members,
        ledger.places,
        ledger.levels,
        ledger.planning,
        ledger.sample,
    )
    account_chance, account_start, segments = (
        arrivals.account_cumulative,
        arrivals.account_start,
        arrivals.account_segment,
    )
    months, creation, week_month, lists, edges = (
        clock.months,
        clock.creation,
        clock.week_month,
        amounts.lists,
        odds.size_edges,
    )
    state, factors = np.empty(4, np.uint64), np.empty((span.size, len(months)))
    rates, slot_odds = np.empty(arrivals.exposure.shape), np.empty((arrivals.product.shape[1], 2))
    entry_odds, most = np.empty((len(account_chance), 2)), len(slot_odds)
    for block in range(span.first, span.last):
        draw, offset, first = draws[block], (block - span.first) * span.size, block * span.size
        paths = min(span.size, span.paths - first)
        weeks = calendar(odds, clock, draw, clock.weeks, month_shocks(odds, draw, len(months), span.seed, block))
        ages, stages, steps, sizes = odds.age[draw], odds.stage[draw], odds.path[draw], odds.size[draw]
        terms, dispersion = amount_terms(amounts, draw), arrivals.dispersion[draw]
        product_log, segment_log, rep_log = amounts.product[draw], amounts.segment[draw], amounts.rep[draw]
        seller_rates(arrivals, draw, rates)
        for path in range(paths):
            start(state, span.seed, MARKET, np.uint64(first + path), np.uint64(0))
            market(arrivals, draw, state, factors[path])
        for seller in range(len(rates)):
            seller_odds(odds, arrivals, draw, seller, entry_odds, slot_odds)
            low, high, rep = account_start[seller], account_start[seller + 1], arrivals.rep[seller]
            product_chance, products, cells = (
                arrivals.product_cumulative[seller],
                arrivals.product[seller],
                arrivals.cell,
            )
            for month in range(len(months)):
                born, chances = clock.creation_week[month], creation[month]
                # months since 1970 leave room for a million deals each
                name = arrivals.key[seller] + (np.uint64(months[month]) << np.uint64(20))
                for path in range(paths):
                    start(state, span.seed, ARRIVALS, np.uint64(first + path), name)
                    for number in range(
                        negative_binomial(state, rates[seller, month] * factors[path, month], dispersion)
                    ):
                        start(state, span.seed, NEW_DEALS, np.uint64(first + path), name + np.uint64(number))
                        entry, slot = (
                            pick(account_chance, low, high, uniform(state)),
                            pick(product_chance, 0, most, uniform(state)),
                        )
                        product, segment = products[slot], segments[entry]
                        list_log = lists[product, 0] + lists[product, 1] * normal(state)
                        size = size_class(edges, list_log)
                        close = entry_odds[entry - low, CLOSE] * slot_odds[slot, CLOSE] * sizes[size, CLOSE]
                        week = born + pick(chances, 0, len(chances), uniform(state))
                        closed, against = closing_week(weeks, ages, stages, steps, close, week, state)
                        if closed < 0:
                            continue
                        win = entry_odds[entry - low, WIN] * slot_odds[slot, WIN] * sizes[size, WIN]
                        if uniform(state) < 1.0 / (1.0 + win * against):
                            centre = terms.base + product_log[product] + segment_log[segment] + rep_log[rep]
                            amount = won_amount(terms, centre, list_log, state)
                            cell, when = cells[entry, slot], week_month[closed]
                            book_deal(
                                members,
                                places,
                                levels,
                                planning,
                                sample,
                                offset + path,
                                cell,
                                when,
                                amount,
                                NEW_REVENUE,
                            )


@njit(cache=True, error_model="numpy")
def closing_week(
    weeks: Floats, ages: Floats, stages: Floats, path: Floats, factor: float, born: int, state: Stream
) -> tuple[int, float]:
    """Week in which a deal created in week ``born`` closes and its odds against winning: one uniform a week.

    Parameters
    ----------
    weeks : [week, 4] see `engine.simulation.kernels.calendar`
    ages, stages, path : one draw of `Odds`
    factor : the deal's odds against closing that neither time nor stage change

    Returns
    -------
    the week, NONE when it is open at the end, and the part of the odds against winning that time and stage make up
    """
    last_age, count = ages.shape[1] - 1, len(stages)
    stage = pick(path[count], 0, count, uniform(state))
    for week in range(born, len(weeks)):
        age, share, phase = min(week - born, last_age), weeks[week, SHARE], int(weeks[week, PHASE])
        hazard = hazard_of(factor * weeks[week, CLOSE] * ages[phase, age, CLOSE] * stages[stage, CLOSE], share)
        u = uniform(state)
        if u < hazard:
            return week, weeks[week, WIN] * ages[phase, age, WIN] * stages[stage, WIN]
        move = (u - hazard) / (1.0 - hazard)  # uniform again, given that the deal stays open
        if count > 1 and move < share:
            stage = pick(path[stage], 0, count, move / share)
    return NONE, 0.0


@njit(cache=True, error_model="numpy")
def size_class(edges: Floats, list_log: float) -> int:
    """Bin of a known list amount."""
    size = 0
    while size < len(edges) and list_log >= edges[size]:
        size += 1
    return size
