"""Odd assignment problems: all faults in one clear error, or a plan that keeps the rules, or none where none exists."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization.checks import check
from optimization.linearise import by_hours, by_money
from optimization.plan import Infeasible
from optimization.problem import NONE, TerritoryProblem
from optimization.rules import build_case
from optimization.scores import build_goal
from optimization.settings import AllocationSettings, Fairness
from optimization.solve import solve
from tests.territories import best_value, plans, random_problem

QUICK = AllocationSettings(mip_gap=0.0, mip_nodes=100_000, confidence_groups=2, rounds=2, max_moved_accounts_share=0.6)

PER_ACCOUNT = ("account_ids", "fit", "owner", "eligible", "locked", "family", "hours", "move_cost")

FAULTS: dict[str, str] = {
    "twice": "account_ids are not unique",
    "rep twice": "rep_ids are not unique",
    "NaN": "value has values that are not finite",
    "infinite": "fresh_fixed has values that are not finite",
    "vast": "value or fit is too large",
    "NaN hours": "max_hours has NaN",
    "no quota": "quota must be above zero",
    "negative hours": "hours must not be negative",
    "stranger": "owner must be an index",
    "idle": "no rep has any capacity",
    "no paths": "there are no paths",
    "no fresh paths": "there are no paths",
    "short": "hours has shape",
    "flat": "value has shape",
    "words": "fit must hold numbers",
    "fractions": "owner must hold whole numbers",
    "shares": "locked must hold true or false",
    "NaN loss": "moved_factor must be finite and not negative",
    "gain": "fresh_moved_factor must be finite and not negative",
}
"""What can be wrong, and the words it is told in."""


def with_fault(problem: TerritoryProblem, name: str) -> TerritoryProblem:
    """The problem with one thing wrong."""
    reps = len(problem.rep_ids)
    odd = np.where(np.arange(reps) == 0, np.nan, 1.0)
    changes: dict[str, dict[str, Any]] = {
        "twice": {"account_ids": np.full(len(problem.account_ids), "A")},
        "rep twice": {"rep_ids": np.full(reps, "R")},
        "NaN": {"value": problem.value * np.float32(np.nan)},
        "infinite": {"fresh_fixed": np.full_like(problem.fresh_fixed, np.inf)},
        "NaN loss": {"moved_factor": np.full(len(problem.value), np.nan, dtype=np.float32)},
        "gain": {"fresh_moved_factor": np.full(len(problem.fresh_value), -1.0, dtype=np.float32)},
        "vast": {"value": np.full_like(problem.value, 3e38)},
        "NaN hours": {"max_hours": odd},
        "no quota": {"quota": np.zeros(reps)},
        "negative hours": {"hours": -1.0 - problem.hours},
        "stranger": {"owner": np.full_like(problem.owner, reps)},
        "idle": {"capacity": np.zeros(reps)},
        "no paths": {"value": problem.value[:0], "fixed": problem.fixed[:0]},
        "no fresh paths": {"fresh_value": problem.fresh_value[:0], "fresh_fixed": problem.fresh_fixed[:0]},
        "short": {"hours": problem.hours[:-1]},
        "flat": {"value": problem.value.ravel()[:3]},
        "words": {"fit": np.full(problem.fit.shape, "x")},
        "fractions": {"owner": problem.owner + 0.5},
        "shares": {"locked": problem.locked + 0.5},
    }
    return replace(problem, **changes[name])


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=FAULTS[name]):
        solve(with_fault(random_problem(3, 4, 2, hard=False), name), QUICK, 0)


def test_all_faults_are_listed_at_once_even_beside_a_wrong_shape() -> None:
    wrong = random_problem(3, 4, 2, hard=False)
    names = ("twice", "rep twice", "no quota", "stranger", "short", "words", "infinite", "NaN hours", "shares")
    for name in names:
        wrong = with_fault(wrong, name)
    with pytest.raises(ValueError, match="not an assignment problem") as error:
        check(wrong)
    assert [name for name in names if FAULTS[name] not in str(error.value)] == []


def odd_problem(draw: st.DataObject, seed: int, fairness: Fairness) -> TerritoryProblem:
    """A small problem with none, some or all of the oddities that are allowed."""
    accounts, reps = draw.draw(st.integers(0, 5), label="accounts"), draw.draw(st.integers(1, 6), label="reps")
    reps = reps if accounts <= 4 else min(reps, 4)
    base = random_problem(seed, max(accounts, 1), reps, hard=draw.draw(st.booleans(), label="hard"))
    if accounts == 0:
        none = np.array([], dtype=np.int64)
        base = replace(
            base, **{name: getattr(base, name)[none] for name in PER_ACCOUNT}, value=base.value[:, none],
            fresh_value=base.fresh_value[:, none],
        )  # fmt: skip
    rng, count = np.random.default_rng(seed), accounts
    sign = np.where(rng.random(count) < 0.5, -1, 1).astype(np.float32)
    oddities: dict[str, dict[str, Any]] = {
        "negative": {"value": base.value * sign, "fresh_value": base.fresh_value * sign, "fixed": -base.fixed},
        "worthless": {"value": base.value * 0, "fresh_value": base.fresh_value * 0},
        "one path": {"value": base.value[:1], "fixed": base.fixed[:1]},
        "zero capacity": {"capacity": np.where(np.arange(reps) == reps - 1, 1.0, 0.0)},
        "no hours": {"hours": base.hours * 0, "max_hours": np.zeros(reps)},
        "over hours": {"max_hours": np.ones(reps)},
        "nobody owns": {"owner": np.full(count, NONE)},
        "all locked": {"locked": np.ones(count, dtype=bool)},
        "disconnected": {"eligible": np.arange(count)[:, None] % reps == np.arange(reps)},
        "nobody may": {"eligible": np.zeros((count, reps), dtype=bool)},
        "one family": {"family": np.zeros(count, dtype=np.int64)},
        "tiny quota": {"quota": np.full(reps, 1e-9)},
        "negative fit": {"fit": -base.fit},
        "ties": {"value": np.ones_like(base.value), "fit": np.ones_like(base.fit)},
    }
    for name in draw.draw(st.sets(st.sampled_from(sorted(oddities)), max_size=4), label=f"oddities, {fairness}"):
        base = replace(base, **oddities[name])
    return base if len(base.value) == len(base.fixed) else replace(base, value=base.value[:1], fixed=base.fixed[:1])


@settings(max_examples=40)
@given(st.data(), st.integers(0, 2**20), st.sampled_from(["attainment", "potential", "hours"]))
def test_odd_problems_have_a_right_plan_or_none_exists(data: st.DataObject, seed: int, fairness: Fairness) -> None:
    problem = odd_problem(data, seed, fairness)
    wanted = QUICK.model_copy(update={"fairness": fairness})
    answer, some = solve(problem, wanted, seed), next(plans(problem, wanted), None)
    if isinstance(answer, Infeasible):
        assert some is None, f"said to be infeasible, and {some} is a plan"
        assert answer.conflicts
        return
    assert some is not None
    found = answer.certificate
    assert found.feasible, found.violations
    assert np.isfinite([found.objective, found.bound]).all()
    assert found.bound <= found.objective + 1e-6 * max(1.0, abs(found.objective))
    assert len(answer.reason) == len(answer.rep) == len(problem.account_ids)
    assert np.isfinite(answer.p_attain).all()


@settings(max_examples=30)
@given(st.data(), st.integers(0, 2**20), st.sampled_from(["potential", "hours"]))
def test_bounds_of_odd_problems_are_below_the_best_plan(data: st.DataObject, seed: int, fairness: Fairness) -> None:
    problem = odd_problem(data, seed, fairness)
    wanted = QUICK.model_copy(update={"fairness": fairness})
    answer = solve(problem, wanted, seed)
    if isinstance(answer, Infeasible):
        return
    case = build_case(problem, wanted)
    goal = build_goal(case, np.zeros(len(problem.rep_ids), dtype=bool))
    make = by_money if fairness == "potential" else by_hours
    best = best_value(case, make(case, goal, case.blocks.to_blocks(answer.rep)))
    assert answer.certificate.bound <= best + 1e-6 * max(1.0, abs(best))
    assert answer.certificate.objective >= best - 1e-6 * max(1.0, abs(best))
