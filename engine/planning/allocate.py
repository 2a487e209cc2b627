"""From simulated futures to a plan: the assignment problem of a run, solved and verified on fresh paths."""

from dataclasses import replace

import numpy as np

from engine.config import RunConfig
from engine.planning.decisions import Decisions, obey
from engine.planning.quotas import QuotaBook
from engine.planning.territory_problem import PlanningRules, Span, build_problem, sellers
from engine.results import Allocation
from engine.seeds import seed_for
from engine.simulation.outcomes import PlanningOutcomes
from models.panel import Panel
from optimization.solve import solve


def plan_territories(
    config: RunConfig,
    panel: Panel,
    futures: tuple[PlanningOutcomes, PlanningOutcomes],
    quotas: QuotaBook,
    decisions: Decisions = (),
) -> Allocation | None:
    """Assign all accounts to the active reps; None where there is no account or no rep to assign to.

    Parameters
    ----------
    futures : revenue of the planning horizon on the paths that plan, and on paths of other draws that verify
    decisions : what people have decided, checked
    """
    horizon, asked = config.planning_horizon, config.allocation
    span = Span(horizon.first_month, horizon.first_month + horizon.months - 1)
    rules = PlanningRules(asked.eligibility, asked.disruption, asked.experience_effect, asked.hours_per_fte)
    reps = sellers(panel, quotas, span)
    if not len(reps) or not len(panel.accounts.labels):
        return None
    problem = build_problem(panel, futures, quotas, (span, reps), rules)
    locked, eligible = obey(decisions, panel, reps, problem.eligible)
    problem = replace(problem, locked=locked, eligible=eligible)
    answer = solve(problem, asked, seed_for(config.seed, "assignment"))
    accounts = np.arange(len(panel.accounts.labels))
    return Allocation(problem, answer, reps, accounts, panel.accounts.owner, span.first, span.last)
