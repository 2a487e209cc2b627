"""Hires and leavers: attrition by hand, and a curve whose differences are differences of decisions."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from engine.config import RunOptions
from engine.errors import InputRefusedError
from engine.finished import FinishedRun
from engine.planning import hiring
from engine.planning.attrition import Attrition, leaving_month, observed
from engine.planning.futures import planning_span
from engine.planning.hiring import World, hired, homes, smallest
from engine.planning.question_settings import CapacitySettings
from engine.scenarios.asking import Ask
from engine.scenarios.company import Company, Frame
from engine.scenarios.people import hire
from engine.scenarios.reading import Item
from engine.scenarios.settings import Hire
from models.panel import Panel
from tests.planned_run import finished_run
from tests.simulation_inputs import make_panel

ONE = RunOptions(threads=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return finished_run(tmp_path_factory.mktemp("runs"))


def four_reps() -> Panel:
    """As of 2026-06-30 with an export from 2025-07-01: one left in it, one before it, one has a start in it."""
    panel = make_panel(deals=20, reps=4, accounts=5, territories=2)
    days = ["2020-01-01", "2020-01-01", "2026-01-01", "NaT"], ["2025-12-31", "2025-03-01", "NaT", "NaT"]
    start, end = (np.array(column, dtype="datetime64[D]") for column in days)
    reps = replace(panel.reps, start=start, end=end, active=np.array([False, False, True, True]))
    first, today = np.datetime64("2025-07-01", "D"), np.datetime64("2026-06-30", "D")
    return replace(panel, reps=reps, first_day=first, as_of=today)


def test_leavers_and_months_are_counted_inside_the_export() -> None:
    seen = observed(four_reps())
    assert seen.leavers == 1
    days = 183 + 0 + 180 + 364
    assert seen.months == pytest.approx(days / (365.25 / 12), abs=0.01)


def test_the_rate_is_jeffreys_posterior() -> None:
    rates = Attrition(5, 1000.0).rates(100_000, np.random.default_rng(1))
    mean = 5.5 / 1001.0
    assert rates.mean() == pytest.approx(mean, rel=0.01)
    assert rates.std() == pytest.approx(np.sqrt(mean * (1 - mean) / 1002.0), rel=0.02)


def test_months_of_leaving_are_geometric() -> None:
    rates, uniform = np.full(50_000, 0.2), np.random.default_rng(2).random((50_000, 2))
    month = leaving_month(rates, uniform, np.array([100, 103]))
    for person, begin in enumerate((100, 103)):
        assert month[:, person].min() == begin
        shares = [(month[:, person] == begin + m).mean() for m in range(3)]
        assert shares == pytest.approx([0.2, 0.16, 0.128], abs=0.006)
    assert (leaving_month(np.zeros(3), np.full((3, 1), 0.5), np.array([7])) > 1_000).all()


def test_hires_go_where_the_reps_are() -> None:
    panel = make_panel(deals=20, reps=6, accounts=5, territories=3)
    reps = replace(panel.reps, territory=np.array([0, 0, 0, 0, 2, 2]), active=np.ones(6, dtype=bool))
    assert homes(replace(panel, reps=reps), 6).tolist() == [0, 0, 2, 0, 0, 2]


def test_one_more_hire_never_lowers_the_chance(run: FinishedRun) -> None:
    table = hiring.answer(run, CapacitySettings(paths=1_000, hires=3), ONE).tables["capacity"]
    assert len(table) == 3 * 4
    for _, part in table.groupby("start"):
        assert (part["chance"].diff().dropna() >= 0).all()
        assert (part["added_by_hires"].diff().dropna() > 0).all()
        assert part["added_by_hires"].iloc[0] == 0.0
    first, last = (table[table["start"] == month]["added_by_hires"].iloc[-1] for month in ("2026-07", "2026-09"))
    assert first > last, "an earlier hire brings more"
    assert table.groupby("hires")["chance"].nunique()[0] == 1, "without a hire the start makes no difference"


def test_a_short_ramp_brings_more(run: FinishedRun) -> None:
    asked = CapacitySettings(paths=1_000, hires=2, starts=("2026-07",), ramp=(0.25, 1.0, 4.0), attrition=False)
    table = hiring.answer(run, asked, ONE).tables["capacity"]
    added = table[table["hires"] == 2].set_index("ramp")["added_by_hires"]
    assert added[0.25] > added[1.0] > added[4.0] > 0


def test_without_leavers_no_hire_is_the_company_itself(run: FinishedRun) -> None:
    asked = CapacitySettings(paths=1_000, hires=1, starts=("2026-07",), attrition=False)
    found = hiring.answer(run, asked, ONE)
    none = found.tables["capacity"].iloc[0]
    assert none["hires"] == 0
    assert none["chance"] == found.metrics["chance_without_leavers"]
    assert none["p50"] == pytest.approx(found.metrics["goal"], rel=1e-6), "no goal given: the median of its revenue"


def test_leavers_cost_revenue(run: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """When everybody leaves at the end of the first month, what is lost is the new business of the later months."""
    monkeypatch.setattr(hiring, "observed", lambda _: Attrition(10**9, 10.0**9))
    asked = CapacitySettings(paths=1_000, hires=1, starts=("2026-07",))
    gone = hiring.answer(run, asked, ONE).tables["capacity"].iloc[0]["mean"]
    stay = hiring.answer(run, CapacitySettings(**asked.model_dump() | {"attrition": False}), ONE)
    whole = stay.tables["capacity"].iloc[0]["mean"]
    new = float(run.level("company").new.sum())
    assert whole - new < gone < whole


def test_hires_alone_are_the_difference_that_the_scenario_makes(run: FinishedRun) -> None:
    """Simulated alone and added, or put into the company: other accounts under the same deals are all that differs."""
    asked = CapacitySettings(paths=1_000, hires=1, starts=("2026-07",), attrition=False)
    span = planning_span(run.config)
    world = World(run, asked, ONE, span, span.months, np.zeros(asked.paths))
    alone = hired(world, date(2026, 7, 1), 1.0)[:, 0]
    frame = Frame(span.months, span.months, run.config.seed, 0.0, run.config.output)
    company = Company(run.panel, run.draws, run.quotas())
    home = str(run.panel.territories.ids[homes(run.panel, 1)[0]])
    change = Hire(change="hire", date=date(2026, 7, 1), territory=home, id="HIRE 1")
    changed = hire(company, change, Ask(Item(change, {"": "test"}), company, frame))
    difference = world.simulated(changed.panel, changed.draws)[1] - world.simulated(run.panel, run.draws)[1]
    assert np.corrcoef(alone, difference)[0, 1] > 0.6
    assert alone.mean() == pytest.approx(difference.mean(), rel=0.25)


def test_starts_outside_the_months_are_all_refused(run: FinishedRun) -> None:
    with pytest.raises(InputRefusedError) as caught:
        hiring.answer(run, CapacitySettings(paths=1_000, starts=("2026-05", "2026-08", "2027-01")), ONE)
    assert len(caught.value.problems) == 2


def test_the_smallest_number_of_hires(run: FinishedRun) -> None:
    table = hiring.answer(run, CapacitySettings(paths=1_000, hires=2, starts=("2026-07",)), ONE).tables["capacity"]
    between = float(table["chance"].iloc[:2].mean())
    assert smallest(table, between)["hires"].tolist() == [1.0]
    assert np.isnan(smallest(table, 0.999999)["hires"]).all()
