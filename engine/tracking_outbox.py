"""The outbox of `engine.tracking`: finished runs wait here as files until the MLflow store has them.

The rule this module keeps: a record is on disk before anybody tries to send it, and is deleted only by whoever has
seen it arrive (``test_a_dead_server_delays_nothing_and_loses_nothing``).
"""

import fcntl
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

QUEUE = Path(".tracking/queue")
"""Folder of waiting records, under ``output``."""

LOCAL_STORE = "local"
"""Name of the database under ``output``: it keeps its name when the folder moves."""


@dataclass(frozen=True)
class StageRecord:
    """One stage of a run: a child run in MLflow.

    Attributes
    ----------
    name : what people read
    seconds : wall time
    metrics : further numbers about the stage
    """

    name: str
    seconds: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class RunRecord:
    """What MLflow is told about one finished command.

    Attributes
    ----------
    name : the run's own name
    folder : the finished run folder, whose files become the artifacts
    started : begin, seconds since 1970
    seconds : wall time
    params : the config as `engine.tracking.flatten` gives it
    metrics : aggregates only, never about one rep; values that are not finite are left out
    tags : hashes, as-of date, parent run
    stages : in the order they ran
    """

    name: str
    folder: Path
    started: float
    seconds: float
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    stages: tuple[StageRecord, ...] = ()


@dataclass(frozen=True)
class Parcel:
    """A record on its way.

    Attributes
    ----------
    key : name of the record in the outbox and in MLflow: sorts by time, differs between runs and stores
    store : `LOCAL_STORE`, or the address it is meant for; it is never sent to another
    experiment : MLflow experiment
    record : the run
    """

    key: str
    store: str
    experiment: str
    record: RunRecord


class Outbox:
    """Waiting parcels of the runs under ``output``."""

    def __init__(self, output: Path) -> None:
        self.output = output.absolute()
        self.folder = self.output / QUEUE

    def put(self, store: str, experiment: str, record: RunRecord) -> Parcel:
        """Write a record; it is complete under its name or not there.

        Raises
        ------
        OSError
            When the folder cannot be written.
        """
        parcel = Parcel(_key(store, record), store, experiment, _finite(record))
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / f"{parcel.key}.part"
        unfinished.write_text(json.dumps(asdict(parcel), default=self._relative, indent=1), encoding="utf-8")
        unfinished.rename(self._path(parcel.key))
        return parcel

    def waiting(self, store: str) -> list[Parcel]:
        """Parcels for one store, oldest first."""
        parcels = [self._read(path) for path in sorted(self.folder.glob("*.json"))]
        return [parcel for parcel in parcels if parcel.store == store]

    def remove(self, parcel: Parcel) -> None:
        """Forget a parcel that has arrived."""
        self._path(parcel.key).unlink(missing_ok=True)

    @contextmanager
    def only_sender(self) -> Iterator[bool]:
        """Hold the right to send: false when another process under the same ``output`` is sending just now."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder.parent / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _relative(self, folder: Path) -> str:
        """Run folders are kept relative, so that ``output`` may move while records wait."""
        folder = folder.absolute()
        return str(folder.relative_to(self.output) if folder.is_relative_to(self.output) else folder)

    def _read(self, path: Path) -> Parcel:
        raw = json.loads(path.read_text(encoding="utf-8"))
        stages = tuple(StageRecord(**stage) for stage in raw["record"].pop("stages"))
        folder = self.output / raw["record"].pop("folder")
        record = RunRecord(folder=folder, stages=stages, **raw["record"])
        return Parcel(raw["key"], raw["store"], raw["experiment"], record)


def _key(store: str, record: RunRecord) -> str:
    identity = f"{store} {record.name} {record.folder.absolute()} {record.started!r}"
    return f"{int(record.started * 1000):014d}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def _finite(record: RunRecord) -> RunRecord:
    """The record without metrics that JSON and MLflow's charts cannot show."""
    stages = tuple(replace(stage, metrics=_finite_values(stage.metrics)) for stage in record.stages)
    return replace(record, metrics=_finite_values(record.metrics), stages=stages)


def _finite_values(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
