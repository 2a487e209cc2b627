"""Why an account moves or stays: a closed set of words."""

import numpy as np

from optimization.families import Blocks, active_reps, suitable
from optimization.problem import NONE, Bools, Ints, TerritoryProblem
from optimization.restated import limits
from optimization.rules import Case
from optimization.scores import Linear, unfairness

STAYS = "stays"
STAYS_LOCKED = "stays: locked"
ASSIGNED = "assigned: had no owner"
OWNER_LEAVES = "moves: owner leaves"
NOT_ELIGIBLE = "moves: owner may not own it"
FAMILY = "moves with its family"
OVER_LIMIT = "moves: the owner's book is over a limit"
UNDER_LIMIT = "moves: the new owner's book is below a minimum"
FIT = "moves: worth more with the new owner"
EVENS = {
    "attainment": "moves: evens the chance of quota",
    "potential": "moves: evens expected revenue against quota",
    "hours": "moves: evens the hours of the books",
}

SIMILAR = ", to the rep who fits it best"
"""Said of an account that changes hands where the reps who may own it differ in fit and the new owner's is highest."""

SIMILAR_FROM = 0.01
"""Fit above that of the mean other rep from which it matters, share of the account's revenue."""

_CHANGES = (ASSIGNED, OWNER_LEAVES, NOT_ELIGIBLE, OVER_LIMIT, UNDER_LIMIT, FIT, *EVENS.values())

REASONS = (STAYS, STAYS_LOCKED, FAMILY, *_CHANGES, *(reason + SIMILAR for reason in _CHANGES))
"""Every reason there is."""


def reasons(case: Case, rep: Ints, linear: Linear) -> tuple[str, ...]:
    """Reason of each account [account] in words out of `REASONS`.

    Parameters
    ----------
    rep : [account] rep in the plan
    linear : scores linearised around the plan, to see what taking a move back would do to fairness
    """
    problem = case.problem
    (over, under), may = _limits_now(case), suitable(problem)
    lead, better = _family_lead(case.blocks, problem), _worth_more(case, rep, linear)
    words: list[str] = []
    for account, (new, old) in enumerate(zip(rep, problem.owner, strict=True)):
        if new == old:
            words.append(STAYS_LOCKED if problem.locked[account] else STAYS)
        elif old == NONE:
            words.append(ASSIGNED)
        elif not active_reps(problem)[old]:
            words.append(OWNER_LEAVES)
        elif not may[account, old]:
            words.append(NOT_ELIGIBLE)
        elif _follows(case, rep, account, lead):
            words.append(FAMILY)
        elif over[old]:
            words.append(OVER_LIMIT)
        elif under[new]:
            words.append(UNDER_LIMIT)
        else:
            words.append(FIT if better[account] else EVENS[case.settings.fairness])
    best = _fits_best(case, rep)
    return tuple(word + SIMILAR * bool(fits and word in _CHANGES) for word, fits in zip(words, best, strict=True))


def _fits_best(case: Case, rep: Ints) -> Bools:
    """[account] whether no other rep who may take it fits better, and the mean of them fits clearly worse."""
    problem, accounts = case.problem, np.arange(len(rep))
    others = case.blocks.allowed[case.blocks.block] & (problem.owner[:, None] != np.arange(len(problem.rep_ids)))
    others[accounts, rep] = False
    count, own = others.sum(axis=1), problem.fit[accounts, rep]
    mean = np.where(others, problem.fit, 0.0).sum(axis=1) / np.maximum(count, 1)
    most = np.where(others, problem.fit, -np.inf).max(axis=1, initial=-np.inf)
    return (count > 0) & (own >= most) & (own >= mean + SIMILAR_FROM)


def _family_lead(blocks: Blocks, problem: TerritoryProblem) -> Ints:
    """[block] member of most expected revenue: the family moves for its sake."""
    mean = problem.value.mean(axis=0, dtype=np.float64)
    order = np.lexsort((np.arange(len(mean)), -mean, blocks.block))
    return order[np.searchsorted(blocks.block[order], np.arange(len(blocks)))]


def _follows(case: Case, rep: Ints, account: int, lead: Ints) -> bool:
    """Whether the account moves because of its family: another member stays where it goes, or leads the move."""
    members = np.flatnonzero(case.blocks.block == case.blocks.block[account])
    if len(members) == 1:
        return False
    joins = (case.problem.owner[members] == rep[account]).any()
    return bool(joins or lead[case.blocks.block[account]] != account)


def _worth_more(case: Case, rep: Ints, linear: Linear) -> Bools:
    """[account] taking the move back would cost expected revenue and leave fairness as good."""
    plan = case.blocks.to_blocks(rep)
    scores, now = linear.scores(plan), unfairness(linear.scores(plan), linear.goal)
    better = np.zeros(len(rep), dtype=bool)
    for account in np.flatnonzero((rep != case.problem.owner) & (case.problem.owner != NONE)):
        block, old, new = case.blocks.block[account], case.problem.owner[account], rep[account]
        back = scores.copy()
        back[new] -= linear.gain[block, new]
        back[old] += linear.gain[block, old]
        worth = case.blocks.worth[block]
        better[account] = worth[new] > worth[old] and unfairness(back, linear.goal) <= now + 1e-9
    return better


def _limits_now(case: Case) -> tuple[Bools, Bools]:
    """[rep] whether the present book breaks an upper limit, and whether it breaks a lower one."""
    count, owner = len(case.problem.rep_ids), case.problem.owner
    over, under = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    for limit in limits(case.problem, case.settings):
        if limit.rep is not None:
            use = float(limit.amount[owner == limit.rep].sum())
            broken = use > limit.most + 1e-9 * max(1.0, abs(limit.most))
            (under if limit.turned else over)[limit.rep] |= broken
    return over, under
