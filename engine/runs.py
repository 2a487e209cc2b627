"""Names, hashes and folders of runs. Standard library only: other commands find a run without importing the engine.

The rule this module keeps: a folder ``OUTPUT/NAME/AS-OF_HASH8`` exists only when the run is complete. Until then its
files lie in a sibling ``.partial-*``, which the rename at the end turns into the run; whatever kills a run leaves
nothing that looks like a result (``test_a_killed_run_leaves_nothing_that_looks_complete``).
"""

import contextlib
import difflib
import fcntl
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from importlib import metadata
from pathlib import Path
from typing import Literal

from engine.errors import RunNotFoundError

MANIFEST = "manifest.json"
"""Written last; a folder without it is no run."""

PARTIAL = ".partial-"
"""Beginning of the name of a run that is being written, or was when it was killed."""

FOLDER = re.compile(r"(?P<as_of>\d{4}-\d{2}-\d{2})_[0-9a-f]{8}")
"""Name of a run's folder."""

RUN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(@(?P<as_of>\d{4}-\d{2}-\d{2}))?(~(?P<back>\d{1,6}))?")
"""How people name a run: NAME, NAME@2026-06-30, NAME~1."""

LIBRARIES = ("pymc", "pytensor", "nutpie", "numpy", "numba", "pandas", "scipy", "pulp", "highspy", "xarray", "mlflow")
"""Libraries whose version may change a number."""

type Status = Literal["done", "not_converged", "infeasible"]
"""How a complete run ended."""


@dataclass(frozen=True)
class Manifest:
    """manifest.json: the only file of a run with times or facts about the machine.

    Attributes
    ----------
    run_id : NAME/AS-OF_HASH8
    parent_run : run_id of the run this one was derived from
    config_hash, data_hash : sha256 of what the run depends on
    seed : root of all random numbers
    seconds : wall seconds by stage
    versions : of Python and the libraries
    files : sha256 of every other file by its path in the folder
    finished : time stamp, UTC
    """

    run_id: str
    parent_run: str | None
    status: Status
    config_hash: str
    data_hash: str
    seed: int
    seconds: Mapping[str, float]
    versions: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    finished: str = ""


def content_hash(content: object) -> str:
    """Sha256 (hexadecimal) of plain values: the same whatever the order of keys.

    Raises
    ------
    ValueError
        For NaN and infinity, which JSON does not know.

    Examples
    --------
    >>> content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_hash(path: Path) -> str:
    """Sha256 (hexadecimal) of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def run_id(name: str, as_of: date, config_hash: str, data_hash: str) -> str:
    """``NAME/AS-OF_HASH8``: also the path of the run's folder under the output folder."""
    return f"{name}/{as_of.isoformat()}_{content_hash([config_hash, data_hash])[:8]}"


def read_manifest(folder: Path) -> Manifest | None:
    """Manifest of a complete run; None when the folder is none, or one of its files is gone."""
    try:
        manifest = Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return manifest if all((folder / name).is_file() for name in manifest.files) else None


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write the manifest as the last file of a folder; versions, files and time are filled in here.

    Returns
    -------
    what was written
    """
    files = {
        path.relative_to(folder).as_posix(): file_hash(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    full = replace(manifest, versions=_versions(), files=files, finished=datetime.now(UTC).isoformat())
    (folder / MANIFEST).write_text(json.dumps(asdict(full), indent=2) + "\n", encoding="utf-8")
    return full


@contextlib.contextmanager
def new_run(target: Path) -> Iterator[Path]:
    """Folder to write a run into; it becomes ``target`` when the block ends with a manifest written.

    When the block raises, the folder is removed. When another process has completed the same run meanwhile, its folder
    stays and this one is removed: both hold the same.

    Raises
    ------
    RuntimeError
        When the block ends without `write_manifest`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(target.parent)
    folder, lock = _claim(target)
    try:
        yield folder
        if not (folder / MANIFEST).is_file():
            raise RuntimeError(f"the run in {folder} has no {MANIFEST}")
        _flush(folder)
        _publish(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def find_run(text: str, output: Path) -> Path:
    """Folder of a finished run.

    Parameters
    ----------
    text : a path, NAME (its latest), NAME@2026-06-30 (the latest as of that day), or either with ~1 (the one before)
    output : parent folder of all runs

    Raises
    ------
    RunNotFoundError
        With the nearest name there is.
    """
    if read_manifest(Path(text)) is not None:
        return Path(text)
    match = RUN.fullmatch(text)
    if match is None:
        raise RunNotFoundError(f"no run at {text}; a RUN is a path, NAME, NAME@2026-06-30 or NAME~1")
    runs = [run for run in list_runs(output, match["name"]) if match["as_of"] in (None, run.name[:10])]
    back = int(match["back"] or 0)
    if back < len(runs):
        return runs[-1 - back]
    raise RunNotFoundError(_not_found(text, match["name"], len(runs), output))


def list_runs(output: Path, name: str) -> list[Path]:
    """Complete runs of a name, by as-of date and, within one, by the time they finished."""
    folders = [folder for folder in (output / name).glob("*_*") if FOLDER.fullmatch(folder.name)]
    found = [(folder.name[:10], manifest.finished, folder) for folder in folders if (manifest := read_manifest(folder))]
    return [folder for _, _, folder in sorted(found)]


def previous_run(output: Path, name: str, as_of: date) -> Path | None:
    """Latest complete run of a name as of an earlier day, for the change since then."""
    earlier = [folder for folder in list_runs(output, name) if folder.name[:10] < as_of.isoformat()]
    return earlier[-1] if earlier else None


def _not_found(text: str, name: str, count: int, output: Path) -> str:
    """Say what there is instead."""
    if count:
        return f"no run {text} in {output}: there are only {count}"
    names = sorted(folder.name for folder in output.glob("[!.]*") if list_runs(output, folder.name))
    near = difflib.get_close_matches(name, names, n=1)
    if near and near[0] != name:
        return f"no run {text} in {output}; did you mean {near[0]}?"
    return f"no run {text} in {output}; there are runs of: {', '.join(names) or 'nothing'}"


def _versions() -> dict[str, str]:
    """Versions of Python and of the libraries that are installed."""
    versions = {"python": platform.python_version()}
    for library in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[library] = metadata.version(library)
    return versions


def _claim(target: Path) -> tuple[Path, int]:
    """Make a partial folder and lock it: the kernel frees the lock when its process dies, however it dies."""
    while True:
        folder = target.with_name(f"{PARTIAL}{target.name}-{secrets.token_hex(4)}")
        folder.mkdir()
        lock = os.open(folder, os.O_RDONLY)
        # A file system without locks: others cannot lock it either, so nobody takes the folder for stale.
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder, lock
        os.close(lock)  # taken for stale between its making and its lock


def _remove_stale(parent: Path) -> None:
    """Remove what killed runs left: partial folders that nobody holds a lock on."""
    for folder in parent.glob(f"{PARTIAL}*"):
        with contextlib.suppress(OSError):
            lock = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _flush(folder: Path) -> None:
    """Bring every file to the disk, so that no power cut after the rename leaves an empty one in a complete run."""
    for path in (*folder.rglob("*"), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _publish(folder: Path, target: Path) -> None:
    """Turn a partial folder into the run."""
    if read_manifest(target) is not None:
        return
    if target.exists():  # damaged: out of the way, for the next run to remove
        target.rename(target.with_name(f"{PARTIAL}{target.name}-{secrets.token_hex(4)}"))
    try:
        folder.rename(target)
    except OSError:
        if read_manifest(target) is None:
            raise
