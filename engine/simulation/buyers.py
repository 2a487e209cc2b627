"""Orders: known accounts that may order again, and customers yet to come."""

import numpy as np

from engine.simulation.cells import stream_keys
from engine.simulation.clock import Clock
from engine.simulation.world import FirstOrders, OrderBook
from models.calendar import month_of_year
from models.draws import Draws, OrderDraws
from models.order_history import order_state
from models.panel import NONE, Floats, Ints, Panel


def order_sites(panel: Panel, draws: OrderDraws | None) -> Ints:
    """[split, 4] account, rep, product and territory of every product that a known buyer orders, rep after rep."""
    if draws is None:
        return np.zeros((0, 4), dtype=np.int64)
    _, account, seller, product, _ = _splits(draws)
    return np.stack([account, seller, product, panel.cell_territory(account, seller)], axis=1)


def _buyers(draws: OrderDraws) -> Ints:
    """Accounts that have ordered; first orders stand for all others."""
    return np.flatnonzero(draws.elapsed >= 0)


def _pairs(draws: OrderDraws) -> tuple[Ints, Ints, Ints]:
    """Position among the buyers and rep [pair] of all who may book a buyer's orders, and the pair [D, buyer] drawn."""
    seller = draws.seller[:, _buyers(draws)]
    reps = int(seller.max(initial=NONE)) + 2
    code = np.arange(seller.shape[1]) * reps + seller - NONE
    drawn = np.zeros(seller.shape[1] * reps, dtype=bool)  # a table, since sorting draws x buyers would take long
    drawn[code] = True
    names = np.flatnonzero(drawn)
    return names // reps, names % reps + NONE, (np.cumsum(drawn) - 1)[code]


def _mix(draws: OrderDraws) -> tuple[Ints, Ints, Ints, Floats]:
    """Position among the buyers, account, product and share of every product of a buyer, buyer after buyer.

    A buyer without a known mix orders product NONE.
    """
    buyers = _buyers(draws)
    position = np.full(len(draws.elapsed) + 1, NONE)
    position[buyers] = np.arange(len(buyers))
    kept = np.flatnonzero((draws.split_account != NONE) & (position[draws.split_account] != NONE))
    unknown = np.setdiff1d(buyers, draws.split_account[kept])
    account = np.concatenate([draws.split_account[kept], unknown])
    product = np.concatenate([draws.split_product[kept], np.full(len(unknown), NONE)])
    share = np.concatenate([draws.split_share[kept], np.ones(len(unknown))])
    order = np.argsort(position[account], kind="stable")
    return position[account[order]], account[order], product[order], share[order]


def _splits(draws: OrderDraws) -> tuple[Ints, Ints, Ints, Ints, Floats]:
    """Pair, account, rep, product and share of every split, pair after pair."""
    position, account, product, share = _mix(draws)
    buyer, seller, _ = _pairs(draws)
    first = np.searchsorted(position, np.arange(len(_buyers(draws)) + 1))
    count = np.diff(first)[buyer]
    pair = np.repeat(np.arange(len(buyer)), count)
    row = np.arange(len(pair)) - np.repeat(np.cumsum(count) - count - first[buyer], count)
    return pair, account[row], seller[pair], product[row], share[row]


def build_orders(panel: Panel, posterior: Draws, clock: Clock, cell: Ints) -> OrderBook:
    """Arrays of the accounts that have ordered. ``cell`` is the cell of every row of `order_sites`."""
    draws = posterior.orders
    if draws is None:
        return _no_orders(posterior.count)
    buyers = _buyers(draws)
    pair, _, _, _, share = _splits(draws)
    owners, _, entry = _pairs(draws)
    season = month_of_year(clock.months)
    elapsed = draws.elapsed[buyers]
    longest = int(elapsed.max(initial=0)) + len(clock.months) + 1
    lengths = draws.cycle_share.shape[1]
    return OrderBook(
        key=stream_keys(panel.accounts.labels.ids[buyers]),
        elapsed=elapsed,
        orders=draws.orders[buyers],
        level=draws.level[buyers],
        weight=draws.weight[buyers],
        group=draws.group[buyers],
        cycle=draws.cycle[:, buyers],
        cycle_cumulative=np.cumsum(draws.cycle_share, axis=1),
        states=order_state(np.arange(lengths)[:, None], np.arange(longest + 1)[None, :]),
        base=np.exp(-draws.base),
        state=np.exp(-draws.state),
        season=np.exp(-draws.season[:, season]),
        missed=np.exp(-draws.missed),
        grade_edges=draws.grade_edges,
        ages=np.stack([draws.carry, draws.amount_age], axis=2),
        grades=np.stack([draws.amount_grade, draws.amount_scale, draws.odd_chance], axis=2),
        odd=np.stack([draws.odd_mean, draws.odd_sd], axis=1),
        amount_season=draws.amount_season[:, season],
        shock_scale=draws.shock_scale,
        amount_shock_scale=draws.amount_shock_scale,
        decay=float(draws.decay),
        cap=float(draws.cap),
        entry=entry,
        split_start=np.searchsorted(pair, np.arange(len(owners) + 1)),
        split_cell=cell,
        split_share=share,
    )


def _no_orders(count: int) -> OrderBook:
    none, empty, zeros, column = np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(count), np.zeros((count, 1))
    return OrderBook(
        key=np.zeros(0, dtype=np.uint64),
        elapsed=none,
        orders=none,
        level=empty,
        weight=empty,
        group=empty,
        cycle=np.zeros((count, 0), dtype=np.int64),
        cycle_cumulative=column,
        states=np.zeros((1, 1), dtype=np.int64),
        base=zeros,
        state=column,
        season=np.zeros((count, 1, 1)),
        missed=np.zeros((count, 1, 1)),
        grade_edges=empty,
        ages=np.zeros((count, 1, 2)),
        grades=np.zeros((count, 1, 3)),
        odd=np.zeros((count, 2)),
        amount_season=column,
        shock_scale=zeros,
        amount_shock_scale=zeros,
        decay=0.0,
        cap=0.0,
        entry=np.zeros((count, 0), dtype=np.int64),
        split_start=np.zeros(1, dtype=np.int64),
        split_cell=none,
        split_share=empty,
    )


def first_sites(panel: Panel, draws: OrderDraws | None) -> Ints:
    """[entry x split, 4] account NONE, rep, product and territory of the customers to come in every territory."""
    if draws is None:
        return np.zeros((0, 4), dtype=np.int64)
    territory, rep = draws.first_seller_territory, draws.first_seller
    product, _ = _first_mix(draws)
    territory = np.where(territory < len(panel.territories), territory, NONE)
    rows = np.stack([np.full(len(rep), NONE), rep, np.full(len(rep), NONE), territory], axis=1)
    rows = np.repeat(rows, len(product), axis=0)
    rows[:, 2] = np.tile(product, len(rep))
    return rows


def _first_mix(draws: OrderDraws) -> tuple[Ints, Floats]:
    """Product mix of new customers; product NONE where it is not known."""
    kept = draws.split_account == NONE
    if not kept.any():
        return np.array([NONE]), np.ones(1)
    return draws.split_product[kept], draws.split_share[kept]


def build_first_orders(panel: Panel, posterior: Draws, clock: Clock, cell: Ints) -> FirstOrders:
    """Arrays of the customers to come. ``cell`` is the cell of every row of `first_sites`."""
    draws = posterior.orders
    if draws is None:
        return _no_first_orders(posterior.count, len(clock.months))
    territories = draws.first_rate.shape[1]
    start = np.searchsorted(draws.first_seller_territory, np.arange(territories + 1))
    product, product_share = _first_mix(draws)
    ids = np.append(panel.territories.ids, "")[np.minimum(np.arange(territories), len(panel.territories))]
    return FirstOrders(
        key=stream_keys(ids),
        rate=draws.first_rate,
        shift=draws.first_shift,
        season=np.exp(draws.first_season[:, month_of_year(clock.months)]),
        amount_season=draws.first_amount_season[:, month_of_year(clock.months)],
        shock_scale=draws.first_shock_scale,
        dispersion=draws.first_dispersion,
        pool=draws.first_pool,
        group=draws.first_group,
        rep_start=start,
        rep_cumulative=np.cumsum(draws.first_seller_share, axis=1) - draws.first_seller_territory,
        cell=cell.reshape(len(draws.first_seller), len(product)),
        share=product_share,
    )


def _no_first_orders(count: int, months: int) -> FirstOrders:
    zeros, column = np.zeros(count), np.zeros((count, 0))
    return FirstOrders(
        key=np.zeros(0, dtype=np.uint64),
        rate=column,
        shift=column,
        season=np.zeros((count, months)),
        amount_season=np.zeros((count, months)),
        shock_scale=zeros,
        dispersion=zeros + 1,
        pool=column,
        group=np.zeros(0),
        rep_start=np.zeros(1, dtype=np.int64),
        rep_cumulative=column,
        cell=np.zeros((0, 1), dtype=np.int64),
        share=np.zeros(1),
    )
