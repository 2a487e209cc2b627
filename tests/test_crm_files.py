"""crm/: loaded into an export the plan is in force, and the undo set brings the export back."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine.config import hashable, load_config
from engine.pipeline import given_files
from engine.report.crm_files import write_crm_files
from engine.results import Allocation, ForecastResult
from engine.runs import content_hash
from models.panel import OPEN
from tests.finished import SMOKE, finished_result

KEYS = {"account": ["Id"], "opportunity": ["Id"], "user_territory": ["UserId", "Territory2Id"]}


@pytest.fixture(scope="module")
def result() -> ForecastResult:
    return finished_result(("report.html=false",))


def bundle(result: ForecastResult, folder: Path) -> dict[str, list[dict[str, str]]]:
    assert isinstance(result.allocation, Allocation)
    write_crm_files(result, result.allocation, folder)
    content: dict[str, list[dict[str, str]]] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return content


def export(result: ForecastResult) -> dict[str, pd.DataFrame]:
    """Tables of a CRM as the plan found them, by the first word of the files that change them."""
    panel = result.panel
    reps = np.append(panel.reps.labels.ids.astype(object), "")
    owner = np.where(panel.accounts.inferred_owner, -1, panel.accounts.owner)
    accounts = pd.DataFrame({"Id": panel.accounts.labels.ids, "OwnerId": reps[owner]})
    deals = pd.DataFrame({"Id": panel.deals.ids, "OwnerId": reps[panel.deals.rep]})
    none = pd.DataFrame(columns=["UserId", "Territory2Id", "RoleInTerritory2"])
    quotas = pd.DataFrame(columns=["QuotaOwnerId", "QuotaAmount", "StartDate"])
    return {"account": accounts, "opportunity": deals, "user_territory": none, "forecasting_quota": quotas}


def load(tables: dict[str, pd.DataFrame], entry: dict[str, str], folder: Path) -> None:
    """Do with an export what the CRM's loader does with a file."""
    rows = pd.read_csv(folder / entry["file"], dtype=str, keep_default_na=False)
    kind = next(name for name in tables if Path(entry["file"]).name.startswith(name))
    table = tables[kind]
    if entry["operation"] == "update":
        new = rows.set_index("Id")["OwnerId"]
        tables[kind] = table.assign(OwnerId=table["Id"].map(new).fillna(table["OwnerId"]))
        assert rows["Id"].isin(table["Id"]).all()
    elif entry["operation"] == "delete":
        key = list(rows.columns)
        gone = table.merge(rows, on=key, how="left", indicator=True)["_merge"].eq("both").to_numpy()
        assert gone.sum() == len(rows)
        tables[kind] = table[~gone].reset_index(drop=True)
    else:
        tables[kind] = pd.concat([table, rows], ignore_index=True)


def test_loading_brings_the_plan_and_the_undo_set_the_export_back(result: ForecastResult, tmp_path: Path) -> None:
    manifest, before, tables = bundle(result, tmp_path / "crm"), export(result), export(result)
    for entry in manifest["load"]:
        load(tables, entry, tmp_path / "crm")
    assert isinstance(result.allocation, Allocation)
    allocation, answer = result.allocation, result.allocation.answer
    planned = result.panel.reps.labels.ids[allocation.reps[answer.rep]]  # type: ignore[union-attr]
    assert tables["account"]["OwnerId"].tolist() == planned.tolist()
    deals, owner = result.panel.deals, dict(zip(tables["account"]["Id"], planned, strict=True))
    old = result.panel.accounts.owner[deals.account]
    follows = (deals.outcome == OPEN) & (deals.account >= 0) & (old == deals.rep)
    account = result.panel.accounts.labels.ids[deals.account[follows]]
    assert tables["opportunity"]["OwnerId"][follows].tolist() == [owner[key] for key in account]
    for entry in manifest["undo"]:
        load(tables, entry, tmp_path / "crm")
    for name, frame in before.items():
        pd.testing.assert_frame_equal(tables[name], frame, check_dtype=False)


def test_the_manifest_has_order_counts_and_hashes(result: ForecastResult, tmp_path: Path) -> None:
    manifest = bundle(result, tmp_path / "crm")
    files = [entry["file"] for entry in manifest["load"]]
    assert files[:2] == ["account_owner_update.csv", "opportunity_owner_update.csv"]
    for entry in [*manifest["load"], *manifest["undo"]]:
        path = tmp_path / "crm" / entry["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
        assert len(path.read_text(encoding="utf-8").splitlines()) - 1 == entry["rows"]
    assert {"territory_delete", "territory_insert"} <= set(manifest["not_written"])


def test_late_deals_stay_with_the_old_rep(tmp_path: Path) -> None:
    free = finished_result(("report.html=false",))
    moving = pd.read_csv(_owners(free, tmp_path / "free"), dtype=str)
    stages = dict(zip(free.panel.deals.ids, free.panel.stages.ids[free.panel.deals.stage], strict=True))
    stage = stages[moving["Id"][0]]
    late = finished_result(("report.html=false", f"allocation.hold_over_stages=[{stage}]"))
    after = pd.read_csv(_owners(late, tmp_path / "late"), dtype=str)
    assert stage not in {stages[key] for key in after["Id"]}
    assert len(moving) > len(after)


def test_accounts_follow_their_rep_where_associations_are_known(tmp_path: Path) -> None:
    plain = finished_result(("report.html=false",))
    panel = plain.panel
    known = pd.DataFrame({"ObjectId": panel.accounts.labels.ids})
    known["Id"] = [f"0AS{i:05d}" for i in range(len(known))]
    known["Territory2Id"] = panel.territories.ids[panel.accounts.territory]
    known.to_csv(tmp_path / "associations.csv", index=False)
    given = f"crm={{territories: follow_rep, territory_associations: {tmp_path / 'associations.csv'}}}"
    result = finished_result(("report.html=false", given))
    manifest = bundle(result, tmp_path / "crm")
    order = [entry["file"] for entry in manifest["load"]]
    left = pd.read_csv(tmp_path / "crm" / "territory_delete.csv", dtype=str)
    joined = pd.read_csv(tmp_path / "crm" / "territory_insert.csv", dtype=str)
    back = pd.read_csv(tmp_path / "crm" / "undo" / "territory_insert.csv", dtype=str)
    assert order.index("territory_delete.csv") + 1 == order.index("territory_insert.csv")
    assert len(left) == len(joined) == len(back) > 0
    assert set(joined["AssociationCause"]) == {"Territory2Manual"}
    kept = known.set_index("Id").loc[left["Id"]]
    assert kept["Territory2Id"].tolist() == back["Territory2Id"].tolist()
    assert (kept["Territory2Id"].to_numpy() != joined["Territory2Id"].to_numpy()).all()


def _owners(result: ForecastResult, folder: Path) -> Path:
    bundle(result, folder)
    return folder / "opportunity_owner_update.csv"


def test_other_associations_make_another_run_wherever_they_lie(tmp_path: Path) -> None:
    hashes = []
    for folder, text in (("a", "Id,ObjectId\n1,x\n"), ("b", "Id,ObjectId\n1,x\n"), ("c", "Id,ObjectId\n2,x\n")):
        path = tmp_path / folder / "associations.csv"
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
        config = load_config(SMOKE, (), {"crm": {"territories": "follow_rep", "territory_associations": str(path)}})
        hashes.append(content_hash([hashable(config), given_files(config)]))
    assert hashes[0] == hashes[1] != hashes[2]
