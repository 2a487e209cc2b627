"""The rules of an assignment, each a named builder. `audit` states every one of them a second time, from raw arrays.

Rules come in two shapes. Some settle who may own what or what goes together before anything is solved (eligibility,
active reps, locks, families: see `optimization.families`); the others are rows over the assignment, built here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from optimization.atoms import Atom, left_out
from optimization.families import Blocks, active_reps, merge
from optimization.problem import Floats, TerritoryProblem
from optimization.settings import AllocationSettings


@dataclass(frozen=True)
class Case:
    """One problem to be solved.

    Attributes
    ----------
    problem, settings : as given
    blocks : families merged, permissions settled
    without : what is left out
    """

    problem: TerritoryProblem
    settings: AllocationSettings
    blocks: Blocks
    without: frozenset[Atom]


@dataclass(frozen=True)
class Row:
    """``sum of coefficient * assigned (sense) limit``.

    Attributes
    ----------
    rule, key : name of the rule, and the rep (or "all") the row speaks of
    rep : index of the rep whose book the row sums; None sums over all reps
    coefficient : [block] for one rep, [block, rep] for all
    limit : right-hand side
    relaxed : by how much the limit gives way per unit of relaxation, towards more freedom
    """

    rule: str
    key: str
    rep: int | None
    coefficient: Floats
    sense: Literal["<=", ">="]
    limit: float
    relaxed: float


@dataclass(frozen=True)
class Rule:
    """A named rule.

    Attributes
    ----------
    words : what it asks, for people
    repair : what giving way means, with ``{amount}`` for a number; see `optimization.infeasible`
    rows : builder of its rows, None where the rule is settled before solving
    """

    words: str
    repair: str
    rows: Callable[[Case], list[Row]] | None


def build_case(problem: TerritoryProblem, settings: AllocationSettings, without: frozenset[Atom] = frozenset()) -> Case:
    """Merge families and settle permissions, less what ``without`` leaves out."""
    return Case(problem, settings, merge(problem, without), without)


def atom_of(case: Case, row: Row) -> Atom:
    """Rule, and the rep the row speaks of."""
    return row.rule, row.key if row.rep is None else str(case.problem.rep_ids[row.rep])


def rows_of(case: Case) -> list[Row]:
    """Every row of every rule that is in force."""
    rows = [row for rule in RULES.values() if rule.rows for row in rule.rows(case)]
    return [row for row in rows if not left_out(case.without, atom_of(case, row))]


def fair_share(problem: TerritoryProblem) -> Floats:
    """[rep] share of the active reps' quotas; zero for inactive reps."""
    quota = problem.quota * active_reps(problem)
    return quota / max(quota.sum(), np.finfo(float).tiny)


def fair_value(problem: TerritoryProblem) -> Floats:
    """[rep] expected revenue that is the rep's fair share of what all active reps and accounts bring today, money."""
    fixed = problem.fixed.mean(axis=0, dtype=np.float64)[active_reps(problem)].sum()
    return fair_share(problem) * (fixed + problem.value.mean(axis=0, dtype=np.float64).sum())


def hours(case: Case) -> list[Row]:
    """Selling hours of a book fit the hours of its rep, where both are known. Relaxed in percent of the rep's hours."""
    limits = case.problem.max_hours
    known = np.isfinite(limits) & active_reps(case.problem) & case.settings.hours_capacity
    return [
        Row("hours", str(case.problem.rep_ids[r]), int(r), case.blocks.hours, "<=", float(limits[r]), limits[r] / 100)
        for r in np.flatnonzero(known)
    ]


def minimum_accounts(case: Case) -> list[Row]:
    """Every active rep has at least ``min_accounts`` accounts. Relaxed in accounts."""
    return _account_counts(case, "minimum accounts", ">=", case.settings.min_accounts)


def maximum_accounts(case: Case) -> list[Row]:
    """No active rep has more than ``max_accounts`` accounts. Relaxed in accounts."""
    return _account_counts(case, "maximum accounts", "<=", case.settings.max_accounts)


def _account_counts(case: Case, rule: str, sense: Literal["<=", ">="], limit: int | None) -> list[Row]:
    if limit is None:
        return []
    ids = case.problem.rep_ids
    return [
        Row(rule, str(ids[r]), int(r), case.blocks.accounts, sense, float(limit), 1.0)
        for r in np.flatnonzero(active_reps(case.problem))
    ]


def value_band(case: Case) -> list[Row]:
    """Expected revenue of every book lies within ``value_band_share`` of its fair share, when the band is a rule.

    Relaxed in percent of the fair share.
    """
    if not case.settings.value_band_is_rule:
        return []
    fair, band = fair_value(case.problem), case.settings.value_band_share
    fixed = case.problem.fixed.mean(axis=0, dtype=np.float64)
    rows = []
    for r in np.flatnonzero(active_reps(case.problem)):
        worth, key, percent = case.blocks.worth[:, r], str(case.problem.rep_ids[r]), abs(fair[r]) / 100
        wide = band * abs(fair[r])
        rows.append(Row("value band", f"{key}_high", int(r), worth, "<=", float(fair[r] + wide - fixed[r]), percent))
        rows.append(Row("value band", f"{key}_low", int(r), worth, ">=", float(fair[r] - wide - fixed[r]), percent))
    return rows


def moved_accounts(case: Case) -> list[Row]:
    """At most ``max_moved_accounts_share`` of the accounts leave an owner who could keep them. Relaxed in accounts."""
    share = case.settings.max_moved_accounts_share
    limit = None if share is None else np.floor(share * len(case.problem.account_ids) + 1e-9)
    return _budget("moved accounts", case.blocks.moved_accounts, limit, 1.0)


def moved_value(case: Case) -> list[Row]:
    """At most ``max_moved_value_share`` of revenue leaves an owner who could keep it. Relaxed in percent points."""
    share = case.settings.max_moved_value_share
    total = float(case.problem.value.mean(axis=0, dtype=np.float64).clip(min=0).sum())
    return _budget("moved value", case.blocks.moved_value, None if share is None else share * total, total / 100)


def move_cost(case: Case) -> list[Row]:
    """Money at risk from moves stays below ``max_move_cost``. Relaxed in money."""
    return _budget("move cost", case.blocks.moved_cost, case.settings.max_move_cost, 1.0)


def _budget(rule: str, coefficient: Floats, limit: float | None, relaxed: float) -> list[Row]:
    return [] if limit is None else [Row(rule, "all", None, coefficient, "<=", float(limit), relaxed)]


RULES: dict[str, Rule] = {
    "eligibility": Rule("only eligible reps own an account", "allow: {amount}", None),
    "active reps": Rule("reps without capacity own no accounts", "let reps without capacity own: {amount}", None),
    "locks": Rule("locked accounts stay with their owner", "release the lock of: {amount}", None),
    "families": Rule("accounts of a family stay together", "let families be split", None),
    "hours": Rule("the hours of a book fit its rep", "raise the hours of every rep by {amount} percent", hours),
    "minimum accounts": Rule(
        "every active rep has the minimum of accounts", "lower the minimum by {amount} accounts", minimum_accounts
    ),
    "maximum accounts": Rule(
        "no rep has more than the maximum of accounts", "raise the maximum by {amount} accounts", maximum_accounts
    ),
    "value band": Rule(
        "the revenue of every book lies in the band around its fair share",
        "widen the value band by {amount} percent of the fair share",
        value_band,
    ),
    "moved accounts": Rule(
        "the budget of moved accounts holds", "allow {amount} more accounts to move", moved_accounts
    ),
    "moved value": Rule(
        "the budget of moved revenue holds", "allow {amount} percent more of the revenue to move", moved_value
    ),
    "move cost": Rule(
        "the budget of money at risk from moves holds", "raise the budget of money at risk by {amount}", move_cost
    ),
}
"""Every rule of an assignment besides coverage (each account has exactly one rep), which always holds."""
