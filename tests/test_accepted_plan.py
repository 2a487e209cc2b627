"""A plan in force: the forecast speaks of its owners, and open deals and orders went with the accounts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine.errors import InputRefusedError
from engine.planning.accepted_plan import accepted_owners, in_force
from models.panel import OPEN, Panel
from tests.simulation_inputs import make_draws, make_panel


@pytest.fixture(scope="module")
def panel() -> Panel:
    return make_panel(deals=300, reps=6, accounts=40, territories=3)


def allocation(panel: Panel, folder: Path, **moves: str) -> Path:
    """allocation.csv of a plan that moves some accounts."""
    ids = panel.reps.labels.ids
    rows = pd.DataFrame({"account": panel.accounts.labels.ids, "old_rep": ids[panel.accounts.owner]})
    rows["new_rep"] = rows["account"].map(moves).fillna(rows["old_rep"])
    rows["decision"] = ""
    rows.to_csv(folder / "allocation.csv", index=False)
    return folder / "allocation.csv"


def test_owners_are_those_of_the_plan_but_for_what_was_rejected(panel: Panel, tmp_path: Path) -> None:
    ids, accounts = panel.reps.labels.ids, panel.accounts.labels.ids
    other = {str(accounts[i]): str(ids[(panel.accounts.owner[i] + 1) % len(ids)]) for i in (3, 4)}
    path = allocation(panel, tmp_path, **other)
    owner = accepted_owners(path, panel)
    changed = np.flatnonzero(owner != panel.accounts.owner)
    assert changed.tolist() == [3, 4]
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows.loc[rows["account"] == accounts[4], "decision"] = "reject"
    rows.to_csv(path, index=False)
    assert np.flatnonzero(accepted_owners(path, panel) != panel.accounts.owner).tolist() == [3]


def test_a_word_on_one_sheet_of_the_workbook_counts_for_all_sheets(panel: Panel, tmp_path: Path) -> None:
    ids, accounts, before = panel.reps.labels.ids, panel.accounts.labels.ids, panel.accounts.owner
    other = {str(accounts[i]): str(ids[(before[i] + 1) % len(ids)]) for i in (3, 4, 5, 6)}
    rows = pd.read_csv(allocation(panel, tmp_path, **other), dtype=str, keep_default_na=False)
    rows["assign_to"] = ""
    moves = rows.iloc[[3, 4, 5, 6]].copy()
    moves["decision"] = ["reject", "Lock", "assign", ""]
    moves["assign_to"] = ["", "", str(ids[(before[5] + 2) % len(ids)]), ""]
    path = tmp_path / "plan.xlsx"
    with pd.ExcelWriter(path) as book:
        moves.to_excel(book, sheet_name="Moves", index=False)
        rows.to_excel(book, sheet_name="Accounts", index=False)
    owner = accepted_owners(path, panel)
    assert np.flatnonzero(owner != before).tolist() == [5, 6]
    assert owner[5] == (before[5] + 2) % len(ids)
    rows.loc[5, ["decision", "assign_to"]] = ["assign", str(ids[before[5]])]
    with pd.ExcelWriter(path) as book:
        moves.to_excel(book, sheet_name="Moves", index=False)
        rows.to_excel(book, sheet_name="Accounts", index=False)
    with pytest.raises(InputRefusedError, match="a second rep"):
        accepted_owners(path, panel)


def test_a_decisions_file_moves_what_was_accepted_or_assigned(panel: Panel, tmp_path: Path) -> None:
    ids, accounts = panel.reps.labels.ids, panel.accounts.labels.ids
    path = tmp_path / "decisions.csv"
    rows = [f"{accounts[0]},accept,{ids[5]}", f"{accounts[1]},assign,{ids[4]}", f"{accounts[2]},reject,{ids[3]}"]
    path.write_text("\n".join(["account,decision,rep", *rows]) + "\n", encoding="utf-8")
    owner = accepted_owners(path, panel)
    assert owner[:2].tolist() == [5, 4]
    assert (owner[2:] == panel.accounts.owner[2:]).all()


def test_open_deals_go_with_their_account_but_late_ones_stay(panel: Panel) -> None:
    draws, old = make_draws(panel), panel.accounts.owner
    owner = (old + 1) % len(panel.reps.labels)
    deals = panel.deals
    goes = (deals.outcome == OPEN) & (deals.account >= 0) & (deals.rep == old[deals.account])
    after, _ = in_force(panel, draws, owner, ())
    assert (after.deals.rep[goes] == owner[deals.account[goes]]).all()
    assert (after.deals.rep[~goes] == deals.rep[~goes]).all()
    late = str(panel.stages.ids[deals.stage[goes][0]])
    held, _ = in_force(panel, draws, owner, (late,))
    stays = goes & (panel.stages.ids[deals.stage] == late)
    assert stays.any()
    assert (held.deals.rep[stays] == deals.rep[stays]).all()
    again, _ = in_force(after, draws, owner, ())
    assert (again.deals.rep == after.deals.rep).all()


def test_reps_who_left_and_other_companies_are_refused(panel: Panel, tmp_path: Path) -> None:
    path = allocation(panel, tmp_path, **{str(panel.accounts.labels.ids[0]): "nobody"})
    with pytest.raises(InputRefusedError, match="rep 'nobody'"):
        accepted_owners(path, panel)
    path.write_text("account,new_rep,decision\nX,Y,\n", encoding="utf-8")
    with pytest.raises(InputRefusedError, match="another company"):
        accepted_owners(path, panel)
