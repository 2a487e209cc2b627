"""What all deals of a block share, compiled; `engine.simulation.reference` has the same functions in NumPy."""

import math

import numpy as np
from numba import njit

from engine.simulation.clock import Clock
from engine.simulation.streams import SHOCKS, normal, start
from engine.simulation.world import CLOSE, PHASE, SHARE, WIN, Odds
from models.calendar import WEEKS_PER_MONTH
from models.panel import Floats


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
def hazard_of(odds_against: float, share: float) -> float:
    """Chance of an event within the share of a week that is left."""
    hazard = 1.0 / (1.0 + odds_against)
    return hazard if share == 1.0 else 1.0 - (1.0 - hazard) ** share
