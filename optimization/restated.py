"""Every rule once more, from raw arrays: what the audit holds plans and prices against. Knows no rule builder.

Limits are stated over single accounts, not over families merged, and always as "at most": what is asked at least has
its sign turned. `tests/test_optimization_rules.py` holds them equal to the builders' rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimization.problem import NONE, Bools, Floats, TerritoryProblem
from optimization.settings import AllocationSettings


@dataclass(frozen=True)
class Limit:
    """``sum of amount over the accounts held`` is at most ``most``.

    Attributes
    ----------
    rule, key : name of the rule, and of the row within it
    rep : whose book is summed; None sums over all reps
    amount : [account] for one rep, [account, rep] for all
    most : the limit; infinite where there is none
    turned : the rule asks for something at least, so both sides have their sign turned
    given : what the book has whoever owns the accounts, already taken off the limit; for words only
    """

    rule: str
    key: str
    rep: int | None
    amount: Floats
    most: float
    turned: bool = False
    given: float = 0.0


@dataclass(frozen=True)
class Raw:
    """Sums over paths that several rules need.

    Attributes
    ----------
    mean : [account] expected revenue under the present owner
    fixed : [rep] expected revenue that no assignment changes
    fair : [rep] fair share of revenue by quota
    share : [rep] share of capacity
    total : expected revenue of all accounts and active reps
    """

    mean: Floats
    fixed: Floats
    fair: Floats
    share: Floats
    total: float


def raw(problem: TerritoryProblem) -> Raw:
    """Sums over the planning paths."""
    active, tiny = problem.capacity > 0, np.finfo(float).tiny
    mean = problem.value.mean(axis=0, dtype=np.float64)
    fixed = problem.fixed.mean(axis=0, dtype=np.float64)
    total = mean.sum() + fixed[active].sum()
    quota, capacity = np.where(active, problem.quota, 0.0), np.where(active, problem.capacity, 0.0)
    fair = quota / max(quota.sum(), tiny) * total
    return Raw(mean, fixed, fair, capacity / max(capacity.sum(), tiny), float(total))


def further(problem: TerritoryProblem) -> Iterator[tuple[str, Bools]]:
    """Name and pairs [account, rep] of every permission beside `TerritoryProblem.eligible`."""
    if problem.permission_ids is not None and problem.permits is not None:
        for number, name in enumerate(problem.permission_ids):
            yield str(name), problem.permits[number]


def may_by_permission(problem: TerritoryProblem) -> Bools:
    """[account, rep] whether every permission lets the rep own the account."""
    may = problem.eligible.copy()
    for _, pairs in further(problem):
        may &= pairs
    return may


@dataclass(frozen=True)
class Moves:
    """``stays`` [account]: the owner could keep it; ``away`` [account, rep]: the pair takes it from such an owner."""

    stays: Bools
    away: Bools


def moves(problem: TerritoryProblem) -> Moves:
    """What counts as a move."""
    owner, accounts = problem.owner, np.arange(len(problem.owner))
    stays = (owner != NONE) & (problem.capacity[owner] > 0) & may_by_permission(problem)[accounts, owner]
    return Moves(stays, stays[:, None] & (owner[:, None] != np.arange(len(problem.rep_ids))))


def limits(problem: TerritoryProblem, settings: AllocationSettings) -> list[Limit]:
    """Every limit in force."""
    sums, moved = raw(problem), moves(problem)
    found = []
    for r in np.flatnonzero(problem.capacity > 0):
        found += [
            *_least_and_most(problem, settings, sums, int(r)),
            *_bands(problem, settings, sums, int(r)),
            *_changes(problem, settings, (sums, moved), int(r)),
            *_hires(problem, settings, sums, int(r)),
        ]
    found += _budgets(problem, settings, sums, moved.away)
    return [limit for limit in found if np.isfinite(limit.most)]


def _least_and_most(problem: TerritoryProblem, settings: AllocationSettings, sums: Raw, r: int) -> Iterator[Limit]:
    key, ones = str(problem.rep_ids[r]), np.ones(len(problem.owner))
    worth, fixed = problem.fit[:, r] * sums.mean, float(sums.fixed[r])
    if settings.hours_capacity:
        yield Limit("hours", key, r, problem.hours, float(problem.max_hours[r]))
    if settings.max_accounts is not None:
        yield Limit("maximum accounts", key, r, ones, float(settings.max_accounts))
    if settings.min_accounts is not None:
        yield Limit("minimum accounts", key, r, -ones, -float(settings.min_accounts), turned=True)
    if settings.min_hours is not None:
        yield Limit("minimum hours", key, r, -problem.hours, -settings.min_hours, turned=True)
    if settings.max_potential is not None:
        yield Limit("maximum potential", key, r, worth, float(settings.max_potential - fixed), given=fixed)
    if settings.min_potential is not None:
        yield Limit("minimum potential", key, r, -worth, float(fixed - settings.min_potential), True, fixed)
    if settings.max_travel_km is not None and problem.travel is not None:
        yield Limit("travel", key, r, problem.travel[:, r], float(settings.max_travel_km * problem.capacity[r]))


def _bands(problem: TerritoryProblem, settings: AllocationSettings, sums: Raw, r: int) -> Iterator[Limit]:
    bands, worth, none = settings.bands, problem.fit[:, r] * sums.mean, 0.0
    share, accounts = sums.share[r], len(problem.owner)
    asked: list[tuple[str, float | None, Floats, float, float]] = [
        ("band of revenue", bands.revenue, worth, share * sums.total, float(sums.fixed[r])),
        ("band of hours", bands.hours, problem.hours, share * problem.hours.sum(), none),
        ("band of accounts", bands.accounts, np.ones(accounts), share * accounts, none),
    ]
    if settings.value_band_is_rule:
        asked.append(("value band", settings.value_band_share, worth, float(sums.fair[r]), float(sums.fixed[r])))
    if problem.commission is not None:
        total = (sums.mean[:, None] * problem.commission * sums.share).sum()
        asked.append(("band of commission", bands.commission, problem.commission[:, r] * worth, share * total, none))
    for rule, width, amount, fair, fixed in asked:
        if width is not None:
            key, wide = str(problem.rep_ids[r]), width * abs(fair)
            yield Limit(rule, f"{key}_high", r, amount, float(fair + wide - fixed), given=fixed)
            yield Limit(rule, f"{key}_low", r, -amount, float(fixed + wide - fair), True, fixed)


def _changes(
    problem: TerritoryProblem, settings: AllocationSettings, known: tuple[Raw, Moves], r: int
) -> Iterator[Limit]:
    """What joins a book, less what stays of what it could keep, is at most the limit less what it could keep."""
    sums, moved = known
    key, owned = str(problem.rep_ids[r]), problem.owner == r
    keeps = owned & moved.stays
    turn = (moved.stays & ~owned).astype(np.float64) - keeps
    share = settings.max_moved_value_share_per_rep
    asked = (
        ("moved accounts per rep", settings.max_moved_accounts_per_rep, np.ones(len(owned))),
        ("moved value per rep", None if share is None else share * abs(sums.fair[r]), sums.mean),
        ("move cost per rep", settings.max_move_cost_per_rep, problem.move_cost),
    )
    for rule, most, amount in asked:
        if most is not None:
            has = float(amount[keeps].sum())
            yield Limit(rule, key, r, turn * amount, float(most - has), given=has)


def _hires(problem: TerritoryProblem, settings: AllocationSettings, sums: Raw, r: int) -> Iterator[Limit]:
    if problem.hire is None or not problem.hire[r]:
        return
    key, fair = str(problem.rep_ids[r]), sums.fair[r]
    if settings.hire_min_share is not None:
        worth = problem.fit[:, r] * sums.mean
        most = float(sums.fixed[r] - settings.hire_min_share * fair)
        yield Limit("share for hires", key, r, -worth, most, True, float(sums.fixed[r]))
    if settings.hire_min_accounts is not None:
        amount = np.array([-1.0 if _spared(problem, sums, int(o)) else 0.0 for o in range(NONE, len(problem.rep_ids))])
        least = float(settings.hire_min_accounts)
        yield Limit("accounts for hires", key, r, amount[problem.owner + 1], -least, turned=True)


def _spared(problem: TerritoryProblem, sums: Raw, owner: int) -> bool:
    """Whether accounts of this owner go to hires: nobody, or one who is not new with a book above the fair share."""
    if owner == NONE:
        return True
    new = problem.hire is not None and bool(problem.hire[owner]) and problem.capacity[owner] > 0
    return not new and bool(sums.mean[problem.owner == owner].sum() + sums.fixed[owner] > sums.fair[owner])


def _budgets(problem: TerritoryProblem, settings: AllocationSettings, sums: Raw, moved: Bools) -> Iterator[Limit]:
    """Rules about the whole plan."""
    if settings.max_moved_accounts_share is not None:
        most = float(np.floor(settings.max_moved_accounts_share * len(problem.owner) + 1e-9))
        yield Limit("moved accounts", "all", None, moved.astype(np.float64), most)
    if settings.max_moved_value_share is not None:
        most = float(settings.max_moved_value_share * sums.mean.clip(min=0).sum())
        yield Limit("moved value", "all", None, moved * sums.mean[:, None], most)
    if settings.max_move_cost is not None:
        yield Limit("move cost", "all", None, moved * problem.move_cost[:, None], float(settings.max_move_cost))
