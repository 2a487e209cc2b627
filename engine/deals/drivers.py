"""Why a deal's chance to win in the horizon differs from a typical open deal's, in percentage points.

The rule this module keeps: the points of a deal add up to its chance less the typical deal's, and only covariates that
the model uses get any (``test_points_add_up_to_the_chance_of_the_simulation``). They are Shapley values over the groups
of covariates: a group's points are its marginal contribution averaged over all orders in which a typical deal's values
can be replaced by the deal's own (Shapley 1953, doi:10.1515/9781400881970-018; as explanations of a prediction Lundberg
& Lee 2017, doi:10.48550/arXiv.1705.07874). With seven groups all 128 coalitions are worked out: nothing is sampled but
the posterior draws. The time left in the horizon is the same for both deals, hence has no points.
"""

from dataclasses import dataclass
from math import factorial

import numpy as np

from engine.deals.chances import GROUPS, play
from engine.simulation.clock import SimulationHorizons, build_clock
from engine.simulation.inputs import build_pipeline, plain
from engine.simulation.odds import build_odds
from engine.simulation.outcomes import DealOutcomes
from models.draws import Draws
from models.panel import Floats, Ints, Panel

LATE_WEEKS = 1
"""Weeks after the horizon that the clock is laid out for: none are needed here."""


@dataclass(frozen=True)
class Drivers:
    """What moves the open deals' chances, deals in the order of `DealOutcomes`.

    Attributes
    ----------
    typical : chance of a typical open deal to be won in the horizon (see `engine.deals.chances.typical_deal`)
    points : [deal, group] part of each of `GROUPS` in the deal's chance less the typical one; chances, not percent
    """

    typical: float
    points: Floats


def explain(panel: Panel, draws: Draws, outcome: DealOutcomes, months: Ints, seed: int) -> Drivers | None:
    """Split every open deal's chance to win in the horizon over the covariates of the model; None without open deals.

    The chances of coalitions are means over a handful of posterior draws, that of the whole deal is the simulation's
    (over all draws). What this handful misses, some tenths of a point, goes to the groups in proportion to their size.

    Parameters
    ----------
    outcome : of the run's simulation
    months : [month] forecast months since 1970-01
    seed : root seed of the drivers
    """
    if draws.closing is None or len(outcome.deal) == 0:
        return None
    clock = build_clock(panel.as_of, SimulationHorizons(months), panel.fiscal_year_start, LATE_WEEKS)
    odds = plain(build_odds(draws.closing, clock, draws.count))
    pipeline = plain(build_pipeline(panel, draws, clock, outcome.deal, np.zeros(len(outcome.deal), dtype=np.int64)))
    game = play(odds, pipeline, plain(clock), seed)
    parts = game.values @ shapley_weights(len(GROUPS)).T  # [class, group]
    number = np.empty(len(outcome.deal), dtype=np.int64)
    number[pipeline.order] = np.repeat(np.arange(len(pipeline.age)), np.diff(pipeline.class_start))
    typical = float(game.values[0, 0])
    return Drivers(typical, _complete(parts[number], outcome.p_win_in_period - typical))


def shapley_weights(players: int) -> Floats:
    """[player, coalition] weights of the values of coalitions in Shapley values; bit ``g`` of a coalition is player g.

    Examples
    --------
    >>> shapley_weights(1)
    array([[-1.,  1.]])
    """
    coalition = np.arange(2**players)
    inside = (coalition >> np.arange(players)[:, None] & 1).astype(bool)  # [player, coalition]
    size = inside.sum(axis=0)
    order = np.array([factorial(n) for n in range(players + 1)], dtype=float) / factorial(players)
    orders = np.array([factorial(n) for n in range(players + 1)], dtype=float)
    joins = orders[np.maximum(size - 1, 0)] * order[players - size]
    misses = orders[size] * order[np.maximum(players - size - 1, 0)]
    return np.where(inside, joins, -misses)


def _complete(parts: Floats, difference: Floats) -> Floats:
    """Parts [deal, group] that add up to ``difference`` [deal]; what is missing goes by their size."""
    weight = np.abs(parts)
    total = weight.sum(axis=1, keepdims=True)
    # A deal typical in every respect: no group is larger than another, so all carry the rounding.
    share = np.divide(weight, total, out=np.full_like(parts, 1 / parts.shape[1]), where=total > 0)
    return parts + share * (difference - parts.sum(axis=1))[:, None]
