"""Orders booked without a deal, with the account as the atom: when it orders, how much, and who is new.

What happens in a month, given an account's state, is written down in `models.draws.OrderDraws`; the simulation does
exactly that. Timing, amounts and first orders share no parameters, so they are three small models.
"""

import numpy as np
from scipy.special import logit

from models.diagnostics import diagnose
from models.draws import Diagnostics, OrderDraws
from models.first_orders import draw_first_amounts, first_orders
from models.order_cycles import PRIOR_CHANCE, draw_cycles, fit_cycles
from models.order_history import DUE, account_months, latest_state, order_history, usual_gap
from models.order_parts import CARRY_MEAN, Fit, fit_amounts, fit_first, fit_timing
from models.order_rows import amount_rows, grade_edges, group_level, order_cells, product_split
from models.order_sellers import draw_first_sellers, draw_sellers, next_sellers, rep_visits
from models.panel import Floats, Panel
from models.settings import ModelSettings


def fit_bookings(panel: Panel, settings: ModelSettings, seed: int) -> tuple[OrderDraws, Diagnostics]:
    """Fit the bookings leg.

    Parameters
    ----------
    panel : with orders of accounts
    settings : of all models; ``settings.orders`` and ``settings.sampler`` are used
    seed : of the chains and of everything drawn after them

    Raises
    ------
    ValueError
        When no order belongs to an account.
    """
    chosen, sampler = settings.orders, settings.sampler
    history = order_history(panel, chosen.decays)
    months = account_months(history)
    latest = latest_state(history, len(panel.accounts.labels))
    cycles = fit_cycles(months, latest.orders)
    edges = grade_edges(history, chosen)
    cells = order_cells(months, cycles, edges)
    group = group_level(panel, history)
    rows = amount_rows(history, group, edges, chosen)
    first = first_orders(panel, history)
    seeds = [int(s) for s in np.random.SeedSequence(seed).generate_state(4)]
    grades = len(edges) + 1
    timing = fit_timing(cells, grades, chosen, sampler, seeds[0])
    amounts = fit_amounts(rows, grades, chosen, sampler, seeds[1])
    firsts = fit_first(first, chosen, sampler, seeds[2])
    rng = np.random.default_rng(seeds[3])
    draws = sampler.chains * sampler.draws
    cycle, cycle_share = draw_cycles(cycles, latest.orders, draws, rng)
    pool, shift, first_amount_season = draw_first_amounts(first, draws, chosen.pool, len(panel.territories), rng)
    split_account, split_product, split_share = product_split(panel, history, chosen.split_months)
    odd = 1 / (1 + np.exp(-amounts.draws("odd_logit")))
    state, season, missed = _timing_draws(timing, grades)
    visits, gap = rep_visits(panel), usual_gap(history)
    sellers = next_sellers(panel, visits)
    winners = draw_first_sellers(panel, visits, sellers, gap, draws, rng)
    return OrderDraws(
        base=state[:, DUE],
        state=state - state[:, [DUE]],
        season=season,
        missed=missed,
        shock_scale=timing.scales["shock"],
        cycle=cycle,
        cycle_share=cycle_share,
        elapsed=latest.elapsed,
        orders=latest.orders,
        level=latest.level,
        weight=latest.weight,
        decay=history.decay,
        group=group,
        grade_edges=edges,
        carry=CARRY_MEAN + amounts.effects["carry"],
        amount_age=amounts.effects["age"],
        amount_grade=amounts.effects.get("grade", np.zeros((draws, grades))),
        amount_scale=np.exp(amounts.draws("log_scale")),
        odd_chance=odd,
        odd_mean=amounts.draws("odd_mean"),
        odd_sd=np.exp(amounts.draws("odd_log_sd")),
        amount_season=amounts.effects["season"],
        amount_shock_scale=amounts.scales["shock"],
        cap=float(history.log_amount.max() + np.log(chosen.cap_factor)),
        first_rate=_first_rate(firsts, len(panel.territories)) * first.unplaced,
        first_season=firsts.effects["season"],
        first_shock_scale=np.full(draws, chosen.first_shock_scale),
        first_dispersion=firsts.draws("dispersion"),
        first_pool=pool,
        first_shift=shift,
        first_amount_season=first_amount_season,
        first_group=np.full(len(panel.territories), float(group[history.account].mean())),
        split_account=split_account,
        split_product=split_product,
        split_share=split_share,
        seller=draw_sellers(panel, visits, sellers, gap, draws, rng),
        first_seller_territory=winners.territory,
        first_seller=winners.rep,
        first_seller_share=winners.share,
    ), _together(
        [_diagnose(fit) for fit in (timing, amounts, firsts)], len(months) + len(history), len(cells) + len(rows)
    )


def _timing_draws(timing: Fit, grades: int) -> tuple[Floats, Floats, Floats]:
    """Logit [D, state] of states, and departures from it [D, month of year, grade]: on time, after a miss."""
    effects = timing.effects
    season = np.repeat(effects["season"][:, :, None], grades, axis=2)
    missed = np.repeat(effects["missed"][:, :, None], grades, axis=2)
    if grades > 1:
        season = season + effects["season_grade"].reshape(-1, season.shape[1], grades) + effects["grade"][:, None, :]
        missed = missed + effects["grade"][:, None, :]
    return effects["state"] + logit(PRIOR_CHANCE), season, missed


def _first_rate(firsts: Fit, territories: int) -> Floats:
    """First orders per territory and average month [D, territory]."""
    return np.exp(firsts.effects["base"] + firsts.effects.get("territory", np.zeros((1, territories))))


def _diagnose(fit: Fit) -> Diagnostics:
    """Judge everything reported; the whitened coordinates are only a means."""
    names = tuple(str(name) for name in fit.trace.posterior.data_vars if not str(name).endswith("_white"))
    return diagnose("account_bookings", fit.trace, names, rows=0, cells=0)


def _together(parts: list[Diagnostics], rows: int, cells: int) -> Diagnostics:
    """The worst of the parts."""
    return Diagnostics(
        model="account_bookings",
        r_hat=max(part.r_hat for part in parts),
        ess=min(part.ess for part in parts),
        divergences=sum(part.divergences for part in parts),
        rows=rows,
        cells=cells,
        parameters=sum(part.parameters for part in parts),
        k_hat=max((part.k_hat for part in parts if part.k_hat is not None), default=None),
    )
