"""Open deals that do not exist, put before the simulation: more pipeline of the same kind, or leads handed out.

Every group of such deals is an account of its own, so that one simulation gives the revenue of every group on every
path, under the posterior draws and shocks of the company's own futures.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from engine.config import RunOptions
from engine.finished import FinishedRun
from engine.planning.futures import Span, only_open_deals, quick
from engine.simulation.clock import SimulationHorizons
from engine.simulation.outcomes import Paths
from engine.simulation.simulate import simulate
from models.deal_weeks import has_stages
from models.panel import NONE, OPEN, Accounts, Deals, Floats, Ints, Labels, Orders, Panel, StageMoves


@dataclass(frozen=True)
class Batch:
    """Which futures: those of another simulation with the same three values share its draws and shocks.

    Attributes
    ----------
    paths : number of futures
    purpose : names the random streams
    draws : posterior draws to use
    """

    paths: int
    purpose: str
    draws: slice = slice(None)


def group_revenue(
    run: FinishedRun, panel: Panel, span: Span, batch: Batch, options: RunOptions
) -> tuple[Paths, Floats]:
    """Revenue of the groups of a `with_deals` panel.

    Returns
    -------
    [path, group] money over the span, and [rep, month] its mean
    """
    horizons = SimulationHorizons(span.months, span.months)
    found = simulate(
        panel,
        only_open_deals(run.draws),
        horizons,
        quick(run.config, batch.paths),
        run.config.seed,
        options.threads,
        purpose=batch.purpose,
        draw_slice=batch.draws,
    )
    if found.planning is None:
        raise RuntimeError("a simulation with a planning horizon has no planning outcomes")
    return found.planning.account, found.levels["rep"].open[: len(panel.reps.labels)]


def with_deals(panel: Panel, deals: Deals, group: Ints, groups: int) -> Panel:
    """The company with nothing but these open deals, ``group`` [deal] of each being its account."""
    none = np.full(groups, NONE)
    names = np.array([f"group {i}" for i in range(groups)])
    accounts = Accounts(
        labels=Labels(names, names),
        territory=none,
        segment=none,
        industry=none,
        owner=none,
        inferred_owner=np.zeros(groups, dtype=bool),
        hours=np.full(groups, np.nan),
        locked=np.zeros(groups, dtype=bool),
        family=np.arange(groups),
    )
    # Whether stages count is told by a history; which one makes no difference to deals that are open.
    moved = np.zeros(1 if has_stages(panel) else 0, dtype=np.int64)
    moves = StageMoves(moved, moved, np.full(len(moved), panel.as_of, dtype="datetime64[D]"))
    empty = np.zeros(0, dtype=np.int64)
    orders = Orders(empty, empty, empty, empty, np.zeros(0), panel.orders.first_month)
    alone = replace(deals, account=group.astype(np.int64))
    return replace(panel, accounts=accounts, deals=alone, stage_moves=moves, orders=orders)


def copies(deals: Deals, rows: Ints, rep: Ints, name: str) -> Deals:
    """Copies of some deals as open ones of other reps; ids begin with ``name`` and name the random streams."""
    taken = {item.name: getattr(deals, item.name)[rows] for item in fields(Deals)}
    ids = np.array([f"{name} {i}" for i in range(len(rows))])
    taken |= {"ids": ids, "names": ids, "rep": rep.astype(np.int64)}
    taken["outcome"] = np.full(len(rows), OPEN, dtype=deals.outcome.dtype)
    taken["closed"] = np.full(len(rows), np.datetime64("NaT", "D"), dtype="datetime64[D]")
    return Deals(**taken)
