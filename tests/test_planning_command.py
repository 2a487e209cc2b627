"""``python -m engine.planning``: exit codes, refusals, the folder of an answer."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from engine.config import RunOptions
from engine.errors import InputRefusedError
from engine.finished import open_run
from engine.planning import answers, equal_chance
from engine.planning.__main__ import main
from engine.planning.answers import answer_text, keep_answer, table_text
from engine.planning.question_settings import QuotasSettings
from engine.planning.questions import QUESTIONS, Answer, read_settings, settings_class
from engine.runs import list_runs, read_manifest
from engine.tracking import RunRecord, TrackingReceipt
from tests.planned_run import RUN_ID, finished_run


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    finished_run(folder)
    return folder


@pytest.mark.parametrize("name", list(QUESTIONS))
def test_every_question_has_settings_with_defaults_and_words(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", name]) == 0
    assert name in capsys.readouterr().out
    for key, field in settings_class(name).model_fields.items():
        assert field.description, f"{name}.{key} says nothing about itself"


def test_settings_come_from_file_and_set(tmp_path: Path) -> None:
    file = tmp_path / "quotas.yaml"
    file.write_text("chance: 0.6\npaths: 5000\n", encoding="utf-8")
    found = read_settings("quotas", file, ["chance=0.7"])
    assert isinstance(found, QuotasSettings)
    assert (found.chance, found.paths) == (0.7, 5000)


def test_all_problems_come_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["q3", "quotas", "--set", "chance=2", "--set", "pathz=5", "--set", "nonsense"]) == 2
    said = capsys.readouterr().err
    assert "3 problems" in said
    assert "did you mean `paths`?" in said


def test_unknown_questions_and_runs_are_refused(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["smoke", "quota", "--out", str(output)]) == 2
    assert "did you mean `quotas`?" in capsys.readouterr().err
    assert main(["smok", "quotas", "--out", str(output)]) == 2
    assert "did you mean smoke?" in capsys.readouterr().err


def test_an_answer_is_a_run_and_is_not_repeated(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["smoke", "quotas", "--out", str(output), "--threads", "1", "--set", "paths=1000"]
    assert main(asked) == 0
    first = capsys.readouterr().out
    assert "noise floor" in first
    (folder,) = list_runs(output, "smoke-planning-quotas")
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.parent_run == RUN_ID
    assert {"quotas.csv", "over_assignment.csv", "fairness.csv", "answer.txt", "question.yaml"} <= set(manifest.files)
    stored = yaml.safe_load((folder / "question.yaml").read_text(encoding="utf-8"))
    assert stored["settings"]["paths"] == 1000
    assert main(asked) == 0
    again = capsys.readouterr().out
    assert "unchanged" in again
    assert again.splitlines()[0] == first.splitlines()[0]


def test_a_run_that_did_not_converge_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished_run(tmp_path, converged=False)
    asked = ["smoke", "quotas", "--out", str(tmp_path), "--threads", "1", "--set", "paths=1000"]
    for _ in range(2):
        assert main(asked) == 3
        assert "NOT CONVERGED" in capsys.readouterr().out
    (folder,) = list_runs(tmp_path, "smoke-planning-quotas")
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.status == "not_converged"


def test_a_goal_out_of_reach_is_named(output: Path) -> None:
    run = open_run("smoke", output)
    found = equal_chance.answer(run, QuotasSettings(paths=1000, goal=1e9), RunOptions(threads=1))
    assert any("No single chance" in note for note in found.notes)
    within = equal_chance.answer(run, QuotasSettings(paths=1000), RunOptions(threads=1))
    assert not any("No single chance" in note for note in within.notes)
    assert within.metrics["over_assignment"] == pytest.approx(0.0, abs=1e-3)
    assert within.metrics["spread"] <= 2 * within.metrics["noise_floor"]


def test_threads_change_no_number_and_another_seed_does(output: Path) -> None:
    quotas = {}
    for threads, seed in ((1, 5), (2, 5), (2, 6)):
        out = output.parent / f"{output.name}-{threads}-{seed}"
        asked = [str(output / RUN_ID), "quotas", "--out", str(out), "--set", "paths=1000", "--set", "check=held_out"]
        assert main([*asked, "--threads", str(threads), "--seed", str(seed)]) == 0
        (folder,) = list_runs(out, "smoke-planning-quotas")
        quotas[threads, seed] = (folder / "quotas.csv").read_bytes()
    assert quotas[1, 5] == quotas[2, 5] != quotas[2, 6]


def test_quotas_of_the_plan_differ_from_those_of_the_owners(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    found = [
        equal_chance.answer(run, QuotasSettings(paths=1000, chance=0.5, plan=plan), RunOptions(threads=1))
        for plan in (False, True)
    ]
    books = pd.read_csv(run.folder / "books.csv").set_index("rep")
    planned = found[1].tables["quotas"].set_index("rep")
    both = planned.index.intersection(books.index)
    assert len(both) == 12
    assert np.corrcoef(planned.loc[both, "revenue_mean"], books.loc[both, "revenue_mean"])[0, 1] > 0.9
    assert (found[0].tables["quotas"]["quota"] != found[1].tables["quotas"]["quota"]).any()
    assert planned["chance_fit"].to_numpy() == pytest.approx(np.full(12, 0.5), abs=0.01)
    (run.folder / "allocation.csv").unlink()
    with pytest.raises(InputRefusedError, match="without a plan"):
        equal_chance.answer(run, QuotasSettings(paths=1000, plan=True), RunOptions(threads=1))


def test_a_table_reads_well() -> None:
    frame = pd.DataFrame({"rep": ["R1", "R2"], "quota": [12345.6, np.nan], "chance": [0.456, 1.0], "leads": [3, 10]})
    assert table_text(frame).splitlines() == [
        "rep   quota  chance  leads",
        "R1   12,346   45.6%      3",
        "R2           100.0%     10",
    ]
    text = answer_text(Answer("Title", {"t": frame}, ("line",), {}, ("careful",), ("t",)))
    assert text.startswith("Title\nline\n\nrep")
    assert text.endswith("Note: careful\n")


def test_no_setting_about_single_reps_becomes_a_parameter(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[RunRecord] = []

    def keep(entry: RunRecord, *_: object) -> TrackingReceipt:
        sent.append(entry)
        return TrackingReceipt(None, 0, 0, None)

    monkeypatch.setattr(answers, "record", keep)
    run = open_run(RUN_ID.split("/")[0], output)
    rep = str(run.panel.reps.labels.ids[0])
    settings = read_settings(
        "compensation", None, ["target_incentive=1000", f"reps={{{rep}: {{target_incentive: 2000}}}}"]
    )
    keep_answer(run, "compensation", settings, RunOptions(threads=1))
    (entry,) = sent
    assert not any(rep in key or rep in value for key, value in entry.params.items())
