"""Cheap guesses of what cannot hold together, from sums of raw arrays: no solver, so nothing here is a proof."""

from collections.abc import Iterator, Sequence

import numpy as np

from optimization.atoms import Atom
from optimization.book_rules import share_by_capacity
from optimization.families import active_reps, alike, permissions, suitable
from optimization.problem import NONE, TerritoryProblem
from optimization.settings import AllocationSettings

MOST = 20
"""Guesses of a kind."""

ROUNDING = 1e-6
"""Accounts by which a band may miss a whole number."""


def suspects(problem: TerritoryProblem, settings: AllocationSettings, rules: Sequence[Atom]) -> Iterator[list[Atom]]:
    """Sets of ``rules`` that look as if they could not hold together, the smallest kinds first."""
    in_force = set(rules)
    accounts = problem.account_ids.tolist()
    keys = {
        (name, account): first
        for name in permissions(problem)
        for account, first in zip(accounts, alike(problem, name).tolist(), strict=True)
    }
    for guess in (
        *_homeless(problem),
        *_split(problem),
        *_locked_above(problem, settings),
        *_no_whole_number(problem, settings),
    ):
        guess = list(dict.fromkeys((rule, keys.get((rule, key), key)) for rule, key in guess))
        kept = [atom for atom in guess if atom in in_force]
        if kept:
            yield kept


def _homeless(problem: TerritoryProblem) -> list[list[Atom]]:
    """Accounts that nobody may own: by eligibility, by inactive reps, by the lock to somebody who may not keep it."""
    holds = problem.owner[:, None] == np.arange(len(problem.rep_ids))
    may = suitable(problem) & active_reps(problem) & (holds | ~problem.locked[:, None])
    return [_of_account(problem, int(i)) for i in np.flatnonzero(~may.any(axis=1))[:MOST]]


def _of_account(problem: TerritoryProblem, account: int) -> list[Atom]:
    """Every permission that speaks of one account."""
    key = str(problem.account_ids[account])
    idle = [("active reps", str(rep)) for rep in problem.rep_ids[~active_reps(problem)]]
    return [*idle, *((name, key) for name in permissions(problem)), ("locks", key)]


def _split(problem: TerritoryProblem) -> list[list[Atom]]:
    """Families with members locked to different reps, or without a rep who may own all members."""
    order = np.argsort(problem.family, kind="stable")
    families, start = np.unique(problem.family[order], return_index=True)
    found = []
    holds = problem.owner[:, None] == np.arange(len(problem.rep_ids))
    may = suitable(problem) & active_reps(problem) & (holds | ~problem.locked[:, None])
    for members in np.split(order, start[1:]):
        if len(members) > 1 and not may[members].all(axis=0).any():
            first = str(problem.account_ids[members.min()])
            permissions = dict.fromkeys(atom for i in members for atom in _of_account(problem, int(i)))
            found.append([("families", first), *permissions])
    return found[: min(MOST, len(families))]


def _locked_above(problem: TerritoryProblem, settings: AllocationSettings) -> list[list[Atom]]:
    """Reps whose locked accounts alone exceed a limit of theirs."""
    locked = problem.locked & (problem.owner != NONE)
    found = []
    for rep in np.flatnonzero(active_reps(problem)):
        mine = np.flatnonzero(locked & (problem.owner == rep))
        locks: list[Atom] = [("locks", str(problem.account_ids[i])) for i in mine]
        key = str(problem.rep_ids[rep])
        if settings.hours_capacity and problem.hours[mine].sum() > problem.max_hours[rep]:
            found.append([("hours", key), *locks])
        if settings.max_accounts is not None and len(mine) > settings.max_accounts:
            found.append([("maximum accounts", key), *locks])
    return found[:MOST]


def _no_whole_number(problem: TerritoryProblem, settings: AllocationSettings) -> list[list[Atom]]:
    """Reps whose band on the number of accounts lies between two whole numbers, and all reps together."""
    width = settings.bands.accounts
    if width is None:
        return []
    reps, count = np.flatnonzero(active_reps(problem)), len(problem.account_ids)
    fair = share_by_capacity(problem)[reps] * count
    least, most = np.ceil(fair * (1 - width) - ROUNDING), np.floor(fair * (1 + width) + ROUNDING)
    bands: list[Atom] = [("band of accounts", str(problem.rep_ids[r])) for r in reps]
    found = [[atom] for atom, low, high in zip(bands, least, most, strict=True) if low > high]
    if not found and (least.sum() > count or most.sum() < count):
        found.append(bands)
    return found[:MOST]
