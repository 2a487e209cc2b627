"""The two simulations of a run: one forecasts and plans, one on other draws and other paths verifies the plan."""

from dataclasses import replace

import numpy as np

from engine.config import Horizon, RunConfig
from engine.planning.effective import early_horizons, from_effective_date
from engine.planning.hold_over import held
from engine.simulation.clock import SimulationHorizons
from engine.simulation.outcomes import Outcomes, PlanningOutcomes
from engine.simulation.simulate import simulate
from models.draws import Draws
from models.panel import Ints, Panel

EVEN, ODD, ALL = slice(0, None, 2), slice(1, None, 2), slice(None)
"""Posterior draws that plan, that verify, and all of them when nothing is planned."""


def simulate_run(
    config: RunConfig, panel: Panel, draws: Draws, threads: int | None, *, verify: bool
) -> tuple[Outcomes, PlanningOutcomes | None]:
    """Simulate the forecast and, to verify a plan, the planning horizon once more on held-out posterior draws.

    Where the plan takes effect inside the planning horizon, what accounts bring before is fixed to their present owners
    (see `engine.planning.effective`).

    Returns
    -------
    outcomes of the run, and revenue of the planning horizon on fresh paths, None when ``verify`` is false
    """
    settings, seed = config.simulation, config.seed
    if not verify:
        alone = SimulationHorizons(months(config.horizon))
        return simulate(panel, draws, alone, settings, seed, threads, draw_slice=ALL), None
    late = held(panel, config.allocation.hold_over_stages)
    horizons = SimulationHorizons(months(config.horizon), months(config.planning_horizon), late)
    outcomes = simulate(panel, draws, horizons, settings, seed, threads, draw_slice=EVEN)
    fresh = simulate(panel, draws, horizons, settings, seed, threads, purpose="verification", draw_slice=ODD)
    early = early_horizons(config, late)
    if early is None or outcomes.planning is None or fresh.planning is None:
        return outcomes, fresh.planning
    short = settings.model_copy(update={"sample_paths": 0, "ever_draws": 1})  # no single cells, no late wins
    before = simulate(panel, draws, early, short, seed, threads, draw_slice=EVEN).planning
    checked = simulate(panel, draws, early, short, seed, threads, purpose="verification", draw_slice=ODD).planning
    assert before is not None
    assert checked is not None
    planned = from_effective_date(outcomes.planning, before, panel)
    return replace(outcomes, planning=planned), from_effective_date(fresh.planning, checked, panel)


def months(horizon: Horizon) -> Ints:
    """Months of a horizon, counted since 1970-01."""
    return np.arange(horizon.first_month, horizon.first_month + horizon.months)
