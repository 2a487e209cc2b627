"""Simulate the horizon: from a panel and its posterior draws to outcomes at every level.

The rule this module keeps: the numbers depend on inputs, settings and seed, never on threads or scheduling. Chunks are
fixed by the settings, streams are named by path, and sums over chunks are taken in the order of chunks
(tests/test_simulation_simulate.py).
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from engine.seeds import seed_for
from engine.simulation.cells import sum_by
from engine.simulation.clock import SimulationHorizons
from engine.simulation.inputs import build_world
from engine.simulation.kernels import late_wins, open_deals
from engine.simulation.ledger import (
    EXPECTED,
    P_EVER,
    P_LEFT,
    P_SLIP,
    P_WIN,
    REVENUE,
    REVENUE_BY_TOTAL,
    Outputs,
    cell_members,
    close_chunk,
    new_ledger,
    new_outputs,
)
from engine.simulation.new_deal_kernels import new_deals
from engine.simulation.order_kernels import first_orders, known_orders
from engine.simulation.outcomes import UNASSIGNED, DealOutcomes, LevelOutcomes, Outcomes, PlanningOutcomes
from engine.simulation.settings import SimulationSettings
from engine.simulation.world import Span, World
from models.draws import Draws
from models.panel import Floats, Ints, Labels, Panel

MOST_DEAL_PATHS = 10_000_000
"""Open deals x paths that a chunk may hold: bounds the memory of a thread whatever the size of the pipeline."""

LATE_CHUNK = 4
"""Posterior draws worked on by one thread at a time when late wins are counted."""


def simulate(
    panel: Panel,
    draws: Draws,
    horizons: SimulationHorizons,
    settings: SimulationSettings,
    seed: int,
    threads: int | None = None,
    *,
    purpose: str = "forecast",
    draw_slice: slice = slice(None),
) -> Outcomes:
    """Simulate ``settings.paths`` futures from the day after the as-of date to the end of the horizons.

    Parameters
    ----------
    panel : the company as of a date
    draws : posterior of all legs; a leg that is None adds nothing
    horizons : months of the forecast and of planning
    settings : number of paths and how the work is cut
    seed : root seed of the run
    threads : number of threads, else that of the settings, else all cores; changes no number
    purpose : names the streams: another purpose gives independent futures of the same company
    draw_slice : posterior draws to use, such as ``slice(0, None, 2)`` for the even ones

    Returns
    -------
    outcomes at every level, per open deal and, with planning months, per account

    Raises
    ------
    ValueError
        When every month asked for has ended by the as-of date, or no posterior draw is left.
    """
    world, cells, index = build_world(panel, draws, horizons, settings)
    numbers = np.arange(draws.count)[draw_slice]
    if not len(numbers):
        raise ValueError(f"no posterior draw left: {draw_slice} of {draws.count}")
    blocks = -(-settings.paths // settings.paths_per_draw)
    chosen = numbers[np.arange(blocks) * len(numbers) // blocks]
    root = np.uint64(seed_for(seed, purpose))
    planned = horizons.planning_months is not None
    workers = threads or settings.threads or len(os.sched_getaffinity(0))
    out = run_chunks(world, settings, chosen, root, workers, planned)
    late = run_late(world, settings, chosen, root, workers)
    return Outcomes(
        months=np.array(horizons.forecast_months),
        cells=cells,
        levels=build_levels(panel, world, out),
        deals=build_deals(world, out, late, index),
        planning=build_planning(out) if planned else None,
        sample=out.sample + world.booked.cell.astype(np.float32),
        paths=settings.paths,
    )


def run_chunks(
    world: World, settings: SimulationSettings, draws: Ints, seed: np.uint64, threads: int, planned: bool
) -> Outputs:
    """Run all blocks, chunk by chunk. The kernels release the interpreter, so threads work side by side."""
    size = min(settings.paths_per_draw, settings.paths)
    at_once = min(settings.chunk_paths, MOST_DEAL_PATHS // max(len(world.pipeline.cell), 1))
    per_chunk = max(1, at_once // size)
    spans = [
        Span(first, min(first + per_chunk, len(draws)), size, settings.paths, seed)
        for first in range(0, len(draws), per_chunk)
    ]
    out = new_outputs(world, len(spans), settings, planned)
    with ThreadPoolExecutor(threads) as pool:
        _finish([pool.submit(run_chunk, world, out, chunk, span, draws) for chunk, span in enumerate(spans)])
    return out


def run_chunk(world: World, out: Outputs, chunk: int, span: Span, draws: Ints) -> None:
    """All legs of one chunk of paths. ``draws`` [block], the posterior draw of every block of the run."""
    first = span.first * span.size
    ledger = new_ledger(world, cell_members(world), out, first, min(span.last * span.size, span.paths) - first)
    clock = world.clock
    open_deals(world.odds, world.amounts, world.pipeline, clock, span, draws, ledger, out.deals[chunk])
    new_deals(world.odds, world.amounts, world.arrivals, clock, span, draws, ledger)
    known_orders(world.orders, world.first.shock_scale, clock, span, draws, ledger)
    first_orders(world.orders, world.first, clock, span, draws, ledger)
    close_chunk(ledger, world.booked, world.cells, out, chunk, first)


def run_late(world: World, settings: SimulationSettings, draws: Ints, seed: np.uint64, threads: int) -> Floats:
    """[class, 2] chance to be open after the simulated months, and to be won after them, over some of the blocks."""
    count = min(settings.ever_draws, len(draws))
    blocks = np.arange(count) * len(draws) // count
    parts = [blocks[first : first + LATE_CHUNK] for first in range(0, count, LATE_CHUNK)]
    found = np.zeros((len(parts), len(world.pipeline.age), 2))
    with ThreadPoolExecutor(threads) as pool:
        _finish(
            [
                pool.submit(late_wins, world.odds, world.pipeline, world.clock, part, draws, seed, found[i])
                for i, part in enumerate(parts)
            ]
        )
    return found.sum(axis=0) / count


def _finish(jobs: list[Any]) -> None:
    """Wait for all jobs; after an error or an interruption start no further ones."""
    try:
        for job in jobs:
            job.result()
    finally:
        for job in jobs:
            job.cancel()


def build_levels(panel: Panel, world: World, out: Outputs) -> dict[str, LevelOutcomes]:
    """Totals, parts and names of every level; a member for none only where some cell has none."""
    paths = len(out.total)
    cells, booked = world.cells, world.booked
    rep, territory, product = (
        kinds.sum(axis=0) / paths for kinds in (out.rep_kinds, out.territory_kinds, out.product_kinds)
    )  # [member, month, 2]
    one = np.zeros(len(rep), dtype=np.int64)
    company = Labels(np.array([""]), np.array(["company"]))
    parts = {
        "company": (company, out.company, sum_by(booked.rep, one, 1), sum_by(rep, one, 1), one),
        "region": (
            panel.regions,
            out.region,
            *_parents(cells.region, booked.territory, territory, cells.sizes[5]),
            cells.region[cells.territory],
        ),
        "territory": (panel.territories, out.territory, booked.territory, territory, cells.territory),
        "manager": (
            panel.managers,
            out.manager,
            *_parents(cells.manager, booked.rep, rep, cells.sizes[4]),
            cells.manager[cells.rep],
        ),
        "rep": (panel.reps.labels, out.rep, booked.rep, rep, cells.rep),
        "product": (panel.products.labels, out.product, booked.product, product, cells.product),
    }
    return {name: _level(*part) for name, part in parts.items()}


def _parents(parent: Ints, booked: Floats, kinds: Floats, count: int) -> tuple[Floats, Floats]:
    """Booked and simulated parts of a coarser level."""
    return sum_by(booked, parent, count), sum_by(kinds, parent, count)


def _level(labels: Labels, total: Any, booked: Floats, kinds: Floats, member: Ints) -> LevelOutcomes:
    """One level, the member for none kept only where ``member`` [cell] has it."""
    keys, names = labels.ids, labels.names
    count = len(labels)
    if (member == count).any():
        keys, names = np.append(keys, UNASSIGNED), np.append(names, UNASSIGNED)
        count += 1
    return LevelOutcomes(
        keys=keys,
        names=names,
        total=np.ascontiguousarray(total[:, :count]),
        booked=booked[:count],
        open=kinds[:count, :, 0],
        new=kinds[:count, :, 1],
    )


def build_deals(world: World, out: Outputs, late: Floats, index: Ints) -> DealOutcomes:
    """Chances and shares of the open deals, back in the order of ``index``."""
    pipeline, paths = world.pipeline, len(out.total)
    sums = out.deals.sum(axis=0) / paths  # [sorted deal, 7]
    classes = np.repeat(np.arange(len(pipeline.age)), np.diff(pipeline.class_start))
    # the late chances come from fewer draws: they only split what is left open, so no chance exceeds one
    share_late = late[:, 1] / np.maximum(late[:, 0], 1e-12)
    variance = out.total.var()
    covariance = sums[:, REVENUE_BY_TOTAL] - sums[:, REVENUE] * out.total.mean()
    found = {
        "p_win": sums[:, P_EVER] + sums[:, P_LEFT] * share_late[classes],
        "p_win_in_period": sums[:, P_WIN],
        "p_slip": sums[:, P_SLIP],
        "expected_revenue": sums[:, EXPECTED],
        "share_of_variance": covariance / variance if variance > 0 else np.zeros(len(index)),
    }
    back = np.argsort(pipeline.order)
    return DealOutcomes(deal=index, **{name: values[back] for name, values in found.items()})


def build_planning(out: Outputs) -> PlanningOutcomes:
    """Drop the member for no rep."""
    return PlanningOutcomes(account=out.account, fixed=np.ascontiguousarray(out.fixed[:, :-1]))
