"""Two runs beside each other: in the terminal, as a page, and in MLflow."""

import json
from pathlib import Path

import pandas as pd
import pytest

from engine.allocate import main as allocate
from engine.finished import FinishedRun
from engine.runs import find_run
from engine.tracking import RunRecord, record
from engine.tracking_settings import TrackingSettings
from experiments.compare import main
from experiments.run_differences import differences
from tests.planned_run import finished_run

HARMFUL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[FinishedRun, Path]:
    """A run, and the same planned once more with a lock and another maximum of accounts."""
    output = tmp_path_factory.mktemp("runs")
    parent = finished_run(output)
    plan = pd.read_csv(parent.folder / "moves.csv", dtype=str)
    decisions = output / "d.csv"
    decisions.write_text(f"account,decision,note\n{plan['account'][0]},lock,{HARMFUL}\n", encoding="utf-8")
    asked = ["--decisions", str(decisions), "--set", "allocation.max_accounts=60", "--threads", "1"]
    assert allocate(["smoke", "--out", str(output), *asked, "--set", "tracking.enabled=false"]) == 0
    return parent, find_run("smoke", output)


def test_config_plan_and_accounts_that_differ_are_named(runs: tuple[FinishedRun, Path]) -> None:
    parent, child = runs
    found = differences(parent.folder, child)
    config = found.sections["Config"].set_index("key")
    assert list(config.loc["allocation.max_accounts", ["earlier", "later"]]) == ["null", "60"]
    plans = [pd.read_csv(folder / "allocation.csv", dtype=str) for folder in (parent.folder, child)]
    before, after = (frame.set_index("account")["new_rep"] for frame in plans)
    assert set(found.sections["Accounts"]["account"]) == set(before.index[before != after])
    assert not len(found.sections["Forecast"])
    certificates = [json.loads((folder / "certificate.json").read_text()) for folder in (parent.folder, child)]
    plan = found.sections["Plan"].set_index("key")
    assert plan.loc["p_attain_spread", "later"] == f"{certificates[1]['p_attain_spread']:.6g}"


def test_a_run_does_not_differ_from_itself(runs: tuple[FinishedRun, Path]) -> None:
    assert not any(len(frame) for frame in differences(runs[1], runs[1]).sections.values())


def test_the_page_names_what_differs_and_runs_nothing(
    runs: tuple[FinishedRun, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    parent, child = runs
    assert main([str(parent.folder), str(child), "--out", str(parent.config.output), "--no-tracking"]) == 0
    assert "allocation.max_accounts" in capsys.readouterr().out
    page = child.with_name(f"{child.name}.compare.html").read_text(encoding="utf-8")
    assert "allocation.max_accounts" in page
    assert HARMFUL not in page
    assert "http" not in page


@pytest.mark.slow
def test_the_page_is_attached_to_the_run_in_mlflow(
    runs: tuple[FinishedRun, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    from mlflow import MlflowClient

    (parent, child), settings = runs, TrackingSettings(experiment="t")
    output, tags = parent.config.output, {"run_id": f"smoke/{runs[1].name}"}
    told = RunRecord(name="smoke", folder=child, started=0.0, seconds=1.0, params={}, metrics={}, tags=tags, stages=())
    assert record(told, settings, output).problem is None
    assert main([str(parent.folder), str(child), "--out", str(output)]) == 0
    assert "an artifact of the last run" in capsys.readouterr().out
    client = MlflowClient(tracking_uri=f"sqlite:///{output / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("t")
    (run,) = client.search_runs([experiment.experiment_id], f"tags.run_id = 'smoke/{child.name}'")
    (artifact,) = client.list_artifacts(run.info.run_id, "comparisons")
    assert artifact.path.endswith(".compare.html")
