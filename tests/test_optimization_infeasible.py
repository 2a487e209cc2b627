"""Conflicts are truly conflicts, minimal, and repairs repair."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from optimization.audit import violations
from optimization.infeasible import explain
from optimization.plan import Infeasible, TerritoryPlan
from optimization.problem import NONE, Ints, TerritoryProblem
from optimization.rules import build_case
from optimization.settings import AllocationSettings, Bands
from optimization.solve import solve
from optimization.sums import beyond_reach
from tests.territories import problem_of, random_problem


def explained(problem: TerritoryProblem, wanted: AllocationSettings) -> Infeasible:
    answer = solve(problem, wanted, 0)
    assert isinstance(answer, Infeasible)
    return answer


def plans(problem: TerritoryProblem) -> Iterator[Ints]:
    """Every assignment of accounts to reps."""
    return (np.array(c) for c in product(range(len(problem.rep_ids)), repeat=len(problem.account_ids)))


def excess(
    problem: TerritoryProblem, wanted: AllocationSettings, rep: Ints, *, single: bool = False
) -> dict[str, float]:
    """By how much a plan breaks each rule, by name and key, in the unit of the rule; said once more in plain terms.

    Accounts that the same reps may own share one rule; ``single`` names them one by one, as repairs do.
    """
    found: dict[str, float] = {}
    active, ids = problem.capacity > 0, problem.rep_ids
    for i, r in enumerate(rep):
        alike = (problem.eligible == problem.eligible[i]).all(axis=1).argmax()  # one rule for all with the same reps
        name = f"eligibility: {problem.account_ids[i if single else alike]}"
        found[name] = max(found.get(name, 0.0), float(not problem.eligible[i, r]))
        found[f"locks: {problem.account_ids[i]}"] = float(problem.locked[i] and r != problem.owner[i])
        if not active[r]:
            found[f"active reps: {ids[r]}"] = 1.0
    for family in np.unique(problem.family):
        members = np.flatnonzero(problem.family == family)
        found[f"families: {problem.account_ids[members[0]]}"] = float(len(set(rep[members])) > 1)
    for r in np.flatnonzero(active):
        held = int((rep == r).sum())
        if wanted.min_accounts is not None:
            found[f"minimum accounts: {ids[r]}"] = wanted.min_accounts - held
        if wanted.max_accounts is not None:
            found[f"maximum accounts: {ids[r]}"] = held - wanted.max_accounts
        if np.isfinite(problem.max_hours[r]):
            found[f"hours: {ids[r]}"] = 100 * (problem.hours[rep == r].sum() / problem.max_hours[r] - 1)
    if wanted.max_moved_accounts_share is not None:
        owner = problem.owner
        keeps = (owner != NONE) & active[owner] & problem.eligible[np.arange(len(rep)), owner]
        allowed = np.floor(wanted.max_moved_accounts_share * len(rep) + 1e-9)
        found["moved accounts"] = float((keeps & (rep != owner)).sum()) - allowed
    return {name: amount for name, amount in found.items() if amount > 1e-6}


def possible(problem: TerritoryProblem, wanted: AllocationSettings, rules: set[str]) -> bool:
    """Whether some assignment breaks none of these rules, by brute force."""
    return any(not rules & set(excess(problem, wanted, plan)) for plan in plans(problem))


def allowed_by(repair: str, broken: dict[str, float]) -> bool:
    """Whether a repair, as people read it, excuses everything that a plan breaks."""
    return all(any(_excuses(part, name, amount) for part in repair.split(" and ")) for name, amount in broken.items())


def _excuses(part: str, name: str, amount: float) -> bool:
    rule, _, key = name.partition(": ")
    head, _, only = part.partition(", for ")
    if only and key not in only.removesuffix(" only").split(", "):
        return False
    number = re.search(r"([\d.]+) (percent|accounts|more accounts)", head)
    says = {
        "hours": "raise the hours",
        "minimum accounts": "lower the minimum",
        "maximum accounts": "raise the maximum",
        "moved accounts": "more accounts to move",
    }
    if rule in says:
        return says[rule] in head and number is not None and amount <= float(number[1]) + 1e-6
    if rule == "families":
        return head == "let families be split"
    words = {"eligibility": "allow:", "locks": "release the lock of:", "active reps": "let reps without capacity own:"}
    return head.startswith(words[rule]) and re.search(rf"\b{key}\b", part) is not None


@pytest.mark.parametrize(("first", "wanted_number"), [(0, 12), pytest.param(1000, 200, marks=pytest.mark.slow)])
def test_random_conflicts_are_conflicts_irreducible_and_repaired(first: int, wanted_number: int) -> None:
    infeasible = 0
    for seed in range(first, first + 8 * wanted_number):
        rng = np.random.default_rng(seed)
        problem = random_problem(seed, int(rng.integers(3, 6)), int(rng.integers(2, 4)))
        wanted = AllocationSettings(
            max_moved_accounts_share=float(rng.choice([0.0, 0.2, 0.5])),
            min_accounts=int(rng.integers(0, 3)),
            max_accounts=int(rng.integers(1, 4)),
        )
        if any(not excess(problem, wanted, plan) for plan in plans(problem)):
            continue
        infeasible += 1
        answer = explain(problem, wanted)
        assert answer.status == "proven"
        for conflict in answer.conflicts:
            rules = set(conflict)
            assert not possible(problem, wanted, rules), (seed, rules)
            for name in rules:
                assert possible(problem, wanted, rules - {name}), (seed, name, rules)
        for repair in answer.repairs:
            assert any(allowed_by(repair, excess(problem, wanted, plan, single=True)) for plan in plans(problem)), (
                seed,
                repair,
            )
        if infeasible == wanted_number:
            return
    raise AssertionError(f"only {infeasible} infeasible problems")


def test_a_search_without_time_says_so() -> None:
    problem = problem_of(np.full(4, 100.0), np.zeros(4, dtype=np.int64), np.full(2, 200.0))
    problem = replace(problem, locked=np.array([True, True, True, False]))
    answer = explain(problem, AllocationSettings(max_accounts=2, max_moved_accounts_share=None), seconds=0.0)
    assert answer.status == "unknown (time)"


@pytest.mark.parametrize(
    ("changes", "size"), [({"min_accounts": 60}, 51), ({"max_accounts": 49}, 60), ({"hours_capacity": True}, 60)]
)
def test_what_counting_proves_needs_neither_time_nor_size(changes: dict[str, Any], size: int) -> None:
    problem = problem_of(np.full(3000, 100.0), np.arange(3000) % 60, np.full(60, 5000.0), paths=10)
    problem = replace(problem, capacity=np.append(np.ones(59), 0.0))  # the last one has left: 59 active reps
    if "hours_capacity" in changes:
        problem = replace(problem, max_hours=np.full(60, 50.0))
    answer = explain(problem, AllocationSettings(**changes), seconds=0.0)
    assert answer.status == "proven"
    (conflict,) = answer.conflicts
    assert len(conflict) == size
    assert ("active reps: R59" in conflict) == ("min_accounts" not in changes)


def test_sums_beyond_reach_are_never_said_of_a_problem_with_a_plan() -> None:
    said = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        problem = random_problem(seed, 4, 3)
        wanted = AllocationSettings(
            max_moved_accounts_share=None,
            min_hours=float(rng.uniform(0, 6)),
            min_potential=float(problem.value.mean() * rng.uniform(0, 3)),
            max_accounts=int(rng.integers(1, 4)),
        )
        case = build_case(problem, wanted)
        if case.blocks.allowed.any(axis=1).all() and beyond_reach(case):
            said += 1
            assert not any(not violations(problem, wanted, plan) for plan in plans(problem)), seed
    assert said >= 20


def crowded() -> TerritoryProblem:
    """Six accounts of two hours each and two reps with hours for four."""
    problem = problem_of(np.full(6, 100.0), np.array([0, 0, 0, 1, 1, 1]), np.full(2, 300.0))
    return replace(problem, hours=np.full(6, 2.0), max_hours=np.array([4.0, 6.0]))


def test_hours_that_do_not_suffice_are_named_with_the_raise_that_suffices() -> None:
    answer = explained(crowded(), AllocationSettings())
    assert answer.conflicts == (("hours: R0", "hours: R1"),)
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
    assert set(answer.conflicts[0]) == {"locks: A0", "locks: A1", "locks: A2", "maximum accounts: R0"}
    assert "raise the maximum by 1 accounts, for R0 only" in answer.repairs
    released = next(text for text in answer.repairs if text.startswith("release the lock of"))
    assert len(re.findall(r"A\d", released)) == 1
    freed = replace(problem, locked=problem.locked & (problem.account_ids != released.split(": ")[1]))
    wanted = AllocationSettings(max_accounts=2, max_moved_accounts_share=None)
    assert isinstance(solve(freed, wanted, 0), TerritoryPlan)


def test_split_locks_in_a_family() -> None:
    problem = problem_of(np.full(4, 100.0), np.array([0, 1, 0, 1]), np.full(2, 200.0))
    problem = replace(problem, locked=np.array([True, True, False, False]), family=np.array([0, 0, 2, 3]))
    answer = explained(problem, AllocationSettings(max_moved_accounts_share=None))
    assert set(answer.conflicts[0]) == {"locks: A0", "locks: A1", "families: A0"}
    assert "let families be split, for A0 only" in answer.repairs


def test_locked_account_that_nobody_owns() -> None:
    problem = problem_of(np.full(3, 100.0), np.array([0, 1, NONE]), np.full(2, 150.0))
    answer = explained(replace(problem, locked=np.array([False, False, True])), AllocationSettings())
    assert answer.conflicts == (("locks: A2",),)
    assert answer.repairs == ("release the lock of: A2 (nobody who stays owns it)",)


def test_account_that_nobody_may_own() -> None:
    problem = problem_of(np.full(3, 100.0), np.array([0, 1, 1]), np.full(2, 150.0))
    eligible = np.array([[1, 1], [1, 1], [0, 0]], dtype=bool)
    answer = explained(replace(problem, eligible=eligible), AllocationSettings())
    assert answer.conflicts == (("eligibility: A2",),)
    assert re.fullmatch(r"allow: A2 to R[01]", answer.repairs[0])


def test_budget_against_the_minimum_of_accounts_offers_both_ways() -> None:
    problem = problem_of(np.full(6, 100.0), np.zeros(6, dtype=np.int64), np.full(2, 300.0))
    wanted = AllocationSettings(min_accounts=3, max_moved_accounts_share=0.2)
    answer = explained(problem, wanted)
    assert set(answer.conflicts[0]) == {"minimum accounts: R1", "moved accounts"}
    assert set(answer.repairs) == {"allow 2 more accounts to move", "lower the minimum by 2 accounts, for R1 only"}
    assert (
        violations(problem, wanted.model_copy(update={"max_moved_accounts_share": 0.5}), np.array([0, 0, 0, 1, 1, 1]))
        == ()
    )


def test_a_band_between_two_whole_numbers_is_named_alone() -> None:
    """39 accounts over reps of 1, 1 and 0.5 fte: 15.6, 15.6 and 7.8 are fair; 16, 15 and 8 are 3.85 percent off."""
    problem = problem_of(np.full(39, 100.0), np.arange(39) % 3, np.full(3, 1000.0))
    problem = replace(problem, capacity=np.array([1.0, 1.0, 0.5]))
    wanted = AllocationSettings(bands=Bands(accounts=0.02), max_moved_accounts_share=None)
    answer = explained(problem, wanted)
    assert answer.status == "proven"
    assert {len(conflict) for conflict in answer.conflicts} == {1}
    assert answer.repairs == ("widen the band of accounts by 1.847 percent of the fair share",)
    wider = wanted.model_copy(update={"bands": Bands(accounts=0.02 + 0.01847)})
    assert isinstance(solve(problem, wider, 0), TerritoryPlan)
