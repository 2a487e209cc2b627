"""Why an account moves or stays: a closed set of words."""

import numpy as np

from optimization.families import Blocks, active_reps
from optimization.problem import NONE, Bools, Floats, Ints, TerritoryProblem
from optimization.rules import Case, fair_value
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

REASONS = (
    STAYS,
    STAYS_LOCKED,
    ASSIGNED,
    OWNER_LEAVES,
    NOT_ELIGIBLE,
    FAMILY,
    OVER_LIMIT,
    UNDER_LIMIT,
    FIT,
    *EVENS.values(),
)
"""Every reason there is."""


def reasons(case: Case, rep: Ints, linear: Linear) -> tuple[str, ...]:
    """Reason of each account [account] in words out of `REASONS`.

    Parameters
    ----------
    rep : [account] rep in the plan
    linear : scores linearised around the plan, to see what taking a move back would do to fairness
    """
    problem = case.problem
    over, under = _limits_now(case)
    lead, better = _family_lead(case.blocks, problem), _worth_more(case, rep, linear)
    words = []
    for account, (new, old) in enumerate(zip(rep, problem.owner, strict=True)):
        if new == old:
            words.append(STAYS_LOCKED if problem.locked[account] else STAYS)
        elif old == NONE:
            words.append(ASSIGNED)
        elif not active_reps(problem)[old]:
            words.append(OWNER_LEAVES)
        elif not problem.eligible[account, old]:
            words.append(NOT_ELIGIBLE)
        elif _follows(case, rep, account, lead):
            words.append(FAMILY)
        elif over[old]:
            words.append(OVER_LIMIT)
        elif under[new]:
            words.append(UNDER_LIMIT)
        else:
            words.append(FIT if better[account] else EVENS[case.settings.fairness])
    return tuple(words)


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
    problem, settings = case.problem, case.settings
    count, held = len(problem.rep_ids), problem.owner != NONE
    owner = problem.owner[held]

    def total(amount: Floats) -> Floats:
        return np.bincount(owner, amount[held], count)

    accounts, over = total(np.ones(len(held))), np.zeros(count, dtype=bool)
    under = np.zeros(count, dtype=bool)
    if settings.hours_capacity:
        over |= total(problem.hours) > problem.max_hours * (1 + 1e-9)
    if settings.max_accounts is not None:
        over |= accounts > settings.max_accounts
    if settings.min_accounts is not None:
        under |= accounts < settings.min_accounts
    if settings.value_band_is_rule:
        worth = total(problem.value.mean(axis=0, dtype=np.float64)) + problem.fixed.mean(axis=0, dtype=np.float64)
        fair = fair_value(problem)
        wide = settings.value_band_share * np.abs(fair) * (1 + 1e-9)
        over |= worth > fair + wide
        under |= worth < fair - wide
    return over, under
