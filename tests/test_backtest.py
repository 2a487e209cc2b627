"""Rolling origins: which dates, what they may know, the table, and what a kill leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine.config import RunConfig, load_config
from engine.data import load_tables
from engine.data.tables import Tables
from engine.methods.protocol import Forecast, Method, Question, booked_by_place, find_places
from engine.methods.registry import CALL, LEGS, rivals
from engine.scoring import PROBABILITIES
from engine.simulation.cells import booked_revenue
from engine.simulation.outcomes import Cells
from engine.track_record import COLUMNS, FOLDER, TABLE, WEIGHTS
from experiments import backtest, replay
from experiments.backtest_table import ALL, backtest_table, readable
from experiments.folds import Fold, lay_out, run_fold
from experiments.later_owners import booked_by_cell, later_shares, under_owners
from experiments.truth import QUANTILE_COLUMNS, actuals
from models.panel import NONE, Panel
from tests.conftest import ROOT
from tests.finished import SMOKE
from tests.order_panels import FIRST_MONTH, with_orders

QUARTERS = ("as_of=2025-12-31", "horizon.start=2026-01-01", "backtest.origins=3", "backtest.paths=200")


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return load_config(SMOKE, QUARTERS)


@pytest.fixture(scope="module")
def tables(config: RunConfig) -> Tables:
    return load_tables(config)


def test_every_horizon_ended_by_the_date_of_the_run(config: RunConfig, tables: Tables) -> None:
    folds = lay_out(config, tables, np.datetime64("2025-11-30"))
    assert [str(fold.as_of) for fold in folds] == ["2024-12-31", "2025-03-31", "2025-06-30"]
    assert max(str(fold.end) for fold in folds) == "2025-09-30"
    assert [str(fold.as_of) for fold in lay_out(config, tables, np.datetime64("2025-12-31"))][-1] == "2025-09-30"


def test_weeks_within_quarters_and_other_steps(tables: Tables) -> None:
    config = load_config(SMOKE, (*QUARTERS, "backtest.weeks_in=[1,4,12]", "backtest.step=month"))
    folds = lay_out(config, tables, np.datetime64("2025-12-31"))
    assert len(folds) == 9
    assert str(folds[-1].as_of) == "2025-12-23"
    assert {fold.first_month for fold in folds} == {667, 668, 669}


def test_dates_without_history_are_left_out(tables: Tables) -> None:
    config = load_config(SMOKE, (*QUARTERS, "backtest.origins=40"))
    folds = lay_out(config, tables, np.datetime64("2025-12-31"))
    assert str(folds[0].as_of) == "2023-12-31"


def with_the_future(_: Panel, __: Question) -> Forecast:
    raise AssertionError("not asked")


def last_quarter(panel: Panel, question: Question) -> Forecast:
    """What the quarter before brought, with noise."""
    places = find_places(panel)
    before = booked_by_place(panel, places, question.months - 3)
    noise = np.random.default_rng(question.seed).lognormal(0, 0.5, (question.paths, len(places), 1))
    return Forecast(places, (before * noise).astype(np.float32))


def test_actuals_are_what_was_booked(config: RunConfig, tables: Tables) -> None:
    fold = Fold(pd.Timestamp("2025-09-30").date(), 669, 3, 0)
    result = run_fold(config, tables, fold, {"last_quarter": last_quarter})
    bookings = tables.frames["bookings"]
    inside = bookings[(bookings["date"] >= "2025-10-01") & (bookings["date"] <= "2025-12-31")]
    company = result.targets[result.targets["level"] == "company"]
    reps = result.targets[result.targets["level"] == "rep"].set_index("key")["actual"]
    assert company["actual"].tolist() == pytest.approx([inside["amount"].sum()], rel=1e-5)
    truth = inside.groupby("rep")["amount"].sum()
    assert set(truth.index) <= set(reps.index) | set(result.new_members)
    common = truth.index.intersection(reps.index)
    assert np.allclose(reps[common], truth[common], rtol=1e-5)


def test_months_can_be_the_targets(tables: Tables) -> None:
    config = load_config(SMOKE, (*QUARTERS, "backtest.target=month"))
    fold = Fold(pd.Timestamp("2025-09-30").date(), 669, 3, 0)
    targets = run_fold(config, tables, fold, {"last_quarter": last_quarter}).targets
    assert targets[targets["level"] == "company"]["period"].tolist() == ["2025-10", "2025-11", "2025-12"]


def test_a_rival_that_breaks_down_is_told_of(config: RunConfig, tables: Tables) -> None:
    fold = Fold(pd.Timestamp("2025-09-30").date(), 669, 3, 0)
    result = run_fold(config, tables, fold, {"last_quarter": last_quarter, "broken": with_the_future})
    assert result.answers.unavailable == {"broken": "failed: AssertionError: not asked"}
    with pytest.raises(AssertionError):
        run_fold(config, tables, fold, {LEGS: with_the_future})


def frame(method: str, level: str, as_of: str, actual: list[float], quantile: list[float]) -> pd.DataFrame:
    """Targets whose quantiles are all the same number."""
    values = dict.fromkeys(QUANTILE_COLUMNS, quantile)
    base = {"company": "c", "method": method, "level": level, "as_of": as_of, "weeks_in": 0, "actual": actual}
    return pd.DataFrame(base | values)


def test_the_table_by_hand() -> None:
    parts = [
        frame("engine", "rep", "2025-03-31", [100.0, 100.0], [110.0, 90.0]),
        frame("engine", "rep", "2025-06-30", [100.0], [100.0]),
        frame(CALL, "rep", "2025-03-31", [100.0, 100.0], [150.0, 100.0]),
        frame(CALL, "rep", "2025-06-30", [100.0], [120.0]),
    ]
    table = backtest_table(pd.concat(parts, ignore_index=True))
    assert list(table.columns) == COLUMNS
    pooled = table[table["as_of"] == ALL].set_index("method")
    assert pooled.loc["engine", "scrps"] == pytest.approx((0.1 + 0.0) / 2)  # a point's CRPS is its absolute error
    assert pooled.loc[CALL, "scrps"] == pytest.approx((0.25 + 0.2) / 2)
    assert pooled.loc[CALL, "difference_to_engine"] == pytest.approx((0.15 + 0.2) / 2)
    assert pooled.loc["engine", "value_added_over_call"] == pytest.approx((0.15 + 0.2) / 2)
    assert pooled.loc["engine", "difference_to_engine"] == 0
    assert pooled.loc[CALL, "standard_error"] == pytest.approx(0.025 / np.sqrt(2), rel=0.1)
    assert "engine" in readable(table)


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two cheap methods, and the dates they were asked for."""
    asked: list[str] = []

    def counted(panel: Panel, question: Question) -> Forecast:
        asked.append(str(panel.as_of))
        return last_quarter(panel, question)

    def cheap_methods(_: RunConfig) -> dict[str, Method]:
        return {LEGS: counted, CALL: rivals()[CALL]}

    monkeypatch.setattr(replay, "methods", cheap_methods)
    return asked


def test_a_second_run_computes_only_what_is_missing(cheap: list[str], tmp_path: Path) -> None:
    command = [str(SMOKE), "--out", str(tmp_path), "--processes", "1"]
    for setting in (*QUARTERS, "tracking.enabled=true"):
        command += ["--set", setting]
    assert backtest.main(command) == 0
    (table,) = (tmp_path / FOLDER).rglob(TABLE)
    first = table.read_bytes()
    assert cheap == ["2025-03-31", "2025-06-30", "2025-09-30"]
    (table.parent / "targets_2025-06-30.parquet").unlink()
    assert backtest.main(command) == 0
    assert cheap[3:] == ["2025-06-30"]
    assert table.read_bytes() == first
    weights = json.loads((table.parent / WEIGHTS).read_text(encoding="utf-8"))
    assert set(weights) == {"2025-03-31", "2025-06-30", "2025-09-30", "next, weeks in 0"}
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([item.experiment_id for item in client.search_experiments()])
    assert {"2025-03-31", "2025-06-30", "2025-09-30"} <= {run.info.run_name for run in runs}
    assert any("company_scrps" in run.data.metrics for run in runs)


def test_bad_settings_are_all_told(capsys: pytest.CaptureFixture[str]) -> None:
    bad = ["--set", "backtest.origins=0", "--set", "backtest.tier=magic", "--set", "backtest.methods=[tarot]"]
    assert backtest.main([str(SMOKE), *bad]) == 2
    said = capsys.readouterr().err
    assert "origins" in said
    assert "tier" in said
    assert "tarot" in said


@pytest.mark.slow
def test_a_killed_backtest_resumes_and_ends_with_the_same_table(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "experiments.backtest", str(SMOKE), "--processes", "1"]
    for setting in (*QUARTERS, "backtest.methods=[reps_call,conversion]"):
        command += ["--set", setting]
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    process = subprocess.Popen([*command, "--out", str(broken)], cwd=ROOT, env=environment)
    while not list(broken.rglob("targets_*.parquet")):
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in broken.rglob("targets_*.parquet")}
    assert 1 <= len(kept) < 3
    for out in (broken, whole):
        subprocess.run([*command, "--out", str(out)], cwd=ROOT, env=environment, check=True)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in kept.items())
    (first,), (second,) = (broken / FOLDER).rglob(TABLE), (whole / FOLDER).rglob(TABLE)
    assert first.read_bytes() == second.read_bytes()
    assert len(PROBABILITIES) == len(QUANTILE_COLUMNS)


def test_actuals_of_a_level_sum_to_the_company(config: RunConfig, tables: Tables) -> None:
    from engine.data import build_panel, cut

    panel = build_panel(cut(tables, np.datetime64("2025-12-31")), config)
    months = np.arange(669, 672)
    sums = {level: actuals(panel, level, months)[1].sum() for level in ("company", "territory", "rep")}
    assert sums["company"] > 0
    assert sums["rep"] == pytest.approx(sums["company"], rel=1e-6)
    assert 0.9 * sums["company"] < sums["territory"] <= sums["company"]  # deals without an account have no territory


def test_later_owners_take_what_was_yet_to_come() -> None:
    months = np.array([FIRST_MONTH + 1, FIRST_MONTH + 2])
    panel = with_orders(np.array([0, 1, 2]), months[[0, 0, 0]], np.array([10.0, 20.0, 30.0]), 4, "2023-02-28")
    # Account 0 stays with rep 0, account 1 goes to reps 3 and 4 as 3 to 1, account 2 orders no more, 3 is new.
    account, when = np.array([0, 1, 2, 0, 1, 1, 3]), months[[0, 0, 0, 1, 1, 1, 1]]
    amount = np.array([10.0, 20.0, 30.0, 11.0, 60.0, 20.0, 5.0])
    later = with_orders(account, when, amount, 4, "2023-03-31")
    later = replace(later, orders=replace(later.orders, rep=np.array([0, 1, 2, 0, 3, 4, 3])))
    shares = later_shares(panel, later, months)
    assert shares.to_numpy().tolist() == [[0, 0, 1.0], [1, 3, 0.75], [1, 4, 0.25], [3, 3, 1.0]]
    cells = Cells(
        account=np.array([NONE, 0, 1, 2]),
        rep=np.array([5, 0, 1, 2]),
        product=np.zeros(4, dtype=np.int64),
        territory=np.array([NONE, 0, 1, 2]),
    )
    booked = booked_by_cell(booked_revenue(panel), cells, months)
    assert booked.tolist() == [[0, 0], [10, 0], [20, 0], [30, 0]]
    to_come = np.random.default_rng(1).gamma(2.0, 10.0, (7, 4, 2)) * np.array([0.0, 1.0])
    moved = under_owners(cells, (booked + to_come).astype(np.float32), booked, shares)
    reps = {rep: moved.total[:, moved.places.rep == rep].sum(axis=1) for rep in range(6)}
    expected = booked + to_come
    for rep, cell in ((0, 1), (2, 3), (5, 0)):
        assert np.allclose(reps[rep], expected[:, cell])
    assert np.allclose(reps[1], booked[2])  # what was booked under the old rep stays the old rep's
    assert np.allclose(reps[3], 0.75 * to_come[:, 2])
    assert np.allclose(reps[4], 0.25 * to_come[:, 2])
    assert np.allclose(moved.total.sum(axis=1), expected.sum(axis=1), rtol=1e-5)
    for territory in range(3):
        assert np.allclose(
            moved.total[:, moved.places.territory == territory].sum(axis=1), expected[:, territory + 1], rtol=1e-5
        )


def test_a_rep_whom_nobody_knew_takes_revenue_away() -> None:
    months = np.array([FIRST_MONTH + 2])
    panel = with_orders(np.array([0]), months - 1, np.array([10.0]), 1, "2023-02-28")
    later = with_orders(np.array([0, 0]), np.array([months[0] - 1, months[0]]), np.array([10.0, 40.0]), 1, "2023-03-31")
    known = replace(later.reps.labels, ids=np.append(later.reps.labels.ids[:-1], "newcomer"))
    later = replace(
        later, reps=replace(later.reps, labels=known), orders=replace(later.orders, rep=np.array([0, len(known) - 1]))
    )
    shares = later_shares(panel, later, months)
    assert shares.to_numpy().tolist() == [[0, NONE, 1.0]]
    zero = np.zeros(1, dtype=np.int64)
    moved = under_owners(Cells(zero, zero, zero, zero), np.full((2, 1, 1), 7.0, np.float32), np.zeros((1, 1)), shares)
    assert moved.total[:, moved.places.rep == NONE].sum() == 14.0
    assert not moved.total[:, moved.places.rep == 0].any()


@pytest.mark.slow
def test_both_rows_of_later_owners_are_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from experiments import later_owners

    command = [str(SMOKE)]
    for setting in (*QUARTERS, "backtest.origins=1", f"output={tmp_path}"):
        command += ["--set", setting]
    assert later_owners.main(command) == 0
    said = capsys.readouterr().out
    assert said.count(LEGS) == 4
    assert said.count(later_owners.TRUE_OWNERS) == 2
