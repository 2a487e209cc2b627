"""Closing of deals and their outcome tables, compiled; `engine.simulation.reference` has the same functions in NumPy.

Inside loops over deals a kernel touches local arrays only: every array that is taken out of a named tuple there costs
two atomic counter updates on a line all threads share, more than the arithmetic. Hence the long signatures.
"""

import math

import numpy as np
from numba import njit

from engine.simulation.amount_kernels import amount_terms, mean_list_amount, mean_multiple, won_amount
from engine.simulation.clock import Clock
from engine.simulation.ledger import EXPECTED, OPEN_REVENUE, P_EVER, P_LEFT, P_SLIP, P_WIN, Ledger, book_deal
from engine.simulation.streams import AMOUNTS, OPEN_DEALS, SHOCKS, normal, start, uniform
from engine.simulation.world import CLOSE, PHASE, SHARE, WIN, Amounts, Odds, Pipeline, Span
from models.calendar import WEEKS_PER_MONTH
from models.panel import Floats, Ints

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
        shocks[month, CLOSE] = math.exp(-close * odds.shock_scale[draw, CLOSE])
        shocks[month, WIN] = math.exp(-win * odds.shock_scale[draw, WIN])
    if odds.first_known[0]:
        shocks[0, CLOSE] = math.exp(-odds.first_shock[draw, CLOSE])
        shocks[0, WIN] = math.exp(-odds.first_shock[draw, WIN])
    return shocks


@njit(cache=True, error_model="numpy")
def calendar(odds: Odds, clock: Clock, draw: int, weeks: int, shocks: Floats) -> Floats:
    """Odds [week, 4] of all deals: base, week and ``shocks`` [month, 2]; then the week's share and month of quarter."""
    table = np.empty((weeks, 4))
    for week in range(weeks):
        month, quarter_week = clock.week_month[week], clock.week_of_quarter[week]
        for side in range(2):
            table[week, side] = odds.base[draw, side] * odds.week[draw, quarter_week, side] * shocks[month, side]
        table[week, SHARE] = clock.week_share[week]
        table[week, PHASE] = quarter_week // WEEKS_PER_MONTH
    return table


@njit(cache=True, error_model="numpy")
def class_odds(odds: Odds, pipeline: Pipeline, draw: int, factors: Floats) -> None:
    """Fill ``factors`` [class, 2]: the odds of every class of open deals that time and stage do not change."""
    size, segment, product = odds.size[draw], odds.segment[draw], odds.product[draw]
    territory, rep = odds.territory[draw], odds.rep[draw]
    for side in range(2):
        for number in range(len(factors)):
            factor = size[pipeline.size[number], side] * segment[pipeline.segment[number], side]
            factor *= product[pipeline.product[number], side] * territory[pipeline.territory[number], side]
            factors[number, side] = factor * rep[pipeline.rep[number], side]


@njit(cache=True, error_model="numpy")
def hazard_of(odds_against: float, share: float) -> float:
    """Chance of an event within the share of a week that is left."""
    hazard = 1.0 / (1.0 + odds_against)
    return hazard if share == 1.0 else 1.0 - (1.0 - hazard) ** share


@njit(cache=True, error_model="numpy")
def outcome_row(
    weeks: Floats,
    week_month: Ints,
    ages: Floats,
    stages: Floats,
    move: Floats,
    factor: Floats,
    age: int,
    stage: int,
    row: Floats,
    scratch: Floats,
) -> None:
    """Chance of a deal to be won and lost in each month, by recursion over the stages an open deal may be in.

    Parameters
    ----------
    weeks : [week, 4] see `calendar`
    week_month : [week]
    ages, stages, move : one draw of `Odds`
    factor : [2] see `class_odds`
    age, stage : at the beginning of the first week
    row : [2, month] filled with won and lost
    scratch : [2, stage]
    """
    last_age, count = ages.shape[1] - 1, len(stages)
    row[:] = 0.0
    scratch[:] = 0.0
    scratch[0, stage] = 1.0
    now, after = 0, 1
    for week in range(len(weeks)):
        month, share, aged = week_month[week], weeks[week, SHARE], ages[int(weeks[week, PHASE])]
        close = factor[CLOSE] * weeks[week, CLOSE] * aged[min(age + week, last_age), CLOSE]
        win = factor[WIN] * weeks[week, WIN] * aged[min(age + week, last_age), WIN]
        won, closed, left = 0.0, 0.0, 0.0
        for source in range(count):
            here = scratch[now, source]
            scratch[now, source] = 0.0
            if here == 0.0:
                continue
            closing = here * hazard_of(close * stages[source, CLOSE], share)
            won += closing / (1.0 + win * stages[source, WIN])
            closed += closing
            stay = here - closing
            left += stay
            for target in range(count):
                scratch[after, target] += stay * share * move[source, target]
            scratch[after, source] += stay * (1.0 - share)
        row[0, month] += won
        row[1, month] += closed - won
        now, after = after, now
        if left < _EMPTY:
            break


@njit(cache=True, error_model="numpy")
def outcome_table(odds: Odds, pipeline: Pipeline, clock: Clock, draw: int, shocks: Floats) -> Floats:
    """Chances of all classes under one posterior draw, won and lost by simulated month; [class, 2, month]."""
    table, factors = np.zeros((len(pipeline.age), 2, len(shocks))), np.empty((len(pipeline.age), 2))
    weeks, scratch = calendar(odds, clock, draw, clock.weeks, shocks), np.empty((2, odds.stage.shape[1]))
    class_odds(odds, pipeline, draw, factors)
    for number in range(len(table)):
        age, stage = pipeline.age[number], pipeline.stage[number]
        outcome_row(
            weeks,
            clock.week_month,
            odds.age[draw],
            odds.stage[draw],
            odds.move[draw],
            factors[number],
            age,
            stage,
            table[number],
            scratch,
        )
    return table


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
) -> None:
    """Close the open deals of a chunk: one uniform per deal and path against its class's row, an amount only if won.

    Parameters
    ----------
    draws : [block] posterior draw of every block of the run
    sums : [deal, 7] added to, see `engine.simulation.ledger`
    """
    members, places, levels, planning, sample = (
        ledger.members,
        ledger.places,
        ledger.levels,
        ledger.planning,
        ledger.sample,
    )
    revenue, cells, keys, list_logs = ledger.deals, pipeline.cell, pipeline.key, pipeline.list_log
    class_age, class_stage, class_start, class_product = (
        pipeline.age,
        pipeline.stage,
        pipeline.class_start,
        pipeline.product,
    )
    lists, slots, week_month = amounts.lists, clock.forecast_slot, clock.week_month
    state, other = np.empty(4, np.uint64), np.empty(4, np.uint64)
    row, scratch = np.empty((2, len(clock.months))), np.empty((2, odds.stage.shape[1]))
    factors, centres = np.empty((len(class_age), 2)), np.empty(len(class_age))
    for block in range(span.first, span.last):
        draw, offset, first = draws[block], (block - span.first) * span.size, block * span.size
        paths = min(span.size, span.paths - first)
        weeks = calendar(odds, clock, draw, clock.weeks, month_shocks(odds, draw, len(clock.months), span.seed, block))
        ages, stages, move, limited = odds.age[draw], odds.stage[draw], odds.move[draw], amounts.limited_log_mean[draw]
        terms = amount_terms(amounts, draw)
        class_odds(odds, pipeline, draw, factors)
        class_centres(amounts, pipeline, draw, centres)
        for number in range(len(class_age)):
            outcome_row(
                weeks,
                week_month,
                ages,
                stages,
                move,
                factors[number],
                class_age[number],
                class_stage[number],
                row,
                scratch,
            )
            centre, mean, sd = centres[number], lists[class_product[number], 0], lists[class_product[number], 1]
            inside, slipping, ever, left = row_sums(row, slots)
            expected = inside * mean_multiple(terms, limited, centre)
            for deal in range(class_start[number], class_start[number + 1]):
                list_log, key = list_logs[deal], keys[deal]
                sums[deal, P_WIN] += paths * inside
                sums[deal, P_SLIP] += paths * slipping
                sums[deal, P_EVER] += paths * ever
                sums[deal, P_LEFT] += paths * left
                sums[deal, EXPECTED] += paths * expected * mean_list_amount(mean, sd, list_log)
                start(state, span.seed, OPEN_DEALS, np.uint64(block), key)
                for path in range(paths):
                    u = uniform(state)
                    if u >= ever:
                        continue
                    month = month_of(row, u)
                    start(other, span.seed, AMOUNTS, np.uint64(first + path), key)
                    known = mean + sd * normal(other) if math.isnan(list_log) else list_log
                    amount = won_amount(terms, centre, known, other)
                    book_deal(
                        members,
                        places,
                        levels,
                        planning,
                        sample,
                        offset + path,
                        cells[deal],
                        month,
                        amount,
                        OPEN_REVENUE,
                    )
                    if slots[month] >= 0:
                        revenue[deal, offset + path] = amount


@njit(cache=True, error_model="numpy")
def class_centres(amounts: Amounts, pipeline: Pipeline, draw: int, centres: Floats) -> None:
    """Fill ``centres`` [class]: where the log of won amount over list amount is centred."""
    product, segment, rep = amounts.product[draw], amounts.segment[draw], amounts.rep[draw]
    for number in range(len(centres)):
        effect = product[pipeline.product[number]] + segment[pipeline.segment[number]] + rep[pipeline.rep[number]]
        centres[number] = amounts.base[draw] + effect


@njit(cache=True, error_model="numpy")
def month_of(row: Floats, u: float) -> int:
    """Month in which a deal is won whose uniform is below the sum of ``row[0]`` [month]."""
    month = 0
    while month < row.shape[1] - 1 and u >= row[0, month]:
        u -= row[0, month]
        month += 1
    return month


@njit(cache=True, error_model="numpy")
def row_sums(row: Floats, slots: Ints) -> tuple[float, float, float, float]:
    """Chances: won in the forecast months, open after the last of them, won in any simulated month, open after all."""
    inside, closed, ever, left, slipping = 0.0, 0.0, 0.0, 1.0, 1.0
    for month in range(len(slots)):
        ever += row[0, month]
        closed += row[0, month] + row[1, month]
        left = 1.0 - closed
        if slots[month] >= 0:
            inside += row[0, month]
            slipping = left
    return inside, slipping, ever, left


@njit(cache=True, error_model="numpy", nogil=True)
def late_wins(
    odds: Odds, pipeline: Pipeline, clock: Clock, blocks: Ints, draws: Ints, seed: np.uint64, found: Floats
) -> None:
    """Add to ``found`` [class, 2] the chance to be open after the simulated months, and to be won after them.

    Sums over ``blocks``, under the shocks these blocks have in the simulation.
    """
    count, months, class_age, class_stage = len(clock.week_month), len(clock.months), pipeline.age, pipeline.stage
    row, scratch = np.empty((2, clock.week_month[count - 1] + 1)), np.empty((2, odds.stage.shape[1]))
    factors = np.empty((len(found), 2))
    for block in blocks:
        draw = draws[block]
        weeks = calendar(odds, clock, draw, count, month_shocks(odds, draw, row.shape[1], seed, block))
        ages, stages, move = odds.age[draw], odds.stage[draw], odds.move[draw]
        class_odds(odds, pipeline, draw, factors)
        for number in range(len(found)):
            outcome_row(
                weeks,
                clock.week_month,
                ages,
                stages,
                move,
                factors[number],
                class_age[number],
                class_stage[number],
                row,
                scratch,
            )
            found[number, 0] += 1.0 - row[:, :months].sum()
            found[number, 1] += row[0, months:].sum()
