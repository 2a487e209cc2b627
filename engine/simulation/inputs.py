"""From a panel and its draws to a `World`: open deals by class, cells, and what is booked already."""

import numpy as np

from engine.simulation.buyers import build_first_orders, build_orders, first_sites, order_sites
from engine.simulation.cells import (
    booked_revenue,
    build_booked,
    map_cells,
    stream_keys,
    unique_cells,
    with_territory,
    within,
)
from engine.simulation.clock import Clock, SimulationHorizons, build_clock
from engine.simulation.odds import build_amounts, build_odds
from engine.simulation.outcomes import Cells
from engine.simulation.sellers import build_arrivals, landing
from engine.simulation.settings import SimulationSettings
from engine.simulation.world import CellMap, Pipeline, World
from models.calendar import week_number
from models.deal_weeks import has_stages, size_bin
from models.draws import Draws
from models.panel import OPEN, Ints, Panel


def build_world(
    panel: Panel, draws: Draws, horizons: SimulationHorizons, settings: SimulationSettings
) -> tuple[World, Cells, Ints]:
    """Lay out everything that the kernels read.

    Returns
    -------
    the world, its cells, and [deal] the open deals as indices into the panel

    Raises
    ------
    ValueError
        When every month asked for has ended by the as-of date.
    """
    clock = build_clock(panel.as_of, horizons, panel.fiscal_year_start, settings.max_weeks)
    piped = draws.closing is not None and draws.amounts is not None
    index = np.flatnonzero(panel.deals.outcome == OPEN) if piped else np.zeros(0, dtype=np.int64)
    landed = landing(panel, clock, draws.arrivals if piped else None)
    revenue = within(booked_revenue(panel), horizons)
    sites = {
        "open": with_territory(panel, panel.deals.account[index], panel.deals.rep[index], panel.deals.product[index]),
        "booked": with_territory(panel, revenue.account, revenue.rep, revenue.product),
        "new": with_territory(panel, *landed.sites()),
        "orders": order_sites(panel, draws.orders),
        "first": first_sites(panel, draws.orders),
    }
    cells, where = unique_cells(sites)
    cell_map = map_cells(panel, cells)
    world = World(
        clock=clock,
        cells=cell_map,
        booked=build_booked(horizons, cell_map, where["booked"], revenue),
        odds=build_odds(draws.closing if piped else None, clock, draws.count),
        amounts=build_amounts(draws.amounts if piped else None, panel, draws.count),
        pipeline=with_books(build_pipeline(panel, draws, clock, index, where["open"]), cell_map, index, horizons),
        arrivals=build_arrivals(panel, draws, clock, landed, where["new"]),
        orders=build_orders(panel, draws, clock, where["orders"]),
        first=build_first_orders(panel, draws, clock, where["first"]),
    )
    return plain(world), cells, index


def plain[T](item: T) -> T:
    """The same named tuple with contiguous, writable arrays of the standard types: one compiled version fits all."""
    if isinstance(item, np.ndarray):
        kind = {"f": np.float64, "i": np.int64}.get(item.dtype.kind, item.dtype)
        return np.require(item, dtype=kind, requirements=["C", "W", "O"])  # type: ignore[return-value]
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return type(item)(*(plain(value) for value in item))
    return item


def with_books(pipeline: Pipeline, cells: CellMap, index: Ints, horizons: SimulationHorizons) -> Pipeline:
    """The pipeline with the place of every deal in planning: see `Pipeline.book`."""
    account, rep = cells.account[pipeline.cell], cells.rep[pipeline.cell]
    accounts = cells.sizes[0] - 1
    own = account >= accounts
    if horizons.held is not None:
        own |= horizons.held[index][pipeline.order]
    return pipeline._replace(book=np.where(own, accounts + rep, account))


def build_pipeline(panel: Panel, draws: Draws, clock: Clock, index: Ints, cell: Ints) -> Pipeline:
    """Group the open deals ``index`` by equal covariates. Deals without a creation date are taken as new."""
    deals = panel.deals
    last_age = int(draws.closing.age_bins[-1]) if draws.closing is not None else 0
    edges = draws.closing.size_edges if draws.closing is not None else np.zeros(0)
    age = np.where(np.isnat(deals.created[index]), 0, clock.first_week - week_number(deals.created[index]))
    amount = deals.list_amount[index]
    covariates = np.stack(
        [
            deals.stage[index] if has_stages(panel) else np.zeros(len(index), dtype=np.int64),
            np.clip(age, 0, last_age),
            size_bin(amount, edges),
            deals.segment[index],
            deals.product[index],
            deals.territory[index],
            deals.rep[index],
        ]
    )
    classes, member = np.unique(covariates, axis=1, return_inverse=True)
    order = np.argsort(member.reshape(-1), kind="stable")
    stage, age, size, segment, product, territory, rep = (np.ascontiguousarray(row) for row in classes)
    known = np.where(amount > 0, amount, np.nan)
    return Pipeline(
        age=age,
        stage=stage,
        size=size,
        segment=segment,
        product=product,
        territory=territory,
        rep=rep,
        class_start=np.searchsorted(member.reshape(-1)[order], np.arange(len(age) + 1)),
        order=order,
        cell=cell[order],
        book=np.zeros(len(order), dtype=np.int64),
        key=stream_keys(deals.ids[index])[order],
        list_log=np.log(known[order]),
    )
