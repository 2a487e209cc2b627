"""Cheap guesses of what cannot hold together, from sums of raw arrays: no solver, so nothing here is a proof."""

from collections.abc import Iterator, Sequence

import numpy as np

from optimization.atoms import Atom
from optimization.families import active_reps, alike
from optimization.problem import NONE, TerritoryProblem
from optimization.settings import AllocationSettings

MOST = 20
"""Guesses of a kind."""


def suspects(problem: TerritoryProblem, settings: AllocationSettings, rules: Sequence[Atom]) -> Iterator[list[Atom]]:
    """Sets of ``rules`` that look as if they could not hold together, the smallest kinds first."""
    in_force = set(rules)
    keys = dict(zip(problem.account_ids.tolist(), alike(problem).tolist(), strict=True))
    for guess in (*_homeless(problem), *_split(problem), *_locked_above(problem, settings)):
        guess = list(dict.fromkeys((rule, keys[key] if rule == "eligibility" else key) for rule, key in guess))
        kept = [atom for atom in guess if atom in in_force]
        if kept:
            yield kept


def _homeless(problem: TerritoryProblem) -> list[list[Atom]]:
    """Accounts that nobody may own: by eligibility, by inactive reps, by the lock to somebody who may not keep it."""
    holds = problem.owner[:, None] == np.arange(len(problem.rep_ids))
    may = problem.eligible & active_reps(problem) & (holds | ~problem.locked[:, None])
    return [_of_account(problem, int(i)) for i in np.flatnonzero(~may.any(axis=1))[:MOST]]


def _of_account(problem: TerritoryProblem, account: int) -> list[Atom]:
    """Every permission that speaks of one account."""
    key = str(problem.account_ids[account])
    idle = [("active reps", str(rep)) for rep in problem.rep_ids[~active_reps(problem)]]
    return [*idle, ("eligibility", key), ("locks", key)]


def _split(problem: TerritoryProblem) -> list[list[Atom]]:
    """Families with members locked to different reps, or without a rep who may own all members."""
    order = np.argsort(problem.family, kind="stable")
    families, start = np.unique(problem.family[order], return_index=True)
    found = []
    holds = problem.owner[:, None] == np.arange(len(problem.rep_ids))
    may = problem.eligible & active_reps(problem) & (holds | ~problem.locked[:, None])
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
