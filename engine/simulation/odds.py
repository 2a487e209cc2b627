"""Posterior draws of closing and of amounts in the form the kernels read."""

import numpy as np

from engine.simulation.clock import Clock
from engine.simulation.world import Amounts, Odds
from models.calendar import MONTHS_PER_QUARTER, WEEKS_PER_QUARTER
from models.draws import AmountDraws, ClosingDraws
from models.panel import Floats, Panel

NODES = np.linspace(-6.0, 6.5, 1001)
"""Positions of the nodes of `Amounts.limited_log_mean`; a node is at ``sinh(position)`` scales."""

LARGEST_DOF = 1e6
"""Beyond it a Student t is a normal to all digits that matter."""


def build_odds(closing: ClosingDraws | None, clock: Clock, count: int) -> Odds:
    """Turn logit effects into factors of the odds against; neutral ones for ``count`` draws without the leg."""
    if closing is None:
        return _no_odds(count)
    weeks_of_age = np.searchsorted(closing.age_bins, np.arange(int(closing.age_bins[-1]) + 1), side="right") - 1
    first_known = closing.shock_months == clock.months[0]
    cumulative = np.cumsum(closing.stage_move, axis=2)
    return Odds(
        size_edges=closing.size_edges,
        base=_factors(closing.close_base, closing.win_base),
        age=_factors(
            (closing.close_age[:, None] + closing.close_age_month)[:, :, weeks_of_age],
            closing.win_age[:, None, weeks_of_age],
        ),
        stage=_factors(closing.close_stage, closing.win_stage),
        week=_factors(closing.close_week, closing.win_week),
        size=_factors(closing.close_size, closing.win_size),
        segment=_factors(with_none(closing.close_segment), with_none(closing.win_segment)),
        product=_factors(with_none(closing.close_product), with_none(closing.win_product)),
        territory=_factors(np.zeros((1, 1)), with_none(closing.win_territory)),
        rep=_factors(np.zeros((1, 1)), with_none(closing.win_rep)),
        shock_scale=closing.shock_scale,
        shock_correlation=closing.shock_correlation,
        first_shock=closing.shocks[:, first_known][:, 0] if first_known.any() else np.zeros_like(closing.shock_scale),
        first_known=np.array([first_known.any()]),
        move=closing.stage_move,
        path=np.concatenate([cumulative, np.cumsum(closing.first_stage, axis=1)[:, None]], axis=1),
    )


def _factors(close: Floats, win: Floats) -> Floats:
    """Factors of the odds against, both sides in the last axis."""
    return np.exp(-np.stack(np.broadcast_arrays(close, win), axis=-1))


def build_amounts(amounts: AmountDraws | None, panel: Panel, count: int) -> Amounts:
    """Append what holds for NONE and tabulate the limited mean; neutral numbers for ``count`` draws without the leg."""
    if amounts is None:
        return _no_amounts(count)
    dof = np.minimum(amounts.dof, LARGEST_DOF)
    return Amounts(
        base=amounts.base,
        scale=amounts.scale,
        dof=dof,
        zero=amounts.zero,
        exact=amounts.exact,
        product=with_none(amounts.product),
        segment=with_none(amounts.segment),
        rep=with_none(amounts.rep),
        lists=np.concatenate([np.stack([amounts.list_log_mean, amounts.list_log_sd], axis=1), company_list(panel)]),
        cap=float(amounts.cap),
        limited_log_mean=limited_log_mean(amounts.scale, dof),
    )


def company_list(panel: Panel) -> Floats:
    """[1, 2] mean and SD of the log of all list amounts, for deals without a product; 0 where none is known."""
    amounts = panel.deals.list_amount
    known = np.log(amounts[amounts > 0])
    return np.array([[known.mean(), known.std()]]) if known.size else np.zeros((1, 2))


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


def _no_odds(count: int) -> Odds:
    table = np.ones((count, 1, 2))
    return Odds(
        size_edges=np.zeros(0),
        base=np.ones((count, 2)),
        age=np.ones((count, MONTHS_PER_QUARTER, 1, 2)),
        stage=table,
        week=np.ones((count, WEEKS_PER_QUARTER, 2)),
        size=table,
        segment=table,
        product=table,
        territory=table,
        rep=table,
        shock_scale=np.zeros((count, 2)),
        shock_correlation=np.zeros(count),
        first_shock=np.zeros((count, 2)),
        first_known=np.zeros(1, dtype=bool),
        move=np.ones((count, 1, 1)),
        path=np.ones((count, 2, 1)),
    )


def _no_amounts(count: int) -> Amounts:
    ones, zeros, column = np.ones(count), np.zeros(count), np.zeros((count, 1))
    return Amounts(
        base=zeros,
        scale=ones,
        dof=ones,
        zero=zeros,
        exact=zeros,
        product=column,
        segment=column,
        rep=column,
        lists=np.zeros((1, 2)),
        cap=1.0,
        limited_log_mean=np.zeros((count, len(NODES))),
    )
