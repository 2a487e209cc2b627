"""Run folders: complete or absent, found by name, hashed by content."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import RunNotFoundError
from engine.runs import (
    MANIFEST,
    Manifest,
    content_hash,
    file_hash,
    find_run,
    list_runs,
    new_run,
    previous_run,
    read_manifest,
    run_id,
    write_manifest,
)
from tests.conftest import ROOT


def manifest(of: str) -> Manifest:
    return Manifest(of, None, "done", "c" * 64, "d" * 64, 7, {"models": 1.5})


def make(output: Path, of: str) -> Path:
    """Make a complete run."""
    with new_run(output / of) as folder:
        (folder / "draws").mkdir()
        (folder / "draws/panel.nc").write_bytes(b"panel")
        (folder / "forecast.csv").write_text("level,key\n", encoding="utf-8")
        write_manifest(folder, manifest(of))
    return output / of


def test_a_run_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "q3/2026-06-30_0123abcd"
    with new_run(target) as folder:
        (folder / "forecast.csv").write_text("x", encoding="utf-8")
        assert not target.exists()
        assert folder.parent == target.parent, "a rename is atomic within a file system only"
        write_manifest(folder, manifest("q3/2026-06-30_0123abcd"))
        assert list_runs(tmp_path, "q3") == []
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert list_runs(tmp_path, "q3") == [target]


def test_the_manifest_lists_every_other_file(tmp_path: Path) -> None:
    folder = make(tmp_path, "q3/2026-06-30_0123abcd")
    content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert set(content["files"]) == {"draws/panel.nc", "forecast.csv"}
    assert content["files"]["forecast.csv"] == file_hash(folder / "forecast.csv")
    assert content["run_id"] == "q3/2026-06-30_0123abcd"
    assert {"parent_run", "status", "config_hash", "data_hash", "seed", "versions", "seconds"} <= set(content)
    assert content["versions"]["python"].startswith("3.")
    assert read_manifest(folder) == Manifest(**content)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failed_run_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with new_run(tmp_path / "q3/2026-06-30_0123abcd") as folder:
            write_manifest(folder, manifest("q3/2026-06-30_0123abcd"))
            raise error

    with pytest.raises(error):
        fail()
    assert list((tmp_path / "q3").iterdir()) == []


def test_a_run_without_manifest_is_an_error_and_no_run(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no manifest"), new_run(tmp_path / "q3/2026-06-30_0123abcd") as folder:
        (folder / "forecast.csv").touch()
    assert list((tmp_path / "q3").iterdir()) == []


WRITER = """
import sys, time
from pathlib import Path
from engine.runs import Manifest, new_run, write_manifest
with new_run(Path(sys.argv[1])) as folder:
    (folder / "forecast.csv").write_text("level,key", encoding="utf-8")
    write_manifest(folder, Manifest("q3/x", None, "done", "c", "d", 1, {}))
    print(folder, flush=True)
    time.sleep(60)
"""


@contextmanager
def writing(target: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Process that is about to complete a run, and its partial folder."""
    command = [sys.executable, "-c", WRITER, str(target)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_a_killed_run_leaves_nothing_that_looks_complete(tmp_path: Path) -> None:
    target = tmp_path / "q3/2026-06-30_0123abcd"
    with writing(target) as (process, partial):
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (partial / MANIFEST).is_file(), "it was killed at the last moment"
    assert partial.name.startswith(".partial-2026-06-30_0123abcd-")
    assert not target.exists()
    assert list_runs(tmp_path, "q3") == []
    with pytest.raises(RunNotFoundError):
        find_run("q3", tmp_path)
    make(tmp_path, "q3/2026-07-31_0123abcd")
    assert [path.name for path in target.parent.iterdir()] == ["2026-07-31_0123abcd"], "the next run cleans up"


def test_a_run_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    with writing(tmp_path / "q3/2026-06-30_0123abcd") as (_, partial):
        make(tmp_path, "q3/2026-07-31_0123abcd")
        assert (partial / "forecast.csv").is_file()


def test_of_two_equal_runs_the_first_to_finish_stays(tmp_path: Path) -> None:
    target = tmp_path / "q3/2026-06-30_0123abcd"
    with new_run(target) as folder:
        write_manifest(folder, manifest("late"))
        make(tmp_path, "q3/2026-06-30_0123abcd")
    kept = read_manifest(target)
    assert kept is not None
    assert kept.run_id == "q3/2026-06-30_0123abcd"
    assert len(list(target.parent.iterdir())) == 1


@pytest.mark.parametrize("lost", ["forecast.csv", "draws/panel.nc", MANIFEST])
def test_a_run_that_lost_a_file_is_no_run_and_is_made_anew(tmp_path: Path, lost: str) -> None:
    folder = make(tmp_path, "q3/2026-06-30_0123abcd")
    (folder / lost).unlink()
    assert read_manifest(folder) is None
    assert make(tmp_path, "q3/2026-06-30_0123abcd") == folder
    assert read_manifest(folder) is not None
    make(tmp_path, "q3/2026-07-31_0123abcd")
    assert len(list(folder.parent.iterdir())) == 2


@pytest.mark.parametrize("text", ["", "[]", '{"run_id": 1}', "{"])
def test_a_broken_manifest_is_no_run(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text, encoding="utf-8")
    assert read_manifest(tmp_path) is None


@pytest.fixture
def four_runs(tmp_path: Path) -> Path:
    """Runs that did not finish in the order of their dates."""
    for of in (
        "q3/2026-06-30_aaaaaaaa",
        "q3/2026-05-31_bbbbbbbb",
        "q3/2026-06-30_00000000",
        "q4.b/2026-09-30_cccccccc",
    ):
        make(tmp_path, of)
        time.sleep(0.002)  # the order of time stamps is what is tested
    (tmp_path / "q3/notes_1").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("q3", "q3/2026-06-30_00000000"),
        ("q3~1", "q3/2026-06-30_aaaaaaaa"),
        ("q3~2", "q3/2026-05-31_bbbbbbbb"),
        ("q3@2026-05-31", "q3/2026-05-31_bbbbbbbb"),
        ("q3@2026-06-30", "q3/2026-06-30_00000000"),
        ("q3@2026-06-30~1", "q3/2026-06-30_aaaaaaaa"),
        ("q4.b", "q4.b/2026-09-30_cccccccc"),
    ],
)
def test_runs_are_found_by_name_date_and_age(four_runs: Path, text: str, found: str) -> None:
    assert find_run(text, four_runs) == four_runs / found


def test_a_run_is_found_by_its_path(four_runs: Path) -> None:
    path = four_runs / "q3/2026-05-31_bbbbbbbb"
    assert find_run(str(path), Path("elsewhere")) == path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("q3~3", "there are only 3"),
        ("q3@2026-01-31", "there are runs of: q3, q4.b"),
        ("q33", "did you mean q3?"),
        ("no/such/path", "a RUN is a path, NAME"),
        ("../q3", "a RUN is a path, NAME"),
        ("q3~", "a RUN is a path, NAME"),
    ],
)
def test_a_run_that_is_not_there_is_refused_with_what_is(four_runs: Path, text: str, said: str) -> None:
    with pytest.raises(RunNotFoundError, match=said.replace("?", r"\?").replace("(", r"\(")) as caught:
        find_run(text, four_runs)
    assert caught.value.exit_code == 2


def test_no_output_folder_is_no_crash(tmp_path: Path) -> None:
    with pytest.raises(RunNotFoundError, match="there are runs of: nothing"):
        find_run("q3", tmp_path / "none")


def test_the_previous_run_is_of_an_earlier_day(four_runs: Path) -> None:
    assert previous_run(four_runs, "q3", date(2026, 7, 31)) == four_runs / "q3/2026-06-30_00000000"
    assert previous_run(four_runs, "q3", date(2026, 6, 30)) == four_runs / "q3/2026-05-31_bbbbbbbb"
    assert previous_run(four_runs, "q3", date(2026, 5, 31)) is None
    assert previous_run(four_runs, "q9", date(2026, 5, 31)) is None


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), plain, min_size=2, max_size=5))
def test_the_hash_ignores_the_order_of_keys_and_nothing_else(content: dict[str, object]) -> None:
    backwards = dict(reversed(content.items()))
    assert content_hash(backwards) == content_hash(content)
    key, value = next(iter(content.items()))
    assert content_hash(content | {key: [value]}) != content_hash(content)


def test_the_hash_is_the_same_on_every_machine() -> None:
    # printf '%s' '{"a":["\\u00e9",null,true],"b":1.5}' | sha256sum
    golden = "374194376bd387a926a572a5573c4394a8ced12d22ea0e704d69d77d7048b28b"
    assert content_hash({"b": 1.5, "a": ["é", None, True]}) == golden
    assert run_id("q3", date(2026, 6, 30), "a", "b") != run_id("q3", date(2026, 6, 30), "b", "a")


def test_the_hash_refuses_what_json_does_not_know() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        content_hash({"a": float("nan")})
