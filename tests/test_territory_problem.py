"""The assignment problem that the engine poses: who may own what, and what a move costs."""

from dataclasses import replace

import numpy as np
import pytest

from engine.planning.quotas import QuotaBook
from engine.planning.territory_problem import PlanningRules, Span, build_problem, eligible, sellers
from engine.simulation.outcomes import PlanningOutcomes
from models.panel import NONE, Ints, Panel
from optimization.problem import TerritoryProblem
from tests.simulation_inputs import make_panel

RULES = PlanningRules(eligibility="any", disruption=0.15, experience_effect=0.1, hours_per_fte=120.0)
QUARTER = Span(678, 680)
"""2026-07 to 2026-09."""


@pytest.fixture
def panel() -> Panel:
    """Four reps at home in territories 0, 0, 1 and 2, eight accounts; territories 0 and 1 are region 0."""
    base = make_panel(deals=40, reps=4, accounts=8, territories=3)
    accounts = replace(
        base.accounts,
        owner=np.array([0, 0, 1, 2, 2, 3, 3, NONE]),
        territory=np.array([0, 0, 0, 1, 1, 2, 2, NONE]),
    )
    reps = replace(
        base.reps,
        territory=np.array([0, 0, 1, 2]),
        active=np.ones(4, dtype=bool),
        start=np.full(4, np.datetime64("NaT", "D")),
    )
    return replace(base, accounts=accounts, reps=reps, territory_region=np.array([0, 0, 1]))


def problem_of(panel: Panel, rules: PlanningRules = RULES) -> tuple[TerritoryProblem, Ints]:
    """Problem on paths that say which account and which simulation they come from."""
    accounts, count = len(panel.accounts.labels), len(panel.reps.labels)
    plan = PlanningOutcomes(
        np.tile(np.arange(accounts, dtype=np.float32) + 1, (6, 1)), np.ones((6, count), dtype=np.float32)
    )
    fresh = PlanningOutcomes(plan.account * 2, plan.fixed * 2)
    quotas = QuotaBook(panel.quotas, np.full(count, 100.0), panel.reps.labels.ids)
    reps = sellers(panel, quotas, QUARTER)
    return build_problem(panel, (plan, fresh), quotas, (QUARTER, reps), rules), reps


@pytest.mark.parametrize(
    ("scope", "account", "expected"),
    [
        ("any", 0, [True, True, True, True]),
        ("region", 0, [True, True, True, False]),
        ("territory", 0, [True, True, False, False]),
        ("territory", 5, [False, False, False, True]),
        ("region", 7, [True, True, True, True]),
    ],
)
def test_accounts_stay_in_their_scope(panel: Panel, scope: str, account: int, expected: list[bool]) -> None:
    assert eligible(panel, np.arange(4), panel.accounts.owner, scope)[account].tolist() == expected


def test_a_rep_may_keep_an_account_outside_the_home_territory(panel: Panel) -> None:
    owner = panel.accounts.owner.copy()
    owner[6] = 0
    allowed = eligible(panel, np.arange(4), owner, "territory")
    assert allowed[6, 0]
    assert allowed[5, 0]  # who works in a territory may take over there


def test_a_move_costs_the_disruption_and_staying_costs_nothing(panel: Panel) -> None:
    problem, _ = problem_of(panel, replace(RULES, experience_effect=0.0))
    assert problem.fit[0, 0] == 1.0
    assert problem.fit[0, 1] == pytest.approx(0.85)
    assert problem.fit[7, 1] == 1.0  # nobody owned it, so nobody is missed
    assert problem.move_cost[2] == pytest.approx(0.15 * 3.0)
    assert problem.move_cost[7] == 0.0


def test_a_leavers_accounts_have_no_owner_but_lose_by_the_change(panel: Panel) -> None:
    left = replace(panel, reps=replace(panel.reps, active=np.array([True, True, False, True])))
    problem, reps = problem_of(left, replace(RULES, experience_effect=0.0))
    assert reps.tolist() == [0, 1, 3]
    assert problem.owner.tolist() == [0, 0, 1, NONE, NONE, 2, 2, NONE]
    assert (problem.fit[3] == 0.85).all()
    assert problem.rep_ids.tolist() == panel.reps.labels.ids[[0, 1, 3]].tolist()


def test_a_rep_who_leaves_within_the_horizon_has_less_capacity(panel: Panel) -> None:
    end = np.full(4, np.datetime64("NaT", "D"))
    end[1] = np.datetime64("2026-07-31")
    problem, _ = problem_of(replace(panel, reps=replace(panel.reps, end=end)))
    assert problem.capacity[1] / problem.capacity[0] == pytest.approx(31 / 92 * panel.reps.fte[1] / panel.reps.fte[0])


def test_verification_never_sees_the_planning_paths(panel: Panel) -> None:
    problem, _ = problem_of(panel)
    np.testing.assert_array_equal(problem.fresh_value, 2 * problem.value)
    np.testing.assert_array_equal(problem.fresh_fixed, 2 * problem.fixed)
