"""Amounts of won deals, compiled."""

import math

from numba import njit

from engine.simulation.odds import NODES
from engine.simulation.streams import Stream, normal, student_t, uniform
from engine.simulation.world import Amounts

_FIRST_NODE = float(NODES[0])
_NODE_GAP = float(NODES[1] - NODES[0])
_LAST_NODE = len(NODES) - 1


@njit(cache=True, error_model="numpy")
def log_multiple(amounts: Amounts, draw: int, segment: int, product: int, rep: int) -> float:
    """Centre of the log of won amount over list amount."""
    return amounts.base[draw] + amounts.product[draw, product] + amounts.segment[draw, segment] + amounts.rep[draw, rep]


@njit(cache=True, error_model="numpy")
def mean_multiple(amounts: Amounts, draw: int, centre: float) -> float:
    """Expected won amount over list amount: the mixture's mean with the capped Student t from its table."""
    position = (math.asinh((math.log(amounts.cap) - centre) / amounts.scale[draw]) - _FIRST_NODE) / _NODE_GAP
    position = min(max(position, 0.0), _LAST_NODE - 1e-9)
    node = int(position)
    low, high = amounts.limited_log_mean[draw, node], amounts.limited_log_mean[draw, node + 1]
    spread = math.exp(centre + low + (position - node) * (high - low))
    zero, exact = amounts.zero[draw], amounts.exact[draw]
    return exact + (1.0 - zero - exact) * spread


@njit(cache=True, error_model="numpy")
def won_amount(amounts: Amounts, draw: int, centre: float, list_log: float, state: Stream) -> float:
    """Draw the amount of a won deal whose list amount is known."""
    kind = uniform(state)
    if kind < amounts.zero[draw]:
        return 0.0
    if kind < amounts.zero[draw] + amounts.exact[draw]:
        return math.exp(list_log)
    multiple = math.exp(min(centre + amounts.scale[draw] * student_t(state, amounts.dof[draw]), 700.0))
    return math.exp(list_log) * min(multiple, amounts.cap)


@njit(cache=True, error_model="numpy")
def drawn_list_log(amounts: Amounts, product: int, state: Stream) -> float:
    """Log of the list amount of a deal that has none yet; 0 where the company's deals have none."""
    mean, sd = amounts.list_log_mean[product], amounts.list_log_sd[product]
    noise = normal(state)
    return 0.0 if math.isnan(mean) else mean + (0.0 if math.isnan(sd) else sd) * noise


@njit(cache=True, error_model="numpy")
def mean_list_amount(amounts: Amounts, product: int, list_log: float) -> float:
    """Expected list amount of an open deal."""
    if not math.isnan(list_log):
        return math.exp(list_log)
    mean, sd = amounts.list_log_mean[product], amounts.list_log_sd[product]
    return 1.0 if math.isnan(mean) else math.exp(mean + (0.0 if math.isnan(sd) else 0.5 * sd * sd))
