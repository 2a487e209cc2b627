"""Builds the assignment problem from two simulations of the planning horizon."""

from dataclasses import dataclass

import numpy as np

from engine.planning.quotas import QuotaBook, capacity
from engine.planning.similarity import leads, learned, similarity
from engine.simulation.outcomes import PlanningOutcomes
from models.panel import NONE, Bools, Floats, Ints, Panel
from optimization.problem import TerritoryProblem


@dataclass(frozen=True)
class PlanningRules:
    """What the engine decides before anything is solved.

    Attributes
    ----------
    eligibility : "any" rep, reps of the account's "region", or of its "territory"
    disruption : share of first-year revenue lost when a customer changes rep
    experience_effect : prior mean of the relative gain of revenue from experience with accounts like this one
    hours_per_fte : selling hours a full-time rep has per month
    """

    eligibility: str
    disruption: float
    experience_effect: float
    hours_per_fte: float


@dataclass(frozen=True)
class Span:
    """Inclusive months since 1970-01."""

    first: int
    last: int


def sellers(panel: Panel, quotas: QuotaBook, span: Span) -> Ints:
    """[problem rep] indices of the reps who may carry a book: active within the span, and asked for some revenue."""
    asked = np.array([quotas.target("rep", str(key), span.first, span.last)[0] for key in panel.reps.labels.ids])
    return np.flatnonzero(panel.reps.active & (capacity(panel, span.first, span.last) > 0) & (asked > 0))


def build_problem(
    panel: Panel,
    futures: tuple[PlanningOutcomes, PlanningOutcomes],
    quotas: QuotaBook,
    asked: tuple[Span, Ints],
    rules: PlanningRules,
) -> TerritoryProblem:
    """Assemble the problem over some reps and all accounts.

    Parameters
    ----------
    futures : revenue of the planning horizon on the paths that plan, and on other paths that verify
    quotas : given and proposed targets
    asked : the planning horizon, and [problem rep] the `sellers` in it
    """
    (plan, fresh), (span, reps) = futures, asked
    available = capacity(panel, span.first, span.last)
    position = np.full(len(panel.reps.labels) + 1, NONE)
    position[reps] = np.arange(len(reps))
    owner = position[panel.accounts.owner]
    ids = panel.reps.labels.ids[reps]
    fit = account_fit(panel, reps, owner, rules)
    losing = panel.accounts.owner != NONE
    return TerritoryProblem(
        account_ids=panel.accounts.labels.ids,
        rep_ids=ids,
        value=plan.account,
        fresh_value=fresh.account,
        fit=fit,
        fixed=plan.fixed[:, reps],
        fresh_fixed=fresh.fixed[:, reps],
        quota=np.array([quotas.target("rep", str(key), span.first, span.last)[0] for key in ids]),
        capacity=available[reps],
        owner=owner,
        eligible=eligible(panel, reps, owner, rules.eligibility),
        locked=panel.accounts.locked,
        family=panel.accounts.family,
        hours=np.nan_to_num(panel.accounts.hours, nan=0.0),
        max_hours=available[reps] * rules.hours_per_fte,
        move_cost=np.where(losing, rules.disruption * plan.account.mean(axis=0, dtype=np.float64).clip(min=0.0), 0.0),
    )


def eligible(panel: Panel, reps: Ints, owner: Ints, scope: str) -> Bools:
    """[account, rep] whether the rep may own the account.

    A rep works where the home territory and the accounts owned now lie; within ``scope`` "region" or "territory" an
    account may go to whoever works there. An account without a place, or in a place where nobody works, may go to
    anybody. The present owner may always keep it.
    """
    where = _place(panel, panel.accounts.territory, scope)
    if scope == "any" or (where == NONE).all():
        return np.ones((len(where), len(reps)), dtype=bool)
    home = _place(panel, panel.reps.territory[reps], scope)
    held = np.flatnonzero(owner != NONE)
    works = np.zeros((len(reps), int(max(where.max(), home.max())) + 2), dtype=bool)
    works[np.arange(len(reps)), home] = True
    works[owner[held], where[held]] = True
    works[:, NONE] = False
    allowed = works[:, where].T.copy()
    allowed[~allowed.any(axis=1)] = True
    allowed[held, owner[held]] = True
    return allowed


def _place(panel: Panel, territory: Ints, scope: str) -> Ints:
    """Region or territory of every index; NONE stays NONE."""
    return np.append(panel.territory_region, NONE)[territory] if scope == "region" else territory


def account_fit(panel: Panel, reps: Ints, owner: Ints, rules: PlanningRules) -> Floats:
    """[account, rep] revenue multiplier of an account under each rep: 1 for its present rep.

    Another rep loses the disruption share, and gains or loses with experience of accounts like this one against the
    present rep's; see `engine.planning.similarity`.
    """
    lead = leads(panel)
    effect = learned(panel, lead, rules.experience_effect)
    similar = similarity(lead, panel.accounts.owner, effect.value)[:, reps]
    moved = np.where((panel.accounts.owner != NONE)[:, None], (1.0 - rules.disruption) * similar, similar)
    held = np.flatnonzero(owner != NONE)
    moved[held, owner[held]] = 1.0
    return moved
