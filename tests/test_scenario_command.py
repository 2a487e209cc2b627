"""The command end to end on a finished folder, and what it refuses."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from engine import scenario
from engine.runs import read_manifest
from engine.scenarios import job
from engine.scenarios.answers import COLUMNS
from engine.scenarios.reading import read_scenarios
from engine.scenarios.settings import KINDS
from engine.tracking import RunRecord, TrackingReceipt
from tests.conftest import ROOT
from tests.planned_run import RUN_ID
from tests.scenarios import write_run

EXAMPLES = sorted((ROOT / "configs" / "scenarios").glob("*.yaml"))
SCRIPT = '<script>alert(1)</script>"='


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder)
    return folder


def write(path: Path, **content: Any) -> Path:
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def ask(output: Path, *files: Path, options: tuple[str, ...] = ("--set", "tracking.enabled=false")) -> int:
    return scenario.main(["smoke", *map(str, files), "--out", str(output), "--threads", "1", *options])


def answered(output: Path) -> list[Path]:
    return sorted((output / "smoke-scenario").glob("*_*"))


def test_the_command_answers_writes_and_does_not_repeat(
    output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hire = {"change": "hire", "date": "2026-07-01", "territory": "territory00001"}
    files = [
        write(tmp_path / "a.yaml", name="one more", changes=[hire]),
        write(tmp_path / "b.yaml", name="dearer", description="b", changes=[{"change": "price", "relative": 0.1}]),
    ]
    assert ask(output, *files) == 0
    said = capsys.readouterr().out
    assert "one more" in said
    (folder,) = answered(output)
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.parent_run == RUN_ID
    assert {"scenario.csv", "scenarios.yaml", "scenario.html", "summary.txt"} <= set(manifest.files)
    rows = pd.read_csv(folder / "scenario.csv", dtype={"key": str, "period": str}, keep_default_na=False)
    assert rows.columns.tolist() == COLUMNS
    forecast = pd.read_csv(output / RUN_ID / "forecast.csv", dtype={"key": str, "period": str}, keep_default_na=False)
    both = forecast.merge(rows[rows["scenario"] == "dearer"], on=["level", "key", "period"], validate="one_to_one")
    assert len(both) == len(forecast)
    for name in ("mean", "p10", "p50", "p90"):
        np.testing.assert_array_equal(both[f"{name}_x"].astype(float), both[f"base_{name}"].astype(float))
    assert (both["p_attain"] == both["p_attain_before"]).all()
    assert (both["quota"] == both["quota_before"]).all()
    assert yaml.safe_load((folder / "scenarios.yaml").read_text())["scenarios"][0]["changes"][0]["fte"] == 1.0
    assert ask(output, *files) == 0
    assert "unchanged" in capsys.readouterr().out
    assert answered(output) == [folder]


def test_everything_wrong_is_said_at_once(output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write(
        tmp_path / "first.yaml",
        name="wrong",
        changes=[
            {"change": "leave", "rep": "rep0002", "date": "2026-07-31"},
            {"change": "hire", "date": "2026-07-31", "territory": "teritory00001"},
            {"change": "lose", "deals": ["deal000001", "deal00000"]},
            {"change": "win_rate", "points": 3, "segment": "segment0001"},
            {"change": "allocation", "run": "smokes"},
            {"change": "part_time", "rep": "rep00001"},
            {"change": "cycle", "relatve": 0.1},
            {"change": "swop", "reps": ["rep00001", "rep00002"]},
            {"change": "quota", "level": "rep", "key": "nobody", "amount": 1},
        ],
    )
    second = write(tmp_path / "second.yaml", name="also wrong", changes=[{"change": "leave", "rep": 7}], nme="x")
    before = answered(output)
    assert ask(output, first, second) == 2
    said = capsys.readouterr().err
    for words in (
        "did you mean `rep00002`?",
        "did you mean `territory00001`?",
        "did you mean `deal0",
        "did you mean `segment00001`?",
        "did you mean smoke?",
        "did you mean `relative`?",
        "did you mean `swap`?",
        "did you mean `name`?",
        "add the key `fte`",
        "'nobody'",
        "second.yaml",
    ):
        assert words in said, words
    assert "first.yaml line" in said
    assert answered(output) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"change": "win_rate"}, "neither `points` nor `relative`"),
        ({"change": "win_rate", "points": 3, "relative": 0.1}, "both"),
        ({"change": "win_rate", "points": 99}, "a win rate of"),
        ({"change": "win_rate", "points": 3, "rep": "rep00001", "segment": "segment00001"}, "at most one of"),
        ({"change": "win_rate", "points": 3, "rep": "rep00001", "start": "2026-08"}, "no time axis"),
        ({"change": "win_rate", "points": 3, "start": "2027-08"}, "months within"),
        ({"change": "amount", "relative": -0.99, "rep": "rep00001"}, "exactly the list amount"),
        ({"change": "leave", "rep": "rep00002", "date": "2026-05-31"}, "2026-06-30 or later"),
        ({"change": "leave", "rep": "rep00002", "date": "2026-07-31", "book": "to"}, "`to: REP`"),
        ({"change": "leave", "rep": "rep00002", "date": "2026-07-31", "book": "to", "to": "rep00002"}, "another rep"),
        ({"change": "hire", "date": "2027-05-31", "territory": "territory00001"}, "before 2026-10-01"),
        ({"change": "hire", "date": "2026-07-31", "territory": "territory00001", "id": "rep00001"}, "no rep has yet"),
        ({"change": "swap", "reps": ["rep00002", "rep00002"]}, "two different reps"),
        ({"change": "lose", "deals": ["deal000002"]}, "which is closed"),
        ({"change": "win", "deals": ["deal000000"], "date": "2026-06-01"}, "a day from 2026-07-01 to 2026-09-30"),
        ({"change": "quota", "level": "rep", "amount": 5}, "the id or name of a rep"),
        ({"change": "quota", "level": "territory", "key": "territory00001", "relative": 0.1}, "no target"),
        ({"change": "crisis"}, "no change"),
        ({"change": "delay", "weeks": 0}, "weeks"),
        ({"change": "generation", "relative": -1}, "relative"),
    ],
)
def test_refusals(
    output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], words: str
) -> None:
    assert ask(output, write(tmp_path / "a.yaml", name="a", changes=[change])) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said


def test_other_refusals(output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change = [{"change": "amount", "relative": 0.1}]
    good = write(tmp_path / "good.yaml", name="good", changes=change)
    twin = write(tmp_path / "twin.yaml", name="good", changes=change)
    cases: dict[str, tuple[tuple[Path, ...], tuple[str, ...]]] = {
        "--set": ((good,), ("--set", "simulation.paths=50")),
        "a name of its own": ((good, twin), ()),
        "No such file": ((tmp_path / "none.yaml",), ()),
        "a list of changes": ((write(tmp_path / "empty.yaml", name="empty"),), ()),
        "../bad": ((write(tmp_path / "bad.yaml", name="../bad", changes=change),), ()),
    }
    for words, (files, options) in cases.items():
        assert ask(output, *files, options=options) == 2, words
        assert words in capsys.readouterr().err
    assert scenario.main(["nothing", str(good), "--out", str(output)]) == 2
    assert "there are runs of" in capsys.readouterr().err


def test_names_from_the_crm_and_the_file_are_escaped(tmp_path: Path) -> None:
    write_run(tmp_path, names=SCRIPT)
    change = {"change": "win_rate", "points": 3}
    assert ask(tmp_path, write(tmp_path / "a.yaml", name="a", description=SCRIPT, changes=[change])) == 0
    (folder,) = answered(tmp_path)
    page = (folder / "scenario.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;" in page
    assert not re.search(r"<script", page)
    rows = pd.read_csv(folder / "scenario.csv", dtype=str, keep_default_na=False)
    assert not rows["key_name"].str.match(r"^[=+@-]").any()


def test_rep_names_stay_out_of_the_page_when_asked(tmp_path: Path) -> None:
    write_run(tmp_path, ("report.names=pseudonymous",))
    assert ask(tmp_path, write(tmp_path / "a.yaml", name="a", changes=[{"change": "amount", "relative": 0.1}])) == 0
    (folder,) = answered(tmp_path)
    page = (folder / "scenario.html").read_text(encoding="utf-8")
    assert "Rep 01" in page
    assert "rep00001" not in page


def test_mlflow_hears_of_the_company_only(output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[RunRecord] = []

    def listen(record: RunRecord, *_: object) -> TrackingReceipt:
        heard.append(record)
        return TrackingReceipt(None, 0, 0, None)

    monkeypatch.setattr(job, "record", listen)
    files = [
        write(
            tmp_path / f"{fte}.yaml",
            name=f"part-time {fte}",
            changes=[{"change": "part_time", "rep": "rep00002", "fte": fte}],
        )
        for fte in (0.5, 0.25)
    ]
    assert ask(output, *files) == 0
    (record,) = heard
    assert [stage.name for stage in record.stages] == ["part-time 0.5", "part-time 0.25"]
    assert record.tags["parent_run"] == RUN_ID
    wanted = {"difference_mean", "difference_se", "p_goal_before", "p_goal_after"}
    assert all(wanted <= set(stage.metrics) for stage in record.stages)
    assert record.stages[1].metrics["difference_mean"] < record.stages[0].metrics["difference_mean"] < 0
    told = json.dumps([dict(record.params), dict(record.metrics), [dict(stage.metrics) for stage in record.stages]])
    assert "rep00002" not in told


def test_examples_can_be_read() -> None:
    """They name members of the demo, so only their text and keys are checked here."""
    scenarios, problems = read_scenarios(EXAMPLES)
    assert not problems
    kinds = {item.change.change for each in scenarios for item in each.items}  # type: ignore[attr-defined]
    assert len(scenarios) == len(EXAMPLES) > 10
    assert kinds >= set(KINDS) - {"lose", "win"}


def test_the_guide_names_every_kind_and_column() -> None:
    text = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"`{kind}`" not in text] == []
    assert [column for column in COLUMNS if f"`{column}`" not in text] == []
    for kind, model in KINDS.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{kind}`"))
        assert [key for key in model.model_fields if key != "change" and f"`{key}`" not in row] == []


def test_a_scenario_needs_no_sampler_and_no_solver() -> None:
    code = (
        "import sys, engine.scenarios.job; "
        "print(sorted({'pymc', 'pytensor', 'pulp', 'highspy', 'mlflow', 'plotly'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_is_light() -> None:
    code = (
        "import contextlib, sys\nfrom engine import scenario\nwith contextlib.suppress(SystemExit):\n"
        "    scenario.main(['--help'])\n"
        "print(sorted({'numba', 'numpy', 'pandas', 'xarray', 'scipy', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
