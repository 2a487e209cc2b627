"""The main job as a user runs it: one command, a complete folder, the same bytes again, found in MLflow."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine.config import RunOptions, load_config, resolved
from engine.pipeline import metrics_of, model_settings, status_of
from engine.posterior_files import load_draws, resume_or_fit
from engine.report.folder import make_tables, write_folder
from engine.report.terminal import Surroundings, summary_text
from engine.runs import read_manifest
from models.draws import Draws
from tests.finished import GOOD, SMOKE, finished_result
from tests.simulation_inputs import make_draws, make_panel

ROOT = Path(__file__).parents[1]
TABLES = {"backtest.csv", "forecast.csv", "deals.csv", "allocation.csv", "moves.csv", "books.csv", "data_issues.csv"}
DECIDED = {"decisions.csv", "decision_log.csv"}
TRADE = {"kpis.csv", "kpis_not_available.csv", "data_quality.csv", "suspects.csv", "suspect_effect.csv"}
FOR_PEOPLE = {"report.html", "cards", "plan.xlsx", "crm"}
PROMISED = TABLES | DECIDED | TRADE | FOR_PEOPLE | {"config.yaml", "certificate.json", "manifest.json", "draws"}


def forecast(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the main job on configs/smoke.yaml."""
    command = [sys.executable, "-m", "engine.forecast", str(SMOKE), "--out", str(out), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output folder of one finished run that was recorded in MLflow."""
    out = tmp_path_factory.mktemp("output")
    done = forecast(out, "--set", "tracking.enabled=true", "--threads", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    (out / "printed.txt").write_text(done.stdout, encoding="utf-8")
    return out


@pytest.fixture(scope="session")
def folder(output: Path) -> Path:
    """Its run folder."""
    (found,) = (output / "smoke").glob("2024-12-31_*")
    return found


def test_the_main_job_leaves_a_complete_folder(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == PROMISED
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.status == "done"
    assert set(manifest.seconds) == {"data", "models", "simulation", "assignment", "report"}


def test_the_terminal_shows_what_the_analyst_needs(output: Path) -> None:
    printed = (output / "printed.txt").read_text(encoding="utf-8")
    for words in ("P10", "P50", "P90", "goal", "Quota chance", "Certificate", "Data issues", "mlflow ui", "Folder"):
        assert words in printed


def test_the_plan_is_certified_and_keeps_locked_accounts(folder: Path) -> None:
    certificate = json.loads((folder / "certificate.json").read_text(encoding="utf-8"))
    assert certificate["feasible"]
    assert certificate["repeatable"]
    assert certificate["bound"] <= certificate["objective"] + 1e-9
    allocation = pd.read_csv(folder / "allocation.csv", dtype={"account": str})
    locked = allocation[allocation["locked"]]
    assert len(locked) > 0
    assert (locked["old_rep"] == locked["new_rep"]).all()
    assert allocation["account"].is_unique


def test_forecast_levels_add_up_in_the_file(folder: Path) -> None:
    forecast_rows = pd.read_csv(folder / "forecast.csv", keep_default_na=False, na_values=[""])
    sums = forecast_rows[forecast_rows["period"] == "2025-Q1"].groupby("level")["mean"].sum()
    np.testing.assert_allclose(sums, sums["company"], rtol=1e-5)


def test_the_same_command_says_unchanged(output: Path, folder: Path) -> None:
    before = read_manifest(folder)
    again = forecast(output, "--set", "tracking.enabled=true")
    assert again.returncode == 0
    assert again.stdout.startswith("unchanged")
    assert str(folder) in again.stdout
    assert read_manifest(folder) == before


def test_another_folder_and_another_number_of_threads_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    done = forecast(tmp_path, "--threads", "1")
    assert done.returncode == 0, done.stderr
    (second,) = (tmp_path / "smoke").glob("2024-12-31_*")
    first_files, second_files = ({p.relative_to(f) for p in f.rglob("*") if p.is_file()} for f in (folder, second))
    assert first_files == second_files
    differing = [
        str(n)
        for n in sorted(first_files)
        if n.name != "manifest.json" and (folder / n).read_bytes() != (second / n).read_bytes()
    ]
    assert differing == []


def test_mlflow_finds_the_run(output: Path, folder: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{output / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("forecast")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    company = pd.read_csv(folder / "forecast.csv").query("level == 'company'").iloc[-1]
    assert parent.info.run_name == "smoke"
    assert parent.info.status == "FINISHED"
    assert parent.data.params["simulation.paths"] == "1000"
    assert parent.data.metrics["p50"] == pytest.approx(company["p50"], rel=1e-6)
    assert parent.data.metrics["p_goal"] == pytest.approx(company["p_attain"])
    assert parent.data.tags["run_id"] == f"smoke/{folder.name}"
    assert {child.info.run_name for child in children} == {"data", "models", "simulation", "assignment", "report"}
    assert {"forecast.csv", "report.html", "certificate.json"} <= {
        item.path for item in client.list_artifacts(parent.info.run_id)
    }


def test_metrics_say_nothing_about_a_single_rep() -> None:
    result = finished_result()
    metrics = metrics_of(result, make_tables(result))
    assert not [name for name in metrics if any(rep in name for rep in result.panel.reps.labels.ids)]
    assert metrics["moves"] > 0


def test_a_problem_without_a_plan_is_explained_and_ends_with_4(tmp_path: Path) -> None:
    result = finished_result(("allocation.max_accounts=2",))  # 80 accounts do not fit 12 reps with two each
    tables = make_tables(result)
    write_folder(result, tables, resolved(result.config), tmp_path)
    assert status_of(result) == "infeasible"
    answer = json.loads((tmp_path / "infeasible.json").read_text(encoding="utf-8"))
    assert answer["conflicts"]
    assert answer["repairs"]
    assert not (tmp_path / "allocation.csv").exists()
    assert "INFEASIBLE" in summary_text(result, tables, Surroundings(tmp_path, None, ""))


def test_chains_that_missed_the_gate_end_with_3() -> None:
    assert status_of(finished_result(diagnostics=replace(GOOD, divergences=1))) == "not_converged"


def test_an_interrupted_run_resumes_from_its_posterior(tmp_path: Path) -> None:
    draws = replace(make_draws(make_panel()), diagnostics=(GOOD,))
    asked = []

    def fit() -> Draws:
        asked.append(1)
        return draws

    first, second = (resume_or_fit(tmp_path / "kept", fit) for _ in range(2))
    assert len(asked) == 1
    assert first.closing is not None
    assert second.closing is not None
    np.testing.assert_array_equal(second.closing.win_rep, first.closing.win_rep)
    assert second.diagnostics == first.diagnostics
    (tmp_path / "kept" / "diagnostics.json").unlink()
    assert load_draws(tmp_path / "kept") is None


def test_threads_change_the_processes_and_nothing_else() -> None:
    config = load_config(SMOKE)
    changed = model_settings(config, RunOptions(threads=1))
    assert changed.sampler.cores == 1
    assert changed.model_copy(update={"sampler": config.models.sampler}) == config.models
    assert model_settings(config, RunOptions()) == config.models


def test_a_damaged_posterior_is_fitted_anew(tmp_path: Path) -> None:
    draws = replace(make_draws(make_panel()), diagnostics=(GOOD,))
    resume_or_fit(tmp_path / "kept", lambda: draws)
    (tmp_path / "kept" / "closing.nc").write_bytes(b"cut off")
    assert load_draws(tmp_path / "kept") is None
