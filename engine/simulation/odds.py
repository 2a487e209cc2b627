"""Posterior draws of closing and of amounts in the form the kernels read."""

import numpy as np

from engine.simulation.clock import Clock
from engine.simulation.world import Amounts, Odds
from models.calendar import WEEKS_PER_QUARTER
from models.draws import AmountDraws, ClosingDraws
from models.panel import Floats

NODES = np.linspace(-6.0, 6.5, 1001)
"""Positions of the nodes of `Amounts.limited_log_mean`; a node is at ``sinh(position)`` scales."""

LARGEST_DOF = 1e6
"""Beyond it a Student t is a normal to all digits that matter."""


def build_odds(closing: ClosingDraws | None, clock: Clock) -> Odds:
    """Turn logit effects into factors of the odds against."""
    if closing is None:
        return _no_odds()
    weeks_of_age = np.searchsorted(closing.age_bins, np.arange(int(closing.age_bins[-1]) + 1), side="right") - 1
    first_known = closing.shock_months == clock.months[0]
    first_shock = closing.shocks[:, first_known][:, 0] if first_known.any() else np.zeros_like(closing.shock_scale)
    move = np.ascontiguousarray(closing.stage_move)
    return Odds(
        size_edges=np.array(closing.size_edges, dtype=float),
        close_base=np.exp(-closing.close_base),
        close_age=np.exp(-closing.close_age[:, weeks_of_age]),
        close_stage=np.exp(-closing.close_stage),
        close_week=np.exp(-closing.close_week),
        close_size=np.exp(-closing.close_size),
        close_segment=np.exp(-with_none(closing.close_segment)),
        close_product=np.exp(-with_none(closing.close_product)),
        win_base=np.exp(-closing.win_base),
        win_age=np.exp(-closing.win_age[:, weeks_of_age]),
        win_stage=np.exp(-closing.win_stage),
        win_week=np.exp(-closing.win_week),
        win_size=np.exp(-closing.win_size),
        win_segment=np.exp(-with_none(closing.win_segment)),
        win_product=np.exp(-with_none(closing.win_product)),
        win_territory=np.exp(-with_none(closing.win_territory)),
        win_rep=np.exp(-with_none(closing.win_rep)),
        shock_scale=np.array(closing.shock_scale),
        shock_correlation=np.array(closing.shock_correlation),
        first_shock=np.ascontiguousarray(first_shock),
        first_known=np.array([first_known.any()]),
        move=move,
        move_cumulative=np.cumsum(move, axis=2),
        first_cumulative=np.cumsum(closing.first_stage, axis=1),
    )


def build_amounts(amounts: AmountDraws | None) -> Amounts:
    """Append the neutral columns and tabulate the limited mean."""
    if amounts is None:
        return _no_amounts()
    dof = np.minimum(amounts.dof, LARGEST_DOF)
    return Amounts(
        base=np.array(amounts.base),
        scale=np.array(amounts.scale),
        dof=dof,
        zero=np.array(amounts.zero),
        exact=np.array(amounts.exact),
        product=with_none(amounts.product),
        segment=with_none(amounts.segment),
        rep=with_none(amounts.rep),
        list_log_mean=np.append(amounts.list_log_mean, np.nan),
        list_log_sd=np.append(amounts.list_log_sd, np.nan),
        cap=float(amounts.cap),
        limited_log_mean=limited_log_mean(amounts.scale, dof),
    )


def limited_log_mean(scale: Floats, dof: Floats) -> Floats:
    """Log of E[min(exp(scale t), exp(z))] for a Student t, at ``z = scale sinh(NODES)``.

    With S the survival function it is the integral of ``exp(u) S(u / scale)`` up to z (the limited expected value of
    loss models, Klugman, Panjer & Willmot). S is a trapezoid sum over the nodes.

    Parameters
    ----------
    scale, dof : [D]

    Returns
    -------
    [D, node]
    """
    t = np.sinh(NODES)
    step = (NODES[1] - NODES[0]) * np.cosh(NODES)
    density = np.exp(-0.5 * (dof[:, None] + 1) * np.log1p(t**2 / dof[:, None])) * step  # [D, node]
    above = np.cumsum(density[:, ::-1], axis=1)[:, ::-1]
    survival = (above - 0.5 * density) / above[:, :1]
    # exponents beyond 700 overflow; no cap is that many scales away
    growth = np.exp(np.minimum(scale[:, None] * t, 700.0))
    piece = scale[:, None] * growth * survival * step
    total = growth[:, :1] + np.cumsum(piece, axis=1) - 0.5 * (piece + piece[:, :1])
    return np.log(total)


def with_none(effects: Floats) -> Floats:
    """Append a column of zeros, found by index NONE."""
    return np.concatenate([effects, np.zeros((len(effects), 1))], axis=1)


def _no_odds() -> Odds:
    one, column = np.ones(1), np.ones((1, 1))
    return Odds(
        size_edges=np.zeros(0),
        close_base=one,
        close_age=column,
        close_stage=column,
        close_week=np.ones((1, WEEKS_PER_QUARTER)),
        close_size=column,
        close_segment=column,
        close_product=column,
        win_base=one,
        win_age=column,
        win_stage=column,
        win_week=np.ones((1, WEEKS_PER_QUARTER)),
        win_size=column,
        win_segment=column,
        win_product=column,
        win_territory=column,
        win_rep=column,
        shock_scale=np.zeros((1, 2)),
        shock_correlation=np.zeros(1),
        first_shock=np.zeros((1, 2)),
        first_known=np.zeros(1, dtype=bool),
        move=np.ones((1, 1, 1)),
        move_cumulative=np.ones((1, 1, 1)),
        first_cumulative=column,
    )


def _no_amounts() -> Amounts:
    one, column = np.ones(1), np.zeros((1, 1))
    return Amounts(
        base=np.zeros(1),
        scale=one,
        dof=one,
        zero=np.zeros(1),
        exact=np.zeros(1),
        product=column,
        segment=column,
        rep=column,
        list_log_mean=np.full(1, np.nan),
        list_log_sd=np.full(1, np.nan),
        cap=1.0,
        limited_log_mean=np.zeros((1, len(NODES))),
    )
