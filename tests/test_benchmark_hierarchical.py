import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import scoringrules

from benchmarks import hierarchical
from benchmarks.hierarchical import main, scaled_crps
from benchmarks.hierarchical_data import read_folder
from engine.errors import InputRefusedError
from engine.methods.series import Series
from models.panel import Floats

BOTTOM = ["AX", "AY", "BX", "BY"]
AGGREGATES = {"Total": [1, 1, 1, 1], "A": [1, 1, 0, 0], "B": [0, 0, 1, 1], "X": [1, 0, 1, 0], "Y": [0, 1, 0, 1]}


def table(path: Path, header: list[str], labels: list[str], cells: Sequence[Sequence[object]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["", *header], *([label, *row] for label, row in zip(labels, cells, strict=True))])
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write(folder: Path, name: str, bottom: Floats, end: str = "csv") -> None:
    """A data set of the bottom series [series, period] under `AGGREGATES`."""
    folder.mkdir(exist_ok=True)
    matrix = np.array(list(AGGREGATES.values()), dtype=float)
    values = np.vstack([matrix @ bottom, bottom]).T
    periods = [f"p{i}" for i in range(len(values))]
    table(folder / f"{name}_data.{end}", [*AGGREGATES, *BOTTOM], periods, values.tolist())
    table(folder / f"{name}_agg_mat.{end}", BOTTOM, list(AGGREGATES), matrix.tolist())


def bottom(periods: int, season: int, zeros: float = 0.0) -> Floats:
    rng = np.random.default_rng(7)
    wave = 1 + 0.5 * np.sin(2 * np.pi * np.arange(periods) / season)
    counts = rng.poisson(np.array([[4.0], [9.0], [16.0], [40.0]]) * wave)
    return np.where(rng.random((4, periods)) >= zeros, counts, 0.0).astype(np.float64)


@pytest.fixture
def no_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hierarchical, "_peer_rows", lambda *_: iter(()))


def test_scaled_crps_by_hand() -> None:
    # all paths at 8 with 10 booked: the mean of 2 x share x 2 over the grid is 2; the other level is exact
    paths = np.array([[[8.0], [5.0]]] * 4)
    np.testing.assert_allclose(scaled_crps(paths, np.array([[10.0], [5.0]]), np.array([0, 1])), [0.2, 0.0])
    assert np.isnan(scaled_crps(paths, np.array([[10.0], [0.0]]), np.array([0, 1]))[1])


def test_scaled_crps_is_twice_the_quantile_score() -> None:
    rng = np.random.default_rng(1)
    paths, actual, levels = rng.gamma(2, 10, (200, 5, 3)), rng.gamma(2, 10, (5, 3)), np.array([0, 1, 1, 2, 2])
    grid = np.arange(1, 20) / 20
    scores = np.mean([2 * scoringrules.quantile_score(actual, np.quantile(paths, a, axis=0), a) for a in grid], axis=0)
    expected = [scores[levels == k].sum() / actual[levels == k].sum() for k in range(3)]
    np.testing.assert_allclose(scaled_crps(paths, actual, levels), expected)


@pytest.mark.usefixtures("no_peers")
@pytest.mark.parametrize(("season", "horizon", "periods", "end"), [(12, 12, 40, "csv.gz"), (4, 3, 24, "csv")])
def test_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], season: int, horizon: int, periods: int, end: str
) -> None:
    write(tmp_path, "dense", bottom(periods, season), end)
    write(tmp_path, "sparse", bottom(periods, season, zeros=0.6), end)
    arguments = [str(tmp_path), "--horizon", str(horizon), "--season", str(season), "--json"]
    assert main(arguments) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["dataset"] for row in rows} == {"dense", "sparse"}
    for row in rows:
        assert list(row) == ["method", "dataset", "level", "scrps", "seconds"]
    ours = [row for row in rows if row["method"].startswith("engine") and row["dataset"] == "dense"]
    assert len(ours) == 5
    assert ours[-1]["level"] == "overall"
    assert ours[-1]["scrps"] == pytest.approx(np.mean([row["scrps"] for row in ours[:-1]]), abs=1e-6)
    assert 0 < ours[-1]["scrps"] < 0.5


@pytest.mark.usefixtures("no_peers")
def test_methods_see_only_what_came_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series = bottom(40, 12)
    write(tmp_path, "small", series)
    seen = []

    def method(history: Series, horizon: int, paths: int, seed: int) -> Floats:
        seen.append((history.values[-4:], horizon, seed))
        return np.ones((paths, 4, horizon))

    monkeypatch.setattr(hierarchical, "_own_methods", lambda: {"engine": method})
    assert main([str(tmp_path), "--horizon", "5", "--seed", "9"]) == 0
    ((values, horizon, seed),) = seen
    np.testing.assert_array_equal(values, series[:, :35])
    assert (horizon, seed) == (5, 9)


@pytest.mark.usefixtures("no_peers")
def test_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "small", bottom(40, 12))
    assert main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("small: 9 series, 40 periods")
    assert lines[3].split(" | ")[1:] == [
        "level 1 (1 series)",
        "level 2 (2 series)",
        "level 3 (2 series)",
        "level 4 (4 series)",
        "overall",
        "seconds |",
    ]
    assert lines[5].startswith("| engine")


def test_tags_with_a_header_name_levels(tmp_path: Path) -> None:
    write(tmp_path, "small", bottom(40, 12))
    with (tmp_path / "small_tags.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["country", "state"], ["T", "A"], ["T", "A"], ["T", "B"], ["T", "B"]])
    (dataset,) = read_folder(tmp_path, 12, 12)
    assert dataset.level_names == ("country", "state", "level 3 (2 series)", "level 4 (4 series)")
    assert dataset.levels.tolist() == [0, 1, 1, 2, 2, 3, 3, 3, 3]


def test_a_matrix_with_the_bottom_rows_too(tmp_path: Path) -> None:
    write(tmp_path, "small", bottom(40, 12))
    rows = np.vstack([list(AGGREGATES.values()), np.eye(4)]).tolist()
    table(tmp_path / "small_agg_mat.csv", BOTTOM, [*AGGREGATES, *BOTTOM], rows)
    (dataset,) = read_folder(tmp_path, 12, 12)
    assert dataset.series.summing.shape == (9, 4)


def test_all_problems_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "alone", bottom(40, 12))
    (tmp_path / "alone_agg_mat.csv").unlink()
    write(tmp_path, "brief", bottom(20, 12))
    write(tmp_path, "cells", bottom(40, 12))
    text = (tmp_path / "cells_data.csv").read_text().splitlines()
    for row, cell in ((1, "-3"), (2, ""), (3, "many"), (4, "nan")):
        text[row] = ",".join([*text[row].split(",")[:-1], cell])
    (tmp_path / "cells_data.csv").write_text("\n".join(text))
    write(tmp_path, "sums", bottom(40, 12))
    table(tmp_path / "sums_agg_mat.csv", BOTTOM, list(AGGREGATES), [[1, 1, 1, 1], *[[0, 1, 0, 1]] * 4])
    write(tmp_path, "wrong", bottom(40, 12))
    table(tmp_path / "wrong_agg_mat.csv", BOTTOM[:3], ["Total"], [[1, 2, 1]])
    assert main([str(tmp_path)]) == 2
    out, said = capsys.readouterr()
    assert out == ""
    for expected in (
        "alone_agg_mat.csv[.gz]: got no file",
        "brief_data.csv: got 20 periods; allowed: 25 or more",
        "column 'BY': got '-3'",
        "column 'BY': got ''",
        "column 'BY': got 'many'",
        "column 'BY': got 'nan'",
        "sums_data.csv, column 'A': got up to",
        "wrong_agg_mat.csv: got other numbers than 0 and 1",
        "wrong_agg_mat.csv: got 1 aggregates and 3 bottom series for 9 series of data",
    ):
        assert expected in said


@pytest.mark.parametrize("content", ["", ",A\n", "\x00\xff", ',"A\n1,2'])
def test_a_broken_file_is_a_problem_not_a_crash(tmp_path: Path, content: str) -> None:
    write(tmp_path, "small", bottom(40, 12))
    (tmp_path / "small_data.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputRefusedError, match="small_data.csv"):
        read_folder(tmp_path, 12, 12)


def test_a_broken_gzip_is_a_problem_not_a_crash(tmp_path: Path) -> None:
    write(tmp_path, "small", bottom(40, 12), "csv.gz")
    (tmp_path / "small_agg_mat.csv.gz").write_bytes(b"not compressed")
    with pytest.raises(InputRefusedError, match="Not a gzipped file"):
        read_folder(tmp_path, 12, 12)


def test_an_empty_and_a_missing_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "no file NAME_data.csv" in capsys.readouterr().err
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--horizon", "0"], ["--season", "x"], []])
def test_bad_arguments_end_with_two(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


@pytest.mark.slow
def test_peers_on_a_small_hierarchy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("hierarchicalforecast", reason="the extra `bench` is not installed")
    write(tmp_path, "small", bottom(60, 4))
    assert main([str(tmp_path), "--horizon", "4", "--season", "4", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    overall = {row["method"]: row["scrps"] for row in rows if row["level"] == "overall"}
    for peer in ("BottomUp bootstrap", "BottomUp normal", "MinT bootstrap", "MinT normal"):
        assert 0 < overall[f"AutoETS {peer}"] < 0.5
