"""Runs in MLflow: the only home of mlflow, which is imported late because that takes seconds.

A run is first written to the outbox beside the runs, then sent. Whatever goes wrong on the way is said in the receipt,
never raised: a forecast is finished before it is tracked. The outbox is the retry, so a request is tried once.
"""

import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import urlopen

from engine.tracking_outbox import LOCAL_STORE, Outbox, Parcel, RunRecord, StageRecord
from engine.tracking_settings import TrackingSettings

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEY_TAG = "outbox_key"
"""Tag of everything that was made of one record: what finds the pieces of a sending that broke off."""

PROBE_SECONDS = 2
"""How long a server may take to say that it is there."""

_BATCH = 100
"""Most parameters, metrics or tags that MLflow takes at once."""

_MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Quiet, quick to give up, and calls nobody but its store; what the environment sets already stays."""


@dataclass(frozen=True)
class TrackingReceipt:
    """What became of a record.

    Attributes
    ----------
    mlflow_run_id : of this record; None while it waits, or when tracking is off
    sent : number of records that arrived now, earlier ones included
    waiting : number of records for this store that are still in the outbox
    problem : why some wait, one line; None when none does
    """

    mlflow_run_id: str | None
    sent: int
    waiting: int
    problem: str | None


def record(run: RunRecord, settings: TrackingSettings, output: Path) -> TrackingReceipt:
    """Keep a finished run in the outbox under ``output``, then send all that waits there for the same store.

    Raises
    ------
    OSError
        When the outbox cannot be written.
    """
    if not settings.enabled:
        return TrackingReceipt(None, 0, 0, None)
    outbox = Outbox(output)
    parcel = outbox.put(settings.uri or LOCAL_STORE, settings.experiment, run)
    sent, problem = _flush(outbox, settings)
    return TrackingReceipt(sent.get(parcel.key), len(sent), len(outbox.waiting(parcel.store)), problem)


def flush(settings: TrackingSettings, output: Path) -> TrackingReceipt:
    """Send what earlier runs left in the outbox for this store; mlflow is not even imported when nothing waits."""
    outbox, store = Outbox(output), settings.uri or LOCAL_STORE
    if not settings.enabled or not outbox.waiting(store):
        return TrackingReceipt(None, 0, 0, None)
    sent, problem = _flush(outbox, settings)
    return TrackingReceipt(None, len(sent), len(outbox.waiting(store)), problem)


def attach(run_id: str, file: Path, settings: TrackingSettings, output: Path) -> str | None:
    """Add a file to what MLflow has about a finished run, under ``comparisons/``.

    Parameters
    ----------
    run_id : as in manifest.json

    Returns
    -------
    why it was not added, one line; None when it was
    """
    problem = _unreachable(settings)
    if problem is not None:
        return problem
    if settings.is_remote and not settings.share_rep_data:
        return "not sent: the page speaks of single reps, see tracking.share_rep_data"
    try:
        client = _client(settings, output)
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        found = client.search_runs(experiments, f"tags.run_id = '{run_id}'")
        if not found:
            return f"knows no run {run_id}: it was not tracked, or in another store (--set tracking.uri=...)"
        client.log_artifact(found[0].info.run_id, str(file), "comparisons")
    except Exception as error:  # see _flush
        return f"MLflow refused {file.name}: {_first_line(error)}"
    return None


def open_command(settings: TrackingSettings, output: Path) -> str:
    """Command line that shows the store of ``output`` in a browser, to be run where this process was started."""
    if settings.is_remote:
        return shlex.join([_short(Path(sys.executable)), "-m", "webbrowser", str(settings.uri)])
    uri = settings.uri or f"sqlite:///{_short(output / 'mlflow.db')}"
    return shlex.join([_short(Path(sys.executable)), "-m", "mlflow", "ui", "--backend-store-uri", uri])


def flatten(config: Mapping[str, Any]) -> dict[str, str]:
    """MLflow parameters of a nested config: ``{"a": {"b": 1}}`` gives ``{"a.b": "1"}``.

    A mapping with keys that are data (a value to replace, a column of an export) stays in one piece, as JSON: MLflow
    refuses most characters in a parameter's name.
    """
    return dict(_leaves(config, ""))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value and all(str(key).isidentifier() and str(key).isascii() for key in value):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _flush(outbox: Outbox, settings: TrackingSettings) -> tuple[dict[str, str], str | None]:
    """Send what waits; gives MLflow's run id by outbox key, and the last problem."""
    sent: dict[str, str] = {}
    with outbox.only_sender() as alone:
        if not alone:
            return sent, "another run is sending to MLflow; the next run sends this one"
        problem = _unreachable(settings)
        if problem:
            return sent, problem
        tried: set[str] = set()
        while parcels := [parcel for parcel in outbox.waiting(settings.uri or LOCAL_STORE) if parcel.key not in tried]:
            for parcel in parcels:
                tried.add(parcel.key)
                try:
                    sent[parcel.key] = _send(parcel, settings, outbox.output)
                except Exception as error:  # mlflow and its database layer raise dozens of types, none of ours to fix
                    problem = f"MLflow refused {parcel.record.name}: {_first_line(error)}"
                else:
                    outbox.remove(parcel)
    return sent, problem


def _unreachable(settings: TrackingSettings) -> str | None:
    """Why a server does not answer, found out without mlflow; None when it does, and for databases."""
    if not settings.is_remote:
        return None
    try:
        urlopen(f"{str(settings.uri).rstrip('/')}/health", timeout=PROBE_SECONDS).close()
    except HTTPError:
        return None  # a gateway that knows no such page has answered too
    except (OSError, HTTPException) as error:
        return f"MLflow at {settings.uri} does not answer: {getattr(error, 'reason', error)}"
    return None


def _send(parcel: Parcel, settings: TrackingSettings, output: Path) -> str:
    """Bring one record into the store, once, and return its MLflow run id."""
    client = _client(settings, output)
    experiment = _experiment(client, parcel.experiment, None if settings.is_remote else output / "mlartifacts")
    pieces = client.search_runs([experiment], f"tags.{KEY_TAG} = '{parcel.key}'")
    for piece in pieces:
        if piece.info.status == "FINISHED" and "mlflow.parentRunId" not in piece.data.tags:
            return piece.info.run_id  # arrived earlier, but the outbox was not told
    for piece in pieces:
        client.delete_run(piece.info.run_id)
    return _write(client, experiment, parcel, with_files=not settings.is_remote or settings.share_rep_data)


def _client(settings: TrackingSettings, output: Path) -> "MlflowClient":
    for name, value in _MLFLOW_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    output.mkdir(parents=True, exist_ok=True)
    uri = settings.uri or f"sqlite:///{output / 'mlflow.db'}"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _experiment(client: "MlflowClient", name: str, artifacts: Path | None) -> str:
    """Id of an experiment, made when it is new and brought back when it was put in the bin."""
    found = client.get_experiment_by_name(name)
    if found is None:
        return client.create_experiment(name, artifact_location=None if artifacts is None else artifacts.as_uri())
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return found.experiment_id


def _write(client: "MlflowClient", experiment: str, parcel: Parcel, with_files: bool) -> str:
    """Make the parent run, its children and its artifacts; the parent is finished last, as the sign of arrival."""
    run = parcel.record
    tags = {**run.tags, KEY_TAG: parcel.key}
    start, end = _milliseconds(run.started), _milliseconds(run.started + run.seconds)
    parent = client.create_run(experiment, start_time=start, tags=tags, run_name=run.name).info.run_id
    _log(client, parent, {**run.metrics, "seconds": run.seconds}, run.params, end)
    began = run.started
    for stage in run.stages:
        child_tags = {"mlflow.parentRunId": parent, KEY_TAG: parcel.key}
        _write_stage(client, experiment, stage, began, child_tags)
        began += stage.seconds
    if with_files and run.folder.is_dir():
        client.log_artifacts(parent, str(run.folder))
    client.set_terminated(parent, "FINISHED", end)
    return parent


def _write_stage(
    client: "MlflowClient", experiment: str, stage: StageRecord, began: float, tags: dict[str, str]
) -> None:
    start, end = _milliseconds(began), _milliseconds(began + stage.seconds)
    child = client.create_run(experiment, start_time=start, tags=tags, run_name=stage.name).info.run_id
    _log(client, child, {**stage.metrics, "seconds": stage.seconds}, {}, end)
    client.set_terminated(child, "FINISHED", end)


def _log(
    client: "MlflowClient", run_id: str, metrics: Mapping[str, float], params: Mapping[str, str], when: int
) -> None:
    from mlflow.entities import Metric, Param

    for batch in batched(metrics.items(), _BATCH):
        client.log_batch(run_id, metrics=[Metric(name, value, when, 0) for name, value in batch])
    for params_batch in batched(params.items(), _BATCH):
        client.log_batch(run_id, params=[Param(name, value) for name, value in params_batch])


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _short(path: Path) -> str:
    """A path as one would type it here: relative when below the working directory."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)
