"""Where simulated revenue is written, inside the kernels: sums over the paths of a chunk, then levels of every path.

The rule this module keeps: coarser levels are sums of finer ones in float64, so every level of a path adds up to the company.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.simulation.outcomes import Paths
from engine.simulation.settings import SimulationSettings
from engine.simulation.world import Booked, CellMap, World
from models.panel import Bools, Floats, Ints

OPEN_REVENUE, NEW_REVENUE = 0, 1
"""Kinds of simulated revenue: of deals open at the as-of date, of deals and orders to come."""

P_WIN, P_SLIP, P_EVER, P_LEFT, EXPECTED, REVENUE, REVENUE_BY_TOTAL = range(7)
"""Columns of `Outputs.deals`, sums over paths: chances to be won in the forecast months, open at their end, won in any
simulated month, open after all of them; expected and simulated revenue, and simulated revenue x company total."""


class Ledger(NamedTuple):
    """Revenue of one chunk of paths, and how a cell and a simulated month find their places. H forecast months.

    Attributes
    ----------
    cell_account, cell_rep, cell_territory, cell_product : [cell] members as in `CellMap`
    slot, planned : [month] as in `Clock`
    rep, territory, product : [path, member, H, 2], the last axis is the kind of revenue
    account : [path, account + 1] over the planning months; the last one is not used
    unassigned : [path, rep + 1] without an account, over the planning months
    deals : [deal, path] over the forecast months, deals in the order of `Pipeline`
    sample : [sample path, cell, H] of this chunk's paths
    """

    cell_account: Ints
    cell_rep: Ints
    cell_territory: Ints
    cell_product: Ints
    slot: Ints
    planned: Bools
    rep: Floats
    territory: Floats
    product: Floats
    account: Floats
    unassigned: Floats
    deals: Floats
    sample: Paths


class Outputs(NamedTuple):
    """What a simulation leaves; every path and every chunk writes to rows of its own.

    Attributes
    ----------
    company : [path, 1, H]
    region, territory, manager, rep, product : [path, member, H]
    account, fixed : [path, account + 1], [path, rep + 1]; no paths without a planning horizon
    sample : [sample path, cell, H] without what is booked
    rep_kinds, territory_kinds, product_kinds : [chunk, member, H, 2] sums over paths
    deals : [chunk, deal, 7]
    total : [path] company over the forecast months
    """

    company: Paths
    region: Paths
    territory: Paths
    manager: Paths
    rep: Paths
    product: Paths
    account: Paths
    fixed: Paths
    sample: Paths
    rep_kinds: Floats
    territory_kinds: Floats
    product_kinds: Floats
    deals: Floats
    total: Floats


def new_outputs(world: World, chunks: int, settings: SimulationSettings, planned: bool) -> Outputs:
    """Zeroed outputs, those of accounts only when ``planned``."""
    accounts, reps, territories, products, managers, regions = world.cells.sizes
    months = world.booked.cell.shape[1]
    paths, planning_paths = settings.paths, settings.paths if planned else 0
    return Outputs(
        company=_paths(paths, 1, months),
        region=_paths(paths, regions, months),
        territory=_paths(paths, territories, months),
        manager=_paths(paths, managers, months),
        rep=_paths(paths, reps, months),
        product=_paths(paths, products, months),
        account=_paths(planning_paths, accounts),
        fixed=_paths(planning_paths, reps),
        sample=_paths(min(paths, settings.sample_paths), len(world.cells.rep), months),
        rep_kinds=np.zeros((chunks, reps, months, 2)),
        territory_kinds=np.zeros((chunks, territories, months, 2)),
        product_kinds=np.zeros((chunks, products, months, 2)),
        deals=np.zeros((chunks, len(world.pipeline.cell), 7)),
        total=np.zeros(paths),
    )


def _paths(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, dtype=np.float32)


def new_ledger(world: World, out: Outputs, first: int, paths: int) -> Ledger:
    """Empty ledger of the chunk of ``paths`` paths that begins with path ``first``."""
    accounts, reps, territories, products = world.cells.sizes[:4]
    months = world.booked.cell.shape[1]
    return Ledger(
        cell_account=world.cells.account,
        cell_rep=world.cells.rep,
        cell_territory=world.cells.territory,
        cell_product=world.cells.product,
        slot=world.clock.forecast_slot,
        planned=world.clock.planned,
        rep=np.zeros((paths, reps, months, 2)),
        territory=np.zeros((paths, territories, months, 2)),
        product=np.zeros((paths, products, months, 2)),
        account=np.zeros((paths, accounts)),
        unassigned=np.zeros((paths, reps)),
        deals=np.zeros((len(world.pipeline.cell), paths)),
        sample=out.sample[first : first + paths],
    )


@njit(cache=True, error_model="numpy")
def book_deal(ledger: Ledger, path: int, cell: int, month: int, amount: float, kind: int) -> None:
    """Enter the revenue of one won deal. ``path`` counts within the chunk, ``month`` from the first simulated one."""
    rep = ledger.cell_rep[cell]
    book_total(ledger, path, ledger.cell_account[cell], rep, ledger.cell_territory[cell], month, amount, kind)
    slot = ledger.slot[month]
    if slot >= 0:
        ledger.product[path, ledger.cell_product[cell], slot, kind] += amount
        if path < len(ledger.sample):
            ledger.sample[path, cell, slot] += amount


@njit(cache=True, error_model="numpy")
def book_total(ledger: Ledger, path: int, account: int, rep: int, territory: int, month: int, amount: float, kind: int) -> None:
    """Enter revenue at every level but the product's."""
    slot = ledger.slot[month]
    if slot >= 0:
        ledger.rep[path, rep, slot, kind] += amount
        ledger.territory[path, territory, slot, kind] += amount
    if ledger.planned[month]:
        if account < ledger.account.shape[1] - 1:
            ledger.account[path, account] += amount
        else:
            ledger.unassigned[path, rep] += amount


@njit(cache=True, error_model="numpy", nogil=True)
def close_chunk(ledger: Ledger, booked: Booked, cells: CellMap, out: Outputs, chunk: int, first: int) -> None:
    """Add what is booked, derive the coarser levels, and write the chunk's paths, the first of which is ``first``."""
    for path in range(len(ledger.rep)):
        row = first + path
        _level(ledger.rep[path], booked.rep, out.rep[row], out.rep_kinds[chunk])
        _level(ledger.territory[path], booked.territory, out.territory[row], out.territory_kinds[chunk])
        _level(ledger.product[path], booked.product, out.product[row], out.product_kinds[chunk])
        _coarser(ledger.territory[path], booked.territory, cells.region, out.region[row])
        _coarser(ledger.rep[path], booked.rep, cells.manager, out.manager[row])
        for slot in range(out.company.shape[2]):
            month = 0.0
            for rep in range(out.rep.shape[1]):
                month += booked.rep[rep, slot] + ledger.rep[path, rep, slot, 0] + ledger.rep[path, rep, slot, 1]
            out.company[row, 0, slot] = month
            out.total[row] += month
        if len(out.account) > 0:
            out.account[row] = ledger.account[path]
            out.fixed[row] = ledger.unassigned[path] + booked.planned
    for deal in range(len(ledger.deals)):
        for path in range(len(ledger.rep)):
            revenue = ledger.deals[deal, path]
            if revenue != 0.0:
                out.deals[chunk, deal, REVENUE] += revenue
                out.deals[chunk, deal, REVENUE_BY_TOTAL] += revenue * out.total[first + path]


@njit(cache=True, error_model="numpy")
def _level(found: Floats, booked: Floats, total: Paths, kinds: Floats) -> None:
    """One path of one level: total [member, H], and the sums of its kinds."""
    for member in range(total.shape[0]):
        for slot in range(total.shape[1]):
            total[member, slot] = booked[member, slot] + found[member, slot, 0] + found[member, slot, 1]
            kinds[member, slot, 0] += found[member, slot, 0]
            kinds[member, slot, 1] += found[member, slot, 1]


@njit(cache=True, error_model="numpy")
def _coarser(found: Floats, booked: Floats, parent: Ints, total: Paths) -> None:
    """Sum a finer level into its parents in float64, then round once."""
    sums = np.zeros(total.shape)
    for member in range(len(parent)):
        for slot in range(total.shape[1]):
            sums[parent[member], slot] += booked[member, slot] + found[member, slot, 0] + found[member, slot, 1]
    total[:] = sums
