"""plan.xlsx: real tables that nobody's text can turn into formulas, and decisions that come back."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet

from engine.planning.decision_files import read_decisions
from engine.report.folder import make_tables
from engine.report.workbook import MOST_CHARACTERS, Passport, write_workbook
from engine.report.workbook_words import SHEETS
from tests.finished import finished_result

PASSPORT = Passport("smoke/2026-06-30_0123abcd", "", "c" * 8, "d" * 8, "2026-06-30", "EUR", 1)
ODD = ('=HYPERLINK("http://x","y")', "<script>alert(1)</script>", "\u202eevil", "😀 Ünïcode", "x" * 10_000, "-1+1")


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return make_tables(finished_result(("report.html=false",)))


@pytest.fixture(scope="module")
def written(tables: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("book") / "plan.xlsx"
    write_workbook(tables, PASSPORT, path)
    return path


def sheet_of(path: Path, name: str) -> Worksheet:
    sheet = load_workbook(path)[SHEETS[name].title]
    assert isinstance(sheet, Worksheet)
    return sheet


def frame_of(path: Path, name: str) -> pd.DataFrame:
    rows = list(load_workbook(path, data_only=True)[SHEETS[name].title].values)
    return pd.DataFrame(rows[1:], columns=list(rows[0]))


def test_every_table_is_a_table_with_frozen_header_and_the_same_values(
    tables: dict[str, pd.DataFrame], written: Path
) -> None:
    for name in ("forecast", "books", "moves", "allocation", "deals"):
        sheet, shown = sheet_of(written, name), frame_of(written, name)
        assert sheet.freeze_panes is not None
        (table,) = sheet.tables.values()
        assert table.autoFilter is not None
        assert len(shown) == len(tables[name])
        for column in tables[name].columns:
            ours = tables[name][column]
            if pd.api.types.is_float_dtype(ours.dtype):
                pd.testing.assert_series_equal(shown[column].astype(float), ours.astype(float), check_names=False)
            elif column in ("account", "rep", "key", "opportunity_id"):
                assert shown[column].fillna("").tolist() == ours.tolist()
                assert all(isinstance(value, str) for value in shown[column].dropna())


def test_the_overview_has_charts_and_the_readme_says_where_it_comes_from(written: Path) -> None:
    book = load_workbook(written)
    assert book.sheetnames[0] == "Overview"
    assert book["Overview"]._charts
    said = [cell for row in book["README"].values for cell in row]
    assert PASSPORT.run_id in said
    assert PASSPORT.data_hash in said


def test_the_same_tables_give_the_same_bytes(tables: dict[str, pd.DataFrame], written: Path, tmp_path: Path) -> None:
    write_workbook(tables, PASSPORT, tmp_path / "again.xlsx")
    assert (tmp_path / "again.xlsx").read_bytes() == written.read_bytes()


def test_odd_texts_in_every_text_column_stay_texts(tables: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    odd = {}
    for name, frame in tables.items():
        some = frame.head(len(ODD))
        texts = [c for c in some if not pd.api.types.is_numeric_dtype(some[c].dtype) and c not in ("level", "period")]
        odd[name] = some.assign(**{str(c): ODD[: len(some)] for c in texts if c != "quota_source"})
    write_workbook(odd, PASSPORT, tmp_path / "odd.xlsx")
    cells = [cell for sheet in load_workbook(tmp_path / "odd.xlsx") for row in sheet.iter_rows() for cell in row]
    assert not [cell.coordinate for cell in cells if cell.data_type == "f"]
    shown = [cell.value for cell in cells if isinstance(cell.value, str)]
    assert not [text for text in shown if text.startswith(("=", "+", "-", "@"))]
    for text in ODD:
        assert any(value.removeprefix("'") == text for value in shown)


def test_a_text_beyond_what_a_cell_holds_is_cut_with_a_sign(tables: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    long = {**tables, "moves": tables["moves"].assign(reason="y" * 40_000)}
    write_workbook(long, PASSPORT, tmp_path / "long.xlsx")
    reason = frame_of(tmp_path / "long.xlsx", "moves")["reason"][0]
    assert len(reason) == MOST_CHARACTERS
    assert reason.endswith("…")


def test_names_of_reps_stay_out_where_they_are_not_wanted(tables: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    named = {name: frame.copy() for name, frame in tables.items()}
    named["books"]["rep_name"] = "Ada Secret"
    for column in ("old_rep_name", "new_rep_name"):
        named["allocation"][column] = named["moves"][column] = "Ada Secret"
    named["deals"]["rep_name"] = "Ada Secret"
    named["forecast"].loc[named["forecast"]["level"] == "rep", "key_name"] = "Ada Secret"
    write_workbook(named, replace(PASSPORT, names="absent"), tmp_path / "absent.xlsx")
    cells = [cell for sheet in load_workbook(tmp_path / "absent.xlsx") for row in sheet.values for cell in row]
    assert "Ada Secret" not in cells
    assert named["books"]["rep"][0] in cells


def test_filled_in_cells_come_back_as_decisions(tables: dict[str, pd.DataFrame], written: Path, tmp_path: Path) -> None:
    path = tmp_path / "filled.xlsx"
    book = load_workbook(written)
    sheet = book[SHEETS["moves"].title]
    names = {cell.value: cell.column for cell in sheet[1]}
    moves, rep = tables["moves"], tables["books"]["rep"].iloc[-1]
    for row, (word, to) in enumerate([("accept", None), ("Reject", None), ("lock", None), ("assign to", rep)], 2):
        sheet.cell(row, names["decision"], word)
        sheet.cell(row, names["assign_to"], to)
        sheet.cell(row, names["decided_by"], "Kim")
        sheet.cell(row, names["note"], "knows the buyer")
    book.save(path)
    decisions = read_decisions(path)
    found = [(one.account, one.kind, one.rep) for one in decisions]
    account, new = moves["account"], moves["new_rep"]
    assert found == [
        (account[0], "accept", new[0]),
        (account[1], "reject", new[1]),
        (account[2], "lock", ""),
        (account[3], "assign", rep),
    ]
    assert {one.decided_by for one in decisions} == {"Kim"}
    assert "sheet Moves, row 3" in decisions[1].where


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice (soffice) is not installed")
def test_libreoffice_shows_the_same_values(written: Path, tmp_path: Path) -> None:
    home = f"-env:UserInstallation=file://{tmp_path}/profile"
    command = ["soffice", home, "--headless", "--convert-to", "xlsx", "--outdir", str(tmp_path), str(written)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    for name in ("books", "moves", "forecast", "deals"):
        ours, theirs = frame_of(written, name), frame_of(tmp_path / written.name, name)
        pd.testing.assert_frame_equal(theirs, ours, check_dtype=False, rtol=1e-12)
