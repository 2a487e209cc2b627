"""Closing of deals and their outcome tables, compiled. `engine.simulation.reference` holds the same functions in plain NumPy.

Kernels are given only the arrays they use: a compiled function that is handed a whole world takes a minute to compile.
"""

import math

import numpy as np
from numba import njit

from engine.simulation.amount_kernels import drawn_list_log, log_multiple, mean_list_amount, mean_multiple, won_amount
from engine.simulation.clock import Clock
from engine.simulation.ledger import EXPECTED, OPEN_REVENUE, P_EVER, P_LEFT, P_SLIP, P_WIN, Ledger, book_deal
from engine.simulation.streams import AMOUNTS, OPEN_DEALS, SHOCKS, normal, start, uniform
from engine.simulation.world import Amounts, Hazards, Odds, Pipeline, Span
from models.panel import NONE, Floats, Ints

_EMPTY = 1e-9
"""Chance of being open below which a deal's further weeks are not worked out."""


@njit(cache=True, error_model="numpy")
def month_shocks(odds: Odds, draw: int, months: int, seed: np.uint64, block: int) -> Floats:
    """Factors ``exp(-shock)`` [month, 2] to close and to win: drawn fresh, but where the month was fitted already."""
    state, shocks = np.empty(4, np.uint64), np.empty((months, 2))
    start(state, seed, SHOCKS, np.uint64(block), np.uint64(0))
    correlation = odds.shock_correlation[draw]
    for month in range(months):
        close = normal(state)
        win = correlation * close + math.sqrt(1.0 - correlation * correlation) * normal(state)
        shocks[month, 0] = math.exp(-close * odds.shock_scale[draw, 0])
        shocks[month, 1] = math.exp(-win * odds.shock_scale[draw, 1])
    if odds.first_known[0]:
        shocks[0, 0] = math.exp(-odds.first_shock[draw, 0])
        shocks[0, 1] = math.exp(-odds.first_shock[draw, 1])
    return shocks


@njit(cache=True, error_model="numpy")
def block_hazards(odds: Odds, clock: Clock, draw: int, weeks: int, shocks: Floats) -> Hazards:
    """Odds under one posterior draw and the ``shocks`` [month, 2] of its months, for ``weeks`` weeks."""
    close, win = np.empty(weeks), np.empty(weeks)
    for week in range(weeks):
        month, quarter_week = clock.week_month[week], clock.week_of_quarter[week]
        close[week] = odds.close_base[draw] * odds.close_week[draw, quarter_week] * shocks[month, 0]
        win[week] = odds.win_base[draw] * odds.win_week[draw, quarter_week] * shocks[month, 1]
    return Hazards(
        close,
        win,
        odds.close_age[draw],
        odds.win_age[draw],
        odds.close_stage[draw],
        odds.win_stage[draw],
        odds.close_size[draw],
        odds.win_size[draw],
        odds.close_segment[draw],
        odds.win_segment[draw],
        odds.close_product[draw],
        odds.win_product[draw],
        odds.win_territory[draw],
        odds.win_rep[draw],
        odds.move[draw],
        odds.move_cumulative[draw],
        odds.first_cumulative[draw],
    )


@njit(cache=True, error_model="numpy")
def outcome_row(hazards: Hazards, pipeline: Pipeline, clock: Clock, number: int, row: Floats, scratch: Floats) -> None:
    """Chance of a class of deals to be won and lost in each month, by recursion over the stages an open deal may be in.

    Parameters
    ----------
    number : of the class
    row : [2, month] filled with won and lost
    scratch : [2, stage]
    """
    size, segment, product = pipeline.size[number], pipeline.segment[number], pipeline.product[number]
    close_factor = hazards.close_size[size] * hazards.close_segment[segment] * hazards.close_product[product]
    win_factor = hazards.win_size[size] * hazards.win_segment[segment] * hazards.win_product[product]
    win_factor *= hazards.win_territory[pipeline.territory[number]] * hazards.win_rep[pipeline.rep[number]]
    last_age, stages = len(hazards.close_age) - 1, len(hazards.close_stage)
    now, after = scratch[0], scratch[1]
    row[:] = 0.0
    now[:] = 0.0
    now[pipeline.stage[number]] = 1.0
    for week in range(len(hazards.close_calendar)):
        month, share = clock.week_month[week], clock.week_share[week]
        age = min(pipeline.age[number] + week, last_age)
        close = close_factor * hazards.close_calendar[week] * hazards.close_age[age]
        win = win_factor * hazards.win_calendar[week] * hazards.win_age[age]
        after[:] = 0.0
        left = 0.0
        for stage in range(stages):
            if now[stage] == 0.0:
                continue
            hazard = 1.0 / (1.0 + close * hazards.close_stage[stage])
            if share < 1.0:
                hazard = 1.0 - (1.0 - hazard) ** share
            closing = now[stage] * hazard
            winning = closing / (1.0 + win * hazards.win_stage[stage])
            row[0, month] += winning
            row[1, month] += closing - winning
            stay = now[stage] - closing
            left += stay
            for target in range(stages):
                after[target] += stay * share * hazards.move[stage, target]
            after[stage] += stay * (1.0 - share)
        now, after = after, now
        if left < _EMPTY:
            break


@njit(cache=True, error_model="numpy")
def outcome_table(odds: Odds, pipeline: Pipeline, clock: Clock, draw: int, shocks: Floats) -> Floats:
    """Chances of all classes under one posterior draw, won and lost by month; [class, 2, month]."""
    table = np.zeros((len(pipeline.age), 2, len(shocks)))
    scratch = np.empty((2, odds.close_stage.shape[1]))
    hazards = block_hazards(odds, clock, draw, min(clock.weeks, len(clock.week_month)), shocks)
    for number in range(len(table)):
        outcome_row(hazards, pipeline, clock, number, table[number], scratch)
    return table


@njit(cache=True, error_model="numpy", nogil=True)
def open_deals(
    odds: Odds, amounts: Amounts, pipeline: Pipeline, clock: Clock, span: Span, draws: Ints, ledger: Ledger, sums: Floats
) -> None:
    """Close the open deals of a chunk: one uniform per deal and path against its class's row, an amount only if won.

    Parameters
    ----------
    draws : [block] posterior draw of every block of the run
    sums : [deal, 7] added to, see `engine.simulation.ledger`
    """
    last = last_forecast_month(clock.forecast_slot)
    state, other = np.empty(4, np.uint64), np.empty(4, np.uint64)
    row, scratch = np.empty((2, len(clock.months))), np.empty((2, odds.close_stage.shape[1]))
    for block in range(span.first, span.last):
        draw, offset = draws[block], (block - span.first) * span.size
        paths = min(span.size, span.paths - block * span.size)
        hazards = block_hazards(odds, clock, draw, clock.weeks, month_shocks(odds, draw, len(clock.months), span.seed, block))
        for number in range(len(pipeline.age)):
            outcome_row(hazards, pipeline, clock, number, row, scratch)
            product = pipeline.product[number]
            centre = log_multiple(amounts, draw, pipeline.segment[number], product, pipeline.rep[number])
            inside, closed, ever, left = row_sums(row, clock.forecast_slot, last)
            expected = inside * mean_multiple(amounts, draw, centre)
            for deal in range(pipeline.class_start[number], pipeline.class_start[number + 1]):
                list_log, key = pipeline.list_log[deal], pipeline.key[deal]
                sums[deal, P_WIN] += paths * inside
                sums[deal, P_SLIP] += paths * (1.0 - closed)
                sums[deal, P_EVER] += paths * ever
                sums[deal, P_LEFT] += paths * left
                sums[deal, EXPECTED] += paths * expected * mean_list_amount(amounts, product, list_log)
                start(state, span.seed, OPEN_DEALS, np.uint64(block), key)
                for path in range(paths):
                    u = uniform(state)
                    if u >= ever:
                        continue
                    month = month_of(row[0], u)
                    start(other, span.seed, AMOUNTS, np.uint64(block * span.size + path), key)
                    known = drawn_list_log(amounts, product, other) if math.isnan(list_log) else list_log
                    amount = won_amount(amounts, draw, centre, known, other)
                    book_deal(ledger, offset + path, pipeline.cell[deal], month, amount, OPEN_REVENUE)
                    if clock.forecast_slot[month] >= 0:
                        ledger.deals[deal, offset + path] = amount


@njit(cache=True, error_model="numpy")
def month_of(won: Floats, u: float) -> int:
    """Month in which a deal is won whose uniform is below the sum of ``won`` [month]."""
    month = 0
    while month < len(won) - 1 and u >= won[month]:
        u -= won[month]
        month += 1
    return month


@njit(cache=True, error_model="numpy")
def last_forecast_month(forecast_slot: Ints) -> int:
    """Position of the last simulated month of the forecast horizon, NONE when it is over."""
    for month in range(len(forecast_slot) - 1, -1, -1):
        if forecast_slot[month] >= 0:
            return month
    return NONE


@njit(cache=True, error_model="numpy")
def row_sums(row: Floats, forecast_slot: Ints, last: int) -> tuple[float, float, float, float]:
    """Chances to be won in the forecast months, closed by the ``last`` of them, won in any simulated month, open after all."""
    inside, closed, ever, left = 0.0, 0.0, 0.0, 1.0
    for month in range(len(forecast_slot)):
        ever += row[0, month]
        left -= row[0, month] + row[1, month]
        if forecast_slot[month] >= 0:
            inside += row[0, month]
        if month <= last:
            closed += row[0, month] + row[1, month]
    return inside, closed, ever, left


@njit(cache=True, error_model="numpy", nogil=True)
def late_wins(odds: Odds, pipeline: Pipeline, clock: Clock, blocks: Ints, draws: Ints, seed: np.uint64, found: Floats) -> None:
    """Add to ``found`` [class, 2] the chance to be open after the simulated months, and to be won after them.

    Sums over ``blocks``, under the shocks these blocks have in the simulation.
    """
    weeks, months = len(clock.week_month), len(clock.months)
    row = np.empty((2, clock.week_month[weeks - 1] + 1))
    scratch = np.empty((2, odds.close_stage.shape[1]))
    for block in blocks:
        shocks = month_shocks(odds, draws[block], row.shape[1], seed, block)
        hazards = block_hazards(odds, clock, draws[block], weeks, shocks)
        for number in range(len(found)):
            outcome_row(hazards, pipeline, clock, number, row, scratch)
            found[number, 0] += 1.0 - row[:, :months].sum()
            found[number, 1] += row[0, months:].sum()
