"""The benchmark commands: files of generalised assignment, drawn territories."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import gap, territories
from benchmarks.territory_instances import HOURS_BAND, LARGEST_ACCOUNT, VALUE_BAND, Size, make_instance
from optimization.large_scale.certificate import violations
from optimization.large_scale.checks import check

FIELDS = ["instance", "objective", "bound", "gap_bound", "seconds", "feasible", "best_known", "gap_best_known"]
TINY = "2 4\n5 9 2 7\n6 3 8 4\n2 3 2 3\n3 2 4 2\n5 5\n"
"""Two reps, four accounts: best is 2 + 5 for the first and 3 + 4 for the second."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny2").write_text(TINY)
    (tmp_path / "tiny10").write_text(TINY.replace("\n", " "))  # line breaks carry no meaning
    (tmp_path / "best_known.csv").write_text("instance,agents,items,best_bound,best_value\ntiny2,2,4,14,14\n")
    return tmp_path


def rows_of(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_rows_of_a_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gap.main([str(folder), "--seconds", "5", "--json"]) == 0
    first, second = rows_of(capsys)
    assert list(first) == [*FIELDS, "settled"]
    assert [first["instance"], second["instance"]] == ["tiny2", "tiny10"]
    assert first["feasible"]
    assert first["objective"] == 14
    assert first["bound"] <= 14
    assert first["gap_bound"] == pytest.approx((14 - first["bound"]) / 14)
    assert (first["best_known"], first["gap_best_known"]) == (14, 0)
    assert (second["best_known"], second["gap_best_known"]) == (None, None)


def test_an_impossible_file_has_a_row_without_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").write_text("2 3\n1 1 1 1 1 1\n5 5 5 5 5 5\n7 7\n")
    assert gap.main([str(tmp_path / "full"), "--seconds", "2", "--json"]) == 0
    (row,) = rows_of(capsys)
    assert not row["feasible"]
    assert row["objective"] is row["gap_bound"] is None


@pytest.mark.parametrize("text", ["", "2", "2 x", "2 4 1 2 3", "2 2\n1 1 1 1\n1 1 nan 1\n3 3", "0 4"])
def test_a_broken_file_is_named(folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken").write_text(text)
    assert gap.main([str(folder)]) == 2
    said = capsys.readouterr()
    assert "broken" in said.err
    assert not said.out


def test_a_missing_path_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gap.main([str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["gap1-0", "a05100", "c05100"])
def test_known_instances_reach_their_best_value(
    name: str, sales_data: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = sales_data("gap") / name
    if not file.is_file():
        pytest.skip(f"{name} is not there")
    assert gap.main([str(file), "--seconds", "30", "--json"]) == 0
    (row,) = rows_of(capsys)
    assert row["feasible"]
    assert row["gap_best_known"] == 0
    assert row["bound"] <= row["best_known"]


def test_an_instance_is_what_the_issue_describes() -> None:
    problem = make_instance(Size(300, 12, 5), seed=3)
    check(problem)
    value, hours = problem.use[problem.start[:-1]].T
    assert 0.8 < np.log(value).std() < 1.2
    middle = (problem.low + problem.high) / 2
    np.testing.assert_allclose(middle.sum(axis=0), [value.sum(), hours.sum()])
    np.testing.assert_allclose(problem.high / middle, np.tile([1 + VALUE_BAND, 1 + HOURS_BAND], (12, 1)))
    assert value.max() <= LARGEST_ACCOUNT * middle[:, 0].max() * 1.05
    assert set(np.diff(problem.start)) == {5}
    assert all(problem.owner[i] in problem.pair_rep[5 * i : 5 * i + 3] for i in range(300))
    again = make_instance(Size(300, 12, 5), seed=3)
    np.testing.assert_array_equal(problem.cost, again.cost)


def test_both_methods_are_measured_in_processes_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--accounts", "60", "--reps", "3", "--candidates", "3"]
    assert territories.main([*size, "--seconds", "5", "--seed", "1", "--json"]) == 0
    ours, plain = rows_of(capsys)
    assert (ours["method"], plain["method"]) == ("engine", "plain")
    assert ours["feasible"]
    assert plain["feasible"]
    assert ours["objective"] >= ours["bound"]
    assert abs(ours["objective"] - plain["objective"]) <= (
        ours["objective"] - ours["bound"] + plain["objective"] - plain["bound"] + 1e-6
    )
    assert ours["peak_mb"] > 50
    assert math.isfinite(ours["gap"])


def test_more_candidates_than_reps_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert territories.main(["--accounts", "9", "--reps", "2", "--candidates", "3"]) == 2
    assert "candidates" in capsys.readouterr().err


def test_a_plan_of_the_present_owners_is_audited() -> None:
    """Nobody balanced the incumbents: the bands must say so, in words."""
    problem = make_instance(Size(300, 12, 5), seed=3)
    assert any(text.startswith("value: R") for text in violations(problem, problem.owner))
