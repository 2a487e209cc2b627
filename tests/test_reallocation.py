"""A finished run planned once more: what people decided holds, little else changes, and the parent is named."""

import json
from pathlib import Path

import pandas as pd
import pytest
from openpyxl import load_workbook

from engine.allocate import main
from engine.finished import FinishedRun
from engine.report.workbook import Passport, write_workbook
from engine.runs import find_run, list_runs, read_manifest
from engine.signoff import signoff_path
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


def test_a_decision_is_obeyed_and_little_else_changes(
    parent: FinishedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
    assert after["reason"][3] == "moves: decided"
    assert f"Decisions    1 weighed, {int(moved.sum())} accounts change" in capsys.readouterr().out


def test_without_a_decision_the_plan_and_the_forecast_stay(
    parent: FinishedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    assert again(parent) == 0
    child = find_run("smoke", parent.config.output)
    assert child != parent.folder
    for name in ("forecast.csv", "deals.csv", "kpis.csv", "data_quality.csv", "suspects.csv", "suspect_effect.csv"):
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


def test_a_signature_names_who_signed_which_files(parent: FinishedRun, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(parent.config.output)
    assert main(["smoke", "--out", out, "--sign", "Kim", "--note", "for Q3"]) == 0
    assert main(["smoke", "--out", out, "--sign", "Lee"]) == 0
    content = json.loads(signoff_path(parent.folder).read_text(encoding="utf-8"))
    assert content["run_id"] == RUN_ID
    assert [(one["by"], one["note"]) for one in content["signed"]] == [("Kim", "for Q3"), ("Lee", "")]
    (parent.folder / "moves.csv").write_text("account\n", encoding="utf-8")
    assert main(["smoke", "--out", out, "--sign", "Ada"]) == 2
    assert "moves.csv" in capsys.readouterr().err
    assert len(json.loads(signoff_path(parent.folder).read_text(encoding="utf-8"))["signed"]) == 2
    assert list_runs(parent.config.output, "smoke") == [parent.folder]


def test_a_workbook_brings_decisions_and_the_log_keeps_who_and_why(parent: FinishedRun, tmp_path: Path) -> None:
    before = table(parent.folder, "moves")
    book = tmp_path / "plan.xlsx"
    frames = {path.stem: pd.read_csv(path, dtype=IDS) for path in parent.folder.glob("*.csv")}
    write_workbook(frames, Passport(RUN_ID, "", "c", "d", "2026-06-30", "EUR", 1), book)
    fill_in(book, {2: ("reject", "Kim", "she knows the buyer")})
    assert again(parent, "--decisions", str(book)) == 0
    child = find_run("smoke", parent.config.output)
    rejected, after = before.iloc[0], table(child, "allocation").set_index("account")
    assert after["new_rep"][rejected["account"]] != rejected["new_rep"]
    log = table(child, "decision_log")
    (mine,) = log[(log["account"] == rejected["account"]) & (log["from_rep"] == rejected["new_rep"])].itertuples()
    assert (mine.cause, mine.decided_by, mine.why) == ("reject", "Kim", "she knows the buyer")
    assert len(log) > len(table(parent.folder, "decision_log"))
    # A later run keeps the decision without being told again, and a later word on another account adds to it.
    other = tmp_path / "later.csv"
    kept = after.index[after["new_rep"] == after["old_rep"]][0]
    other.write_text(f"account,decision,decided_by\n{kept},lock,Lee\n", encoding="utf-8")
    out = str(parent.config.output)
    assert main([str(child), "--out", out, "--set", "tracking.enabled=false", "--decisions", str(other)]) == 0
    last = find_run("smoke", parent.config.output)
    said = table(last, "decisions")
    assert set(said["decision"]) == {"reject", "lock"}
    assert table(last, "allocation").set_index("account")["new_rep"][rejected["account"]] != rejected["new_rep"]


def fill_in(book: Path, rows: dict[int, tuple[str, str, str]]) -> None:
    """Decision, person and note in rows of the sheet Moves."""
    workbook = load_workbook(book)
    sheet = workbook["Moves"]
    names = {cell.value: cell.column for cell in sheet[1]}
    for row, (decision, who, why) in rows.items():
        for name, value in {"decision": decision, "decided_by": who, "note": why}.items():
            sheet.cell(row, names[name], value)
    workbook.save(book)


def test_a_plan_of_the_frontier_becomes_the_plan(tmp_path: Path) -> None:
    """The last point moves most: it takes more than the budget of moved accounts, which it is not held to."""
    parent = finished_run(
        tmp_path / "runs", ("allocation.frontier_points=4", "allocation.eligibility=any")
    )  # fmt: skip
    points, plans = table(parent.folder, "frontier"), table(parent.folder, "frontier_plans")
    assert list(plans.columns) == ["account", *(f"plan_{number}" for number in points["point"])]
    last = int(points["point"].iloc[-1])
    assert again(parent, "--frontier-point", str(last)) == 0
    child = find_run("smoke", parent.config.output)
    assert child != parent.folder
    after = table(child, "allocation")
    assert (after["new_rep"].to_numpy() == plans[f"plan_{last}"].astype(str).to_numpy()).all()
    assert json.loads((child / "certificate.json").read_text(encoding="utf-8"))["feasible"]


def test_a_plan_that_the_frontier_does_not_have_is_refused(
    parent: FinishedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    assert again(parent, "--frontier-point", "99") == 2
    said = capsys.readouterr().err
    assert "--frontier-point" in said
    assert "frontier_points" in said
