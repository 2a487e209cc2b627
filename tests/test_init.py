"""``python -m engine.init``: a folder with an export becomes a config that runs, with at most two edits, by name."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from engine import init, pipeline
from engine.config import load_config
from engine.config.data import Preset
from engine.data.preset_files import preset_names
from engine.errors import InputRefusedError
from engine.recognition.proposal import quarter_after
from engine.recognition.stages import in_order, meaning
from tests.crm_exports import LOCALES, WRITERS
from tests.data_company import COMPANY
from tests.small_demo import small_demo

MOST_EDITS = 2


def proposed(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[str, dict[str, object]]:
    """What the command prints, and the config it writes."""
    assert init.main([str(folder), "--out", str(out), *options]) == 0
    return capsys.readouterr().out, yaml.safe_load(out.read_text(encoding="utf-8"))


def edits(printed: str) -> int:
    """Edits that the output names."""
    found = re.search(r"^(\d+) to edit:", printed, re.MULTILINE)
    return int(found[1]) if found else 0


def passes(out: Path) -> str:
    """What --check says of a config."""
    return pipeline.check(load_config(out))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("maven_crm", "opportunities"), pytest.param("adventureworks", "bookings", marks=pytest.mark.slow)],
)
def test_a_real_export_needs_at_most_two_edits(
    name: str, kind: str, sales_data: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed, config = proposed(sales_data(name), tmp_path / "c.yaml", capsys)
    assert edits(printed) <= MOST_EDITS
    assert kind in config["data"]["tables"]  # type: ignore[index]
    assert "config and data can be used" in passes(tmp_path / "c.yaml")


@pytest.mark.slow
def test_what_the_real_exports_are_is_found_in_them(
    sales_data: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed, config = proposed(sales_data("maven_crm"), tmp_path / "m.yaml", capsys)
    assert [stage["meaning"] for stage in config["stages"]] == ["open", "open", "won", "lost"]  # type: ignore[attr-defined]
    assert str(config["horizon"]["start"]) == "2018-01-01"  # type: ignore[index]
    assert "GTXPro: GTX Pro" in (tmp_path / "m.yaml").read_text(encoding="utf-8")
    assert config["allocation"] == {"enabled": False}
    _, other = proposed(sales_data("adventureworks"), tmp_path / "a.yaml", capsys)
    assert other["data"]["tables"]["quotas"]["period"] == "quarter"  # type: ignore[index]
    assert other["data"]["tables"]["quotas"]["constants"] == {"level": "rep"}  # type: ignore[index]
    assert "allocation" not in other


QUICK = [("salesforce", "german")]
ALL = [(preset, locale) for preset in WRITERS for locale in LOCALES]


@pytest.mark.parametrize(
    ("preset", "locale"), [pytest.param(*pair, marks=[] if pair in QUICK else [pytest.mark.slow]) for pair in ALL]
)
def test_every_crm_is_recognised(
    preset: Preset, locale: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = small_demo()
    WRITERS[preset](frames, LOCALES[locale]).write(tmp_path)
    printed, config = proposed(tmp_path, tmp_path / "c.yaml", capsys)
    assert config["data"]["preset"] == preset  # type: ignore[index]
    assert set(config["data"]["tables"]) == set(frames)  # type: ignore[index]
    assert edits(printed) <= MOST_EDITS
    checked = passes(tmp_path / "c.yaml")
    assert (
        f"{len(frames['reps'])} reps, {len(frames['accounts'])} accounts, {len(frames['opportunities'])} deals"
        in checked
    )
    assert [stage["name"] for stage in config["stages"]] == ["Qualify", "Proposal", "Negotiate", "Won", "Lost"]  # type: ignore[attr-defined]


def test_a_preset_that_is_asked_for_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in COMPANY.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    _, config = proposed(tmp_path, tmp_path / "c.yaml", capsys, "--preset", "salesforce")
    assert config["data"]["preset"] == "salesforce"  # type: ignore[index]
    assert set(config["data"]["tables"]) == set(COMPANY)  # type: ignore[index]


DUTCH_DEALS = """Kansnummer;Verkoper;Fase;Aangemaakt;Sluitdatum;Bedrag;Klant
K1;Ann;Gewonnen;10-01-2025;20-02-2025;"1.234,50";Alfa
K2;Ann;Verloren;15-01-2025;05-03-2025;200,00;Bèta
K3;Bob;Offerte;01-02-2025;;300,00;Bèta
K4;Bob;Kennismaking;03-02-2025;;50,00;Alfa
"""


def test_a_plain_export_in_another_language_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kansen (€).csv").write_bytes(DUTCH_DEALS.replace("Bedrag", "Bedrag (€)").encode("cp1252"))
    printed, config = proposed(tmp_path, tmp_path / "c.yaml", capsys)
    table = config["data"]["tables"]["opportunities"]  # type: ignore[index]
    assert {key: table[key] for key in ("separator", "encoding", "decimal", "date_format")} == {
        "separator": ";",
        "encoding": "windows-1252",
        "decimal": ",",
        "date_format": "%d-%m-%Y",
    }
    assert config["currency"] == "EUR"
    assert edits(printed) == 0
    assert [stage["name"] for stage in config["stages"]] == ["Kennismaking", "Offerte", "Gewonnen", "Verloren"]  # type: ignore[attr-defined]
    assert "2 reps, 2 accounts, 4 deals" in passes(tmp_path / "c.yaml")


def ambiguous(folder: Path) -> None:
    """Deals whose dates can all be read in two ways."""
    text = "id,rep,stage,created,closed,amount\nD1,R1,Won,01/02/2025,01/03/2025,100\nD2,R1,Open,02/03/2025,,50\n"
    (folder / "deals.csv").write_text(text, encoding="utf-8")


def test_dates_with_two_readings_are_an_edit_that_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ambiguous(tmp_path)
    out = tmp_path / "c.yaml"
    printed, _ = proposed(tmp_path, out, capsys)
    assert edits(printed) <= MOST_EDITS
    assert "01/02/2025 can be either" in printed
    with pytest.raises(InputRefusedError, match="2 January 2025|1 February 2025"):
        passes(out)
    text = out.read_text(encoding="utf-8")
    out.write_text(text.replace('# date_format: "%d/%m/%Y"', 'date_format: "%d/%m/%Y"'), encoding="utf-8")
    assert "2 deals" in passes(out)


def test_another_file_or_the_order_of_events_settles_dates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ambiguous(tmp_path)
    (tmp_path / "bookings.csv").write_text("date,amount,account\n25/01/2025,5,A\n26/01/2025,6,A\n", encoding="utf-8")
    _, config = proposed(tmp_path, tmp_path / "c.yaml", capsys)
    assert config["data"]["tables"]["opportunities"]["date_format"] == "%d/%m/%Y"  # type: ignore[index]
    (tmp_path / "bookings.csv").unlink()
    text = "id,rep,stage,created,closed,amount\nD1,R1,Won,02/05/2025,03/04/2025,100\nD2,R1,Open,02/03/2025,,50\n"
    (tmp_path / "deals.csv").write_text(text, encoding="utf-8")  # day first, D1 closes in April and begins in May
    _, config = proposed(tmp_path, tmp_path / "d.yaml", capsys)
    assert config["data"]["tables"]["opportunities"]["date_format"] == "%m/%d/%Y"  # type: ignore[index]


def test_excel_sheets_and_parquet_are_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = small_demo()
    with pd.ExcelWriter(tmp_path / "crm.xlsx") as book:
        for name in ("opportunities", "accounts"):
            frames[name].to_excel(book, sheet_name=name, index=False)
    frames["reps"].to_parquet(tmp_path / "reps.parquet")
    _, config = proposed(tmp_path, tmp_path / "c.yaml", capsys)
    tables = config["data"]["tables"]  # type: ignore[index]
    assert {name: table.get("sheet") for name, table in tables.items()} == {
        "opportunities": "opportunities",
        "accounts": "accounts",
        "reps": None,
    }
    assert "config and data can be used" in passes(tmp_path / "c.yaml")


@pytest.mark.parametrize("text", ["a,b\n1,2\n", ""])
def test_a_folder_without_sales_is_refused(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")
    assert init.main([str(tmp_path), "--out", str(tmp_path / "c.yaml")]) == 2
    assert "a file of deals" in capsys.readouterr().err
    assert init.main([str(tmp_path / "none"), "--out", str(tmp_path / "c.yaml")]) == 2
    assert not (tmp_path / "c.yaml").exists()


def test_a_config_is_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ambiguous(tmp_path)
    (tmp_path / "c.yaml").write_text("mine", encoding="utf-8")
    assert init.main([str(tmp_path), "--out", str(tmp_path / "c.yaml")]) == 2
    assert "a new file" in capsys.readouterr().err
    assert (tmp_path / "c.yaml").read_text(encoding="utf-8") == "mine"


def test_stages_by_their_words() -> None:
    names = ["Closed Won", "closedlost", "Gewonnen", "Onboarding", "2. Angebot", "1. Erstkontakt", "Wonderful lead"]
    assert [meaning(name) for name in names] == ["won", "lost", "won", "open", "open", "open", "open"]
    found = {name: meaning(name) for name in names[:3] + names[4:6]}
    assert list(in_order(found, None, [])) == ["1. Erstkontakt", "2. Angebot", "Closed Won", "Gewonnen", "closedlost"]


def test_the_quarter_that_people_plan() -> None:
    from datetime import date

    days = {date(2026, 6, 30): "2026-07-01", date(2026, 5, 10): "2026-04-01", date(2026, 12, 30): "2027-01-01"}
    assert {day: str(quarter_after(day)) for day in days} == days


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from engine import init; init.parser().format_help(); print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not [name for name in ("pandas", "numpy", "pydantic", "yaml") if f"'{name}'" in loaded]
    assert set(init.PRESETS) == set(preset_names())
