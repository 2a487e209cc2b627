"""The atoms of revenue, the members they sum to, and what is booked in them already."""

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from engine.simulation.clock import SimulationHorizons
from engine.simulation.outcomes import Cells
from engine.simulation.world import Booked, CellMap, Keys
from models.calendar import month_number
from models.panel import NONE, WON, Floats, Ints, Panel, Texts


def with_territory(panel: Panel, account: Ints, rep: Ints, product: Ints) -> Ints:
    """[row, 4] account, rep, product and the territory that follows from them."""
    return np.stack([account, rep, product, panel.cell_territory(account, rep)], axis=1)


def unique_cells(sites: dict[str, Ints]) -> tuple[Cells, dict[str, Ints]]:
    """Distinct rows of all sites, sorted, and the cell of every row of each site."""
    rows = np.concatenate(list(sites.values()))
    unique, inverse = np.unique(rows, axis=0, return_inverse=True)
    ends = np.cumsum([len(site) for site in sites.values()])
    where = dict(zip(sites, np.split(inverse.reshape(-1), ends[:-1]), strict=True))
    account, rep, product, territory = (np.ascontiguousarray(column) for column in unique.T)
    return Cells(account=account, rep=rep, product=product, territory=territory), where


def map_cells(panel: Panel, cells: Cells) -> CellMap:
    """Members of every cell, with NONE as the last member."""
    counts = (panel.accounts, panel.reps, panel.products)
    accounts, reps, products = (len(item.labels) for item in counts)
    territories, managers, regions = len(panel.territories), len(panel.managers), len(panel.regions)
    return CellMap(
        account=last_for_none(cells.account, accounts),
        rep=last_for_none(cells.rep, reps),
        territory=last_for_none(cells.territory, territories),
        product=last_for_none(cells.product, products),
        manager=last_for_none(np.append(panel.reps.manager, NONE), managers),
        region=last_for_none(np.append(panel.territory_region, NONE), regions),
        sizes=(accounts + 1, reps + 1, territories + 1, products + 1, managers + 1, regions + 1),
    )


def last_for_none(index: Ints, count: int) -> Ints:
    """Indices with NONE replaced by ``count``."""
    return np.where(index == NONE, count, index).astype(np.int64)


def stream_keys(ids: Texts) -> Keys:
    """Names of the streams of entities: a hash of the id, so that other entities may come and go."""
    return pd.util.hash_array(ids.astype(object), categorize=False)


@dataclass(frozen=True)
class Revenue:
    """What has been booked, all [row]: members with NONE for unknown, month since 1970-01, money."""

    account: Ints
    rep: Ints
    product: Ints
    month: Ints
    amount: Floats


def booked_revenue(panel: Panel) -> Revenue:
    """All won deals and orders. Orders without a rep are their owner's."""
    deals, orders = panel.deals, panel.orders
    won = np.flatnonzero(deals.outcome == WON)
    owner = np.append(panel.accounts.owner, NONE)[orders.account]
    return Revenue(
        account=np.concatenate([deals.account[won], orders.account]),
        rep=np.concatenate([deals.rep[won], np.where(orders.rep == NONE, owner, orders.rep)]),
        product=np.concatenate([deals.product[won], orders.product]),
        month=np.concatenate([month_number(deals.closed[won]), orders.month]),
        amount=np.concatenate([np.nan_to_num(deals.won_amount[won]), orders.amount]),
    )


def within(revenue: Revenue, horizons: SimulationHorizons) -> Revenue:
    """The rows in the months of the horizons."""
    planning = horizons.planning_months if horizons.planning_months is not None else horizons.forecast_months
    kept = np.isin(revenue.month, np.concatenate([horizons.forecast_months, planning]))
    return Revenue(**{field.name: getattr(revenue, field.name)[kept] for field in fields(Revenue)})


def build_booked(horizons: SimulationHorizons, cells: CellMap, where: Ints, revenue: Revenue) -> Booked:
    """Sum what is booked in the months of the horizons up to the as-of date. ``where`` is the cell of every row."""
    kept = np.flatnonzero(np.isin(revenue.month, horizons.forecast_months))
    slot = revenue.month[kept] - horizons.forecast_months[0]
    by_cell = np.zeros((len(cells.rep), len(horizons.forecast_months)))
    np.add.at(by_cell, (where[kept], slot), revenue.amount[kept])
    planned = np.zeros(cells.sizes[1])
    if horizons.planning_months is not None:
        kept = np.flatnonzero(np.isin(revenue.month, horizons.planning_months))
        np.add.at(planned, cells.rep[where[kept]], revenue.amount[kept])
    return Booked(
        cell=by_cell,
        rep=sum_by(by_cell, cells.rep, cells.sizes[1]),
        territory=sum_by(by_cell, cells.territory, cells.sizes[2]),
        product=sum_by(by_cell, cells.product, cells.sizes[3]),
        planned=planned,
    )


def sum_by(values: Floats, member: Ints, count: int) -> Floats:
    """Sum rows [row, month] by member into [count, month]."""
    total = np.zeros((count, *values.shape[1:]))
    np.add.at(total, member, values)
    return total
