"""Amounts of won deals, compiled."""

import math
from typing import NamedTuple

from numba import njit

from engine.simulation.odds import NODES
from engine.simulation.streams import Stream, student_t, uniform
from engine.simulation.world import Amounts
from models.panel import Floats

FIRST_NODE = float(NODES[0])
NODE_GAP = float(NODES[1] - NODES[0])
LAST_NODE = len(NODES) - 1


class AmountTerms(NamedTuple):
    """Numbers of one posterior draw: see `models.draws.AmountDraws`."""

    base: float
    scale: float
    dof: float
    zero: float
    exact: float
    cap: float


@njit(cache=True, error_model="numpy")
def amount_terms(amounts: Amounts, draw: int) -> AmountTerms:
    """Gather the numbers of one posterior draw."""
    return AmountTerms(
        amounts.base[draw], amounts.scale[draw], amounts.dof[draw], amounts.zero[draw], amounts.exact[draw], amounts.cap
    )


@njit(cache=True, error_model="numpy")
def mean_multiple(terms: AmountTerms, limited_log_mean: Floats, centre: float) -> float:
    """Expected won amount over list amount: the mixture's mean with the capped Student t from its table [node]."""
    position = (math.asinh((math.log(terms.cap) - centre) / terms.scale) - FIRST_NODE) / NODE_GAP
    position = min(max(position, 0.0), LAST_NODE - 1e-9)
    node = int(position)
    low, high = limited_log_mean[node], limited_log_mean[node + 1]
    spread = math.exp(centre + low + (position - node) * (high - low))
    return terms.exact + (1.0 - terms.zero - terms.exact) * spread


@njit(cache=True, error_model="numpy")
def won_amount(terms: AmountTerms, centre: float, list_log: float, state: Stream) -> float:
    """Draw the amount of a won deal whose list amount is known."""
    kind = uniform(state)
    if kind < terms.zero:
        return 0.0
    if kind < terms.zero + terms.exact:
        return math.exp(list_log)
    multiple = math.exp(min(centre + terms.scale * student_t(state, terms.dof), 700.0))
    return math.exp(list_log) * min(multiple, terms.cap)


@njit(cache=True, error_model="numpy")
def mean_list_amount(mean: float, sd: float, list_log: float) -> float:
    """Expected list amount of an open deal, of which ``list_log`` is NaN when it is not known."""
    return math.exp(mean + 0.5 * sd * sd) if math.isnan(list_log) else math.exp(list_log)
