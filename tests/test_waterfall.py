"""What moved the number between two runs: every step is what it says, and the steps balance to the cent."""

import csv
import shutil
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from engine.config import Horizon, load_config, resolved
from engine.deals.previous import earlier_run
from engine.deals.revision import split
from engine.deals.snapshot import NotComparableError, Snapshot, read_snapshot, take_snapshot
from engine.deals.waterfall import DEAL_STEPS, STEPS, Waterfall, _amounts, _shifted, _three, cents, compare
from engine.planning.verification import simulate_run
from engine.report.figures import waterfall
from engine.report.folder import make_tables, write_folder
from engine.report.html import write_report
from engine.report.terminal import Surroundings, summary_text
from engine.report.words import words_of
from engine.results import ForecastResult
from engine.runs import Manifest, write_manifest
from experiments.compare import main
from models.panel import LOST, OPEN, WON, Deals, Panel
from tests.finished import GOOD, SMOKE, finished_result
from tests.simulation_inputs import make_draws

LATER = np.datetime64("2026-07-31")
CASES = ("won", "late", "lost", "gone", "pushed", "pulled", "dearer", "cheaper", "staged", "same")
"""What becomes of the first open deals."""


@pytest.fixture(scope="module")
def first() -> ForecastResult:
    """The earlier run; the deals to be pulled in and pushed out have a date."""
    result = finished_result(("allocation.enabled=false",))
    deals, where = result.panel.deals, picked(result.panel)
    close = deals.expected_close.copy()
    close[where["pushed"]], close[where["pulled"]] = np.datetime64("2026-08-15"), np.datetime64("2026-11-15")
    return replace(result, panel=replace(result.panel, deals=replace(deals, expected_close=close)))


@pytest.fixture(scope="module")
def folder(first: ForecastResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder."""
    path = tmp_path_factory.mktemp("smoke") / "2026-06-30_0a1b2c3d"
    path.mkdir()
    write_folder(first, make_tables(first), resolved(first.config), path)
    return path


@pytest.fixture(scope="module")
def second(first: ForecastResult, folder: Path) -> ForecastResult:
    """A month later: the same company with a posterior that has moved on."""
    config = load_config(SMOKE, ("as_of=2026-07-31", "horizon.start=2026-07-01", "allocation.enabled=false"))
    panel = a_month_later(first.panel)
    draws = make_draws(panel, seed=2)
    assert draws.closing is not None
    closing = replace(draws.closing, shock_months=draws.closing.shock_months + 1)  # July has closings now
    draws = replace(draws, closing=closing, diagnostics=(GOOD,))
    outcomes, _ = simulate_run(config, panel, draws, 1, verify=False)
    return replace(first, config=config, panel=panel, draws=draws, outcomes=outcomes, earlier=folder)


@pytest.fixture(scope="module")
def tables(second: ForecastResult) -> dict[str, pd.DataFrame]:
    """Of the later run."""
    return make_tables(second)


@pytest.fixture(scope="module")
def sides(second: ForecastResult, tables: dict[str, pd.DataFrame], folder: Path) -> tuple[Snapshot, Snapshot]:
    """Both runs as the comparison sees them."""
    company = (second.panel, second.draws.closing)
    return read_snapshot(folder), take_snapshot("later", "EUR", company, tables)


@pytest.fixture(scope="module")
def found(sides: tuple[Snapshot, Snapshot]) -> Waterfall:
    """The change."""
    return compare(*sides, 1)


def picked(panel: Panel) -> dict[str, int]:
    """Index of the deal of each case: with an amount, in an early stage."""
    deals = panel.deals
    usable = np.flatnonzero((deals.outcome == OPEN) & (deals.list_amount > 0) & (deals.stage == 0))
    return dict(zip(CASES, usable[: len(CASES)].tolist(), strict=True))


def a_month_later(panel: Panel) -> Panel:
    """The company at the end of July: each case has happened, one deal is new, one turned up late."""
    where, deals = picked(panel), panel.deals
    columns = {name: values.copy() for name, values in vars(deals).items()}
    columns["outcome"][[where["won"], where["late"]]] = WON
    columns["outcome"][where["lost"]] = LOST
    columns["closed"][[where["won"], where["lost"]]] = np.datetime64("2026-07-20")
    columns["closed"][where["late"]] = np.datetime64("2026-06-28")  # recorded after the earlier run
    columns["won_amount"][[where["won"], where["late"]]] = 50_000.0
    columns["expected_close"][where["pushed"]] = np.datetime64("2026-12-01")
    columns["expected_close"][where["pulled"]] = np.datetime64("2026-09-01")
    columns["list_amount"][where["dearer"]] *= 3
    columns["list_amount"][where["cheaper"]] /= 3
    columns["stage"][[where["staged"], where["pulled"]]] = 3
    rows = np.append(np.delete(np.arange(len(deals)), where["gone"]), [where["same"], where["same"]])
    columns = {name: values[rows] for name, values in columns.items()}
    columns["ids"] = np.append(columns["ids"][:-2].astype("U12"), ["deal_new", "deal_late"])
    columns["created"][-2:] = np.array(["2026-07-10", "2026-05-01"], dtype="datetime64[D]")
    return replace(panel, as_of=LATER, deals=Deals(**columns))


def amounts(frame: pd.DataFrame, measure: str) -> dict[str, Decimal]:
    rows = frame[frame["measure"] == measure]
    return dict(zip(rows["step"], rows["amount"], strict=True))


def by_deal(found: Waterfall, first: ForecastResult) -> dict[str, pd.Series]:
    """Rows of the picked deals."""
    rows = found.deals.set_index("opportunity_id")
    return {case: rows.loc[first.panel.deals.ids[i]] for case, i in picked(first.panel).items()}


def test_the_waterfall_balances_to_the_cent(found: Waterfall) -> None:
    for measure in ("mean", "p50"):
        steps = amounts(found.steps, measure)
        assert all(amount == cents(float(amount)) for amount in steps.values())
        between = sum((amount for step, amount in steps.items() if step not in ("start", "end")), Decimal(0))
        assert steps["start"] + between == steps["end"]
    assert list(amounts(found.steps, "mean")) == ["start", *STEPS, "end"]


def test_start_and_end_are_those_of_the_two_runs(
    found: Waterfall, sides: tuple[Snapshot, Snapshot], tables: dict[str, pd.DataFrame]
) -> None:
    company = tables["forecast"].query("level == 'company'").iloc[-1]
    mean, p50 = amounts(found.steps, "mean"), amounts(found.steps, "p50")
    assert mean["start"] == cents(sides[0].mean)
    assert mean["end"] == cents(company["mean"])
    assert p50["end"] == cents(company["p50"])
    assert p50["mean_moved"] == mean["end"] - mean["start"]


def test_each_case_is_told_as_what_it_is(found: Waterfall, first: ForecastResult) -> None:
    row = by_deal(found, first)
    for case, step in (("won", "won"), ("late", "won_outside"), ("lost", "lost"), ("gone", "data_revised")):
        assert row[case][step] == row[case]["change"] != 0
        assert (row[case][[other for other in DEAL_STEPS if other != step]] == 0).all()
    assert row["won"]["after"] == 50_000
    assert row["lost"]["after"] == row["gone"]["after"] == row["late"]["after"] == 0
    assert row["lost"]["change"] == -row["lost"]["before"] < 0
    assert row["dearer"]["amount_up"] > 0 == row["dearer"]["amount_down"]
    assert row["cheaper"]["amount_down"] < 0 == row["cheaper"]["amount_up"]
    assert row["pushed"]["pushed_out"] < 0 == row["pushed"]["aged"]
    assert row["staged"]["stage_moved"] != 0
    assert row["same"]["stage_moved"] == row["same"]["amount_up"] == row["same"]["pushed_out"] == 0
    assert row["same"]["aged"] != 0


def test_pushed_out_and_pulled_in_need_both_the_date_and_the_chance(
    sides: tuple[Snapshot, Snapshot], first: ForecastResult
) -> None:
    where = picked(first.panel)
    old = np.array([where["pushed"], where["pulled"], where["same"]])
    ids = sides[1].deals["index"]
    index = (old, ids[first.panel.deals.ids[old]].to_numpy())
    for sign, expected in ((-1.0, [[True, False, False], [False] * 3]), (1.0, [[False] * 3, [False, True, False]])):
        found = _shifted(*sides, index, np.full(3, sign))
        np.testing.assert_array_equal(found, expected)


def test_new_deals_are_created_and_late_ones_revised(found: Waterfall) -> None:
    rows = found.deals.set_index("opportunity_id")
    new, late = rows.loc["deal_new"], rows.loc["deal_late"]
    assert new["created"] == new["after"] > 0
    assert late["data_revised"] == late["after"] > 0


def test_the_steps_of_a_deal_add_up_to_its_change(found: Waterfall) -> None:
    np.testing.assert_allclose(found.deals[list(DEAL_STEPS)].sum(axis=1), found.deals["change"], atol=1e-6)
    np.testing.assert_allclose(found.deals["after"] - found.deals["before"], found.deals["change"])
    assert found.deals["change"].abs().is_monotonic_decreasing


def test_the_rest_is_what_the_runs_themselves_do_not_explain(
    found: Waterfall, sides: tuple[Snapshot, Snapshot]
) -> None:
    """Mean less booked, expected of open deals and new: told from the tables, not from the steps."""

    def unexplained(side: Snapshot) -> float:
        return side.mean - side.new - side.orders.sum() - side.deals["booked"].sum() - side.deals["expected"].sum()

    rest = float(amounts(found.steps, "mean")["rest"])
    assert rest == pytest.approx(unexplained(sides[1]) - unexplained(sides[0]), abs=0.1)
    assert abs(rest) < 0.1 * sides[0].mean


def test_bookings_of_the_past_that_changed_are_revisions(sides: tuple[Snapshot, Snapshot]) -> None:
    """A run as of the end of July knows July's orders: what changes in them is no new order."""
    earlier, later = sides
    july = replace(earlier, panel=replace(earlier.panel, as_of=np.datetime64("2026-07-30")))
    changed = replace(later, orders=later.orders + np.array([0.0, 700.0, 0.0]))
    before, after = (amounts(compare(july, side, 1).steps, "mean") for side in (later, changed))
    assert after["orders_booked"] - before["orders_booked"] == 700
    august = replace(earlier, panel=replace(earlier.panel, as_of=np.datetime64("2026-06-30")))
    known = replace(later, orders=later.orders + np.array([300.0, 0.0, 0.0]))
    steps = amounts(compare(august, known, 1).steps, "mean")
    assert steps["orders_booked"] == amounts(compare(august, later, 1).steps, "mean")["orders_booked"] + 300


def test_only_amounts_that_moved_count_as_moved(found: Waterfall, first: ForecastResult) -> None:
    moved = {first.panel.deals.ids[picked(first.panel)[case]] for case in ("dearer", "cheaper")}
    rows = found.deals.set_index("opportunity_id")
    assert set(rows.index[(rows["amount_up"] != 0) | (rows["amount_down"] != 0)]) == moved


def test_an_amount_that_becomes_known_is_a_change_of_amount() -> None:
    rows = pd.DataFrame({"chance_0": [0.2, 0.2], "chance_1": [0.2, 0.2]})
    rows = rows.assign(expected_0=[10.0, 10.0], expected_1=[30.0, 30.0])
    amount, rate = _amounts(rows, np.array([np.nan, np.nan]), np.array([140.0, np.nan]))
    np.testing.assert_allclose(amount, [[50, 150], [1, 1]])
    np.testing.assert_allclose(rate, [[1, 1], [50, 150]])


def test_three_factors_share_the_change_of_their_product() -> None:
    rng = np.random.default_rng(0)
    factors = [rng.uniform(0.1, 2, (50, 2)) for _ in range(3)]
    parts = _three(*factors)
    product = np.prod(factors, axis=0)
    np.testing.assert_allclose(sum(parts), product[:, 1] - product[:, 0])
    factors[1][:, 1] = factors[1][:, 0]
    np.testing.assert_array_equal(_three(*factors)[1], 0)


def test_what_did_not_change_moves_nothing(first: ForecastResult, second: ForecastResult) -> None:
    old, new = first.draws.closing, second.draws.closing
    assert old is not None
    assert new is not None
    open_ = np.flatnonzero(first.panel.deals.outcome == OPEN)
    index, months = (open_, open_), first.outcomes.months
    same = split((first.panel, old), (first.panel, old), index, months, 1)
    assert same is not None
    np.testing.assert_array_equal(same, np.zeros((2, len(open_))))
    learned = split((first.panel, old), (first.panel, new), index, months, 1)
    assert learned is not None
    np.testing.assert_array_equal(learned[0], 0)
    assert np.abs(learned[1]).max() > 0.01


def test_a_rep_whom_the_earlier_posterior_does_not_know_has_no_effect(first: ForecastResult) -> None:
    closing, labels = first.draws.closing, first.panel.reps.labels
    assert closing is not None
    open_ = np.flatnonzero(first.panel.deals.outcome == OPEN)
    known = replace(first.panel, reps=replace(first.panel.reps, labels=type(labels)(labels.ids[::-1], labels.names)))
    turned = replace(closing, win_rep=closing.win_rep[:, ::-1])
    back = split((known, turned), (first.panel, closing), (open_, open_), first.outcomes.months, 1)
    assert back is not None
    np.testing.assert_allclose(back[1], 0, atol=1e-12)
    other = np.array([f"other{i}" for i in range(len(labels))])
    strangers = replace(first.panel, reps=replace(first.panel.reps, labels=type(labels)(other, other)))
    moved = split((strangers, closing), (first.panel, closing), (open_, open_), first.outcomes.months, 1)
    plain = split(
        (first.panel, replace(closing, win_rep=0 * closing.win_rep)),
        (first.panel, closing),
        (open_, open_),
        first.outcomes.months,
        1,
    )
    assert moved is not None
    assert plain is not None
    np.testing.assert_allclose(moved[1], plain[1])


def test_other_stages_leave_the_posterior_without_a_word(first: ForecastResult) -> None:
    closing, stages = first.draws.closing, first.panel.stages
    assert closing is not None
    renamed = replace(first.panel, stages=type(stages)(np.char.add(stages.ids, "x"), stages.names))
    open_ = np.flatnonzero(first.panel.deals.outcome == OPEN)
    assert split((renamed, closing), (first.panel, closing), (open_, open_), first.outcomes.months, 1) is None


def test_runs_of_other_months_or_money_are_not_compared(sides: tuple[Snapshot, Snapshot]) -> None:
    earlier, later = sides
    with pytest.raises(NotComparableError, match="other months"):
        compare(replace(earlier, months=earlier.months + 3), later, 1)
    with pytest.raises(NotComparableError, match="USD"):
        compare(replace(earlier, currency="USD"), later, 1)
    with pytest.raises(NotComparableError, match="earlier day"):
        compare(later, earlier, 1)


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotComparableError, match=tmp_path.name):
        read_snapshot(tmp_path)


def test_the_file_balances_and_so_do_its_deals(
    second: ForecastResult, tables: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    write_folder(second, tables, resolved(second.config), tmp_path)
    with (tmp_path / "waterfall.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["measure"] == "mean"]
    steps = {row["step"]: Decimal(row["amount"]) for row in rows}
    end = steps.pop("end")
    assert sum(steps.values()) == end
    deals = pd.read_csv(tmp_path / "waterfall_deals.csv")
    for step in DEAL_STEPS:
        if step != "data_revised":  # orders of the past are in it too
            assert deals[step].sum() == pytest.approx(float(steps[step]), abs=0.01)
    assert {"rep", "rep_name", "account", "account_name", "step"} <= set(deals)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "What moved since the last run" in page
    assert "2026-06-30_0a1b2c3d" in page


def test_the_same_two_runs_write_the_same_bytes_wherever_they_lie(
    second: ForecastResult, folder: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere" / folder.name
    shutil.copytree(folder, elsewhere)
    for name, earlier in (("one", folder), ("two", elsewhere)):
        (tmp_path / name).mkdir()
        result = replace(second, earlier=earlier)
        write_folder(result, make_tables(result), resolved(result.config), tmp_path / name)
    for name in ("waterfall.csv", "waterfall_deals.csv", "deals.csv", "report.html"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_the_terminal_names_the_largest_steps(
    second: ForecastResult, tables: dict[str, pd.DataFrame], folder: Path
) -> None:
    text = summary_text(second, tables, Surroundings(folder, folder, ""))
    steps = amounts(tables["waterfall"], "mean")
    assert f"mean {steps['end'] - steps['start']:+,.0f}: " in text
    largest = max((step for step in STEPS), key=lambda step: abs(steps[step]))
    assert f"{STEPS[largest].split(':')[0]} {steps[largest]:+,.0f}" in text


def test_the_figure_is_one_that_plotly_knows_and_ends_at_the_end(found: Waterfall) -> None:
    mean = found.steps[found.steps["measure"] == "mean"].assign(amount=lambda frame: frame["amount"].astype(float))
    figure = waterfall(words_of("en"), mean.assign(label=mean["step"]), "EUR")
    go.Figure(figure)
    trace = figure["data"][0]
    relative = [x for x, kind in zip(trace["x"], trace["measure"], strict=True) if kind != "total"]
    assert sum(relative) == pytest.approx(trace["x"][-1], rel=1e-4)
    assert len(trace["x"]) < len(mean)


def test_reps_stay_off_a_page_without_names(second: ForecastResult, tmp_path: Path) -> None:
    config = second.config.model_copy(update={"report": second.config.report.model_copy(update={"names": "absent"})})
    hidden = replace(second, config=config)
    write_report(hidden, make_tables(hidden), tmp_path / "report.html")
    assert "rep00003" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_another_horizon_says_that_there_is_nothing_to_compare(
    second: ForecastResult, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "2026-05-31_00000000"
    other.mkdir()
    for name in ("config.yaml", "deals.csv"):
        (other / name).write_bytes((folder / name).read_bytes())
    text = (folder / "forecast.csv").read_text(encoding="utf-8").replace("2026-07,", "2026-04,")
    (other / "forecast.csv").write_text(text, encoding="utf-8")
    (other / "draws").symlink_to(folder / "draws")
    result = replace(second, earlier=other)
    tables = make_tables(result)
    assert "waterfall" not in tables
    write_report(result, tables, tmp_path / "report.html")
    assert "Nothing to compare" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_first_run_has_no_file_and_says_so(first: ForecastResult, folder: Path) -> None:
    assert "waterfall" not in make_tables(first)
    assert not (folder / "waterfall.csv").exists()
    assert "First run: there is none before it" in (folder / "report.html").read_text(encoding="utf-8")


def fake_run(output: Path, as_of: str, start: str, forecast: str) -> Path:
    """A folder with what names a run; its tables may hold anything."""
    path = output / "q" / f"{as_of}_0123abcd"
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(
        f"horizon: {{start: {start}, periods: 1, frequency: quarter}}\n", encoding="utf-8"
    )
    (path / "forecast.csv").write_text(forecast, encoding="utf-8")
    write_manifest(path, Manifest(f"q/{path.name}", None, "done", "", "", 1, {}))
    return path


def test_the_run_before_is_the_latest_of_the_same_months(tmp_path: Path) -> None:
    horizon = Horizon(start=date(2026, 7, 1))
    assert earlier_run(tmp_path, "q", date(2026, 7, 31), horizon) is None
    same = fake_run(tmp_path, "2026-06-30", "2026-07-01", "a")
    other = fake_run(tmp_path, "2026-07-15", "2026-10-01", "a")
    fake_run(tmp_path, "2026-07-31", "2026-07-01", "a")
    found = earlier_run(tmp_path, "q", date(2026, 7, 31), horizon)
    assert found is not None
    assert (found.folder, found.same_horizon) == (same, True)
    none = earlier_run(tmp_path, "q", date(2026, 7, 31), Horizon(start=date(2027, 1, 1)))
    assert none is not None
    assert (none.folder, none.same_horizon) == (other, False)


def test_the_hash_follows_the_contents_of_the_run_before_and_not_its_place(tmp_path: Path) -> None:
    horizon, day = Horizon(start=date(2026, 7, 1)), date(2026, 7, 31)
    for name, forecast in (("one", "a"), ("two", "a"), ("three", "b")):
        fake_run(tmp_path / name, "2026-06-30", "2026-07-01", forecast)
    one, two, three = (earlier_run(tmp_path / name, "q", day, horizon) for name in ("one", "two", "three"))
    assert one is not None
    assert two is not None
    assert three is not None
    assert one.digest == two.digest != three.digest


def test_the_run_before_is_part_of_what_names_a_run(tmp_path: Path) -> None:
    """Hence the same config, data and run before give the same folder, and another run before another one."""
    from engine.pipeline import read

    fake = fake_run(tmp_path, "2024-09-30", "2025-01-01", "a")
    fake.parent.rename(tmp_path / "smoke")
    alone = read(load_config(SMOKE, (), {"output": tmp_path / "nothing"}))
    after = read(load_config(SMOKE, (), {"output": tmp_path}))
    assert alone.earlier is None
    assert after.earlier is not None
    assert after.earlier.folder.parent == tmp_path / "smoke"
    assert alone.config_hash == after.config_hash
    assert alone.data_hash != after.data_hash
    assert alone.run_id != after.run_id == read(load_config(SMOKE, (), {"output": tmp_path})).run_id


def test_the_command_compares_a_run_with_the_one_before(
    second: ForecastResult,
    tables: dict[str, pd.DataFrame],
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, later = (tmp_path / "smoke" / name for name in (folder.name, "2026-07-31_0a1b2c3d"))
    shutil.copytree(folder, first)
    later.mkdir()
    write_folder(second, tables, resolved(second.config), later)
    for path in (first, later):
        write_manifest(path, Manifest(f"smoke/{path.name}", None, "done", "", "", 1, {}))
    assert main(["smoke", "--out", str(tmp_path), "--no-tracking"]) == 0
    printed = capsys.readouterr().out
    assert f"From {first.name} to {later.name}, EUR" in printed
    steps = amounts(tables["waterfall"], "mean")
    for step in ("start", "won", "lost", "end"):  # what the model learned depends on the seed of the shocks
        assert f"{abs(steps[step]):,.2f}" in printed
    assert main([str(later), str(first), "--out", str(tmp_path), "--no-tracking"]) == 0
    assert "earlier day" in capsys.readouterr().out
    assert main([str(first)]) == 2
    assert "no run before" in capsys.readouterr().err
