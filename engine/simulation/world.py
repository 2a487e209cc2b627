"""What the kernels and their NumPy twin read: a company and its posterior as plain arrays.

Odds are stored as ``exp(-effect)``, so that a probability is ``1 / (1 + product of factors)`` and no kernel takes an
exponential per deal and week. Tables by segment, product, territory and rep end in a neutral column for index NONE.
``D`` posterior draws. A leg that did not run has no deals, no reps, no accounts or no territories in it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.simulation.clock import Clock
from models.panel import Bools, Floats, Ints

type Keys = NDArray[np.uint64]


CLOSE, WIN, SHARE, PHASE = 0, 1, 2, 3
"""Last axis of tables of odds: against closing in a week, against winning given closing; of calendars also the share of
the week that is left."""


class Odds(NamedTuple):
    """Closing and winning: factors ``exp(-effect)`` of `models.draws.ClosingDraws`, both sides in the last axis.

    Attributes
    ----------
    size_edges : [size - 1] see `models.draws.ClosingDraws`
    base : [D, 2]
    age : [D, month of the quarter, week of age, 2] the last week holds for all later ones
    stage, week, size : [D, ..., 2]
    segment, product, territory, rep : [D, ... + 1, 2]
    shock_scale, shock_correlation : [D, 2], [D]
    first_shock : [D, 2] fitted shocks of the first simulated month
    first_known : [1] whether that month has fitted shocks
    move : [D, stage, stage] weekly chance to go from row to column, of a deal that stays open
    path : [D, stage + 1, stage] the same summed up along the rows, then the first stage of a new deal
    """

    size_edges: Floats
    base: Floats
    age: Floats
    stage: Floats
    week: Floats
    size: Floats
    segment: Floats
    product: Floats
    territory: Floats
    rep: Floats
    shock_scale: Floats
    shock_correlation: Floats
    first_shock: Floats
    first_known: Bools
    move: Floats
    path: Floats


class Amounts(NamedTuple):
    """Won amounts: `models.draws.AmountDraws` on the log scale.

    Attributes
    ----------
    base, scale, dof, zero, exact : [D]
    product, segment, rep : [D, ... + 1]
    lists : [product + 1, 2] mean and SD of the log of the list amounts of deals that have none yet
    cap : see `models.draws.AmountDraws`
    limited_log_mean : [D, node] log E[min(exp(scale t), exp(z))] at ``z = scale sinh(node position)``
    """

    base: Floats
    scale: Floats
    dof: Floats
    zero: Floats
    exact: Floats
    product: Floats
    segment: Floats
    rep: Floats
    lists: Floats
    cap: float
    limited_log_mean: Floats


class Pipeline(NamedTuple):
    """Open deals, sorted by class: deals of a class have equal covariates and share one outcome table.

    Attributes
    ----------
    age, stage, size, segment, product, territory, rep : [class] age in weeks in the first simulated week
    class_start : [class + 1] first deal of every class
    order : [deal] position in `index` order of each sorted deal
    cell : [deal] index into the cells
    book : [deal] place in `engine.simulation.ledger.Ledger.planning`: the account's, or the rep's where the deal has no
        account or stays with its rep
    key : [deal] names its streams
    list_log : [deal] log of the list amount, NaN when unknown
    """

    age: Ints
    stage: Ints
    size: Ints
    segment: Ints
    product: Ints
    territory: Ints
    rep: Ints
    class_start: Ints
    order: Ints
    cell: Ints
    book: Ints
    key: Keys
    list_log: Floats


class Arrivals(NamedTuple):
    """New deals: `models.draws.ArrivalDraws` for the sellers, and where their deals land.

    Attributes
    ----------
    rep, key : [seller] index into the reps; names its streams
    log_rate : [D, seller] base + level + territory + rep
    season : [D, month] of every simulated month
    exposure : [seller, month] fte times share of the month employed and after the as-of date
    tenure : [seller, month] months at the middle of the month, infinite when unknown
    steps : [month] months after the as-of month
    level_scale, ramp_months, shock_scale, dispersion : [D]
    account_start : [seller + 1] first entry of every seller's list of accounts
    account_cumulative, account_segment, account_territory : [entry] chance within the list; covariates
    product, product_cumulative : [seller, slot] index and chance, likeliest first
    cell : [entry, slot]
    """

    rep: Ints
    key: Keys
    log_rate: Floats
    season: Floats
    exposure: Floats
    tenure: Floats
    steps: Ints
    level_scale: Floats
    ramp_months: Floats
    shock_scale: Floats
    dispersion: Floats
    account_start: Ints
    account_cumulative: Floats
    account_segment: Ints
    account_territory: Ints
    product: Ints
    product_cumulative: Floats
    cell: Ints


class CellMap(NamedTuple):
    """Members that each cell belongs to; the last member of every level is for cells without one.

    Attributes
    ----------
    account, rep, territory, product : [cell]
    manager : [rep + 1]
    region : [territory + 1]
    sizes : number of accounts, reps, territories, products, managers, regions, each with the member for none
    """

    account: Ints
    rep: Ints
    territory: Ints
    product: Ints
    manager: Ints
    region: Ints
    sizes: tuple[int, int, int, int, int, int]


class Span(NamedTuple):
    """The blocks a kernel works on: ``first`` to ``last - 1`` of ``size`` paths each, of ``paths`` in the whole run."""

    first: int
    last: int
    size: int
    paths: int
    seed: np.uint64


class Booked(NamedTuple):
    """What is certain at the as-of date.

    Attributes
    ----------
    cell : [cell, forecast month]
    rep, territory, product : [member, forecast month]
    planned : [rep] in the planning months
    """

    cell: Floats
    rep: Floats
    territory: Floats
    product: Floats
    planned: Floats


class OrderBook(NamedTuple):
    """Accounts that have ordered: `models.draws.OrderDraws`, chances as factors ``exp(-effect)``.

    Attributes
    ----------
    key : [buyer] names its streams
    elapsed, orders, level, weight, group : [buyer] at the as-of month
    cycle : [D, buyer]
    cycle_cumulative : [D, cycle] of accounts yet to come
    states : [cycle, elapsed] state of every pair
    base, state, season : [D], [D, state], [D, month, grade]
    missed : [D, 12, grade] by month of the calendar year
    grade_edges : [grade - 1]
    ages : [D, age class, 2] carry-over and log effect
    grades : [D, grade, 3] log effect, SD, chance of an odd order
    odd : [D, 2] mean and SD of the log amount of an odd order
    amount_season : [D, month]
    shock_scale, amount_shock_scale : [D]
    decay, cap : see there
    entry : [D, buyer] index of the pair of account and rep who books its orders
    split_start : [pair + 1] first split of every pair
    split_cell, split_share : [split]
    """

    key: Keys
    elapsed: Ints
    orders: Ints
    level: Floats
    weight: Floats
    group: Floats
    cycle: Ints
    cycle_cumulative: Floats
    states: Ints
    base: Floats
    state: Floats
    season: Floats
    missed: Floats
    grade_edges: Floats
    ages: Floats
    grades: Floats
    odd: Floats
    amount_season: Floats
    shock_scale: Floats
    amount_shock_scale: Floats
    decay: float
    cap: float
    entry: Ints
    split_start: Ints
    split_cell: Ints
    split_share: Floats


class FirstOrders(NamedTuple):
    """Customers yet to come, per territory.

    Attributes
    ----------
    key : [territory] names its streams
    rate, shift : [D, territory]
    season, amount_season : [D, month] factor of the rate, log effect on the amount
    shock_scale, dispersion : [D]
    pool : [D, pool] amounts
    group : [territory]
    rep_start : [territory + 1] first entry of every territory's list of reps
    rep_cumulative : [D, entry]
    cell : [entry, split]
    share : [split] product mix of new customers
    """

    key: Keys
    rate: Floats
    shift: Floats
    season: Floats
    amount_season: Floats
    shock_scale: Floats
    dispersion: Floats
    pool: Floats
    group: Floats
    rep_start: Ints
    rep_cumulative: Floats
    cell: Ints
    share: Floats


class World(NamedTuple):
    """Everything one simulation reads."""

    clock: Clock
    cells: CellMap
    booked: Booked
    odds: Odds
    amounts: Amounts
    pipeline: Pipeline
    arrivals: Arrivals
    orders: OrderBook
    first: FirstOrders
