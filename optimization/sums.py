"""What sums alone prove, without a solver: sets of rows that no plan can keep, whoever owns what.

Every account has exactly one rep, so rows of one kind over all books can be added up: where what they ask together is
more than the accounts can give, there is no plan. These are Lagrangian bounds with price 1 on each row of the kind.
"""

import numpy as np

from optimization.atoms import Atom
from optimization.families import active_reps
from optimization.problem import Bools, TerritoryProblem
from optimization.rules import Case, Row, rows_of
from optimization.settings import AllocationSettings

TOLERANCE = 1e-6
"""Relative violation of a limit that is taken for rounding, as in the audit."""


def counted(problem: TerritoryProblem, settings: AllocationSettings) -> tuple[Atom, ...]:
    """Rules that cannot hold together by counting alone, and can without any one of them; empty where none are found.

    Minima of accounts beyond their number: as many reps as it takes; without one of them each of the others can have
    its minimum. Maxima of accounts, or hours of reps, below what there is: all reps; without its limit, or without the
    ban on a rep who has no capacity, one rep can own everything.
    """
    active, ids, accounts = active_reps(problem), problem.rep_ids, len(problem.account_ids)
    least, most = settings.min_accounts, settings.max_accounts
    if least and int(active.sum()) * least > accounts:
        return tuple(("minimum accounts", str(rep)) for rep in ids[active][: accounts // least + 1])
    idle = [("active reps", str(rep)) for rep in ids[~active]]
    if most is not None and int(active.sum()) * most < accounts:
        return (*(("maximum accounts", str(rep)) for rep in ids[active]), *idle)
    hours = problem.max_hours[active]
    room = hours + TOLERANCE * np.maximum(1.0, hours)
    if settings.hours_capacity and np.isfinite(hours).all() and problem.hours.sum() > room.sum():
        return (*(("hours", str(rep)) for rep in ids[active]), *idle)
    return ()


def beyond_reach(case: Case) -> bool:
    """Whether rows of one rule ask for more (or leave room for less) than the blocks of a case can have together."""
    kinds: dict[tuple[str, str], list[Row]] = {}
    for row in rows_of(case):
        if row.rep is not None and (row.sense == "<=" or row.limit > 0):
            kinds.setdefault((row.rule, row.sense), []).append(row)
    return any(_beyond(rows, case.blocks.allowed) for rows in kinds.values())


def _beyond(rows: list[Row], allowed: Bools) -> bool:
    """Whether these rows of one rule and sense cannot all hold; pairs of reps without a row count nothing."""
    sign = 1.0 if rows[0].sense == "<=" else -1.0
    use = np.where(allowed, 0.0, np.inf)
    for row in rows:
        use[allowed[:, row.rep], row.rep] += sign * row.coefficient[allowed[:, row.rep]]
    room = sum(sign * row.limit + TOLERANCE * max(1.0, abs(row.limit)) for row in rows)
    least = use.min(axis=1)
    return bool(least.sum() - 1e-9 * np.abs(least).sum() > room)
