"""CSV files that no spreadsheet runs, and that keep their values."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.report.csv_files import FORMULA_STARTS, harmless_text, write_csv


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x")', "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "＝1"])
def test_no_text_cell_starts_a_formula(text: str, tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"name": [text], "amount": [-5.0]}), tmp_path / "t.csv")
    back = pd.read_csv(tmp_path / "t.csv")
    assert back["name"][0] == f"'{text}"
    assert back["amount"][0] == -5.0


@given(st.text())
def test_any_text_comes_out_harmless_and_whole(text: str) -> None:
    safe = str(harmless_text(text))
    assert not safe.startswith(FORMULA_STARTS)
    assert safe.removeprefix("'") == text.removeprefix("'")


def test_missing_values_stay_empty(tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"name": ["a", None], "amount": [1.5, float("nan")]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == "name,amount\na,1.5\n,\n"
