"""A plan after people decided about it: what they said holds, and as little else as possible changes."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from optimization import given_plan
from optimization.audit import violations
from optimization.plan import Infeasible
from optimization.problem import NONE, Ints, TerritoryProblem
from optimization.resolve import lagrangian, resolve
from optimization.rules import build_case, rows_of
from optimization.settings import AllocationSettings
from tests.ruled_territories import every_plan, keeps_rules, ruled_problem
from tests.territories import problem_of, random_problem

BANDED = AllocationSettings(
    fairness="potential", value_band_is_rule=True, value_band_share=0.05, max_moved_accounts_share=None
)


def banded(seed: int, accounts: int, reps: int, candidates: int) -> tuple[TerritoryProblem, Ints]:
    """Accounts and reps on a map, each account with its nearest reps, and a plan whose books are in their bands."""
    rng = np.random.default_rng(seed)
    mean = np.exp(rng.normal(0, 1, accounts)) * 100
    distance = ((rng.uniform(size=(accounts, 1, 2)) - rng.uniform(size=(reps, 2))) ** 2).sum(axis=2)
    eligible = np.zeros((accounts, reps), dtype=bool)
    np.put_along_axis(eligible, np.argsort(distance, axis=1)[:, :candidates], values=True, axis=1)
    problem = problem_of(mean, distance.argmin(axis=1), np.full(reps, mean.sum() / reps), seed=seed, paths=3)
    load, plan = np.zeros(reps), np.zeros(accounts, dtype=np.int64)
    for account in np.argsort(-mean):
        allowed = np.flatnonzero(eligible[account])
        plan[account] = allowed[np.argmin(load[allowed])]
        load[plan[account]] += problem.value[:, account].mean()
    problem = replace(problem, owner=plan, eligible=eligible)
    assert violations(problem, BANDED, plan) == ()
    return problem, plan


def locked(problem: TerritoryProblem, plan: Ints, count: int, seed: int) -> TerritoryProblem:
    """The problem with some accounts locked to another rep than the plan's."""
    rng = np.random.default_rng(seed)
    owner, chosen = plan.copy(), rng.choice(len(plan), count, replace=False)
    for account in chosen:
        others = problem.eligible[account] & (np.arange(len(problem.rep_ids)) != plan[account])
        owner[account] = rng.choice(np.flatnonzero(others))
    return replace(problem, owner=owner, locked=np.isin(np.arange(len(plan)), chosen))


def least_changes(problem: TerritoryProblem, wanted: AllocationSettings, earlier: Ints) -> float:
    """Fewest accounts of any plan that leave an earlier rep who could keep them, by brute force."""
    may = problem.eligible & (problem.capacity > 0)
    may &= ~problem.locked[:, None] | (problem.owner[:, None] == np.arange(len(problem.rep_ids)))
    families = [np.flatnonzero(problem.family == f) for f in np.unique(problem.family)]
    stays = np.array(
        [
            all(may[j, earlier[i]] for members in families if i in members for j in members) and earlier[i] >= 0
            for i in range(len(earlier))
        ]
    )
    best = np.inf
    for choice in product(range(len(problem.rep_ids)), repeat=len(earlier)):
        plan = np.array(choice)
        if not violations(problem, wanted, plan):
            best = min(best, float((stays & (plan != earlier)).sum()))
    return best


@pytest.mark.parametrize("seed", range(25))
def test_small_problems_change_as_little_as_brute_force(seed: int) -> None:
    problem = random_problem(seed, 6, 3)
    wanted = AllocationSettings(max_moved_accounts_share=None, min_accounts=1, max_accounts=3)
    earlier = np.random.default_rng(seed).integers(0, 3, 6)
    least, found = least_changes(problem, wanted, earlier), resolve(problem, wanted, earlier)
    if not np.isfinite(least):
        assert found is None
        return
    assert found is not None
    assert violations(problem, wanted, found.rep) == ()
    assert found.bound <= least == found.changes


def test_nothing_changes_without_a_decision() -> None:
    problem, plan = banded(3, 200, 10, 10)
    found = resolve(problem, BANDED, plan)
    assert found is not None
    assert (found.rep == plan).all()
    assert (found.changes, found.bound, found.exact) == (0, 0, True)


@pytest.mark.parametrize("seed", range(3))
def test_twenty_locks_at_two_hundred_accounts_are_solved_to_the_least(seed: int) -> None:
    problem, plan = banded(seed, 200, 10, 10)
    problem = locked(problem, plan, 20, seed)
    found = resolve(problem, BANDED, plan, seconds=60)
    assert found is not None
    assert violations(problem, BANDED, found.rep) == ()
    assert (found.rep[problem.locked] == problem.owner[problem.locked]).all()
    assert found.forced.sum() == 20
    assert found.exact


@pytest.mark.slow
def test_twenty_locks_at_ten_thousand_accounts() -> None:
    problem, plan = banded(0, 10_000, 200, 15)
    problem = locked(problem, plan, 20, 0)
    found = resolve(problem, BANDED, plan, seconds=60)
    assert found is not None
    assert violations(problem, BANDED, found.rep) == ()
    assert found.bound <= found.changes <= 20


def test_no_price_makes_the_bound_too_high() -> None:
    rng = np.random.default_rng(1)
    wanted = AllocationSettings(max_moved_accounts_share=None, min_accounts=1, max_accounts=3)
    problem = random_problem(2, 6, 3)
    earlier = rng.integers(0, 3, 6)
    found = resolve(problem, wanted, earlier)
    assert found is not None
    case = build_case(problem, wanted)
    kept = np.zeros(case.blocks.allowed.shape)
    stays = case.blocks.allowed[case.blocks.block, earlier]
    np.add.at(kept, (case.blocks.block[stays], earlier[stays]), 1.0)
    changes, rows = kept.sum(axis=1, keepdims=True) - kept, rows_of(case)
    for _ in range(200):
        prices = {(row.rule, row.key): float(rng.normal(0, 3)) for row in rows}
        assert lagrangian(case.blocks.allowed, changes, rows, prices) <= found.changes


@pytest.mark.parametrize(("first", "number"), [(0, 8), pytest.param(200, 100, marks=pytest.mark.slow)])
def test_with_every_rule_the_fewest_accounts_change(first: int, number: int) -> None:
    changed = 0
    for seed in range(first, first + number):
        problem, wanted = ruled_problem(seed)
        rng = np.random.default_rng(seed)
        earlier = np.where(
            rng.uniform(size=len(problem.owner)) < 0.7, problem.owner, rng.integers(-1, len(problem.rep_ids))
        )
        everything = every_plan(problem)
        kept = everything[keeps_rules(problem, wanted, everything)]
        case = build_case(problem, wanted)
        stays = (earlier != NONE) & case.blocks.allowed[case.blocks.block, earlier]
        fewest = int(((kept != earlier) & stays).sum(axis=1).min())
        found = resolve(problem, wanted, earlier)
        assert found is not None, seed
        assert keeps_rules(problem, wanted, found.rep[None])[0], seed
        assert found.changes == int(((found.rep != earlier) & stays).sum()), seed
        assert found.bound <= fewest <= found.changes, seed
        assert not found.exact or found.changes == fewest, seed
        changed += found.changes
    assert changed > 0


def test_what_counting_excludes_is_not_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def searched(*_: object) -> None:
        raise AssertionError("nothing is there to be found")

    monkeypatch.setattr(given_plan, "resolve", searched)
    problem = problem_of(np.full(5, 100.0), np.array([0, 0, 1, 1, 1]), np.full(2, 250.0))
    answer = given_plan.replan(problem, AllocationSettings(min_accounts=3), problem.owner, 0)
    assert isinstance(answer, Infeasible)
    assert answer.status == "proven"
    assert answer.conflicts == (("minimum accounts: R0", "minimum accounts: R1"),)
