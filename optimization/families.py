"""Accounts that must go together become one block, and who may own a block is settled, before anything is solved."""

from dataclasses import dataclass

import numpy as np

from optimization.atoms import Atom, keys_left_out
from optimization.problem import NONE, Bools, Floats, Ints, TerritoryProblem, Texts


@dataclass(frozen=True)
class Blocks:
    """What the solver assigns: one block is one account, or all accounts of a family.

    Attributes
    ----------
    block : [account] its block; blocks are numbered by their first account
    order, start : accounts sorted by block [account], and where each block begins in that order [block]
    allowed : [block, rep] every member may be owned by the rep
    accounts, hours : [block] sums over members
    worth : [block, rep] expected revenue under each rep, money
    moved_accounts, moved_value, moved_cost : [block, rep] accounts, money, money that count as moved under each rep
    """

    block: Ints
    order: Ints
    start: Ints
    allowed: Bools
    accounts: Floats
    hours: Floats
    worth: Floats
    moved_accounts: Floats
    moved_value: Floats
    moved_cost: Floats

    def __len__(self) -> int:
        return len(self.start)

    def sums(self, per_account: Floats) -> Floats:
        """[block, ...] sums over members of [account, ...]."""
        return np.add.reduceat(per_account[self.order], self.start, axis=0) if len(self) else per_account

    def to_accounts(self, rep: Ints) -> Ints:
        """Owner of each account [account] from the owner of each block [block]."""
        return rep[self.block]

    def to_blocks(self, rep: Ints) -> Ints:
        """Owner of each block [block] from the owner of each account [account] (families must be together)."""
        return rep[self.order[self.start]]


def active_reps(problem: TerritoryProblem) -> Bools:
    """[rep] whether the rep has any capacity; others get no accounts and no say in fairness."""
    return problem.capacity > 0


def keepable(problem: TerritoryProblem) -> Bools:
    """[account] whether the present owner could keep it; only such accounts count as moved when they change owner."""
    owner = problem.owner
    return (owner != NONE) & suitable(problem)[np.arange(len(owner)), owner] & active_reps(problem)[owner]


def permissions(problem: TerritoryProblem) -> dict[str, Bools]:
    """[account, rep] who may own what, by the name of each permission: eligibility first, then the further ones."""
    found = {"eligibility": problem.eligible}
    if problem.permission_ids is not None and problem.permits is not None:
        found |= {str(name): pairs for name, pairs in zip(problem.permission_ids, problem.permits, strict=True)}
    return found


def suitable(problem: TerritoryProblem) -> Bools:
    """[account, rep] whether every permission lets the rep own the account."""
    pairs = problem.eligible
    for other in permissions(problem).values():
        pairs = pairs & other
    return pairs


def permitted(problem: TerritoryProblem, without: frozenset[Atom] = frozenset()) -> Bools:
    """[account, rep] who may own each account by permissions, active reps and locks, less what is left out."""
    accounts, reps = problem.account_ids, problem.rep_ids
    allowed = np.broadcast_to(active_reps(problem) | keys_left_out(without, "active reps", reps), problem.fit.shape)
    for name, pairs in permissions(problem).items():
        if any(rule == name for rule, _ in without):
            allowed = allowed & (pairs | keys_left_out(without, name, alike(problem, name))[:, None])
        else:
            allowed = allowed & pairs
    free = ~problem.locked | keys_left_out(without, "locks", accounts)
    return allowed & (free[:, None] | (problem.owner[:, None] == np.arange(len(reps))))


def alike(problem: TerritoryProblem, rule: str = "eligibility") -> Texts:
    """[account] id of the first account that the same reps may own by this permission: for them it is one rule."""
    _, first, group = np.unique(permissions(problem)[rule], axis=0, return_index=True, return_inverse=True)
    return problem.account_ids[first[group.reshape(-1)]]


def together(problem: TerritoryProblem, without: frozenset[Atom] = frozenset()) -> Ints:
    """[account] number of the group it is assigned with: its family, or itself where the family is left out."""
    accounts = np.arange(len(problem.account_ids))
    _, first, family = np.unique(problem.family, return_index=True, return_inverse=True)
    split = keys_left_out(without, "families", problem.account_ids[first])[family]
    return np.where(split, accounts, first[family])


def merge(problem: TerritoryProblem, without: frozenset[Atom] = frozenset()) -> Blocks:
    """Merge families and settle who may own what.

    Parameters
    ----------
    without : what is left out, used to explain why no plan exists
    """
    accounts = np.arange(len(problem.account_ids))
    _, first, inverse = np.unique(together(problem, without), return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first, kind="stable"), kind="stable")
    block = rank[inverse].astype(np.int64)
    order = np.argsort(block, kind="stable")
    start = np.flatnonzero(np.diff(block[order], prepend=-1))

    def total(per_account: Floats) -> Floats:
        return np.add.reduceat(per_account[order], start, axis=0) if len(start) else per_account

    mean = problem.value.mean(axis=0, dtype=np.float64)
    moved = keepable(problem)[:, None] & (problem.owner[:, None] != np.arange(len(problem.rep_ids)))
    return Blocks(
        block=block,
        order=order,
        start=start,
        allowed=np.logical_and.reduceat(permitted(problem, without)[order], start, axis=0)
        if len(start)
        else problem.eligible,
        accounts=total(np.ones(len(accounts))),
        hours=total(problem.hours),
        worth=total(problem.fit * mean[:, None]),
        moved_accounts=total(moved.astype(np.float64)),
        moved_value=total(moved * mean[:, None]),
        moved_cost=total(moved * problem.move_cost[:, None]),
    )
