"""The frontier: plans that keep the rules, that no other beats, the same every time; and what a certificate adds."""

from dataclasses import fields, replace

import numpy as np
import pytest

from optimization.audit import violations
from optimization.fairness import p_attain
from optimization.frontier import FrontierPoint, frontier, frontier_rows
from optimization.plan import TerritoryPlan
from optimization.problem import NONE, TerritoryProblem
from optimization.settings import AllocationSettings
from optimization.solve import solve
from tests.territories import problem_of, random_problem

FREE = AllocationSettings(max_moved_accounts_share=None, search_paths=400)


def unfair_company(paths: int = 800) -> TerritoryProblem:
    """Forty skewed accounts in four books of very different worth against equal quotas."""
    rng = np.random.default_rng(11)
    mean = np.exp(rng.normal(0, 0.7, 40)) * 100
    owner = np.sort(rng.choice(4, 40, p=[0.45, 0.3, 0.15, 0.1]))
    return problem_of(mean, owner, np.full(4, mean.sum() / 4), seed=2, deviation=1.0, paths=paths)


@pytest.fixture(scope="module")
def points() -> tuple[FrontierPoint, ...]:
    return frontier(unfair_company(), FREE, 0, 8)


def test_more_money_buys_more_fairness(points: tuple[FrontierPoint, ...]) -> None:
    assert len(points) >= 4
    costs = [one.move_cost for one in points]
    assert costs == sorted(costs)
    assert points[0].moves == 0
    assert points[0].spread_planned > 0.5
    assert min(one.spread_planned for one in points) < 0.05
    for one in points:
        assert one.move_cost <= one.budget * (1 + 1e-6)


def test_no_point_beats_another(points: tuple[FrontierPoint, ...]) -> None:
    for one in points:
        for other in points:
            better = (
                other.spread_planned <= one.spread_planned,
                other.move_cost <= one.move_cost,
                other.potential >= one.potential,
            )
            assert other is one or not all(better)


def test_every_point_is_a_plan_and_its_numbers_are_those_of_the_plan(points: tuple[FrontierPoint, ...]) -> None:
    problem = unfair_company()
    for one in points:
        assert violations(problem, FREE, one.rep) == ()
        moved = one.rep != problem.owner
        assert one.moves == moved.sum()
        assert one.move_cost == pytest.approx(problem.move_cost[moved].sum())
        assert one.spread_planned == pytest.approx(np.ptp(p_attain(problem, one.rep, fresh=False)))
        assert one.spread == pytest.approx(np.ptp(p_attain(problem, one.rep, fresh=True)))
    assert sum(one.knee for one in points) == 1


def test_rows_have_the_columns_of_the_file(points: tuple[FrontierPoint, ...]) -> None:
    rows = frontier_rows(points)
    assert [row["point"] for row in rows] == list(range(1, len(points) + 1))
    assert list(rows[0]) == [
        "point", "spread", "spread_planned", "spread_all", "p_attain_min", "moves", "moved_share", "move_cost",
        "potential", "knee",
    ]  # fmt: skip


def test_same_problem_gives_the_same_frontier(points: tuple[FrontierPoint, ...]) -> None:
    again = frontier(unfair_company(), FREE, 0, 8)
    assert len(again) == len(points)
    for one, other in zip(points, again, strict=True):
        for field in fields(FrontierPoint):
            assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name


@pytest.mark.parametrize("seed", range(6))
def test_rules_hold_on_hard_problems(seed: int) -> None:
    problem = random_problem(seed, 12, 3)
    for one in frontier(problem, FREE, seed, 4):
        assert violations(problem, FREE, one.rep) == ()


def test_frontier_is_empty_for_other_fairness_and_refuses_one_point() -> None:
    assert frontier(unfair_company(), FREE.model_copy(update={"fairness": "hours"}), 0) == ()
    with pytest.raises(ValueError, match="at least 2"):
        frontier(unfair_company(), FREE, 0, 1)


def two_pools() -> TerritoryProblem:
    """Two pools of two reps; the second has half the revenue for the same quotas."""
    rng = np.random.default_rng(3)
    mean = np.exp(rng.normal(0, 0.5, 48)) * 100
    mean[24:] /= 2
    owner = np.repeat([0, 1, 2, 3], [18, 6, 17, 7])
    eligible = np.zeros((48, 4), dtype=bool)
    eligible[:24, :2], eligible[24:, 2:] = True, True
    base = problem_of(mean, owner, np.full(4, mean[:24].sum() / 2), seed=4, deviation=0.8, paths=2000)
    return replace(base, eligible=eligible)


def plan_of(problem: TerritoryProblem, settings: AllocationSettings) -> TerritoryPlan:
    answer = solve(problem, settings, 0)
    assert isinstance(answer, TerritoryPlan)
    return answer


def test_pools_are_evened_within_and_the_poorer_is_named_saturated() -> None:
    plan = plan_of(two_pools(), FREE)
    chance, seal = p_attain(two_pools(), plan.rep, fresh=False), plan.certificate
    assert np.ptp(chance[:2]) < 0.05
    assert np.ptp(chance[2:]) < 0.05
    assert chance[:2].min() > chance[2:].max() + 0.2, "the richer pool is not brought down"
    assert seal.saturated.tolist() == [False, False, True, True]
    assert seal.p_attain_spread_within == pytest.approx(max(np.ptp(plan.p_attain[:2]), np.ptp(plan.p_attain[2:])))
    assert seal.p_attain_spread > seal.p_attain_spread_within + 0.2


def test_levels_are_the_lowest_chances_of_the_pools_with_bounds_above() -> None:
    plan = plan_of(two_pools(), FREE)
    rows = plan.certificate.levels[1:]
    assert [row["reps"] for row in rows] == [2.0, 2.0]
    chance = 100 * p_attain(two_pools(), plan.rep, fresh=False)
    assert rows[0]["value"] == pytest.approx(chance[2:].min())
    assert rows[1]["value"] == pytest.approx(chance[:2].min())
    for row in rows:
        assert float(row["bound"]) >= float(row["value"]) - 1e-6
        assert float(row["bound"]) <= float(row["value"]) + 15.0


def test_confidence_is_a_share_and_falls_with_indifference() -> None:
    settings = FREE.model_copy(update={"confidence_groups": 5})
    plan = plan_of(unfair_company(2000), settings)
    assert ((plan.confidence >= 0) & (plan.confidence <= 1)).all()
    assert np.allclose(5 * plan.confidence, np.round(5 * plan.confidence))
    assert 0.3 < plan.confidence.mean() < 1.0
    locked = replace(unfair_company(2000), locked=np.ones(40, dtype=bool))
    assert (plan_of(locked, settings).confidence == 1.0).all()


def test_confidence_is_not_given_where_it_was_not_asked() -> None:
    problem = unfair_company(400)
    assert np.isnan(plan_of(problem, FREE.model_copy(update={"confidence_groups": 0})).confidence).all()
    assert np.isnan(plan_of(problem, FREE.model_copy(update={"fairness": "potential"})).confidence).all()
    assert (problem.owner != NONE).all()
