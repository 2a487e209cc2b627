"""Outcome tables of many classes of deals side by side, compiled: every inner loop runs over classes.

The rule this module keeps: a class's numbers do not depend on its neighbours in a tile
(tests/test_simulation_open_deals.py).
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from engine.simulation.amount_kernels import FIRST_NODE, LAST_NODE, NODE_GAP, AmountTerms
from engine.simulation.clock import Clock
from engine.simulation.kernels import calendar, hazard_of, month_shocks
from engine.simulation.vector_math import vector_exp, vector_log
from engine.simulation.world import CLOSE, PHASE, WIN, Odds, Pipeline
from models.panel import Bools, Floats, Ints

LANES = 256
"""Classes, or deals, worked on side by side: their tables stay in the second-level cache, and calls are few."""

_EMPTY = 1e-9
"""Chance of being open below which a deal's further weeks are not worked out."""

_LOOK_WEEKS = 8
"""Every so many weeks deals are looked at for that."""

_LARGEST_ODDS = 1e140
"""Odds against, beyond which their product would overflow."""

_MANY_RUNS = 8
"""Runs of equal age in a tile from which ages are looked up lane by lane."""


class WorkSpace(NamedTuple):
    """Room for `outcome_rows`.

    Attributes
    ----------
    against : [2, LANES] odds of the week
    here, there : [stage, LANES] chance to be open, now and a week later
    left : [LANES] the same over all stages
    """

    against: Floats
    here: Floats
    there: Floats
    left: Floats


@njit(cache=True, error_model="numpy")
def work_space(stages: int) -> WorkSpace:
    """Room for that many stages."""
    return WorkSpace(np.zeros((2, LANES)), np.zeros((stages, LANES)), np.zeros((stages, LANES)), np.zeros(LANES))


@njit(cache=True, error_model="numpy")
def timed_odds(weeks: Floats, ages: Floats) -> Floats:
    """Odds [week, 2, age in the first week] of everything that time changes.

    Parameters
    ----------
    weeks : [week, 4] see `engine.simulation.kernels.calendar`
    ages : one draw of `Odds.age`
    """
    timed, last_age = np.empty((len(weeks), 2, ages.shape[1])), ages.shape[1] - 1
    for week in range(len(weeks)):
        phase = int(weeks[week, PHASE])
        for side in range(2):
            for age in range(last_age + 1):
                timed[week, side, age] = weeks[week, side] * ages[phase, min(age + week, last_age), side]
    return timed


@njit(cache=True, error_model="numpy")
def outcome_rows(
    timed: Floats,
    shares: Floats,
    bucket: Ints,
    stages: Floats,
    move: Floats,
    factors: Floats,
    class_age: Ints,
    class_stage: Ints,
    first: int,
    chances: Floats,
    work: WorkSpace,
) -> None:
    """Chance to be won and lost in each month, by recursion over the stages an open deal may be in.

    Parameters
    ----------
    timed : [week, 2, age] see `timed_odds`
    shares : [week] share of the week that is left
    bucket : [week] row of ``chances`` that a week counts in
    stages, move : one draw of `Odds`
    factors : [2, class] see `class_odds`
    class_age, class_stage : [class] at the beginning of the first week
    first : class of the first lane; lanes beyond the last class are left as they are
    chances : [2, bucket, LANES] filled with won and lost
    work : see `work_space`
    """
    count, lanes = len(stages), min(LANES, len(class_age) - first)
    live, step = np.zeros((2, count), np.bool_), np.empty((count, count))
    starts, runs = np.empty(LANES + 1, np.int64), 0  # runs of lanes of one age
    against, here, there, left = work.against, work.here, work.there, work.left
    chances[:] = 0.0
    here[:] = 0.0
    against[:] = 1.0
    for lane in range(lanes):
        here[class_stage[first + lane], lane] = 1.0
        live[0, class_stage[first + lane]] = True
        if lane == 0 or class_age[first + lane] != class_age[first + lane - 1]:
            starts[runs] = lane
            runs += 1
    starts[runs] = lanes
    now, after, last_share = 0, 1, -1.0
    for week in range(len(timed)):
        month, share = bucket[week], shares[week]
        _odds_of_week(timed, week, starts, runs, class_age, factors, first, lanes, against)
        if share != last_share:
            last_share = share
            for source in range(count):
                for target in range(count):
                    step[source, target] = share * move[source, target] + (1.0 - share if source == target else 0.0)
        live[after, :] = False
        for source in range(count):
            if live[now, source]:
                close, win = stages[source, CLOSE], stages[source, WIN]
                _close_stage(against, here, source, close, win, share, chances, month)
                for target in range(count):
                    live[after, target] = live[after, target] or step[source, target] != 0.0
        _move_stages(here, there, step, live, now)
        here, there = there, here
        now, after = after, now
        if week % _LOOK_WEEKS == _LOOK_WEEKS - 1 and _drop_empty(here, left):
            break


@njit(cache=True, error_model="numpy")
def _odds_of_week(
    timed: Floats,
    week: int,
    starts: Ints,
    runs: int,
    class_age: Ints,
    factors: Floats,
    first: int,
    lanes: int,
    against: Floats,
) -> None:
    """Fill ``against`` [2, LANES]; ``starts`` are the first lanes of ``runs`` runs of equal age."""
    if runs > _MANY_RUNS:
        for lane in range(lanes):
            age = class_age[first + lane]
            against[CLOSE, lane] = timed[week, CLOSE, age]
            against[WIN, lane] = timed[week, WIN, age]
    else:
        for run in range(runs):
            age = class_age[first + starts[run]]
            close, win = timed[week, CLOSE, age], timed[week, WIN, age]
            for lane in range(starts[run], starts[run + 1]):
                against[CLOSE, lane] = close
                against[WIN, lane] = win
    for side in range(2):
        for lane in range(lanes):
            odds = factors[side, first + lane] * against[side, lane]
            against[side, lane] = odds if odds < _LARGEST_ODDS else _LARGEST_ODDS


@njit(cache=True, error_model="numpy")
def _close_stage(
    against: Floats, here: Floats, stage: int, close: float, win: float, share: float, chances: Floats, month: int
) -> None:
    """Take out what closes in a week in a stage whose odds are ``close`` and ``win``."""
    if share == 1.0:
        for lane in range(LANES):
            odds = 1.0 + against[WIN, lane] * win
            won = here[stage, lane] / ((1.0 + against[CLOSE, lane] * close) * odds)
            closing = won * odds
            chances[0, month, lane] += won
            chances[1, month, lane] += closing - won
            here[stage, lane] -= closing
    else:
        for lane in range(LANES):
            closing = here[stage, lane] * hazard_of(against[CLOSE, lane] * close, share)
            won = closing / (1.0 + against[WIN, lane] * win)
            chances[0, month, lane] += won
            chances[1, month, lane] += closing - won
            here[stage, lane] -= closing


@njit(cache=True, error_model="numpy")
def _move_stages(here: Floats, there: Floats, step: Floats, live: Bools, now: int) -> None:
    """Move what is open by ``step`` [source, target]; stages that are not ``live`` hold nothing."""
    for target in range(len(step)):
        empty = True
        for source in range(len(step)):
            weight = step[source, target]
            if weight == 0.0 or not live[now, source]:
                continue
            if empty:
                for lane in range(LANES):
                    there[target, lane] = weight * here[source, lane]
                empty = False
            else:
                for lane in range(LANES):
                    there[target, lane] += weight * here[source, lane]
        if empty:
            for lane in range(LANES):
                there[target, lane] = 0.0


@njit(cache=True, error_model="numpy")
def _drop_empty(here: Floats, left: Floats) -> bool:
    """Take out lanes that are as good as closed; whether none is left."""
    left[:] = 0.0
    for stage in range(len(here)):
        for lane in range(LANES):
            left[lane] += here[stage, lane]
    alive = False
    for lane in range(LANES):
        if left[lane] >= _EMPTY:
            alive = True
        elif left[lane] > 0.0:
            for stage in range(len(here)):
                here[stage, lane] = 0.0
    return not alive


@njit(cache=True, error_model="numpy")
def class_odds(odds: Odds, pipeline: Pipeline, draw: int, factors: Floats) -> None:
    """Fill ``factors`` [2, class]: the odds of every class of open deals that time and stage do not change."""
    size, segment, product = odds.size[draw], odds.segment[draw], odds.product[draw]
    territory, rep = odds.territory[draw], odds.rep[draw]
    sizes, segments, products = pipeline.size, pipeline.segment, pipeline.product
    territories, reps = pipeline.territory, pipeline.rep
    for number in range(factors.shape[1]):
        for side in range(2):
            factor = size[sizes[number], side] * segment[segments[number], side] * product[products[number], side]
            factors[side, number] = factor * territory[territories[number], side] * rep[reps[number], side]


@njit(cache=True, error_model="numpy")
def mean_multiples(terms: AmountTerms, limited: Floats, centres: Floats, first: int, means: Floats) -> None:
    """Fill ``means`` [LANES]: expected won amount over list amount, as `mean_multiple` of each class's centre."""
    log_cap, lanes = np.log(terms.cap), min(LANES, len(centres) - first)
    spread = 1.0 - terms.zero - terms.exact
    for lane in range(lanes):
        scaled = (log_cap - centres[first + lane]) / terms.scale
        size = abs(scaled)
        angle = vector_log(size + math.sqrt(size * size + 1.0))  # inverse hyperbolic sine
        position = ((angle if scaled > 0.0 else -angle) - FIRST_NODE) / NODE_GAP
        position = position if position > 0.0 else 0.0
        means[lane] = position if position < LAST_NODE - 1e-9 else LAST_NODE - 1e-9
    for lane in range(lanes):
        node = np.uint64(means[lane])
        means[lane] = limited[node] + (means[lane] - node) * (limited[node + np.uint64(1)] - limited[node])
    for lane in range(lanes):
        means[lane] = terms.exact + spread * vector_exp(centres[first + lane] + means[lane])


@njit(cache=True, error_model="numpy")
def outcome_table(odds: Odds, pipeline: Pipeline, clock: Clock, draw: int, shocks: Floats) -> Floats:
    """Chances of all classes under one posterior draw, won and lost by simulated month; [class, 2, month]."""
    table, factors = np.zeros((len(pipeline.age), 2, len(shocks))), np.empty((2, len(pipeline.age)))
    chances, work = np.empty((2, len(shocks), LANES)), work_space(odds.stage.shape[1])
    timed = timed_odds(calendar(odds, clock, draw, clock.weeks, shocks), odds.age[draw])
    stages, move, ages, places = odds.stage[draw], odds.move[draw], pipeline.age, pipeline.stage
    class_odds(odds, pipeline, draw, factors)
    for low in range(0, len(table), LANES):
        outcome_rows(timed, clock.week_share, clock.week_month, stages, move, factors, ages, places, low, chances, work)
        for number in range(low, min(low + LANES, len(table))):
            table[number] = chances[:, :, number - low]
    return table


@njit(cache=True, error_model="numpy", nogil=True)
def late_wins(
    odds: Odds, pipeline: Pipeline, clock: Clock, blocks: Ints, draws: Ints, seed: np.uint64, found: Floats
) -> None:
    """Add to ``found`` [class, 2] the chance to be open after the simulated months, and to be won after them.

    Sums over ``blocks``, under the shocks these blocks have in the simulation.
    """
    count, ages, places, shares = len(clock.week_month), pipeline.age, pipeline.stage, clock.week_share
    factors, bucket = np.empty((2, len(found))), (clock.week_month >= len(clock.months)).astype(np.int64)
    chances, work = np.empty((2, 2, LANES)), work_space(odds.stage.shape[1])
    for block in blocks:
        draw = draws[block]
        shocks = month_shocks(odds, draw, clock.week_month[count - 1] + 1, seed, block)
        timed = timed_odds(calendar(odds, clock, draw, count, shocks), odds.age[draw])
        stages, move = odds.stage[draw], odds.move[draw]
        class_odds(odds, pipeline, draw, factors)
        for low in range(0, len(found), LANES):
            outcome_rows(timed, shares, bucket, stages, move, factors, ages, places, low, chances, work)
            for number in range(low, min(low + LANES, len(found))):
                found[number, 0] += 1.0 - (chances[0, 0, number - low] + chances[1, 0, number - low])
                found[number, 1] += chances[0, 1, number - low]
