"""Conflicts are truly conflicts, minimal, and repairs repair."""

import re
from dataclasses import replace
from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.audit import violations
from optimization.plan import Infeasible, TerritoryPlan
from optimization.problem import NONE, TerritoryProblem
from optimization.rules import RULES
from optimization.settings import AllocationSettings
from optimization.solve import solve
from tests.territories import problem_of, random_problem

TIGHT = AllocationSettings(max_moved_accounts_share=0.2, min_accounts=2, max_accounts=3)


def explained(problem: TerritoryProblem, wanted: AllocationSettings) -> Infeasible:
    answer = solve(problem, wanted, 0)
    assert isinstance(answer, Infeasible)
    return answer


def possible(problem: TerritoryProblem, wanted: AllocationSettings, rules: set[str]) -> bool:
    """Whether some assignment of accounts breaks none of these rules, by brute force."""
    choices = product(range(len(problem.rep_ids)), repeat=len(problem.account_ids))
    return any(
        not rules & {text.split(":")[0] for text in violations(problem, wanted, np.array(choice))} for choice in choices
    )


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(3, 6), st.integers(2, 3))
def test_conflict_is_infeasible_and_minimal(seed: int, accounts: int, reps: int) -> None:
    problem = random_problem(seed, accounts, reps)
    answer = solve(problem, TIGHT, seed)
    assert isinstance(answer, TerritoryPlan) == possible(problem, TIGHT, set(RULES))
    if isinstance(answer, TerritoryPlan):
        return
    (conflict,) = answer.conflicts
    assert not possible(problem, TIGHT, set(conflict))
    for name in conflict:
        assert possible(problem, TIGHT, set(conflict) - {name}), name


def crowded() -> TerritoryProblem:
    """Six accounts of two hours each and two reps with hours for four."""
    problem = problem_of(np.full(6, 100.0), np.array([0, 0, 0, 1, 1, 1]), np.full(2, 300.0))
    return replace(problem, hours=np.full(6, 2.0), max_hours=np.array([4.0, 6.0]))


def test_hours_that_do_not_suffice_are_named_with_the_raise_that_suffices() -> None:
    answer = explained(crowded(), AllocationSettings())
    assert answer.conflicts == (("hours",),)
    (repair,) = answer.repairs
    match = re.fullmatch(r"raise the hours of every rep by ([\d.]+) percent", repair)
    assert match is not None
    percent = float(match[1])
    raised = replace(crowded(), max_hours=crowded().max_hours * (1 + percent / 100))
    assert isinstance(solve(raised, AllocationSettings(), 0), TerritoryPlan)
    less = replace(crowded(), max_hours=crowded().max_hours * (1 + 0.98 * percent / 100))
    assert isinstance(solve(less, AllocationSettings(), 0), Infeasible)


def test_locks_against_the_maximum_of_accounts() -> None:
    problem = problem_of(np.full(4, 100.0), np.zeros(4, dtype=np.int64), np.full(2, 200.0))
    problem = replace(problem, locked=np.array([True, True, True, False]))
    answer = explained(problem, AllocationSettings(max_accounts=2, max_moved_accounts_share=None))
    assert set(answer.conflicts[0]) == {"locks", "maximum accounts"}
    assert "raise the maximum by 1 accounts" in answer.repairs
    released = next(text for text in answer.repairs if text.startswith("release the lock of"))
    assert len(re.findall(r"A\d", released)) == 1
    freed = replace(problem, locked=problem.locked & (problem.account_ids != released.split(": ")[1]))
    wanted = AllocationSettings(max_accounts=2, max_moved_accounts_share=None)
    assert isinstance(solve(freed, wanted, 0), TerritoryPlan)


def test_split_locks_in_a_family() -> None:
    problem = problem_of(np.full(4, 100.0), np.array([0, 1, 0, 1]), np.full(2, 200.0))
    problem = replace(problem, locked=np.array([True, True, False, False]), family=np.array([0, 0, 2, 3]))
    answer = explained(problem, AllocationSettings(max_moved_accounts_share=None))
    assert set(answer.conflicts[0]) == {"locks", "families"}
    assert "let families be split" in answer.repairs


def test_locked_account_that_nobody_owns() -> None:
    problem = problem_of(np.full(3, 100.0), np.array([0, 1, NONE]), np.full(2, 150.0))
    answer = explained(replace(problem, locked=np.array([False, False, True])), AllocationSettings())
    assert answer.conflicts == (("locks",),)
    assert answer.repairs == ("release the lock of: A2 (nobody who stays owns it)",)


def test_account_that_nobody_may_own() -> None:
    problem = problem_of(np.full(3, 100.0), np.array([0, 1, 1]), np.full(2, 150.0))
    eligible = np.array([[1, 1], [1, 1], [0, 0]], dtype=bool)
    answer = explained(replace(problem, eligible=eligible), AllocationSettings())
    assert answer.conflicts == (("eligibility",),)
    assert re.fullmatch(r"allow: A2 to R[01]", answer.repairs[0])


def test_budget_against_the_minimum_of_accounts_offers_both_ways() -> None:
    problem = problem_of(np.full(6, 100.0), np.zeros(6, dtype=np.int64), np.full(2, 300.0))
    wanted = AllocationSettings(min_accounts=3, max_moved_accounts_share=0.2)
    answer = explained(problem, wanted)
    assert set(answer.conflicts[0]) == {"minimum accounts", "moved accounts"}
    assert set(answer.repairs) == {"allow 2 more accounts to move", "lower the minimum by 2 accounts"}
    assert (
        violations(problem, wanted.model_copy(update={"max_moved_accounts_share": 0.5}), np.array([0, 0, 0, 1, 1, 1]))
        == ()
    )
