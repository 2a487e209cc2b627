"""Runs in real MLflow stores: a SQLite database, a server on loopback, and servers that are not there."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.server.constants import (
    ARTIFACT_ROOT_ENV_VAR,
    ARTIFACTS_DESTINATION_ENV_VAR,
    BACKEND_STORE_URI_ENV_VAR,
    SERVE_ARTIFACTS_ENV_VAR,
)
from pydantic import ValidationError
from werkzeug.serving import make_server

from engine import tracking
from engine.tracking import flatten, open_command, record
from engine.tracking_outbox import QUEUE, Outbox, RunRecord, StageRecord
from engine.tracking_settings import TrackingSettings
from tests.conftest import ROOT

LOCAL = TrackingSettings(experiment="q3")

FIRST_RUN = """
import sys
from pathlib import Path
from engine.tracking import RunRecord, TrackingSettings, record
output = Path(sys.argv[1])
run = RunRecord("q3", output / "gone", 1.0, 2.0, {"name": "q3"}, {}, {})
print(record(run, TrackingSettings(experiment="old"), output).mlflow_run_id)
"""


def finished_run(output: Path, name: str = "q3", started: float = 1_782_900_000.25) -> RunRecord:
    folder = output / name / "2026-06-30_0a1b2c3d"
    (folder / "draws").mkdir(parents=True, exist_ok=True)
    (folder / "forecast.csv").write_text("level,key,p50\nrep,r1,120000\n")
    (folder / "draws" / "panel.nc").write_bytes(b"draws")
    stages = (StageRecord("models", 20.0, {"r_hat": 1.004}), StageRecord("simulation", 5.0, {}))
    params = flatten({"name": name, "horizon": {"periods": 1}})
    metrics = {"p_goal": 0.61, "gap": float("nan")}
    return RunRecord(name, folder, started, 25.5, params, metrics, {"as_of": "2026-06-30"}, stages)


def runs_of(uri: str, experiment: str = "q3") -> list[Run]:
    """Active runs, parents before children, in order of begin."""
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    runs = client.search_runs([found.experiment_id])
    return sorted(runs, key=lambda run: ("mlflow.parentRunId" in run.data.tags, run.info.start_time))


def files_of(uri: str, run: Run) -> set[str]:
    return {item.path for item in MlflowClient(tracking_uri=uri).list_artifacts(run.info.run_id)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A first run in a process of its own; ``args[-1]`` is its output folder. Its database costs seconds: made once."""
    output = tmp_path_factory.mktemp("my runs")
    command = [sys.executable, "-c", FIRST_RUN, str(output)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def output(first_run: subprocess.CompletedProcess[str], tmp_path: Path) -> Path:
    """An output folder with a database that is ready and holds one run of the experiment ``old``."""
    folder = tmp_path / "my runs"
    folder.mkdir()
    shutil.copy(Path(first_run.args[-1]) / "mlflow.db", folder)
    return folder


def store(output: Path) -> str:
    return f"sqlite:///{output / 'mlflow.db'}"


@pytest.fixture(autouse=True)
def loopback_without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_a_new_store_is_made_in_silence(first_run: subprocess.CompletedProcess[str]) -> None:
    run_id = first_run.stdout.strip()
    assert (first_run.returncode, first_run.stderr, len(run_id)) == (0, "", 32)
    (run,) = runs_of(store(Path(first_run.args[-1])), "old")
    assert run.info.run_id == run_id


def test_a_run_is_found_again_with_all_that_was_said_about_it(output: Path) -> None:
    receipt = record(finished_run(output), LOCAL, output)
    parent, *children = runs_of(store(output))
    assert (receipt.mlflow_run_id, receipt.sent, receipt.waiting, receipt.problem) == (parent.info.run_id, 1, 0, None)
    assert (parent.info.run_name, parent.info.status) == ("q3", "FINISHED")
    assert (parent.info.start_time, parent.info.end_time) == (1_782_900_000_250, 1_782_900_025_750)
    assert parent.data.params == {"name": "q3", "horizon.periods": "1"}
    assert parent.data.metrics == {"p_goal": 0.61, "seconds": 25.5}
    assert parent.data.tags["as_of"] == "2026-06-30"
    assert files_of(store(output), parent) == {"forecast.csv", "draws"}
    assert list((output / "mlartifacts").glob("*/artifacts/draws/panel.nc"))
    assert [child.info.run_name for child in children] == ["models", "simulation"]
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent.info.run_id}
    assert children[0].data.metrics == {"r_hat": 1.004, "seconds": 20.0}
    assert not list((output / QUEUE).iterdir())


def test_tracking_switched_off_leaves_no_trace(tmp_path: Path) -> None:
    settings = TrackingSettings(enabled=False)
    run = finished_run(tmp_path / "elsewhere")
    assert record(run, settings, tmp_path / "runs").mlflow_run_id is None
    assert not (tmp_path / "runs").exists()


def test_a_sending_that_broke_off_leaves_one_run_in_the_end(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(*_: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "log_artifacts", disk_full)
        receipt = record(finished_run(output), LOCAL, output)
    assert (receipt.mlflow_run_id, receipt.waiting) == (None, 1)
    assert "No space left" in str(receipt.problem)

    receipt = record(finished_run(output, "later", started=1_782_990_000.0), LOCAL, output)
    assert (receipt.sent, receipt.waiting, receipt.problem) == (2, 0, None)
    names = [run.info.run_name for run in runs_of(store(output))]
    assert names == ["q3", "later", "models", "simulation", "models", "simulation"]


def test_a_run_that_arrived_is_not_sent_twice(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(Outbox, "remove", lambda *_: None)  # as if killed between sending and noting it
        first = record(finished_run(output), LOCAL, output)
    later = record(finished_run(output, "later", started=1_782_990_000.0), LOCAL, output)
    assert (first.sent, first.waiting, later.sent, later.waiting) == (1, 1, 2, 0)
    assert sum(run.info.run_name == "q3" for run in runs_of(store(output))) == 1


def test_one_refused_record_does_not_hold_up_the_others(output: Path) -> None:
    refused = replace(finished_run(output, "refused"), metrics={"p(goal)?": 0.5})
    assert record(refused, LOCAL, output).waiting == 1
    receipt = record(finished_run(output, started=1_782_990_000.0), LOCAL, output)
    assert receipt.mlflow_run_id
    assert (receipt.sent, receipt.waiting) == (1, 1)
    assert str(receipt.problem).startswith("MLflow refused refused: ")


def test_only_one_process_sends_at_a_time(output: Path) -> None:
    with Outbox(output).only_sender() as alone:
        assert alone
        receipt = record(finished_run(output), LOCAL, output)
    assert (receipt.sent, receipt.waiting) == (0, 1)
    assert record(finished_run(output, started=1_782_990_000.0), LOCAL, output).sent == 2


def test_an_experiment_in_the_bin_comes_back(output: Path) -> None:
    record(finished_run(output), LOCAL, output)
    client = MlflowClient(tracking_uri=store(output))
    experiment = client.get_experiment_by_name("q3")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    assert record(finished_run(output, started=1_782_990_000.0), LOCAL, output).sent == 1


type Server = Callable[[int, Path], AbstractContextManager[None]]


@contextmanager
def mlflow_app(port: int, folder: Path) -> Iterator[None]:
    """MLflow's own web application in a thread: quick, since mlflow is imported already."""
    os.environ[BACKEND_STORE_URI_ENV_VAR] = store(folder)
    os.environ[ARTIFACTS_DESTINATION_ENV_VAR] = str(folder)
    os.environ[ARTIFACT_ROOT_ENV_VAR] = "mlflow-artifacts:/"
    os.environ[SERVE_ARTIFACTS_ENV_VAR] = "true"
    from mlflow.server import app

    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def mlflow_process(port: int, folder: Path) -> Iterator[None]:
    """``mlflow server`` as people start it: takes 20 to 45 seconds on two cores."""
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store(folder), "--artifacts-destination", str(folder)]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True) as server,
    ):
        try:
            wait_for(f"http://127.0.0.1:{port}/health")
            yield
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def wait_for(address: str) -> None:
    for _ in range(900):
        try:
            urlopen(address, timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(address)


@pytest.mark.parametrize("server", [mlflow_app, pytest.param(mlflow_process, marks=pytest.mark.slow)])
def test_a_dead_server_delays_nothing_and_loses_nothing(output: Path, tmp_path: Path, server: Server) -> None:
    far = tmp_path / "far away"
    shutil.copytree(output, far)
    port = free_port()
    settings = TrackingSettings(experiment="q3", uri=f"http://127.0.0.1:{port}")
    begin = time.perf_counter()
    receipt = record(finished_run(output, "unsent"), settings, output)
    assert time.perf_counter() - begin < 2
    assert (receipt.sent, receipt.waiting) == (0, 1)
    assert "does not answer" in str(receipt.problem)
    assert record(finished_run(output, "at home"), LOCAL, output).sent == 1, "goes to its own store only"

    with server(port, far):
        later = record(finished_run(output, "next", started=1_782_990_000.0), settings, output)
        shared = settings.model_copy(update={"share_rep_data": True})
        record(finished_run(output, "shared", started=1_782_990_100.0), shared, output)
        parents = [run for run in runs_of(str(settings.uri)) if "p_goal" in run.data.metrics]
        files = {run.info.run_name: files_of(str(settings.uri), run) for run in parents}
    assert (later.sent, later.waiting, later.problem) == (2, 0, None)
    assert files == {"unsent": set(), "next": set(), "shared": {"forecast.csv", "draws"}}
    assert [run.info.run_name for run in runs_of(store(output))] == ["at home", "models", "simulation"]


def test_a_server_that_never_answers_is_given_up(output: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = LOCAL.model_copy(update={"uri": f"http://127.0.0.1:{silent.getsockname()[1]}"})
        begin = time.perf_counter()
        receipt = record(finished_run(output), settings, output)
    assert time.perf_counter() - begin < tracking.PROBE_SECONDS + 1
    assert receipt.waiting == 1


def test_the_command_opens_the_store(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(output.parent)
    command = open_command(LOCAL, Path("my runs"))
    assert command == f"{sys.executable} -m mlflow ui --backend-store-uri 'sqlite:///my runs/mlflow.db'"
    remote = TrackingSettings(uri="https://mlflow.example.org")
    assert open_command(remote, output) == f"{sys.executable} -m webbrowser https://mlflow.example.org"


def test_keys_that_are_data_stay_in_one_parameter() -> None:
    config = {"data": {"replace": {"product": {"GTXPro": "GTX Pro"}, "rep": {"Zoë (NL)": "Zoe"}}}, "goal": None}
    assert flatten(config) == {
        "data.replace.product.GTXPro": "GTX Pro",
        "data.replace.rep": '{"Zoë (NL)": "Zoe"}',
        "goal": "null",
    }


@pytest.mark.parametrize(
    "uri", ["databricks", "file:///tmp/mlruns", "http://", "https://ann:secret@mlflow.example.org"]
)
def test_a_store_that_cannot_work_is_refused_with_the_config(uri: str) -> None:
    with pytest.raises(ValidationError, match="uri"):
        TrackingSettings(uri=uri)
