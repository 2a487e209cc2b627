"""Every rule has a golden LP file and holds in plans where it matters."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimization.audit import violations
from optimization.linearise import by_money
from optimization.plan import Infeasible, TerritoryPlan
from optimization.problem import NONE, PERMISSIONS, TerritoryProblem
from optimization.pulp_model import build
from optimization.rules import RULES, build_case
from optimization.scores import build_goal
from optimization.settings import AllocationSettings, Bands
from optimization.solve import solve
from tests.territories import problem_of

GOLDEN = Path(__file__).parent / "golden"

NO_BUDGET = AllocationSettings(max_moved_accounts_share=None)


def company(**changes: Any) -> TerritoryProblem:
    """Four accounts, three reps; revenue in round numbers so that the files can be read."""
    mean = np.array([100.0, 200.0, 300.0, 400.0])
    problem = problem_of(
        mean, np.array([0, 0, 0, 1]), np.array([500.0, 300.0, 200.0]), hours=np.array([2.0, 4.0, 6.0, 8.0])
    )
    value = np.tile(mean, (100, 1)).astype(np.float32)
    return replace(
        problem, value=value, fresh_value=value, fixed=problem.fixed[:100], fresh_fixed=problem.fixed[:100], **changes
    )


def asking(**changes: Any) -> AllocationSettings:
    """Settings with one rule."""
    return NO_BUDGET.model_copy(update=changes)


def permitting(name: str) -> dict[str, Any]:
    """A further permission that keeps the second account from the second rep."""
    pairs = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1], [1, 1, 1]], dtype=bool)
    return {"permission_ids": np.array([name]), "permits": pairs[None]}


EXAMPLES: dict[str, tuple[TerritoryProblem, AllocationSettings]] = {
    "coverage": (company(), NO_BUDGET),
    "eligibility": (company(eligible=np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1], [1, 1, 0]], dtype=bool)), NO_BUDGET),
    "active reps": (company(capacity=np.array([1.0, 0.0, 0.5])), NO_BUDGET),
    "locks": (company(locked=np.array([True, False, False, False])), NO_BUDGET),
    "families": (company(family=np.array([7, 7, 8, 9])), NO_BUDGET),
    "hours": (company(max_hours=np.array([10.0, np.inf, 5.0])), NO_BUDGET),
    "minimum accounts": (company(), NO_BUDGET.model_copy(update={"min_accounts": 2})),
    "maximum accounts": (company(), NO_BUDGET.model_copy(update={"max_accounts": 2})),
    "value band": (company(), NO_BUDGET.model_copy(update={"value_band_is_rule": True, "value_band_share": 0.2})),
    "moved accounts": (company(), NO_BUDGET.model_copy(update={"max_moved_accounts_share": 0.5})),
    "moved value": (company(), NO_BUDGET.model_copy(update={"max_moved_value_share": 0.3})),
    "move cost": (company(), NO_BUDGET.model_copy(update={"max_move_cost": 25.0})),
    "moved accounts per rep": (company(), asking(max_moved_accounts_per_rep=1)),
    "moved value per rep": (company(), asking(max_moved_value_share_per_rep=0.5)),
    "move cost per rep": (company(), asking(max_move_cost_per_rep=25.0)),
    "minimum hours": (company(), asking(min_hours=4.0)),
    "minimum potential": (company(), asking(min_potential=150.0)),
    "maximum potential": (company(), asking(max_potential=600.0)),
    "band of revenue": (company(), asking(bands=Bands(revenue=0.2))),
    "band of hours": (company(), asking(bands=Bands(hours=0.5))),
    "band of accounts": (company(capacity=np.array([1.0, 0.5, 0.5])), asking(bands=Bands(accounts=0.25))),
    "band of commission": (company(commission=np.full((4, 3), 0.25)), asking(bands=Bands(commission=0.5))),
    "travel": (company(travel=np.outer([2.0, 1.0, 4.0, 3.0], [1.0, 2.0, 0.5])), asking(max_travel_km=5.0)),
    "share for hires": (company(hire=np.array([False, False, True])), asking(hire_min_share=0.5)),
    "accounts for hires": (company(hire=np.array([False, False, True])), asking(hire_min_accounts=1)),
    **{name: (company(**permitting(name)), NO_BUDGET) for name in PERMISSIONS},
}
"""A problem in which the rule, and no other besides coverage, has something to say."""


def written(name: str, path: Path) -> str:
    problem, settings = EXAMPLES[name]
    case = build_case(problem, settings)
    build(case, None, case.blocks.allowed, cost=case.blocks.moved_cost).program.writeLP(str(path))
    return path.read_text()


def test_every_rule_has_an_example_and_a_golden_file_and_no_file_is_left_over() -> None:
    names = {"coverage", *RULES}
    assert set(EXAMPLES) == names
    assert {path.stem for path in GOLDEN.glob("*.lp")} == {name.replace(" ", "_") for name in names} | {"fairness"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_model_of_a_rule_is_the_golden_one(name: str, tmp_path: Path) -> None:
    assert written(name, tmp_path / "rule.lp") == (GOLDEN / f"{name.replace(' ', '_')}.lp").read_text()


def test_model_of_fairness_is_the_golden_one(tmp_path: Path) -> None:
    case = build_case(company(), NO_BUDGET.model_copy(update={"fairness": "potential"}))
    linear = by_money(case, build_goal(case, np.zeros(3, dtype=bool)), case.problem.owner)
    build(case, linear, case.blocks.allowed).program.writeLP(str(tmp_path / "fairness.lp"))
    assert (tmp_path / "fairness.lp").read_text() == (GOLDEN / "fairness.lp").read_text()


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "coverage"])
def test_each_rule_changes_the_model(name: str, tmp_path: Path) -> None:
    assert written(name, tmp_path / "rule.lp") != written("coverage", tmp_path / "plain.lp")


def plan_of(problem: TerritoryProblem, settings: AllocationSettings) -> TerritoryPlan:
    plan = solve(problem, settings, seed=1)
    assert isinstance(plan, TerritoryPlan)
    assert plan.certificate.feasible, plan.certificate.violations
    return plan


def unfair(**changes: Any) -> TerritoryProblem:
    """Eight equal accounts, all but one with the first of two reps: fairness wants three of them to move."""
    return replace(problem_of(np.full(8, 100.0), np.array([0] * 7 + [1]), np.array([400.0, 400.0])), **changes)


def test_without_rules_the_unfair_company_is_evened() -> None:
    assert sorted(np.bincount(plan_of(unfair(), NO_BUDGET).rep)) == [4, 4]


def test_ineligible_rep_gets_nothing() -> None:
    eligible = np.ones((8, 2), dtype=bool)
    eligible[:5, 1] = False
    assert (plan_of(unfair(eligible=eligible), NO_BUDGET).rep[:5] == 0).all()


def test_rep_without_capacity_gets_nothing() -> None:
    plan = plan_of(unfair(capacity=np.array([0.0, 1.0])), NO_BUDGET)
    assert (plan.rep == 1).all()
    assert set(plan.reason[:7]) == {"moves: owner leaves"}


def test_locked_accounts_stay() -> None:
    plan = plan_of(unfair(locked=np.array([True] * 5 + [False] * 3)), NO_BUDGET)
    assert (plan.rep[:5] == 0).all()
    assert plan.reason[0] == "stays: locked"


def test_families_stay_together() -> None:
    plan = plan_of(unfair(family=np.array([0, 0, 0, 0, 0, 0, 0, 1])), NO_BUDGET)
    assert len(set(plan.rep[:7].tolist())) == 1


def test_family_of_a_locked_account_goes_with_it() -> None:
    locked = np.array([False] * 7 + [True])
    plan = plan_of(unfair(family=np.array([0, 1, 2, 3, 4, 5, 6, 6]), locked=locked), NO_BUDGET)
    assert plan.rep[6] == plan.rep[7] == 1
    assert plan.reason[6] == "moves with its family"


def test_hours_fit() -> None:
    plan = plan_of(unfair(max_hours=np.array([np.inf, 2.0])), NO_BUDGET)
    assert np.bincount(plan.rep).tolist() == [6, 2]


def test_hours_over_capacity_today_are_mended() -> None:
    plan = plan_of(unfair(max_hours=np.array([5.0, 3.0])), NO_BUDGET)
    assert np.bincount(plan.rep).tolist() == [5, 3]
    assert "moves: the owner's book is over a limit" in plan.reason


@pytest.mark.parametrize(("key", "number", "counts"), [("min_accounts", 4, [4, 4]), ("max_accounts", 4, [4, 4])])
def test_account_counts_hold(key: str, number: int, counts: list[int]) -> None:
    costly = unfair(move_cost=np.full(8, 1e4))  # moves cost far more than fairness is worth: only the rule makes them
    plan = plan_of(costly, NO_BUDGET.model_copy(update={key: number}))
    assert sorted(np.bincount(plan.rep)) == counts
    assert sorted(np.bincount(plan_of(costly, NO_BUDGET).rep)) == [1, 7]


def test_value_band_is_a_rule_only_when_asked() -> None:
    costly = unfair(move_cost=np.full(8, 1e4))
    rule = NO_BUDGET.model_copy(update={"value_band_is_rule": True, "value_band_share": 0.1})
    assert sorted(np.bincount(plan_of(costly, rule).rep)) == [4, 4]


@pytest.mark.parametrize(
    ("key", "number", "moves"),
    [("max_moved_accounts_share", 0.25, 2), ("max_moved_value_share", 0.13, 1), ("max_move_cost", 25.0, 2)],
)
def test_move_budgets_hold(key: str, number: float, moves: int) -> None:
    plan = plan_of(unfair(), NO_BUDGET.model_copy(update={key: number}))
    assert (plan.rep != unfair().owner).sum() == moves


def test_accounts_whose_owner_leaves_do_not_count_as_moved() -> None:
    problem = unfair(capacity=np.array([0.0, 1.0]))
    plan = plan_of(problem, NO_BUDGET.model_copy(update={"max_moved_accounts_share": 0.0}))
    assert (plan.rep == 1).all()


def test_accounts_without_owner_are_assigned_free_of_charge() -> None:
    problem = unfair(owner=np.array([NONE] * 7 + [1]))
    plan = plan_of(problem, NO_BUDGET.model_copy(update={"max_moved_accounts_share": 0.0}))
    assert set(plan.reason[:7]) == {"assigned: had no owner"}
    assert plan.move_cost.sum() == 0
    assert np.bincount(plan.rep).tolist() == [4, 4]


def test_one_book_may_change_by_so_many_accounts() -> None:
    """Leaving and joining count for each of the two books; three moves even the company, one is left."""
    plan = plan_of(unfair(), asking(max_moved_accounts_per_rep=1))
    assert np.bincount(plan.rep).tolist() == [6, 2]
    two = unfair(owner=np.array([0] * 4 + [1] * 4), locked=np.array([True] * 3 + [False] + [True] * 3 + [False]))
    swap = asking(max_moved_accounts_per_rep=1)
    assert (plan_of(two, swap).rep == two.owner).all()
    assert "moved accounts per rep: R0 has 2, the most is 1" in violations(
        two, swap, np.array([0, 0, 0, 1, 1, 1, 1, 0])
    )


@pytest.mark.parametrize(("key", "number"), [("max_moved_value_share_per_rep", 0.26), ("max_move_cost_per_rep", 10.5)])
def test_one_book_may_change_by_so_much_money(key: str, number: float) -> None:
    plan = plan_of(unfair(), asking(**{key: number}))
    assert (plan.rep != unfair().owner).sum() == 1


def test_a_new_hire_may_be_filled_within_a_share_of_the_fair_share() -> None:
    problem = unfair(owner=np.zeros(8, dtype=np.int64))
    plan = plan_of(problem, asking(max_moved_value_share_per_rep=0.55))
    assert np.bincount(plan.rep).tolist() == [6, 2]


@pytest.mark.parametrize(
    "changes",
    [
        {"min_hours": 4.0},
        {"min_potential": 330.0},
        {"max_potential": 470.0},
        {"bands": Bands(revenue=0.2)},
        {"bands": Bands(hours=0.2)},
        {"bands": Bands(accounts=0.2)},
    ],
)
def test_least_most_and_bands_hold_where_moves_cost_more_than_fairness_is_worth(changes: dict[str, Any]) -> None:
    costly = unfair(move_cost=np.full(8, 1e4))
    assert sorted(np.bincount(plan_of(costly, asking(**changes)).rep)) == [4, 4]


def test_bands_weigh_by_capacity() -> None:
    problem = unfair(capacity=np.array([1.0, 1 / 3]), move_cost=np.full(8, 1e4))
    assert np.bincount(plan_of(problem, asking(bands=Bands(accounts=0.1))).rep).tolist() == [6, 2]


def test_commission_evens_where_rates_differ() -> None:
    """Accounts pay the first rep three times as much, so equal commission needs a quarter of them there."""
    rates = np.tile([0.3, 0.1], (8, 1))
    problem = unfair(commission=rates, move_cost=np.full(8, 1e4))
    plan = plan_of(problem, asking(bands=Bands(commission=0.6)))
    mean = problem.value.mean(axis=0)
    paid = np.bincount(plan.rep, mean * rates[np.arange(8), plan.rep])
    assert (np.abs(paid - mean.sum() * 0.1) <= 0.6 * mean.sum() * 0.1 + 1e-6).all()


def test_travel_fits() -> None:
    travel = np.tile([1.0, 10.0], (8, 1))
    plan = plan_of(unfair(travel=travel), asking(max_travel_km=20.0))
    assert np.bincount(plan.rep).tolist() == [6, 2]


def test_hires_get_their_share_from_those_above_theirs() -> None:
    hire = np.array([False, True])
    costly = unfair(owner=np.zeros(8, dtype=np.int64), move_cost=np.full(8, 1e4), hire=hire)
    assert np.bincount(plan_of(costly, asking(hire_min_accounts=3)).rep).tolist() == [5, 3]
    assert np.bincount(plan_of(costly, asking(hire_min_share=0.7)).rep).tolist() == [5, 3]
    # half the accounts for ten elevenths of the quotas: the first rep has nothing to spare
    poor = replace(costly, owner=np.repeat([0, 1], 4), quota=np.array([4000.0, 400.0]))
    answer = solve(poor, asking(hire_min_accounts=3), 0)
    assert isinstance(answer, Infeasible)
    assert answer.conflicts == (("accounts for hires: R1",),)
    assert answer.repairs == ("lower the minimum for hires by 3 accounts",)


@pytest.mark.parametrize("name", PERMISSIONS)
def test_permissions_hold_and_free_an_owner_who_may_not_keep(name: str) -> None:
    permits = np.ones((1, 8, 2), dtype=bool)
    permits[0, :5, 1] = False
    problem = unfair(permission_ids=np.array([name]), permits=permits)
    assert (plan_of(problem, NO_BUDGET).rep[:5] == 0).all()
    permits = np.ones((1, 8, 2), dtype=bool)
    permits[0, 0, 0] = False
    plan = plan_of(replace(problem, permits=permits), asking(max_moved_accounts_share=0.0))
    assert np.flatnonzero(plan.rep != problem.owner).tolist() == [0], "what must move is on nobody's budget"
    assert plan.reason[0] == "moves: owner may not own it"
