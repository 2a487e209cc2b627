"""Who may own an account beyond its region, and what distances and rates mean for the books."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.archive import PROBLEM_DIMS, load, save
from engine.config import load_config
from engine.config.schema import Allocation, Permissions
from engine.data import as_of_date, build_panel, cut, load_tables
from engine.errors import InputRefusedError
from engine.planning.allocate import plan_territories
from engine.planning.decisions import Decision
from engine.planning.permissions import (
    Places,
    check_permissions,
    commission,
    distances,
    excused,
    for_hires,
    handed_back,
    hires,
    matching,
    permissions,
    travel,
    with_permissions,
    within_radius,
)
from engine.planning.quotas import QuotaBook
from engine.simulation.outcomes import PlanningOutcomes
from models.panel import NONE, Panel
from optimization.audit import violations
from optimization.plan import Infeasible, TerritoryPlan
from optimization.problem import TerritoryProblem
from optimization.settings import AllocationSettings, Bands
from optimization.solve import solve
from tests.data_company import COMPANY, company_config
from tests.finished import SMOKE
from tests.simulation_inputs import make_panel
from tests.territories import problem_of

NEVER = np.datetime64("NaT", "D")
BERLIN, POTSDAM, MUNICH = (52.52, 13.405), (52.39, 13.066), (48.137, 11.575)


@pytest.fixture
def panel() -> Panel:
    """Three reps, four accounts owned by the first, the first, the second and nobody."""
    base = make_panel(deals=10, reps=3, accounts=4, territories=1)
    accounts = replace(base.accounts, owner=np.array([0, 0, 1, NONE]))
    reps = replace(base.reps, active=np.ones(3, dtype=bool), start=np.full(3, NEVER), end=np.full(3, NEVER))
    return replace(base, accounts=accounts, reps=reps)


def placed(panel: Panel, reps: tuple[int, ...] = (0, 1, 2), **changes: Any) -> Places:
    """Places of a panel whose accounts (`a_...`) and reps (`r_...`) are changed."""
    accounts = replace(panel.accounts, **{key[2:]: value for key, value in changes.items() if key.startswith("a_")})
    sellers = replace(panel.reps, **{key[2:]: value for key, value in changes.items() if key.startswith("r_")})
    panel = replace(panel, accounts=accounts, reps=sellers)
    position = np.full(len(panel.reps.labels) + 1, NONE)
    position[list(reps)] = np.arange(len(reps))
    return Places(panel, np.array(reps), position[accounts.owner], np.datetime64("2026-09-30"))


def spread_out(panel: Panel, **changes: Any) -> Places:
    """Accounts in Potsdam, Munich, Munich and nowhere; reps in Berlin, Munich and nowhere."""
    return placed(
        panel,
        a_latitude=np.array([POTSDAM[0], MUNICH[0], MUNICH[0], np.nan]),
        a_longitude=np.array([POTSDAM[1], MUNICH[1], MUNICH[1], np.nan]),
        r_latitude=np.array([BERLIN[0], MUNICH[0], np.nan]),
        r_longitude=np.array([BERLIN[1], MUNICH[1], np.nan]),
        **changes,
    )


def test_distances_are_those_of_the_atlas(panel: Panel) -> None:
    km = distances(spread_out(panel))
    assert km is not None
    assert km[0, 0] == pytest.approx(27, abs=1)
    assert km[1, 0] == pytest.approx(504, abs=2)
    assert km[1, 1] == 0
    assert np.isnan(km[3]).all()
    assert np.isnan(km[:, 2]).all()


def test_radius_keeps_far_reps_away_and_spares_the_owner_unless_asked(panel: Panel) -> None:
    near = within_radius(spread_out(panel), Permissions(max_radius_km=100))
    assert near is not None
    assert near.tolist() == [[1, 0, 1], [1, 1, 1], [0, 1, 1], [1, 1, 1]]  # account 1 is far from its owner, rep 0
    strict = within_radius(spread_out(panel), Permissions(max_radius_km=100, radius_binds_owner=True))
    assert strict is not None
    assert strict[1].tolist() == [False, True, True]
    assert within_radius(spread_out(panel), Permissions()) is None
    assert within_radius(placed(panel), Permissions(max_radius_km=100)) is None


def test_travel_is_km_times_visits(panel: Panel) -> None:
    places = spread_out(panel, a_visits=np.array([4.0, np.nan, 1.0, 1.0]))
    km, month = distances(places), travel(places, Permissions(visits_per_month=2))
    assert km is not None
    assert month is not None
    assert month[0, 0] == pytest.approx(4 * km[0, 0])
    assert month[1, 0] == pytest.approx(2 * km[1, 0])
    assert (month[3] == 0).all()
    assert travel(placed(panel), Permissions()) is None


def test_language_and_every_skill_must_match(panel: Panel) -> None:
    places = placed(
        panel,
        a_language=np.array(["de", "fr", "fr", ""]),
        r_languages=np.array(["de|en", "fr", ""]),
        a_skill=np.array(["", "", "sap|oil", ""]),
        r_skills=np.array(["oil|sap|steel", "sap", "sap"]),
    )
    language, skill = matching(places, "language"), matching(places, "skill")
    assert language is not None
    assert skill is not None
    assert language.tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 1, 1]]  # rep 0 keeps the account it has
    assert skill[2].tolist() == [True, True, False]
    assert skill[[0, 1, 3]].all()


def test_segment_matches_in_any_case_and_the_unknown_one_asks_for_nothing(panel: Panel) -> None:
    ids = np.array(["unknown", "Bank"])
    panel = replace(panel, segments=replace(panel.segments, ids=ids, names=ids))
    places = placed(
        panel, a_segment=np.array([0, 1, 1, NONE]), r_segments=np.array(["retail", "retail", "bank|retail"])
    )
    found = matching(places, "segment")
    assert found is not None
    assert found.tolist() == [[1, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]]


def test_leavers_books_go_to_the_team_or_back(panel: Panel) -> None:
    end = np.array([NEVER, np.datetime64("2026-08-15"), NEVER])
    back = handed_back(placed(panel, r_end=end, r_manager=np.array([1, 0, 0])), "team")
    assert back is not None
    assert back.tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 1], [1, 1, 1]]
    before = handed_back(placed(panel, r_end=end, a_previous_owner=np.array([NONE, NONE, 0, NONE])), "previous_owner")
    assert before is not None
    assert before[2].tolist() == [True, False, False]
    nobody = handed_back(placed(panel, r_end=end, r_manager=np.array([1, 0, 1])), "team")
    assert nobody is not None
    assert nobody[2].all(), "nobody of the team is left"
    gone = handed_back(placed(panel, (0, 2), r_manager=np.array([1, 0, 0])), "team")
    assert gone is not None
    assert gone[2].tolist() == [False, True], "who has no part in the problem has left"
    assert handed_back(placed(panel), "anyone") is None


def test_hires_started_lately_or_start_later(panel: Panel) -> None:
    day = panel.as_of
    start = np.array([day - np.timedelta64(400, "D"), day - np.timedelta64(100, "D"), day + np.timedelta64(10, "D")])
    places = placed(panel, r_start=start, a_reserved=np.array([True, False, False, False]))
    assert hires(places, 6).tolist() == [False, True, True]
    kept = for_hires(places, 6)
    assert kept is not None
    assert kept.tolist() == [[0, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]]
    assert for_hires(placed(panel, a_reserved=np.ones(4, dtype=bool)), 6) is None, "no hire to keep them for"


def test_the_accounts_own_rate_goes_before_the_reps(panel: Panel) -> None:
    places = placed(
        panel, a_commission=np.array([0.2, np.nan, np.nan, np.nan]), r_commission=np.array([0.1, 0.04, np.nan])
    )
    rates = commission(places)
    assert rates is not None
    assert (rates[0] == 0.2).all()
    assert rates[1, :2].tolist() == [0.1, 0.04]
    assert np.isfinite(rates).all()
    assert commission(placed(panel)) is None


def test_only_permissions_that_forbid_anything_are_named(panel: Panel) -> None:
    places = spread_out(panel, a_language=np.array(["", "", "", ""]), r_languages=np.array(["", "", ""]))
    names, pairs = permissions(places, Permissions(match=("language",), max_radius_km=100))
    assert names is not None
    assert pairs is not None
    assert names.tolist() == ["radius"]
    assert permissions(placed(panel), Permissions()) == (None, None)


def test_settings_without_data_are_refused_all_at_once(panel: Panel) -> None:
    asked = Allocation(
        permissions=Permissions(match=("language", "skill"), max_radius_km=50, leavers_book="previous_owner")
    )
    with pytest.raises(InputRefusedError) as error:
        check_permissions(panel, asked)
    text = str(error.value)
    for word in ("accounts.language", "reps.skills", "latitude", "account_owners"):
        assert word in text
    check_permissions(panel, Allocation())
    check_permissions(panel, asked.model_copy(update={"enabled": False}))


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"bands": Bands(hours=0.1)}, "accounts.hours"),
        ({"min_hours": 5.0}, "accounts.hours"),
        ({"hire_min_share": 0.5}, "reps.start"),
        ({"hire_min_accounts": 1}, "reps.start"),
        ({"permissions": Permissions(leavers_book="team")}, "reps.manager"),
    ],
)
def test_a_rule_without_any_of_its_data_is_not_passed_over(panel: Panel, changes: dict[str, Any], column: str) -> None:
    asked = Allocation(**changes)
    accounts = replace(panel.accounts, hours=np.full(len(panel.accounts.labels), np.nan))
    count = len(panel.reps.labels)
    reps = replace(panel.reps, start=np.full(count, NEVER), manager=np.full(count, NONE))
    with pytest.raises(InputRefusedError, match=column.replace(".", r"\.")):
        check_permissions(replace(panel, accounts=accounts, reps=reps), asked)
    there = replace(panel.reps, start=np.full(count, panel.as_of), manager=np.zeros(count, dtype=np.int64))
    known = replace(panel.accounts, hours=np.ones(len(panel.accounts.labels)))
    check_permissions(replace(panel, accounts=known, reps=there), asked)


def test_an_impossible_language_is_named_with_its_repair_and_a_decision_overrides_it(panel: Panel) -> None:
    places = placed(
        panel, a_language=np.array(["", "", "", "fr"]), r_languages=np.array(["de", "de", "de"]),
    )  # fmt: skip
    problem = problem_of(np.full(4, 100.0), places.owner, np.full(3, 100.0))
    problem = with_permissions(problem, places, Permissions(match=("language",)))
    answer = solve(problem, AllocationSettings(), 0)
    assert isinstance(answer, Infeasible)
    assert answer.conflicts == (("language: A3",),)
    assert answer.repairs[0].startswith("in spite of the language, allow: A3 to R")
    decided = excused(problem, (Decision(where="line 2", account="A3", kind="assign", rep="R1"),))
    plan = solve(decided, AllocationSettings(), 0)
    assert isinstance(plan, TerritoryPlan)
    assert plan.rep[3] == 1
    assert violations(problem, AllocationSettings(), plan.rep) == ("language: R1 may not own A3",)


def test_a_decision_costs_what_only_it_excuses() -> None:
    config = load_config(SMOKE, ("as_of=2026-06-30", "horizon.start=2026-07-01", "allocation.eligibility=any"))
    asked = config.allocation.model_copy(update={"permissions": Permissions(match=("language",))})
    panel = make_panel(deals=60, reps=3, accounts=6, territories=2)
    accounts = replace(panel.accounts, owner=np.array([0, 0, 1, 1, 2, 2]), language=np.array(["de", *[""] * 5]))
    panel = replace(panel, accounts=accounts, reps=replace(panel.reps, languages=np.array(["de", "fr", "de"])))
    revenue = PlanningOutcomes(np.full((200, 6), 100.0, np.float32), np.zeros((200, 3), np.float32))
    quotas = QuotaBook(panel.quotas, np.full(3, 100.0), panel.reps.labels.ids)
    ids = panel.reps.labels.ids
    decisions = (Decision("line 2", str(panel.accounts.labels.ids[0]), "assign", str(ids[1])),)
    earlier = np.array([1, 0, 1, 1, 2, 2])
    config = config.model_copy(update={"allocation": asked})
    found = plan_territories(config, panel, (revenue, revenue), quotas, decisions, earlier)
    assert found is not None
    assert isinstance(found.answer, TerritoryPlan)
    assert found.reps[found.answer.rep].tolist() == earlier.tolist()
    (cost,) = found.costs
    assert cost.changes == -1, "without the decision the account may not stay with a rep who lacks the language"


def test_columns_of_the_tables_reach_the_panel(tmp_path: Path) -> None:
    company = dict(COMPANY)
    company["accounts"] = """id,segment,territory,owner,locked,language,latitude,longitude,reserved,commission
A1,Large,North,R2,no,FR,52.5,13.4,yes,0.2
A2,Small,South,R1,no,,,,no,
A3,Small,South,R2,no,de,48.1,11.6,no,
"""
    company["reps"] = """id,name,start,manager,territory,languages,skills
R1,Ann,2024-01-01,R3,North,FR | de,sap
R2,Bob,2024-06-01,R3,South,,
R3,Cid,2023-01-01,,,,
"""
    config = company_config(tmp_path, company)
    tables = load_tables(config)
    panel = build_panel(cut(tables, as_of_date(tables, config)), config)
    assert panel.accounts.language is not None
    assert panel.accounts.language.tolist() == ["fr", "", "de"]
    assert panel.accounts.reserved is not None
    assert panel.accounts.reserved.tolist() == [True, False, False]
    assert panel.accounts.latitude is not None
    np.testing.assert_array_equal(panel.accounts.latitude, [52.5, np.nan, 48.1])
    assert panel.accounts.skill is None
    assert panel.reps.languages is not None
    assert panel.reps.languages.tolist() == ["fr|de", "", ""]
    assert panel.accounts.previous_owner is not None
    assert panel.reps.labels.ids[panel.accounts.previous_owner[1]] == "R2"  # A2 was Bob's until April
    assert panel.accounts.previous_owner[2] == NONE


def test_a_problem_comes_back_from_disk_with_and_without_permissions(tmp_path: Path, panel: Panel) -> None:
    bare = problem_of(np.full(4, 100.0), np.array([0, 0, 1, NONE]), np.full(3, 100.0))
    places = spread_out(panel, r_commission=np.full(3, 0.1), r_start=np.array([NEVER, NEVER, panel.as_of]))
    full = with_permissions(bare, places, Permissions(max_radius_km=100))
    for problem in (bare, full):
        save(problem, tmp_path / "problem.nc", PROBLEM_DIMS)
        again = load(TerritoryProblem, tmp_path / "problem.nc")
        for name in ("permission_ids", "permits", "commission", "travel", "hire", "eligible"):
            np.testing.assert_array_equal(getattr(again, name), getattr(problem, name), err_msg=name)
    assert bare.permits is None
    assert full.hire is not None
    assert full.hire.tolist() == [False, False, True]
