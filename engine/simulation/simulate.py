"""Simulate the horizon: from a panel and its posterior draws to outcomes at every level.

The rule this module keeps: the numbers depend on inputs, settings and seed, never on threads or scheduling. Chunks are
fixed by the settings, streams are named by path, and sums over chunks are taken in the order of chunks
(tests/test_simulation_simulate.py).
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import numpy as np

from engine.seeds import seed_for
from engine.simulation.cells import sum_by
from engine.simulation.clock import SimulationHorizons
from engine.simulation.inputs import build_world
from engine.simulation.ledger import (
    EXPECTED,
    LOST,
    REVENUE,
    REVENUE_BY_REP,
    REVENUE_BY_TOTAL,
    WON,
    Ledger,
    Outputs,
    WinLog,
    add_chunk,
    cell_members,
    close_chunk,
    new_ledger,
    new_log,
    new_outputs,
)
from engine.simulation.new_deal_kernels import new_deals
from engine.simulation.open_deal_kernels import open_deals
from engine.simulation.order_kernels import first_orders, known_orders
from engine.simulation.outcome_kernels import late_wins
from engine.simulation.outcomes import UNASSIGNED, DealOutcomes, LevelOutcomes, Outcomes, PlanningOutcomes
from engine.simulation.settings import SimulationSettings
from engine.simulation.world import Span, World
from models.draws import Draws
from models.panel import Floats, Ints, Labels, Panel

MOST_DEAL_PATHS = 10_000_000
"""Open deals x paths that a chunk may hold: bounds the memory of a thread whatever the size of the pipeline."""

type Progress = Callable[[int, int], None]
"""Told the paths that are done and all paths, after every chunk."""

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
    progress: Progress | None = None,
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
    progress : told how many paths are done

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
    out = run_chunks(world, settings, chosen, root, workers, planned, progress)
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
    world: World,
    settings: SimulationSettings,
    draws: Ints,
    seed: np.uint64,
    threads: int,
    planned: bool,
    progress: Progress | None = None,
) -> Outputs:
    """Run all blocks, chunk by chunk. The kernels release the interpreter, so threads work side by side."""
    size = min(settings.paths_per_draw, settings.paths)
    at_once = min(settings.chunk_paths, MOST_DEAL_PATHS // max(len(world.pipeline.cell), 1))
    per_chunk = max(1, at_once // size)
    spans = [
        Span(first, min(first + per_chunk, len(draws)), size, settings.paths, seed)
        for first in range(0, len(draws), per_chunk)
    ]
    out, members = new_outputs(world, settings, planned), cell_members(world)
    free = [np.zeros((3, len(world.clock.months), len(world.pipeline.age))) for _ in range(threads)]

    def work(span: Span) -> tuple[int, Floats, WinLog]:
        sums = free.pop()  # as many as threads, so there always is one
        first = span.first * size
        ledger = new_ledger(world, members, out, first, min(span.last * size, span.paths) - first)
        log = run_chunk(world, out, ledger, span, draws, sums)
        free.append(sums)
        return first, ledger.levels, log

    reps = world.cells.rep[world.pipeline.cell]
    with closing(in_order(work, spans, threads)) as results:
        for first, levels, log in results:
            by_rep = out.rep[first : first + len(levels)].sum(axis=2, dtype=np.float64)
            add_chunk(levels, log, out, first, reps, by_rep)
            if progress is not None:
                progress(first + len(levels), settings.paths)
    return out._replace(classes=np.sum(free, axis=0))


def run_chunk(world: World, out: Outputs, ledger: Ledger, span: Span, draws: Ints, sums: Floats) -> WinLog:
    """All legs of one chunk of paths.

    Parameters
    ----------
    ledger : empty, of the chunk's paths
    draws : [block], the posterior draw of every block of the run
    sums : [3, month, class] added to, see `engine.simulation.open_deal_kernels.open_deals`
    """
    clock, first = world.clock, span.first * span.size
    log = new_log(len(world.pipeline.cell) * len(ledger.levels))
    open_deals(world.odds, world.amounts, world.pipeline, clock, span, draws, ledger, sums, log)
    new_deals(world.odds, world.amounts, world.arrivals, clock, span, draws, ledger)
    known_orders(world.orders, world.first.shock_scale, clock, span, draws, ledger)
    first_orders(world.orders, world.first, clock, span, draws, ledger)
    close_chunk(ledger, world.booked, world.cells, out, first)
    return log


def run_late(world: World, settings: SimulationSettings, draws: Ints, seed: np.uint64, threads: int) -> Floats:
    """[class, 2] chance to be open after the simulated months, and to be won after them, over some of the blocks."""
    count = min(settings.ever_draws, len(draws))
    blocks = np.arange(count) * len(draws) // count
    parts = [blocks[first : first + LATE_CHUNK] for first in range(0, count, LATE_CHUNK)]
    total = np.zeros((len(world.pipeline.age), 2))

    def work(part: Ints) -> Floats:
        found = np.zeros_like(total)
        late_wins(world.odds, world.pipeline, world.clock, part, draws, seed, found)
        return found

    with closing(in_order(work, parts, threads)) as results:
        for found in results:
            total += found
    return total / count


def in_order[Job, Result](work: Callable[[Job], Result], jobs: Sequence[Job], threads: int) -> Generator[Result]:
    """Results of all jobs in their order, worked on by threads that run at most a job each ahead of the one who takes.

    After an error or an interruption no further job starts; those at work end first.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for job in jobs:
                waiting.append(pool.submit(work, job))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for left in waiting:
                left.cancel()


def build_levels(panel: Panel, world: World, out: Outputs) -> dict[str, LevelOutcomes]:
    """Totals, parts and names of every level; a member for none only where some cell has none."""
    paths = len(out.total)
    cells, booked = world.cells, world.booked
    _, reps, territories, *_ = cells.sizes
    rep, territory, product = np.split(out.kinds / paths, [reps, reps + territories])  # [member, month, 2]
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
    pipeline, paths, clock = world.pipeline, len(out.total), world.clock
    inside = np.flatnonzero(clock.forecast_slot >= 0)
    classes = np.repeat(np.arange(len(pipeline.age)), np.diff(pipeline.class_start))
    won, lost = out.classes[WON].T / paths, out.classes[LOST].T / paths  # [class, month]
    slip = 1 - (won + lost)[:, : inside[-1] + 1].sum(axis=1) if len(inside) else np.ones(len(won))
    left = 1 - (won + lost).sum(axis=1)
    # the late chances come from fewer draws: they only split what is left open, so no chance exceeds one
    ever = won.sum(axis=1) + left * late[:, 1] / np.maximum(late[:, 0], 1e-12)
    worth = list_amounts(world)[:, None]  # [deal, 1]
    sums, variance = out.deals / paths, out.total.var()
    covariance = sums[:, REVENUE_BY_TOTAL] - sums[:, REVENUE] * out.total.mean()
    by_rep, rep = out.rep.sum(axis=2, dtype=np.float64), world.cells.rep[pipeline.cell]
    with_rep = sums[:, REVENUE_BY_REP] - sums[:, REVENUE] * by_rep.mean(axis=0)[rep]
    rep_variance = by_rep.var(axis=0)[rep]
    monthly = out.classes[EXPECTED].T[:, inside] / paths  # [class, H]
    found = {
        "p_win": ever[classes],
        "p_win_in_period": won[:, inside].sum(axis=1)[classes],
        "p_slip": slip[classes],
        "expected_revenue": monthly.sum(axis=1)[classes] * worth[:, 0],
        "share_of_variance": covariance / variance if variance > 0 else np.zeros(len(index)),
        "share_of_rep_variance": np.divide(with_rep, rep_variance, out=np.zeros(len(index)), where=rep_variance > 0),
        "p_lose_in_period": lost[:, inside].sum(axis=1)[classes],
        "p_won_by_month": won[:, inside][classes],
        "p_lost_by_month": lost[:, inside][classes],
        "expected_by_month": monthly[classes] * worth,
    }
    back = np.argsort(pipeline.order)
    return DealOutcomes(deal=index, **{name: values[back] for name, values in found.items()})


def list_amounts(world: World) -> Floats:
    """[deal] list amounts in the order of `Pipeline`, expected ones where none is known."""
    pipeline = world.pipeline
    product = np.repeat(pipeline.product, np.diff(pipeline.class_start))
    mean, sd = world.amounts.lists[product].T
    return np.exp(np.where(np.isnan(pipeline.list_log), mean + 0.5 * sd * sd, pipeline.list_log))


def build_planning(out: Outputs) -> PlanningOutcomes:
    """Drop the member for no rep."""
    return PlanningOutcomes(account=out.account, fixed=np.ascontiguousarray(out.fixed[:, :-1]))
