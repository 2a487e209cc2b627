"""A plan that takes effect inside the planning horizon."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from engine.config import RunConfig, RunOptions, load_config
from engine.errors import InputRefusedError
from engine.finished import FinishedRun
from engine.planning.allocate import plan_territories
from engine.planning.books import plan_futures
from engine.planning.effective import early_horizons, from_effective_date, prorated_quotas
from engine.planning.futures import planning_span
from engine.planning.permissions import Places, with_permissions
from engine.planning.quotas import QuotaBook
from engine.planning.territory_problem import PlanningRules, Span, build_problem
from engine.planning.verification import EVEN, simulate_run
from engine.simulation.outcomes import PlanningOutcomes
from experiments.equal_chance import batches, settings_of, stored_problem
from models.panel import NONE, Panel, Quotas
from optimization.settings import AllocationSettings
from tests.finished import SMOKE
from tests.planned_run import finished_run
from tests.simulation_inputs import make_draws, make_panel

QUARTER = (678, 680)
"""2026-07 to 2026-09."""


def config_of(*overrides: str) -> RunConfig:
    fixed = ("as_of=2026-06-30", "horizon.start=2026-07-01", "simulation.paths=200", "simulation.sample_paths=10")
    return load_config(SMOKE, (*fixed, *overrides))


@pytest.fixture(scope="module")
def panel() -> Panel:
    return make_panel(deals=60, reps=4, accounts=12, territories=2)


def test_what_comes_before_the_date_stays_with_the_present_owner_path_by_path(panel: Panel) -> None:
    draws, owner = make_draws(panel), panel.accounts.owner
    whole, fresh = simulate_run(config_of(), panel, draws, 1, verify=True)
    later, checked = simulate_run(config_of("allocation.effective_date=2026-09-01"), panel, draws, 1, verify=True)
    for full, part in ((whole.planning, later.planning), (fresh, checked)):
        assert full is not None
        assert part is not None
        assert 0.05 < part.account.sum() / full.account.sum() < 0.7, "one of three months is left to the new owners"
        assert (part.account >= -0.5).all(), "single precision aside, a part of what there was"
        for rep in range(len(panel.reps.labels)):
            before = full.fixed[:, rep] + full.account[:, owner == rep].sum(axis=1)
            after = part.fixed[:, rep] + part.account[:, owner == rep].sum(axis=1)
            np.testing.assert_allclose(after, before, rtol=1e-5, atol=1.0)
    for level, outcome in whole.levels.items():
        np.testing.assert_array_equal(outcome.total, later.levels[level].total, err_msg="the forecast is the same")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return finished_run(tmp_path_factory.mktemp("run"))


def asked(run: FinishedRun, **changes: object) -> FinishedRun:
    """The run with other settings of the allocation."""
    allocation = run.config.allocation.model_copy(update=changes)
    return replace(run, config=run.config.model_copy(update={"allocation": allocation}))


def test_new_paths_of_the_plan_heed_the_date_too(run: FinishedRun) -> None:
    def futures(one: FinishedRun) -> np.ndarray:
        return plan_futures(one, planning_span(one.config), 200, "test", RunOptions(threads=1)).rep

    plan = pd.read_csv(run.folder / "allocation.csv", dtype=str, keep_default_na=False)
    ids = run.panel.reps.labels.ids
    away = np.isin(ids, plan.loc[plan["old_rep"] != plan["new_rep"], ["old_rep", "new_rep"]].to_numpy().ravel())
    assert away.any()
    whole, dated = futures(run), futures(asked(run, effective_date=date(2026, 9, 1)))
    assert (np.abs(dated - whole).max(axis=0) > 1.0)[away].all(), "before September accounts are where they were"
    np.testing.assert_allclose(dated[:, ~away], whole[:, ~away], rtol=1e-5, atol=1.0)


def test_the_study_of_equal_chances_heeds_date_and_late_deals(run: FinishedRun) -> None:
    problem, owner = stored_problem(run), run.panel.accounts.owner
    late = asked(run, hold_over_stages=tuple(run.panel.stages.ids.tolist()))
    for other in (asked(run, effective_date=date(2026, 9, 1)), late):
        (whole, _), (part, _) = (next(batches(one, problem, "test", EVEN, 200, 1)) for one in (run, other))
        assert part.value.sum() < 0.95 * whole.value.sum()
        total, same = (one.value[:, owner >= 0].sum(axis=1) + one.fixed.sum(axis=1) for one in (whole, part))
        np.testing.assert_allclose(same, total, rtol=1e-4)


def test_without_budgets_means_without_any() -> None:
    own = AllocationSettings(
        max_moved_accounts_per_rep=1, max_moved_value_share_per_rep=0.1, max_move_cost_per_rep=5.0, max_move_cost=9.0
    )
    free = settings_of(own)["no budget"].model_dump()
    assert not [name for name, value in free.items() if name.startswith("max_move") and value is not None]


def test_nothing_changes_without_a_date_or_from_the_first_day_on() -> None:
    assert early_horizons(config_of()) is None
    assert early_horizons(config_of("allocation.effective_date=2026-07-01")) is None
    found = early_horizons(config_of("allocation.effective_date=2026-09-01"))
    assert found is not None
    assert found.planning_months is not None
    assert found.planning_months.tolist() == [678, 679]
    assert found.forecast_months.tolist() == [678, 679, 680]


@pytest.mark.parametrize("day", ["2026-09-15", "2026-06-01", "2026-10-01"])
def test_a_day_outside_the_horizon_or_within_a_month_is_refused(day: str) -> None:
    with pytest.raises(InputRefusedError, match=r"allocation\.effective_date"):
        config_of(f"allocation.effective_date={day}")


def test_accounts_of_nobody_bring_nothing_to_anybody_before_the_date(panel: Panel) -> None:
    alone = replace(panel, accounts=replace(panel.accounts, owner=np.full(12, NONE)))
    whole = PlanningOutcomes(np.full((5, 12), 3.0, np.float32), np.zeros((5, 4), np.float32))
    early = PlanningOutcomes(np.ones((5, 12), np.float32), np.zeros((5, 4), np.float32))
    found = from_effective_date(whole, early, alone)
    assert (found.account == 2.0).all()
    assert (found.fixed == 0.0).all()


def test_only_given_quotas_of_reps_who_start_or_leave_are_prorated(panel: Panel) -> None:
    never = np.datetime64("NaT", "D")
    end = np.array([never, np.datetime64("2026-07-31"), np.datetime64("2026-07-31"), never])
    reps = replace(panel.reps, end=end, start=np.full(4, never), active=np.ones(4, bool), fte=np.array([1, 0.5, 1, 1]))
    changed = replace(panel, reps=reps)
    ids, day = changed.reps.labels.ids, np.datetime64("2026-07-01")
    given = Quotas(
        np.array(["rep", "rep"]), ids[:2], np.array([day] * 2), np.array([np.datetime64("2026-09-30")] * 2),
        np.array([900.0, 920.0]),
    )  # fmt: skip
    book = QuotaBook(given, np.array([np.nan, np.nan, 100.0, 100.0]), ids)
    outcomes = PlanningOutcomes(np.ones((5, 12), np.float32), np.zeros((5, 4), np.float32))
    rules = PlanningRules("any", 0.15, 0.1, 120.0)
    problem = build_problem(changed, (outcomes, outcomes), book, (Span(*QUARTER), np.arange(4)), rules)
    found = prorated_quotas(problem, changed, book, QUARTER)
    np.testing.assert_allclose(found, [900.0, 920.0 * 31 / 92, 300.0, 300.0])


def test_rules_of_the_config_reach_the_problem_and_its_plan(panel: Panel) -> None:
    config = config_of(
        "allocation.permissions.max_radius_km=100",
        "allocation.max_travel_km=100000",
        "allocation.prorate_quotas=true",
        "allocation.max_moved_accounts_per_rep=1",
        "allocation.eligibility=any",
    )
    north = np.array([50.0, 50.0, 52.0, 52.0])
    east = np.full(4, 10.0)
    reps = replace(panel.reps, latitude=north, longitude=east, active=np.ones(4, bool))
    accounts = replace(
        panel.accounts, latitude=north[np.arange(12) % 4], longitude=east[np.arange(12) % 4], owner=np.arange(12) % 4
    )
    changed = replace(panel, reps=reps, accounts=accounts)
    whole = PlanningOutcomes(
        np.random.default_rng(0).gamma(2.0, 50.0, (200, 12)).astype(np.float32), np.ones((200, 4), np.float32)
    )
    book = QuotaBook(panel.quotas, np.array([50.0, 50.0, 150.0, 150.0]), panel.reps.labels.ids)
    found = plan_territories(config, changed, (whole, whole), book)
    assert found is not None
    problem = found.problem
    assert problem.permission_ids is not None
    assert problem.permission_ids.tolist() == ["radius"]
    assert problem.permits is not None
    assert (problem.permits[0] == (north[np.arange(12) % 4][:, None] == north)).all()
    again = with_permissions(problem, Places(changed, found.reps, problem.owner, np.datetime64("2026-09-30")),
                             config.allocation.permissions)  # fmt: skip
    assert problem.travel is not None
    np.testing.assert_array_equal(again.travel, problem.travel)
