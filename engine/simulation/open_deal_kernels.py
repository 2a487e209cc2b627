"""Open deals of a chunk of paths, compiled: tables of a tile of classes, then its deals on every path of a block.

One random word a deal and path is compared with the chance to be won at all; only winners are worked on further, and
their amounts in loops without branches. Inside loops a kernel touches local arrays only: every array that is taken out
of a named tuple there costs two atomic counter updates on a line all threads share. Hence the long signatures.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.simulation.amount_kernels import AmountTerms, amount_terms
from engine.simulation.clock import Clock
from engine.simulation.kernels import calendar, month_shocks
from engine.simulation.ledger import OPEN_REVENUE, PLANNED, SLOT, Ledger, WinLog
from engine.simulation.outcome_kernels import LANES, class_odds, mean_multiples, outcome_rows, timed_odds, work_space
from engine.simulation.streams import AMOUNTS, GOLDEN, OPEN_DEALS, entity_name, leg_name, word
from engine.simulation.vector_math import vector_exp, vector_log, vector_sine
from engine.simulation.world import Amounts, Keys, Odds, Pipeline, Span
from models.panel import Floats, Ints

_ONE = 2.0**53
"""Uniforms are the upper 53 bits of a word."""

_UNIT = 2.0**-53
_HALF_UNIT = 2.0**-32
_S11, _S32, _LOW = np.uint64(11), np.uint64(32), np.uint64(0xFFFFFFFF)
_LANE = LANES - 1
"""Lower bits of a win's code."""


class Wins(NamedTuple):
    """Wins of a tile of deals in a block of paths, [win] unless said otherwise.

    Attributes
    ----------
    code, month : path within the block x LANES + deal within the tile; month it is won in
    name : place in the stream of amounts
    lists, centres, amounts : list amount, known or drawn; centre of the log of won over list amount; won amount
    words : [path x LANES] random words in units of 2^-53
    limit, names : [LANES], [2, LANES] chance to be won in the same units; names of the streams
    """

    code: Ints
    month: Ints
    name: Keys
    lists: Floats
    centres: Floats
    amounts: Floats
    words: Ints
    limit: Ints
    names: Keys


@njit(cache=True, error_model="numpy")
def new_wins(size: int) -> Wins:
    """Room for the wins of ``size`` paths, and one more: a win is written down before it is known to be one."""
    most = size * LANES + 1
    return Wins(
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.empty(most, np.uint64),
        np.empty(most),
        np.empty(most),
        np.empty(most),
        np.empty(most, np.int64),
        np.zeros(LANES, np.int64),
        np.zeros((2, LANES), np.uint64),
    )


@njit(cache=True, error_model="numpy", nogil=True)
def open_deals(
    odds: Odds,
    amounts: Amounts,
    pipeline: Pipeline,
    clock: Clock,
    span: Span,
    draws: Ints,
    ledger: Ledger,
    sums: Floats,
    log: WinLog,
) -> None:
    """Close the open deals of a chunk.

    Parameters
    ----------
    draws : [block] posterior draw of every block of the run
    sums : [3, month, class] added to: chances to be won and lost, expected won amount over list amount; over all paths
    log : filled
    """
    class_age, class_stage, class_start, class_product = (
        pipeline.age,
        pipeline.stage,
        pipeline.class_start,
        pipeline.product,
    )
    months, classes, week_month = len(clock.months), len(pipeline.age), clock.week_month
    open_name, amount_name = leg_name(span.seed, OPEN_DEALS), leg_name(span.seed, AMOUNTS)
    factors, centres, means = np.empty((2, classes)), np.empty(classes), np.empty(LANES)
    chances, work = np.empty((2, months, LANES)), work_space(odds.stage.shape[1])
    limits, lane_class, wins = np.empty((months, LANES), np.int64), np.zeros(LANES, np.int64), new_wins(span.size)
    keys, lists, worth, shares = pipeline.key, amounts.lists, known_worth(pipeline.list_log), clock.week_share
    spots, places = win_places(pipeline, ledger.members, ledger.levels), ledger.places
    grid, money_grid = sum_grids(span.paths, amounts.cap)
    for block in range(span.first, span.last):
        draw, offset, first = draws[block], (block - span.first) * span.size, block * span.size
        paths = min(span.size, span.paths - first)
        weeks = calendar(odds, clock, draw, clock.weeks, month_shocks(odds, draw, months, span.seed, block))
        timed, stages, move = timed_odds(weeks, odds.age[draw]), odds.stage[draw], odds.move[draw]
        terms, limited = amount_terms(amounts, draw), amounts.limited_log_mean[draw]
        class_odds(odds, pipeline, draw, factors)
        class_centres(amounts, pipeline, draw, centres)
        for low in range(0, classes, LANES):
            high = min(low + LANES, classes)
            outcome_rows(timed, shares, week_month, stages, move, factors, class_age, class_stage, low, chances, work)
            mean_multiples(terms, limited, centres, low, means)
            add_chances(chances, means, low, high - low, paths, grid, money_grid, sums)
            win_limits(chances, limits)
            number = low
            for deal in range(class_start[low], class_start[high], LANES):
                end = min(deal + LANES, class_start[high])
                for place in range(deal, end):
                    while class_start[number + 1] <= place:
                        number += 1
                    lane_class[place - deal] = number - low
                found = find_wins(keys, deal, end, first, paths, open_name, amount_name, limits, lane_class, wins)
                price_wins(worth, deal, lists, class_product, centres, low, lane_class, terms, found, wins)
                book_wins(spots, deal, offset, places, ledger, found, wins, log)


@njit(cache=True, error_model="numpy")
def known_worth(list_logs: Floats) -> Floats:
    """[deal] list amounts, NaN when unknown."""
    worth = np.empty(len(list_logs))
    for deal in range(len(worth)):
        worth[deal] = vector_exp(list_logs[deal])
    return worth


@njit(cache=True, error_model="numpy")
def win_places(pipeline: Pipeline, members: Ints, levels: Floats) -> NDArray[np.uint64]:
    """[deal, 5] where a deal's revenue goes.

    Entries of its rep, territory and product in a path's levels; its cell; its place in planning.
    """
    cells, books = pipeline.cell, pipeline.book
    spots, width = np.empty((len(cells), 5), np.uint64), levels.shape[2] * levels.shape[3]
    for deal in range(len(cells)):
        for level in range(3):
            spots[deal, level] = members[cells[deal], level] * width + OPEN_REVENUE
        spots[deal, 3], spots[deal, 4] = cells[deal], books[deal]
    return spots


@njit(cache=True, error_model="numpy")
def find_wins(
    keys: Keys,
    low: int,
    high: int,
    first: int,
    paths: int,
    open_name: np.uint64,
    amount_name: np.uint64,
    limits: Ints,
    lane_class: Ints,
    wins: Wins,
) -> int:
    """Compare one word of every deal of a tile and every path with the chance to be won; the number of wins.

    Parameters
    ----------
    keys : [deal], of which ``low`` to ``high - 1`` are the tile
    first, paths : first path of the block and their number
    open_name, amount_name : names of the legs' streams
    limits : see `win_limits`
    lane_class : [LANES] class of every deal, counted within the tile of classes
    wins : filled
    """
    words, limit, names, codes, months, spots = wins.words, wins.limit, wins.names, wins.code, wins.month, wins.name
    last, found = limits.shape[0] - 1, 0
    for lane in range(high - low):
        names[0, lane] = entity_name(open_name, keys[low + lane])
        names[1, lane] = entity_name(amount_name, keys[low + lane])
    limit[:] = 0
    for lane in range(high - low):
        limit[lane] = limits[last, lane_class[lane]]
    for path in range(paths):
        step, base = np.uint64(first + path) * GOLDEN, path * LANES
        for lane in range(LANES):
            words[base + lane] = np.int64(word(names[0, lane] + step) >> _S11)
        for lane in range(LANES):
            codes[found] = base + lane
            found += words[base + lane] < limit[lane]
    for win in range(found):
        lane, drawn, when = codes[win] & _LANE, words[codes[win]], 0
        for month in range(last):
            when += drawn >= limits[month, lane_class[lane]]
        months[win] = when
        spots[win] = names[1, lane] + np.uint64(first + codes[win] // LANES) * GOLDEN
    return found


@njit(cache=True, error_model="numpy")
def price_wins(
    worth: Floats,
    low: int,
    lists: Floats,
    class_product: Ints,
    centres: Floats,
    first: int,
    lane_class: Ints,
    terms: AmountTerms,
    found: int,
    wins: Wins,
) -> None:
    """Draw the amounts of the wins. ``low`` and ``first`` are the tile's first deal and class."""
    codes, spots, list_amounts, middles, amounts = wins.code, wins.name, wins.lists, wins.centres, wins.amounts
    for win in range(found):
        lane = codes[win] & _LANE
        middles[win] = centres[first + lane_class[lane]]
        list_amounts[win] = worth[low + lane]
        if math.isnan(list_amounts[win]):
            product = class_product[first + lane_class[lane]]
            list_amounts[win] = vector_exp(lists[product, 0] + lists[product, 1] * counted_normal(spots[win]))
    scale, power, dof, cap = terms.scale, -2.0 / terms.dof, terms.dof, terms.cap
    zero, exact = terms.zero, terms.zero + terms.exact
    for win in range(found):
        both = word(spots[win])
        kind, angle = np.float64(np.int64(both >> _S32)) * _HALF_UNIT, np.float64(np.int64(both & _LOW)) * _HALF_UNIT
        radius = (np.float64(np.int64(word(both + GOLDEN) >> _S11)) + 0.5) * _UNIT
        spread = vector_exp(power * vector_log(radius)) - 1.0
        student = vector_sine(2.0 * angle - 1.0) * math.sqrt(dof * spread)
        multiple = vector_exp(middles[win] + scale * student)
        multiple = multiple if multiple < cap else cap
        multiple = 1.0 if kind < exact else multiple
        amounts[win] = 0.0 if kind < zero else multiple * list_amounts[win]


@njit(cache=True, error_model="numpy")
def counted_normal(name: np.uint64) -> float:
    """Standard normal from words that no amount uses (Box & Muller 1958, doi:10.1214/aoms/1177706645)."""
    one = word((name ^ AMOUNTS) + GOLDEN)
    radius = (np.float64(np.int64(one >> _S11)) + 0.5) * _UNIT
    angle = np.float64(np.int64(word(one + GOLDEN) >> _S11)) * _UNIT
    return vector_sine(2.0 * angle - 1.0) * math.sqrt(-2.0 * vector_log(radius))


@njit(cache=True, error_model="numpy")
def book_wins(
    spots: NDArray[np.uint64], low: int, offset: int, places: Ints, ledger: Ledger, found: int, wins: Wins, log: WinLog
) -> None:
    """Enter the wins of a tile with first deal ``low`` and of a block with first path ``offset`` in the chunk."""
    codes, months, amounts, levels, planning, sample = (
        wins.code,
        wins.month,
        wins.amounts,
        ledger.levels.reshape(-1),
        ledger.planning,
        ledger.sample,
    )
    log_deal, log_path, log_amount, end = log.deal, log.path, log.amount, log.wins[0]
    width = ledger.levels.shape[1] * ledger.levels.shape[2] * ledger.levels.shape[3]
    kinds = ledger.levels.shape[3]
    for win in range(found):
        deal, path = low + (codes[win] & _LANE), offset + codes[win] // LANES
        month, amount = months[win], amounts[win]
        slot = places[month, SLOT]
        if slot >= 0:
            spot = np.uint64(path * width + slot * kinds)
            levels[spot + spots[deal, 0]] += amount
            levels[spot + spots[deal, 1]] += amount
            levels[spot + spots[deal, 2]] += amount
            log_deal[end], log_path[end], log_amount[end] = deal, path, amount
            end += 1
            if path < len(sample):
                sample[path, spots[deal, 3], slot] += amount
        if places[month, PLANNED]:
            planning[path, spots[deal, 4]] += amount
    log.wins[0] = end


@njit(cache=True, error_model="numpy")
def sum_grids(paths: int, cap: float) -> tuple[float, float]:
    """Numbers that, added and taken off again, round chances and multiples so that ``paths`` of them add without error.

    Sums are then the same in any order (Demmel & Nguyen 2013, Fast reproducible floating-point summation,
    doi:10.1109/ARITH.2013.9). What is rounded off is below 2^-37 at 20,000 paths.
    """
    unit = 2.0 ** math.ceil(math.log2(paths))
    return 1.5 * unit, 1.5 * unit * 2.0 ** math.ceil(math.log2(max(cap, 1.0)))


@njit(cache=True, error_model="numpy")
def add_chances(
    chances: Floats, means: Floats, first: int, lanes: int, paths: int, grid: float, money_grid: float, sums: Floats
) -> None:
    """Add a tile's chances [2, month, LANES] and expected multiples to the sums over all paths."""
    for month in range(chances.shape[1]):
        for side in range(2):
            for lane in range(lanes):
                sums[side, month, first + lane] += paths * ((chances[side, month, lane] + grid) - grid)
        for lane in range(lanes):
            sums[2, month, first + lane] += paths * ((chances[0, month, lane] * means[lane] + money_grid) - money_grid)


@njit(cache=True, error_model="numpy")
def win_limits(chances: Floats, limits: Ints) -> None:
    """Fill ``limits`` [month, LANES] with the chance to be won up to each month, in units of 2^-53."""
    total = np.zeros(LANES)
    for month in range(len(limits)):
        for lane in range(LANES):
            total[lane] += chances[0, month, lane]
            limits[month, lane] = np.int64(np.ceil(total[lane] * _ONE))


@njit(cache=True, error_model="numpy")
def class_centres(amounts: Amounts, pipeline: Pipeline, draw: int, centres: Floats) -> None:
    """Fill ``centres`` [class]: where the log of won amount over list amount is centred."""
    product, segment, rep, base = amounts.product[draw], amounts.segment[draw], amounts.rep[draw], amounts.base[draw]
    products, segments, reps = pipeline.product, pipeline.segment, pipeline.rep
    for number in range(len(centres)):
        centres[number] = base + product[products[number]] + segment[segments[number]] + rep[reps[number]]
