"""From simulated futures to a plan: the assignment problem of a run, solved and verified on fresh paths."""

from dataclasses import replace

import numpy as np

from engine.config import RunConfig
from engine.planning.decision_costs import DecisionCost, decision_costs
from engine.planning.decisions import Decisions, obey
from engine.planning.disruption import with_disruption
from engine.planning.effective import with_prorated_quotas
from engine.planning.permissions import Places, excused, with_permissions
from engine.planning.quotas import QuotaBook
from engine.planning.territory_problem import PlanningRules, Span, build_problem, sellers
from engine.results import Allocation
from engine.seeds import seed_for
from engine.simulation.outcomes import PlanningOutcomes
from models.panel import NONE, Ints, Panel
from optimization.frontier import FrontierPoint, frontier
from optimization.given_plan import replan
from optimization.plan import Infeasible, TerritoryPlan
from optimization.problem import TerritoryProblem
from optimization.solve import solve


def plan_territories(
    config: RunConfig,
    panel: Panel,
    futures: tuple[PlanningOutcomes, PlanningOutcomes],
    quotas: QuotaBook,
    decisions: Decisions = (),
    earlier: Ints | None = None,
) -> Allocation | None:
    """Assign all accounts to the active reps; None where there is no account or no rep to assign to.

    Parameters
    ----------
    futures : revenue of the planning horizon on the paths that plan, and on paths of other draws that verify
    decisions : what people have decided, checked
    earlier : [account] rep of an earlier plan, index into the panel's reps, to be changed as little as possible; None
        plans from the present owners
    """
    horizon, asked = config.planning_horizon, config.allocation
    span = Span(horizon.first_month, horizon.first_month + horizon.months - 1)
    rules = PlanningRules(asked.eligibility, asked.disruption, asked.experience_effect, asked.hours_per_fte)
    reps = sellers(panel, quotas, span)
    if not len(reps) or not len(panel.accounts.labels):
        return None
    undecided = with_disruption(build_problem(panel, futures, quotas, (span, reps), rules), asked, config.seed)
    last_day = np.datetime64(horizon.end, "D")
    undecided = with_permissions(undecided, Places(panel, reps, undecided.owner, last_day), asked.permissions)
    if asked.prorate_quotas:
        undecided = with_prorated_quotas(undecided, panel, quotas, (span.first, span.last))

    def obeyed(some: Decisions) -> TerritoryProblem:
        locked, eligible = obey(some, panel, reps, undecided.eligible)
        return replace(excused(undecided, some), locked=locked, eligible=eligible)

    problem, seed = obeyed(decisions), seed_for(config.seed, "assignment")
    accounts = np.arange(len(panel.accounts.labels))
    costs: tuple[DecisionCost, ...] = ()
    points: tuple[FrontierPoint, ...] = ()
    answer: TerritoryPlan | Infeasible
    if earlier is not None:
        position = np.full(len(panel.reps.labels) + 1, NONE)
        position[reps] = np.arange(len(reps))
        answer = replan(problem, asked, position[earlier], seed)
        if isinstance(answer, TerritoryPlan):
            costs, same = decision_costs(asked, (position[earlier], answer.rep), decisions, obeyed)
            repeatable = answer.certificate.repeatable and same
            answer = replace(answer, certificate=replace(answer.certificate, repeatable=repeatable))
    else:
        answer = solve(problem, asked, seed)
        if asked.frontier_points > 1 and isinstance(answer, TerritoryPlan):
            points = frontier(problem, asked, seed_for(config.seed, "frontier"), asked.frontier_points)
    owner = panel.accounts.owner
    return Allocation(problem, answer, reps, accounts, owner, span.first, span.last, earlier, decisions, costs, points)
