"""From simulated futures to a plan: the assignment problem of a run, solved and verified on fresh paths."""

import numpy as np

from engine.config import RunConfig
from engine.planning.quotas import QuotaBook
from engine.planning.territory_problem import PlanningRules, Span, build_problem
from engine.results import Allocation
from engine.seeds import seed_for
from engine.simulation.outcomes import PlanningOutcomes
from models.panel import Panel
from optimization.solve import solve


def plan_territories(
    config: RunConfig, panel: Panel, plan: PlanningOutcomes, fresh: PlanningOutcomes, quotas: QuotaBook
) -> Allocation:
    """Assign all accounts to the active reps.

    Parameters
    ----------
    plan, fresh : revenue of the planning horizon on the paths that plan, and on paths of other draws that verify
    """
    horizon, asked = config.planning_horizon, config.allocation
    span = Span(horizon.first_month, horizon.first_month + horizon.months - 1)
    rules = PlanningRules(asked.eligibility, asked.disruption, asked.experience_effect, asked.hours_per_fte)
    problem, reps = build_problem(panel, plan, fresh, quotas, span, rules)
    answer = solve(problem, asked, seed_for(config.seed, "assignment"))
    accounts = np.arange(len(panel.accounts.labels))
    return Allocation(problem, answer, reps, accounts, panel.accounts.owner, span.first, span.last)
