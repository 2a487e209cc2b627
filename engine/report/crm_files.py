"""crm/: the plan as import files for Salesforce, in load order, with what undoes them.

Files name CRM ids only, so they need no guard against formulas beyond the one every CSV has. A file is written when the
plan changes something that it can say; the manifest names the others with the reason.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from engine.planning.hold_over import held
from engine.planning.quotas import PROPOSED
from engine.report.csv_files import write_csv
from engine.results import Allocation, ForecastResult
from models.panel import NONE, OPEN, Ints, Texts
from optimization.plan import TerritoryPlan

CAUSE = "Territory2Manual"
"""Association cause of an account that people put into a territory."""

ORDER = (
    "account_owner_update",
    "opportunity_owner_update",
    "territory_delete",
    "territory_insert",
    "user_territory_insert",
    "forecasting_quota_upsert",
)
"""Order of loading: owners first; a territory is left before another is joined."""


KEPT = "accounts stay in their territories, and the new owner joins them: see crm.territories"
NO_ASSOCIATIONS = "accounts follow their rep's territory; to leave the old one, crm.territory_associations is needed"
"""Why a file about territories is not written."""


@dataclass(frozen=True)
class CrmFile:
    """One import file and what brings the earlier state back.

    Attributes
    ----------
    rows : to be loaded; columns are the CRM's
    undo : the previous values; for rows that are inserted, what is to be deleted again
    undo_operation : ``update``, ``insert`` or ``delete``
    """

    rows: pd.DataFrame
    undo: pd.DataFrame
    undo_operation: str


def crm_files(result: ForecastResult, allocation: Allocation) -> tuple[dict[str, CrmFile], dict[str, str]]:
    """Files that have rows, by name without ending, and why each of the others is not written."""
    plan = allocation.answer
    if not isinstance(plan, TerritoryPlan):
        raise TypeError("there is no plan: the rules cannot hold together")
    moves = _Moves.of(result, allocation, plan)
    files = {
        "account_owner_update": _account_owners(result, moves),
        "opportunity_owner_update": _deal_owners(result, moves),
        "forecasting_quota_upsert": _quotas(result, allocation),
    }
    if result.config.crm.territories == "follow_rep":
        files, why = files | _territories(result, moves), NO_ASSOCIATIONS
    else:
        files, why = files | {"user_territory_insert": _memberships(result, moves)}, KEPT
    missing = {name: "nothing changes" if name in files else why for name in ORDER}
    return {name: files[name] for name in ORDER if name in files and len(files[name].rows)}, {
        name: reason for name, reason in missing.items() if name not in files or not len(files[name].rows)
    }


@dataclass(frozen=True)
class _Moves:
    """Accounts whose owner changes: index into the panel's accounts, old and new rep; NONE for nobody."""

    account: Ints
    old: Ints
    new: Ints

    @classmethod
    def of(cls, result: ForecastResult, allocation: Allocation, plan: TerritoryPlan) -> "_Moves":
        """What the plan changes in the CRM: an owner that was only inferred has to be written as well."""
        new, old = allocation.reps[plan.rep], allocation.old_rep
        inferred = result.panel.accounts.inferred_owner[allocation.accounts]
        changed = np.flatnonzero((new != old) | inferred)
        before = np.where(inferred, NONE, old)[changed]
        return cls(allocation.accounts[changed], before, new[changed])


def _account_owners(result: ForecastResult, moves: _Moves) -> CrmFile:
    accounts = result.panel.accounts.labels.ids[moves.account]
    return _update(accounts, _rep_ids(result, moves.new), _rep_ids(result, moves.old), "OwnerId")


def _deal_owners(result: ForecastResult, moves: _Moves) -> CrmFile:
    """Open deals follow their account where its old owner has them, unless their stage is held over."""
    deals, panel = result.panel.deals, result.panel
    new = np.full(len(panel.accounts.labels) + 1, NONE)
    new[moves.account] = moves.new
    old = np.append(panel.accounts.owner, NONE)
    mine = (deals.outcome == OPEN) & (deals.rep == old[deals.account]) & (deals.rep != NONE)
    stays = held(panel, result.config.allocation.hold_over_stages)
    follows = np.flatnonzero(mine & (new[deals.account] != NONE) & (new[deals.account] != deals.rep) & ~stays)
    before = _rep_ids(result, deals.rep[follows])
    return _update(deals.ids[follows], _rep_ids(result, new[deals.account[follows]]), before, "OwnerId")


def _memberships(result: ForecastResult, moves: _Moves) -> CrmFile:
    """Reps who own accounts in a territory where they had none, and which is not their home."""
    panel = result.panel
    pairs = {
        (int(rep), int(place)) for rep, place in zip(moves.new, panel.accounts.territory[moves.account], strict=True)
    }
    known = set(zip(panel.accounts.owner.tolist(), panel.accounts.territory.tolist(), strict=True))
    known |= set(enumerate(panel.reps.territory.tolist()))
    joins = sorted(pair for pair in pairs - known if pair[1] != NONE)
    rep, place = (np.array([pair[k] for pair in joins], dtype=np.int64) for k in (0, 1))
    rows = pd.DataFrame({"UserId": _rep_ids(result, rep), "Territory2Id": panel.territories.ids[place]})
    return CrmFile(rows.assign(RoleInTerritory2="Sales Rep"), rows, "delete")


def _territories(result: ForecastResult, moves: _Moves) -> dict[str, CrmFile]:
    """Accounts whose new owner lives in another territory leave theirs for the owner's.

    An association cannot be updated in Salesforce, only deleted by its own id and inserted anew; without those ids
    nothing is written, since an account would be in two territories.
    """
    path = result.config.crm.territory_associations
    if path is None:
        return {}
    known = pd.read_csv(path, dtype=str, keep_default_na=False)
    panel = result.panel
    home, place = panel.reps.territory[moves.new], panel.accounts.territory[moves.account]
    goes = np.flatnonzero((home != NONE) & (home != place))
    ids = panel.territories.ids
    wanted = pd.DataFrame({"ObjectId": panel.accounts.labels.ids[moves.account[goes]], "new": ids[home[goes]]})
    rows = wanted.merge(known, on="ObjectId", how="inner")
    inserted = pd.DataFrame(
        {"ObjectId": rows["ObjectId"], "Territory2Id": rows["new"], "AssociationCause": CAUSE}
    ).drop_duplicates()
    left = rows[["ObjectId", "Territory2Id"]].assign(AssociationCause=CAUSE)
    return {
        "territory_delete": CrmFile(rows[["Id"]], left, "insert"),
        "territory_insert": CrmFile(inserted, inserted[["ObjectId", "Territory2Id"]], "delete"),
    }


def _quotas(result: ForecastResult, allocation: Allocation) -> CrmFile:
    """Quotas that the engine proposed, by month; those that were given are in the CRM already."""
    rows = []
    for rep in allocation.reps:
        key = str(result.panel.reps.labels.ids[rep])
        for month in range(allocation.start, allocation.end + 1):
            amount, source = result.quotas.target("rep", key, month, month)
            if source == PROPOSED:
                day = np.datetime64(month, "M").astype("datetime64[D]")
                rows.append({"QuotaOwnerId": key, "QuotaAmount": round(amount, 2), "StartDate": str(day)})
    frame = pd.DataFrame(rows, columns=["QuotaOwnerId", "QuotaAmount", "StartDate"])
    return CrmFile(frame, frame[["QuotaOwnerId", "StartDate"]], "delete")


def _update(ids: Texts, new: Texts, old: Texts, field: str) -> CrmFile:
    rows, undo = pd.DataFrame({"Id": ids, field: new}), pd.DataFrame({"Id": ids, field: old})
    return CrmFile(rows, undo, "update")


def _rep_ids(result: ForecastResult, index: Ints) -> Texts:
    return np.append(result.panel.reps.labels.ids.astype(object), "")[index].astype(str)


def write_crm_files(result: ForecastResult, allocation: Allocation, folder: Path) -> None:
    """Write crm/ into a run folder: the files, undo/ and manifest.json with order, counts and hashes."""
    files, missing = crm_files(result, allocation)
    (folder / "undo").mkdir(parents=True)
    load: list[dict[str, Any]] = []
    undo: list[dict[str, Any]] = []
    for name, file in files.items():
        write_csv(file.rows, folder / f"{name}.csv")
        operation = name.rsplit("_", 1)[1]
        load.append(_entry(folder, f"{name}.csv", operation, len(file.rows)))
        back = f"undo/{name.rsplit('_', 1)[0]}_{file.undo_operation}.csv"
        write_csv(file.undo, folder / back)
        undo.insert(0, _entry(folder, back, file.undo_operation, len(file.undo)))
    content: Mapping[str, Any] = {"load": load, "undo": undo, "not_written": missing}
    (folder / "manifest.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _entry(folder: Path, name: str, operation: str, rows: int) -> dict[str, Any]:
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    return {"file": name, "operation": operation, "rows": rows, "sha256": digest}
