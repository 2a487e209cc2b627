"""The chance to win in the horizon as a game of covariates: every mix of a deal's own and the typical deal's values.

A deal's covariates reach its outcome table in two ways. Age and stage steer the recursion over weeks; size, product,
segment, territory and rep enter as two factors of the odds, against closing and against winning. For every age and
stage the simulation's own outcome table is evaluated at Chebyshev nodes of the two log factors, and every mix of
covariates is read from the polynomial through them: work per class of deals and posterior draw, whatever the number of
deals (tests/test_deal_drivers.py holds it to the tables themselves).
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from engine.simulation.clock import Clock
from engine.simulation.inputs import plain
from engine.simulation.outcome_kernels import outcome_table
from engine.simulation.world import CLOSE, WIN, Odds, Pipeline
from models.panel import NONE, Floats, Ints

TIMED = ("age", "stage")
"""Covariates that steer the recursion over weeks."""

CONSTANT = ("size", "product", "segment", "territory", "rep")
"""Covariates that enter as factors of the odds."""

GROUPS = TIMED + CONSTANT
"""All covariates by which open deals differ in the model; bit ``g`` of a coalition stands for the g-th of them."""

NODES = 9
"""Chebyshev nodes of each log factor: errors of 1e-4 of a chance over the range of a whole company."""

MOST_DRAWS, FEWEST_DRAWS, CLASS_DRAWS = 100, 16, 400_000
"""Posterior draws that a mix of covariates is averaged over, and classes x draws that are worked out in all."""


@dataclass(frozen=True)
class Game:
    """Chances of all coalitions of covariates.

    Attributes
    ----------
    values : [class, coalition] chance to win in the horizon when the covariates in the coalition are the deal's own and
        the others those of the typical deal
    typical : [group] values of the typical deal, as in `engine.simulation.world.Pipeline`
    """

    values: Floats
    typical: Ints


def typical_deal(pipeline: Pipeline) -> Ints:
    """Covariates [group] of the typical open deal.

    Median age, most frequent stage, size class, product and segment; a territory and a rep of average effect (NONE).
    """
    deals = np.diff(pipeline.class_start)
    age = np.sort(np.repeat(pipeline.age, deals))
    values = [int(age[(len(age) - 1) // 2])]
    for name in ("stage", "size", "product", "segment"):
        known, where = np.unique(getattr(pipeline, name), return_inverse=True)
        values.append(int(known[np.bincount(where, deals).argmax()]))
    return np.array([*values, NONE, NONE])


def play(odds: Odds, pipeline: Pipeline, clock: Clock, seed: int) -> Game:
    """Chances of every class and coalition, averaged over a handful of posterior draws with shocks of their own.

    Parameters
    ----------
    odds, pipeline, clock : of the run; at least one open deal
    seed : of the shocks
    """
    typical = typical_deal(pipeline)
    rng = np.random.default_rng(seed)
    count = min(len(odds.base), int(np.clip(CLASS_DRAWS // len(pipeline.age), FEWEST_DRAWS, MOST_DRAWS)))
    chosen = np.arange(count) * len(odds.base) // count
    values = np.zeros((len(pipeline.age), 2 ** len(GROUPS)))
    ages = np.unique(np.append(pipeline.age, typical[0]))
    age, first_age = np.searchsorted(ages, pipeline.age), int(np.searchsorted(ages, typical[0]))
    noise = rng.standard_normal((-(-count // 2), len(clock.months), 2))
    noise = np.stack([noise, -noise], axis=1).reshape(-1, *noise.shape[1:])  # antithetic pairs
    for draw, normal in zip(chosen, noise, strict=False):
        shocks = month_shocks(odds, int(draw), normal)
        own, other = _logs(odds, int(draw), pipeline, typical)
        centre, half = _range(own, other)
        table = _polynomials(_alone(odds, int(draw)), clock, shocks, ages, centre, half)
        _mix(table, np.stack([age, pipeline.stage]), (first_age, int(typical[1])), own, other, (centre, half), values)
    return Game(values / count, typical)


def month_shocks(odds: Odds, draw: int, normal: Floats) -> Floats:
    """Factors ``exp(-shock)`` [month, side] from independent standard normals [month, side]."""
    correlation, shocks = odds.shock_correlation[draw], np.empty_like(normal)
    shocks[:, CLOSE] = normal[:, CLOSE]
    shocks[:, WIN] = correlation * normal[:, CLOSE] + np.sqrt(1 - correlation**2) * normal[:, WIN]
    shocks *= odds.shock_scale[draw]
    if odds.first_known[0]:
        shocks[0] = odds.first_shock[draw]
    return np.exp(-shocks)


def _logs(odds: Odds, draw: int, pipeline: Pipeline, typical: Ints) -> tuple[Floats, Floats]:
    """Log factors of the odds: of every class [class, group, side] and of the typical deal [group, side]."""
    tables = [np.log(getattr(odds, name)[draw]) for name in CONSTANT]
    own = np.stack([table[getattr(pipeline, name)] for name, table in zip(CONSTANT, tables, strict=True)], axis=1)
    other = np.stack([table[value] for value, table in zip(typical[len(TIMED) :], tables, strict=True)])
    return np.ascontiguousarray(own), np.ascontiguousarray(other)


def _range(own: Floats, other: Floats) -> tuple[Floats, Floats]:
    """Middle and half width [side] of the sums that any coalition can reach."""
    low = np.minimum(own.min(axis=0), other).sum(axis=0)
    high = np.maximum(own.max(axis=0), other).sum(axis=0)
    return (low + high) / 2, np.maximum((high - low) / 2, 1e-6)


def _alone(odds: Odds, draw: int) -> Odds:
    """The odds of one draw, where territory, rep, segment and product change nothing."""
    held = {
        name: value if name in ("size_edges", "first_known") else value[draw : draw + 1]
        for name, value in odds._asdict().items()
    }
    neutral = np.ones((1, 1, 2))
    return Odds(**held | dict.fromkeys(("segment", "product", "territory", "rep"), neutral))


def _polynomials(odds: Odds, clock: Clock, shocks: Floats, ages: Ints, centre: Floats, half: Floats) -> Floats:
    """Chebyshev coefficients [age, stage, close node, win node] of the chance to win in the forecast months."""
    angles = np.pi * (np.arange(NODES) + 0.5) / NODES
    nodes = centre + half * np.cos(angles)[:, None]  # [node, side]
    grid = np.stack(np.broadcast_arrays(nodes[:, None, 0], nodes[None, :, 1]), axis=-1).reshape(-1, 2)
    stages = odds.stage.shape[1]
    age, stage, size = (
        part.reshape(-1) for part in np.meshgrid(ages, np.arange(stages), np.arange(len(grid)), indexing="ij")
    )
    none, nothing = np.zeros(len(age), dtype=np.int64), np.zeros(0)
    pipeline = Pipeline(
        *(age, stage, size, none, none, none, none),
        *(none[:0], none[:0], none[:0], none[:0], none[:0].astype(np.uint64), nothing),
    )
    table = outcome_table(plain(odds._replace(size=np.exp(grid)[None])), plain(pipeline), clock, 0, shocks)
    chance = table[:, 0][:, clock.forecast_slot >= 0].sum(axis=1).reshape(len(ages), stages, NODES, NODES)
    transform = np.cos(np.arange(NODES)[:, None] * angles) * 2 / NODES
    transform[0] /= 2
    return np.ascontiguousarray(np.einsum("ik,ackl,jl->acij", transform, chance, transform, optimize=True))


@njit(cache=True, error_model="numpy", nogil=True)
def _mix(
    table: Floats,
    timed: Ints,
    typical: tuple[int, int],
    own: Floats,
    other: Floats,
    scale: tuple[Floats, Floats],
    values: Floats,
) -> None:
    """Add the chances of one draw to ``values`` [class, coalition]; ``timed`` [2, class] holds age and stage."""
    size, constant = table.shape[2], own.shape[1]
    subsets = 1 << constant
    # subsets lie side by side, so that every inner loop is one over neighbours in memory
    close, win = np.ones((size, subsets)), np.ones((size, subsets))
    line, total = np.empty(subsets), np.empty(subsets)
    for number in range(len(values)):
        _sums(own[number], other, scale, close[1], win[1])
        for term in range(2, size):
            for subset in range(subsets):
                close[term, subset] = 2 * close[1, subset] * close[term - 1, subset] - close[term - 2, subset]
                win[term, subset] = 2 * win[1, subset] * win[term - 1, subset] - win[term - 2, subset]
        for choice in range(4):
            age = timed[0, number] if choice & 1 else typical[0]
            stage = timed[1, number] if choice & 2 else typical[1]
            total[:] = 0.0
            for i in range(size):
                line[:] = 0.0
                for j in range(size):
                    coefficient = table[age, stage, i, j]
                    for subset in range(subsets):
                        line[subset] += coefficient * win[j, subset]
                for subset in range(subsets):
                    total[subset] += close[i, subset] * line[subset]
            for subset in range(subsets):
                values[number, 4 * subset + choice] += total[subset]


@njit(cache=True, error_model="numpy", nogil=True)
def _sums(own: Floats, other: Floats, scale: tuple[Floats, Floats], close: Floats, win: Floats) -> None:
    """Fill ``close`` and ``win`` [subset] with the scaled sums of a class's log factors ``own`` [group, side]."""
    for subset in range(len(close)):
        first, second = -scale[0][0], -scale[0][1]
        for group in range(len(own)):
            inside = subset >> group & 1
            first += own[group, 0] if inside else other[group, 0]
            second += own[group, 1] if inside else other[group, 1]
        close[subset], win[subset] = first / scale[1][0], second / scale[1][1]
