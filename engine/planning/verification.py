"""The two simulations of a run: one forecasts and plans, one on other draws and other paths verifies the plan."""

import numpy as np

from engine.config import Horizon, RunConfig
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

    Returns
    -------
    outcomes of the run, and revenue of the planning horizon on fresh paths, None when ``verify`` is false
    """
    settings, seed = config.simulation, config.seed
    if not verify:
        alone = SimulationHorizons(months(config.horizon))
        return simulate(panel, draws, alone, settings, seed, threads, draw_slice=ALL), None
    horizons = SimulationHorizons(months(config.horizon), months(config.planning_horizon))
    outcomes = simulate(panel, draws, horizons, settings, seed, threads, draw_slice=EVEN)
    fresh = simulate(panel, draws, horizons, settings, seed, threads, purpose="verification", draw_slice=ODD)
    return outcomes, fresh.planning


def months(horizon: Horizon) -> Ints:
    """Months of a horizon, counted since 1970-01."""
    return np.arange(horizon.first_month, horizon.first_month + horizon.months)
