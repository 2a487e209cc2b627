"""Futures of the books of a run's plan: accounts under their new owners, as the plan values them."""

import numpy as np
import pandas as pd

from engine.archive import load
from engine.config import RunOptions
from engine.errors import InputRefusedError, Problem
from engine.finished import DRAWS, FinishedRun
from engine.planning.disruption import moved_factor
from engine.planning.effective import from_effective_date, months_before
from engine.planning.futures import RepFutures, Span, draw_of_path, joined, quick
from engine.planning.hold_over import held
from engine.seeds import seed_for
from engine.simulation.clock import SimulationHorizons
from engine.simulation.outcomes import PlanningOutcomes
from engine.simulation.settings import SimulationSettings
from engine.simulation.simulate import simulate
from models.panel import Floats, Ints
from optimization.fairness import disturbed
from optimization.problem import TerritoryProblem

BATCH = 20_000
"""Paths at a time: every path holds all accounts."""


def plan_weights(run: FinishedRun) -> tuple[Floats, Floats]:
    """What an account's revenue is worth to its owner in the plan, zero for all others.

    Returns
    -------
    [account, rep] where the account keeps its rep, and where it changed rep, on average over
    `engine.planning.disruption`

    Raises
    ------
    InputRefusedError
        When the run has no plan.
    """
    stored, table = run.folder / DRAWS / "territory_problem.nc", run.folder / "allocation.csv"
    if not stored.is_file() or not table.is_file():
        problem = Problem("--set plan", "true on a run without a plan", "false", "ask about a run with a plan")
        raise InputRefusedError([problem])
    problem_, panel = load(TerritoryProblem, stored), run.panel
    plan = pd.read_csv(table, dtype=str, keep_default_na=False)
    position = {key: i for i, key in enumerate(panel.reps.labels.ids.tolist())}
    column = {key: i for i, key in enumerate(problem_.rep_ids.tolist())}
    row = {key: i for i, key in enumerate(panel.accounts.labels.ids.tolist())}
    steady, moved = np.zeros((2, len(row), len(position)))
    for account, rep in zip(plan["account"], plan["new_rep"], strict=True):
        if account in row and rep in column:
            i, r = row[account], column[rep]
            weights = moved if disturbed(problem_, np.array([i]), r).any() else steady
            weights[i, position[rep]] = problem_.fit[i, r]
    return steady, moved


def planned_outcomes(
    run: FinishedRun, months: Ints, settings: SimulationSettings, purpose: str, threads: int | None, draws: slice
) -> PlanningOutcomes:
    """New paths of what the run's plan assigns, under the present owners, as the plan itself takes it.

    Late deals stay with their reps, and so does what accounts bring before the plan takes effect.

    Parameters
    ----------
    months : consecutive months since 1970-01
    purpose : names the random streams; another purpose gives independent paths
    draws : posterior draws to use
    """
    late = held(run.panel, run.config.allocation.hold_over_stages)

    def over(planned: Ints) -> PlanningOutcomes:
        horizons, seed = SimulationHorizons(months, planned, late), run.config.seed
        found = simulate(
            run.panel, run.draws, horizons, settings, seed, threads, purpose=purpose, draw_slice=draws
        ).planning
        if found is None:
            raise RuntimeError("a simulation with a planning horizon has no planning outcomes")
        return found

    whole, early = over(months), months_before(run.config, months)
    return from_effective_date(whole, over(early), run.panel) if len(early) else whole


def plan_futures(
    run: FinishedRun, span: Span, paths: int, purpose: str, options: RunOptions, draws: slice = slice(None)
) -> RepFutures:
    """Simulate the accounts, batch by batch, and sum them by the plan's books; see `futures.rep_futures`."""
    (steady, moved), parts = (weights.astype(np.float32) for weights in plan_weights(run)), []
    numbers = np.arange(run.draws.count)[draws]
    for number, first in enumerate(range(0, paths, BATCH)):
        settings = quick(run.config, min(BATCH, paths - first))
        name = f"{purpose} {number}"
        found = planned_outcomes(run, span.months, settings, name, options.threads, draws)
        factor = moved_factor(run.config.allocation, settings.paths, seed_for(run.config.seed, f"{name} disruption"))
        rep = found.account @ steady + factor[:, None] * (found.account @ moved) + found.fixed
        draw = draw_of_path(settings.paths, settings.paths_per_draw, numbers)
        parts.append(RepFutures(rep, rep.sum(axis=1), draw))
    return joined(parts)
