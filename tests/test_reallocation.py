"""A finished run planned once more: what people decided holds, little else changes, and the parent is named."""

from pathlib import Path

import pandas as pd
import pytest

from engine.allocate import main
from engine.finished import FinishedRun
from engine.runs import find_run, list_runs, read_manifest
from tests.planned_run import RUN_ID, finished_run

IDS = {"account": str, "old_rep": str, "new_rep": str, "earlier_rep": str, "rep": str}


@pytest.fixture
def parent(tmp_path: Path) -> FinishedRun:
    return finished_run(tmp_path / "runs")


def again(parent: FinishedRun, *arguments: str) -> int:
    out = str(parent.config.output)
    return main(["smoke", "--out", out, "--threads", "1", "--set", "tracking.enabled=false", *arguments])


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{name}.csv", dtype=IDS, keep_default_na=False)


def test_a_decision_is_obeyed_and_little_else_changes(parent: FinishedRun, tmp_path: Path) -> None:
    before = table(parent.folder, "allocation")
    account, owner = before["account"][3], before["new_rep"][3]
    other = next(rep for rep in before["new_rep"] if rep != owner)
    decisions = tmp_path / "decisions.csv"
    decisions.write_text(f"account,decision,rep\n{account},assign,{other}\n", encoding="utf-8")
    assert again(parent, "--decisions", str(decisions), "--set", "allocation.eligibility=any") == 0
    child = find_run("smoke", parent.config.output)
    manifest = read_manifest(child)
    assert manifest is not None
    assert manifest.parent_run == RUN_ID
    after, changes = table(child, "allocation"), table(child, "changes")
    moved = before["new_rep"] != after["new_rep"]
    assert after["new_rep"][3] == other
    assert set(changes["account"]) == set(after["account"][moved])
    assert moved.sum() <= 3
    assert changes.set_index("account")["decision"][account] == "assign"
    (cost,) = table(child, "decision_costs").itertuples()
    assert (cost.account, cost.decision, cost.changes) == (account, "assign", int(moved.sum()))


def test_without_a_decision_the_plan_and_the_forecast_stay(
    parent: FinishedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    assert again(parent) == 0
    child = find_run("smoke", parent.config.output)
    assert child != parent.folder
    for name in ("forecast.csv", "deals.csv"):
        assert (child / name).read_bytes() == (parent.folder / name).read_bytes()
    assert (table(child, "allocation")["new_rep"] == table(parent.folder, "allocation")["new_rep"]).all()
    assert table(child, "changes").empty
    assert main([str(parent.folder), "--out", str(parent.config.output), "--set", "tracking.enabled=false"]) == 0
    assert "unchanged" in capsys.readouterr().out
    assert len(list_runs(parent.config.output, "smoke")) == 2


def test_a_change_of_the_forecast_is_refused(parent: FinishedRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert again(parent, "--set", "horizon.periods=2", "--set", "simulation.paths=50") == 2
    said = capsys.readouterr().err
    assert "--set horizon" in said
    assert "--set simulation" in said
    assert "run engine.forecast" in said
    assert list_runs(parent.config.output, "smoke") == [parent.folder]


def test_rules_that_cannot_hold_are_explained(parent: FinishedRun, capsys: pytest.CaptureFixture[str]) -> None:
    accounts = len(table(parent.folder, "allocation"))
    assert again(parent, "--set", f"allocation.min_accounts={accounts}") == 4
    child = find_run("smoke", parent.config.output)
    assert '"status": "proven"' in (child / "infeasible.json").read_text(encoding="utf-8")
    assert "cannot hold together: minimum accounts" in capsys.readouterr().out
