"""Where simulated revenue is written, inside the kernels: sums over the paths of a chunk, then levels of every path.

The rule this module keeps: coarser levels are sums of finer ones in float64, so every level adds up to the company.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.simulation.outcomes import Paths
from engine.simulation.settings import SimulationSettings
from engine.simulation.world import Booked, CellMap, World
from models.panel import Floats, Ints

OPEN_REVENUE, NEW_REVENUE = 0, 1
"""Kinds of simulated revenue: of deals open at the as-of date, of deals and orders to come."""

WON, LOST, EXPECTED = range(3)
"""First axis of sums over classes: chances to be won and lost, expected won amount over list amount."""

REVENUE, REVENUE_BY_TOTAL, REVENUE_BY_REP = range(3)
"""Columns of `Outputs.deals`: simulated revenue in the forecast months, the same x company total, x its rep's total."""

SLOT, PLANNED = 0, 1
"""Columns of `Ledger.places`."""

MOST_SAMPLED = 200_000_000
"""Values (path, cell, month) of single cells that are kept at most, unless a hundred paths have more: 800 MB."""


class Ledger(NamedTuple):
    """Revenue of one chunk of paths, and how a cell and a simulated month find their places. H forecast months.

    Reps, territories and products lie side by side in one axis, each with its member for none, and so do accounts and
    reps of the planning horizon: one entry is then four additions.

    Attributes
    ----------
    members : [cell, 4] place of the cell's rep, territory and product in ``levels``, and of its account (the rep,
        without an account) in ``planning``
    places : [month, 2] forecast month or NONE, and whether the month is in the planning horizon
    levels : [path, rep + territory + product, H, 2], the last axis is the kind of revenue
    planning : [path, account + rep] over the planning months
    sample : [sample path, cell, H] of this chunk's paths
    """

    members: Ints
    places: Ints
    levels: Floats
    planning: Floats
    sample: Paths


class WinLog(NamedTuple):
    """Deals won on the paths of a chunk in the forecast months, in the order of blocks, deals and paths.

    Attributes
    ----------
    deal, path : [win] the path within the chunk
    amount : [win]
    wins : [1] number so far
    """

    deal: NDArray[np.int32]
    path: NDArray[np.int32]
    amount: Floats
    wins: Ints


def new_log(most: int) -> WinLog:
    """Empty log; memory that no win reaches is never touched."""
    return WinLog(np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most), np.zeros(1, np.int64))


class Outputs(NamedTuple):
    """What a simulation leaves. Every path writes to rows of its own; sums over paths are taken in the order of paths.

    Attributes
    ----------
    company : [path, 1, H]
    region, territory, manager, rep, product : [path, member, H]
    account, fixed : [path, account], [path, rep + 1]; no paths without a planning horizon
    sample : [sample path, cell, H] without what is booked
    kinds : [rep + territory + product, H, 2] sums over paths
    classes : [3, month, class] sums over paths
    deals : [deal, 3] sums over paths, deals in the order of `Pipeline`
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
    kinds: Floats
    classes: Floats
    deals: Floats
    total: Floats


def new_outputs(world: World, settings: SimulationSettings, planned: bool) -> Outputs:
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
        account=_paths(planning_paths, accounts - 1),
        fixed=_paths(planning_paths, reps),
        sample=_paths(_sampled(paths, settings, len(world.cells.rep) * months), len(world.cells.rep), months),
        kinds=np.zeros((reps + territories + products, months, 2)),
        classes=np.zeros((3, len(world.clock.months), len(world.pipeline.age))),
        deals=np.zeros((len(world.pipeline.cell), 3)),
        total=np.zeros(paths),
    )


def _sampled(paths: int, settings: SimulationSettings, values: int) -> int:
    """Paths of single cells to keep: as many as asked, but beyond the first hundred only what memory bears."""
    return min(paths, settings.sample_paths, max(100, MOST_SAMPLED // max(values, 1)))


def _paths(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, dtype=np.float32)


def cell_members(world: World) -> Ints:
    """[cell, 4] see `Ledger.members`."""
    cells = world.cells
    accounts, reps, territories = cells.sizes[:3]
    book = np.where(cells.account < accounts - 1, cells.account, accounts - 1 + cells.rep)
    return np.stack([cells.rep, reps + cells.territory, reps + territories + cells.product, book], axis=1)


def new_ledger(world: World, members: Ints, out: Outputs, first: int, paths: int) -> Ledger:
    """Empty ledger of the chunk of ``paths`` paths that begins with path ``first``."""
    accounts, reps, territories, products = world.cells.sizes[:4]
    return Ledger(
        members=members,
        places=np.stack([world.clock.forecast_slot, world.clock.planned.astype(np.int64)], axis=1),
        levels=np.zeros((paths, reps + territories + products, world.booked.cell.shape[1], 2)),
        planning=np.zeros((paths if world.clock.planned.any() else 0, accounts - 1 + reps)),
        sample=out.sample[first : first + paths],
    )


@njit(cache=True, error_model="numpy")
def book_deal(
    members: Ints,
    places: Ints,
    levels: Floats,
    planning: Floats,
    sample: Paths,
    path: int,
    cell: int,
    month: int,
    amount: float,
    kind: int,
) -> None:
    """Enter the revenue of one won deal. ``path`` counts within the chunk, ``month`` from the first simulated one."""
    slot = places[month, SLOT]
    if slot >= 0:
        for level in range(3):
            levels[path, members[cell, level], slot, kind] += amount
        if path < len(sample):
            sample[path, cell, slot] += amount
    if places[month, PLANNED]:
        planning[path, members[cell, 3]] += amount


@njit(cache=True, error_model="numpy")
def book_order(
    members: Ints,
    places: Ints,
    levels: Floats,
    planning: Floats,
    sample: Paths,
    path: int,
    cells: Ints,
    shares: Floats,
    month: int,
    amount: float,
) -> None:
    """Enter an order whose ``cells`` [split] differ in the product only and take ``shares`` [split] of it."""
    slot = places[month, SLOT]
    if slot >= 0:
        levels[path, members[cells[0], 0], slot, NEW_REVENUE] += amount
        levels[path, members[cells[0], 1], slot, NEW_REVENUE] += amount
        for split in range(len(cells)):
            levels[path, members[cells[split], 2], slot, NEW_REVENUE] += amount * shares[split]
        if path < len(sample):
            for split in range(len(cells)):
                sample[path, cells[split], slot] += amount * shares[split]
    if places[month, PLANNED]:
        planning[path, members[cells[0], 3]] += amount


@njit(cache=True, error_model="numpy", nogil=True)
def close_chunk(ledger: Ledger, booked: Booked, cells: CellMap, out: Outputs, first: int) -> None:
    """Add what is booked, derive the coarser levels, and write the chunk's paths, the first of which is ``first``."""
    accounts, reps, territories = cells.sizes[0], cells.sizes[1], cells.sizes[2]
    for path in range(len(ledger.levels)):
        row, levels = first + path, ledger.levels[path]
        of_rep, of_territory, of_product = (
            levels[:reps],
            levels[reps : reps + territories],
            levels[reps + territories :],
        )
        _level(of_rep, booked.rep, out.rep[row])
        _level(of_territory, booked.territory, out.territory[row])
        _level(of_product, booked.product, out.product[row])
        _coarser(of_territory, booked.territory, cells.region, out.region[row])
        _coarser(of_rep, booked.rep, cells.manager, out.manager[row])
        for slot in range(out.company.shape[2]):
            month = 0.0
            for rep in range(reps):
                month += booked.rep[rep, slot] + of_rep[rep, slot, 0] + of_rep[rep, slot, 1]
            out.company[row, 0, slot] = month
            out.total[row] += month
        if len(out.account) > 0:
            out.account[row] = ledger.planning[path, : accounts - 1]
            out.fixed[row] = ledger.planning[path, accounts - 1 :] + booked.planned


@njit(cache=True, error_model="numpy", nogil=True)
def add_chunk(levels: Floats, log: WinLog, out: Outputs, first: int, reps: Ints, by_rep: Floats) -> None:
    """Add a finished chunk, whose first path is ``first``, to the sums over paths; called in the order of chunks.

    Paths and each deal's wins lie in the order of paths, so how the work was cut changes no sum.

    Parameters
    ----------
    reps : [deal] rep of every deal, as a member of ``by_rep``
    by_rep : [path, rep] total over the forecast months, of the chunk's paths
    """
    kinds, deals, total = out.kinds, out.deals, out.total
    for path in range(len(levels)):
        for member in range(len(kinds)):
            for slot in range(kinds.shape[1]):
                kinds[member, slot, OPEN_REVENUE] += levels[path, member, slot, OPEN_REVENUE]
                kinds[member, slot, NEW_REVENUE] += levels[path, member, slot, NEW_REVENUE]
    won, paths, amounts = log.deal, log.path, log.amount
    for win in range(log.wins[0]):
        deals[won[win], REVENUE] += amounts[win]
        deals[won[win], REVENUE_BY_TOTAL] += amounts[win] * total[first + paths[win]]
        deals[won[win], REVENUE_BY_REP] += amounts[win] * by_rep[paths[win], reps[won[win]]]


@njit(cache=True, error_model="numpy")
def _level(found: Floats, booked: Floats, total: Paths) -> None:
    """One path of one level: total [member, H]."""
    for member in range(total.shape[0]):
        for slot in range(total.shape[1]):
            total[member, slot] = booked[member, slot] + found[member, slot, 0] + found[member, slot, 1]


@njit(cache=True, error_model="numpy")
def _coarser(found: Floats, booked: Floats, parent: Ints, total: Paths) -> None:
    """Sum a finer level into its parents in float64, then round once."""
    sums = np.zeros(total.shape)
    for member in range(len(parent)):
        for slot in range(total.shape[1]):
            sums[parent[member], slot] += booked[member, slot] + found[member, slot, 0] + found[member, slot, 1]
    total[:] = sums
