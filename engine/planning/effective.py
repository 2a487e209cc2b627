"""A plan that takes effect inside the planning horizon: who books what before and after, and whose quota counts.

What exactly is done: of the simulated revenue of an account, the months before the effective date belong to the present
owner whatever the plan says; they are added to that rep's fixed revenue, path by path, or to nobody where nobody owns
the account. The months from the date on are the account's value in the assignment problem: they go to the new rep, and
the loss from a move is a share of them. Quotas stay as they are, since an account that moves takes no quota along; but
with `allocation.prorate_quotas` a given quota of a rep who starts or leaves inside the horizon counts for the days
employed.
"""

from dataclasses import replace

import numpy as np

from engine.config import RunConfig
from engine.planning.quotas import GIVEN, QuotaBook, capacity
from engine.simulation.clock import SimulationHorizons
from engine.simulation.outcomes import PlanningOutcomes
from models.panel import NONE, Bools, Floats, Ints, Panel
from optimization.problem import TerritoryProblem


def early_horizons(config: RunConfig, held: Bools | None = None) -> SimulationHorizons | None:
    """Horizons whose planning months are those before the effective date; None where there are none.

    The simulated months are the same as the run's, so a simulation over them from the same streams gives a part of the
    run's revenue, path by path.

    Parameters
    ----------
    held : [deal] deals that stay with their rep, see `engine.planning.hold_over`
    """
    plan, forecast = config.planning_horizon, config.horizon
    early = months_before(config, np.arange(plan.first_month, plan.first_month + plan.months))
    if not len(early):
        return None
    last = max(plan.first_month + plan.months, forecast.first_month + forecast.months)
    months = np.arange(min(plan.first_month, forecast.first_month), last)
    return SimulationHorizons(months, early, held)


def months_before(config: RunConfig, months: Ints) -> Ints:
    """Those of some months, counted since 1970-01, in which accounts are still with their present owners."""
    effective = config.allocation.effective_date
    if effective is None:
        return months[:0]
    return months[months < (effective.year - 1970) * 12 + effective.month - 1]


def from_effective_date(whole: PlanningOutcomes, early: PlanningOutcomes, panel: Panel) -> PlanningOutcomes:
    """Revenue of the planning horizon with the part before the effective date fixed to the present owners.

    Parameters
    ----------
    whole, early : of the whole horizon and of the months before the date, on the same paths
    """
    fixed, owner = whole.fixed.copy(), panel.accounts.owner
    for rep in np.unique(owner[owner != NONE]):
        fixed[:, rep] += early.account[:, owner == rep].sum(axis=1)
    return PlanningOutcomes(whole.account - early.account, fixed)


def prorated_quotas(problem: TerritoryProblem, panel: Panel, quotas: QuotaBook, span: tuple[int, int]) -> Floats:
    """[problem rep] quotas, given ones of reps who start or leave within the span by the share of days employed.

    Proposed quotas are measured by capacity, so they have it in them.
    """
    reps = panel.reps.labels.ids.tolist()
    rows: Ints = np.array([reps.index(key) for key in problem.rep_ids.tolist()], dtype=np.int64)
    days = (capacity(panel, *span) / np.maximum(panel.reps.fte, np.finfo(float).tiny))[rows]
    given = np.array([quotas.target("rep", str(key), *span)[1] == GIVEN for key in problem.rep_ids], dtype=bool)
    return np.where(given, problem.quota * days, problem.quota)


def with_prorated_quotas(
    problem: TerritoryProblem, panel: Panel, quotas: QuotaBook, span: tuple[int, int]
) -> TerritoryProblem:
    """The problem with `prorated_quotas`."""
    return replace(problem, quota=prorated_quotas(problem, panel, quotas, span))
