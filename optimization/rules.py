"""The rules of an assignment, each a named builder. `audit` states every one of them a second time, from raw arrays.

Rules come in two shapes. Some settle who may own what or what goes together before anything is solved (eligibility,
active reps, locks, families: see `optimization.families`); the others are rows over the assignment, built here.
"""

from typing import Literal

import numpy as np

from optimization import book_rules
from optimization.atoms import Atom, left_out
from optimization.cases import Case, Row, Rule, build_case, fair_share, fair_value
from optimization.families import active_reps
from optimization.problem import Floats

__all__ = ["RULES", "Case", "Row", "Rule", "atom_of", "build_case", "fair_share", "fair_value", "rows_of"]


def atom_of(case: Case, row: Row) -> Atom:
    """Rule, and the rep the row speaks of."""
    return row.rule, row.key if row.rep is None else str(case.problem.rep_ids[row.rep])


def rows_of(case: Case) -> list[Row]:
    """Every row of every rule that is in force."""
    rows = [row for rule in RULES.values() if rule.rows for row in rule.rows(case)]
    return [row for row in rows if not left_out(case.without, atom_of(case, row))]


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
    "moved accounts per rep": Rule(
        "the budget of accounts that leave or join one book holds",
        "allow {amount} more accounts to leave or join a book",
        book_rules.moved_accounts_per_rep,
    ),
    "moved value per rep": Rule(
        "the budget of revenue that leaves or joins one book holds",
        "allow {amount} percent more of the fair share to leave or join a book",
        book_rules.moved_value_per_rep,
    ),
    "move cost per rep": Rule(
        "the budget of money at risk of one book holds",
        "raise the budget of money at risk of a book by {amount}",
        book_rules.move_cost_per_rep,
    ),
    "minimum hours": Rule(
        "every active rep has the minimum of hours", "lower the minimum by {amount} hours", book_rules.minimum_hours
    ),
    "minimum potential": Rule(
        "the revenue of every book reaches the minimum",
        "lower the minimum of revenue by {amount}",
        book_rules.minimum_potential,
    ),
    "maximum potential": Rule(
        "the revenue of no book exceeds the maximum",
        "raise the maximum of revenue by {amount}",
        book_rules.maximum_potential,
    ),
    "band of revenue": Rule(
        "the revenue of every book lies in the band around its share by capacity",
        "widen the band of revenue by {amount} percent of the fair share",
        book_rules.band_of_revenue,
    ),
    "band of hours": Rule(
        "the hours of every book lie in the band around its share by capacity",
        "widen the band of hours by {amount} percent of the fair share",
        book_rules.band_of_hours,
    ),
    "band of accounts": Rule(
        "the accounts of every book lie in the band around its share by capacity",
        "widen the band of accounts by {amount} percent of the fair share",
        book_rules.band_of_accounts,
    ),
    "band of commission": Rule(
        "the commission of every book lies in the band around its share by capacity",
        "widen the band of commission by {amount} percent of the fair share",
        book_rules.band_of_commission,
    ),
    "travel": Rule(
        "the travel to the accounts of a book fits its rep",
        "raise the km of every rep by {amount} percent",
        book_rules.travel,
    ),
    "share for hires": Rule(
        "a new hire's book reaches its share of the fair share",
        "lower the share for hires by {amount} percent of the fair share",
        book_rules.share_for_hires,
    ),
    "accounts for hires": Rule(
        "a new hire gets the minimum of accounts that others can spare",
        "lower the minimum for hires by {amount} accounts",
        book_rules.accounts_for_hires,
    ),
    "radius": Rule("an account lies within the radius around its rep", "beyond the radius, allow: {amount}", None),
    "segment": Rule("a rep sells to the account's segment", "in spite of the segment, allow: {amount}", None),
    "language": Rule("a rep speaks the account's language", "in spite of the language, allow: {amount}", None),
    "skill": Rule("a rep has the skills that the account needs", "in spite of the skill, allow: {amount}", None),
    "leavers": Rule(
        "the book of a rep who leaves goes back as asked for", "of the books of leavers, allow: {amount}", None
    ),
    "reserved": Rule("reserved accounts go to new hires", "of the reserved accounts, allow: {amount}", None),
}
"""Every rule of an assignment besides coverage (each account has exactly one rep), which always holds."""
