"""What people decided is obeyed, and what cannot be obeyed is refused as a whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.errors import InputRefusedError
from engine.planning.decision_files import read_decisions
from engine.planning.decisions import check_decisions, obey
from models.panel import Panel
from tests.simulation_inputs import make_panel


@pytest.fixture
def panel() -> Panel:
    """Five reps, the last one gone; account00000 is locked."""
    base = make_panel(deals=30, reps=5, accounts=6)
    locked = np.arange(6) == 0
    active = np.arange(5) < 4
    return replace(base, accounts=replace(base.accounts, locked=locked), reps=replace(base.reps, active=active))


def written(folder: Path, *rows: str) -> Path:
    """A decisions file."""
    path = folder / "decisions.csv"
    path.write_text("\n".join(["account,decision,rep", *rows]) + "\n", encoding="utf-8")
    return path


def test_decisions_become_locks_and_eligibility(panel: Panel, tmp_path: Path) -> None:
    rows = ["account00000,assign,rep00002", "account00001,lock,", "account00002,reject,rep00001", "account00003,,"]
    decisions = read_decisions(written(tmp_path, *rows))
    check_decisions(decisions, panel)
    locked, allowed = obey(decisions, panel, np.arange(4), np.ones((6, 4), dtype=bool))
    assert locked.tolist() == [False, True, False, False, False, False]
    assert allowed[0].tolist() == [False, False, True, False]
    assert allowed[2].tolist() == [True, False, True, True]
    assert allowed[3].all()


def test_everything_that_cannot_be_obeyed_is_listed_at_once(panel: Panel, tmp_path: Path) -> None:
    rows = [
        "account00009,lock,",
        "account00001,assign,rep00004",
        "account00002,move,rep00001",
        "account00003,assign,",
        "account00005,assign,rep00001",
        "account00005,lock,",
    ]
    path = written(tmp_path, *rows)
    with pytest.raises(InputRefusedError) as refused:
        check_decisions(read_decisions(path), panel)
    text = str(refused.value)
    assert len(refused.value.problems) == 5
    for words in ("line 2: got account 'account00009'", "rep 'rep00004'", "decision 'move'", "without a rep", "line 6"):
        assert words in text


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("id,what\nA,lock\n", encoding="utf-8")
    with pytest.raises(InputRefusedError, match="account, decision, rep"):
        read_decisions(path)


def test_no_file_means_no_decisions() -> None:
    assert read_decisions(None) == ()
