"""Any CRM in: the demo company, written out as every CRM in every way of writing, comes back as the same tables."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engine.config.schema import RunConfig
from engine.data import Tables, as_of_date, build_panel, cut, load_tables
from engine.data.preset_files import preset_file, preset_names, unknown_columns
from engine.data.salesforce_ids import upgraded
from engine.errors import InputRefusedError
from models.panel import Panel
from tests.crm_exports import LOCALES, WRITERS, Locale
from tests.data_company import COMPANY, company_config
from tests.small_demo import small_demo

STAGES = [
    {"name": name, "meaning": {"Won": "won", "Lost": "lost"}.get(name, "open")}
    for name in ("Qualify", "Proposal", "Negotiate", "Won", "Lost")
]


def config_of(data: dict[str, Any], **other: object) -> RunConfig:
    """Config that reads an export of the demo."""
    values = {"name": "export", "as_of": "2024-12-31", "horizon": {"start": "2025-01-01"}, "stages": STAGES}
    return RunConfig.model_validate({**values, "data": data, **other})


def read(folder: Path, preset: str, locale: Locale, frames: dict[str, pd.DataFrame] | None = None) -> Tables:
    """Tables of an export of the small demo, or of others."""
    data = WRITERS[preset](small_demo() if frames is None else frames, locale).write(folder)
    return load_tables(config_of(data))


def panel_of(tables: Tables) -> Panel:
    """Panel as of the config's date."""
    config = config_of({"source": "demo"})
    return build_panel(cut(tables, as_of_date(tables, config)), config)


def content(value: object) -> bytes:
    """Everything in a frozen dataclass of arrays, as bytes."""
    if dataclasses.is_dataclass(value):
        return b"".join(content(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, np.ndarray):
        return str(value.dtype).encode() + str(value.shape).encode() + repr(value.tolist()).encode()
    return repr(value).encode()


def digest(panel: Panel) -> str:
    """Hash of a panel."""
    return hashlib.sha256(content(panel)).hexdigest()


def assert_same_tables(got: Tables, wanted: Tables) -> None:
    """Hold every table equal; rows of a history may stand in another order within the file."""
    assert set(got.frames) == set(wanted.frames)
    for name, frame in wanted.frames.items():
        other = got.frames[name]
        if name == "stage_history":
            frame, other = (
                part.sort_values(["opportunity", "date"], kind="stable").reset_index(drop=True)
                for part in (frame, other)
            )
        pd.testing.assert_frame_equal(other, frame, check_like=True, obj=name)
    assert got.barred == wanted.barred
    assert got.stages == wanted.stages


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The small demo in our own names."""
    return read(tmp_path_factory.mktemp("plain"), "plain", LOCALES["iso"])


COMBINATIONS = [(preset, locale) for preset in WRITERS for locale in LOCALES if (preset, locale) != ("plain", "iso")]
QUICK = [
    ("plain", "dutch"),
    ("salesforce", "german"),
    ("salesforce_report", "us"),
    ("hubspot", "german"),
    ("dynamics", "iso"),
]
"""Every preset and every way of writing once; the slow tests read all combinations."""


@pytest.mark.parametrize(
    ("preset", "locale"),
    [pytest.param(*pair, marks=[] if pair in QUICK else [pytest.mark.slow]) for pair in COMBINATIONS],
)
def test_every_preset_and_locale_gives_the_same_tables(preset: str, locale: str, tmp_path: Path, plain: Tables) -> None:
    tables = read(tmp_path, preset, LOCALES[locale])
    assert_same_tables(tables, plain)
    assert digest(panel_of(tables)) == digest(panel_of(plain))


def test_every_preset_has_a_writer_and_names_columns_that_exist() -> None:
    assert set(preset_names()) == set(WRITERS)
    assert {name: unknown_columns(preset_file(name)) for name in preset_names()} == dict.fromkeys(preset_names(), [])


def test_a_panel_that_differs_has_another_digest(plain: Tables) -> None:
    frames = {**plain.frames, "opportunities": plain.frames["opportunities"].assign(name="another")}
    assert digest(panel_of(dataclasses.replace(plain, frames=frames))) != digest(panel_of(plain))


def forecast_csv(panel: Panel, folder: Path) -> bytes:
    """forecast.csv of a panel, from a posterior that depends on the panel only."""
    from engine.config import load_config
    from engine.data import issues_frame
    from engine.planning.quotas import propose
    from engine.planning.verification import simulate_run
    from engine.report.csv_files import write_csv
    from engine.report.folder import make_tables
    from engine.results import ForecastResult
    from tests.finished import SMOKE, skill
    from tests.simulation_inputs import make_draws

    config = load_config(SMOKE, ("as_of=2024-12-31", "horizon.start=2025-01-01", "allocation.enabled=false"))
    draws = make_draws(panel)
    outcomes, _ = simulate_run(config, panel, draws, 1, verify=False)
    first = config.horizon.first_month
    quotas = propose(panel, outcomes.levels["company"], first, first + config.horizon.months - 1)
    result = ForecastResult(config, panel, draws, outcomes, quotas, None, skill(config, panel), issues_frame([]))
    write_csv(make_tables(result)["forecast"], folder / "forecast.csv")
    return (folder / "forecast.csv").read_bytes()


@pytest.mark.slow
def test_the_same_panel_gives_the_same_forecast(tmp_path: Path, plain: Tables) -> None:
    (tmp_path / "crm").mkdir()
    other = panel_of(read(tmp_path / "crm", "hubspot", LOCALES["german"]))
    assert forecast_csv(other, tmp_path) == forecast_csv(panel_of(plain), tmp_path)


@pytest.mark.slow
def test_whole_runs_of_two_exports_write_the_same_forecast(tmp_path: Path) -> None:
    from engine import pipeline
    from engine.config import RunOptions

    written = []
    for preset, locale in (("plain", "iso"), ("salesforce", "german")):
        folder = tmp_path / preset
        folder.mkdir()
        config = config_of(
            WRITERS[preset](small_demo(), LOCALES[locale]).write(folder),
            models={"sampler": {"tune": 60, "draws": 60, "chains": 2}},
            simulation={"paths": 500},
            allocation={"enabled": False},
            tracking={"enabled": False},
            output=folder / "runs",
        )
        pipeline.run(config, RunOptions(threads=1))
        [found] = (folder / "runs").glob("export/*/forecast.csv")
        written.append(found.read_bytes())
    assert written[0] == written[1]


# Ids of Salesforce


@pytest.mark.parametrize(
    ("short", "long"),
    [("001A0000006Vm9r", "001A0000006Vm9rIAC"), ("00530000003xqAb", "00530000003xqAbAAI")],
)
def test_ids_of_15_characters_become_those_of_18(short: str, long: str) -> None:
    assert upgraded(pd.Series([short], dtype="str")).tolist() == [long]


def test_only_ids_are_upgraded_and_case_tells_them_apart() -> None:
    texts = pd.Series(
        ["001A0000006Vm9r", "001A0000006VM9R", "JohannesMueller", "ACME12345678901", "Acme", ""], dtype="str"
    )
    found = upgraded(texts)
    assert found[0].casefold() != found[1].casefold()
    assert found.tolist()[2] == "JohannesMueller"
    assert found.tolist()[4:] == ["Acme", ""]


def salesforce_id(text: str, kind: str) -> str:
    """Id of 15 characters in mixed case for one of the demo's; the order of ids stays."""
    number = int(text[1:])
    letters = "ABab"
    return f"{kind}A0000{''.join(letters[(number >> 2 * place) & 3] for place in range(6, -1, -1))}"


def test_a_report_with_15_characters_joins_an_export_with_18(tmp_path: Path) -> None:
    known = {"O": "006", "A": "001", "R": "005"}

    def renamed(cells: pd.Series) -> pd.Series:
        """Ids as Salesforce has them."""
        new = cells.map(lambda text: salesforce_id(text, known[text[0]]), na_action="ignore")
        return new.astype("str")

    refs = ("account", "rep", "opportunity", "owner", "parent")
    frames = {}
    for name, frame in small_demo().items():
        changed = {ours: renamed(frame[ours]) for ours in refs if ours in frame}
        if name in ("opportunities", "accounts", "reps"):
            changed["id"] = renamed(frame["id"])
        if name == "quotas":
            rows = frame["level"] == "rep"
            changed["key"] = frame["key"].mask(rows, renamed(frame["key"].where(rows)))
        frames[name] = frame.assign(**changed)
    (tmp_path / "short").mkdir()
    short = read(tmp_path / "short", "salesforce_report", LOCALES["us"], frames)
    assert short.frames["opportunities"]["id"].str.len().eq(18).all()
    assert short.frames["opportunities"]["id"].str.casefold().is_unique
    long = {
        name: frame.assign(
            **{
                ours: upgraded(frame[ours].fillna("")).replace("", np.nan).astype("str")
                for ours in ("id", "key", *refs)
                if ours in frame
            }
        )
        for name, frame in frames.items()
    }
    (tmp_path / "long").mkdir()
    wanted = read(tmp_path / "long", "plain", LOCALES["iso"], long)
    assert digest(panel_of(short)) == digest(panel_of(wanted))


# Layouts

SF_DEALS = """Id,IsDeleted,AccountId,Name,StageName,Amount,CloseDate,OwnerId,CreatedDate,IsClosed,IsWon
D1,false,A1,One,Won,90,2025-02-20,R1,2025-01-10T09:00:00.000+0000,true,true
D2,false,A2,Two,Qualify,200,2025-06-30,R1,2025-01-15T09:00:00.000+0000,false,false
D9,true,A2,Binned,Qualify,999,2025-06-30,R1,2025-01-15T09:00:00.000+0000,false,false
"""
SF_FIELDS = """OpportunityId,Field,OldValue,NewValue,CreatedDate
D1,StageName,Propose,Won,2025-02-20T15:00:00.000+0000
D1,Amount,100,90,2025-02-20T15:00:00.000+0000
D1,CloseDate,2025-03-31,2025-02-20,2025-02-20T15:00:00.000+0000
D1,StageName,Qualify,Propose,2025-02-20T09:00:00.000+0000
D1,Owner,R2,R1,2025-02-01T09:00:00.000+0000
"""


def export(folder: Path, preset: str, texts: dict[str, str], **data: object) -> Tables:
    """Tables of files that are written out in a test."""
    tables: dict[str, object] = {}
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
        tables[name] = {"path": f"{name}.csv"}
    config = company_config(folder, {"products": COMPANY["products"]}).model_dump()
    values = {"source": "tables", "root": str(folder), "preset": preset, "tables": tables, **data}
    return load_tables(RunConfig.model_validate({**config, "data": values}))


def test_field_history_becomes_a_stage_history(tmp_path: Path) -> None:
    tables = export(tmp_path, "salesforce", {"opportunities": SF_DEALS, "stage_history": SF_FIELDS})
    history = tables.frames["stage_history"]
    first = history[history["opportunity"] == "D1"]
    assert first["stage"].tolist() == ["Qualify", "Propose", "Won"]
    assert first["date"].dt.strftime("%m-%d").tolist() == ["01-10", "02-20", "02-20"]
    assert first["amount"].tolist() == [100.0, 100.0, 100.0]  # what closing wrote over is taken back
    deals = tables.frames["opportunities"].set_index("id")
    assert deals.index.tolist() == ["D1", "D2"]
    assert deals["amount"]["D1"] == 100
    assert deals["won_amount"]["D1"] == 90
    assert str(deals.loc["D1", "expected_close"])[:10] == "2025-03-31"
    assert str(deals.loc["D2", "expected_close"])[:10] == "2025-06-30"
    assert any("bin" in issue.action for issue in tables.issues)


def test_stage_columns_become_a_stage_history(tmp_path: Path) -> None:
    text = (
        "hs_object_id,dealname,dealstage,amount,createdate,closedate,hubspot_owner_id,"
        "hs_v2_date_entered_Qualify,hs_v2_date_entered_Propose,hs_v2_date_entered_Won,hs_v2_date_exited_Qualify\n"
        "1,One,Won,90,2025-01-10 08:00,2025-02-20 10:00,7,2025-01-10 08:00,2025-02-20 09:00,2025-02-20 10:00,x\n"
        "2,Two,Qualify,50,2025-01-12 08:00,2025-06-30 00:00,7,2025-01-12 08:00,,,\n"
    )
    tables = export(tmp_path, "hubspot", {"opportunities": text, "stage_history": text})
    history = tables.frames["stage_history"]
    assert history["stage"].tolist() == ["Qualify", "Propose", "Won", "Qualify"]
    assert tables.frames["opportunities"]["outcome"].tolist() == ["won", "open"]
    assert tables.frames["opportunities"]["won_amount"].fillna(-1).tolist() == [90, -1]


def test_the_end_of_a_report_is_no_record(tmp_path: Path) -> None:
    text = (
        "Opportunity Owner,Account Name,Opportunity Name,Stage,Amount,Close Date,Created Date\n"
        "Ann,Alpha,Deal 1,Won,90,2/20/2025,1/10/2025\nAnn,Alpha,Deal 2,Qualify,50,6/30/2025,1/15/2025\n\n"
        "All deals\nCopyright (c) 2000-2026 salesforce.com\nGenerated By:  Ann  7/1/2025 9:00 AM\n"
    )
    tables = export(tmp_path, "salesforce_report", {"opportunities": text})
    deals = tables.frames["opportunities"]
    assert deals["id"].tolist() == ["Deal 1", "Deal 2"]
    assert deals["created"].dt.strftime("%Y-%m-%d").tolist() == ["2025-01-10", "2025-01-15"]
    assert [issue.action for issue in tables.issues if issue.rule == "no record"] == [
        "3 rows left out: text below the report"
    ]


def test_names_become_the_ids_of_the_table_they_belong_to(tmp_path: Path) -> None:
    deals = (
        "Opportunity ID,Opportunity Owner,Account Name,Opportunity Name,Stage,Amount,Close Date,Created Date\n"
        "1,Ann,Alpha,Deal 1,Won,90,2/20/2025,1/10/2025\n2,Ann,Twin,Deal 2,Qualify,50,6/30/2025,1/15/2025\n"
    )
    accounts = "Account ID,Account Name,Type\n11,Alpha,Big\n12,Twin,Big\n13,Twin,Big\n"
    users = "User ID,Full Name\n5,Ann\n"
    texts = {"opportunities": deals, "accounts": accounts, "reps": users}
    tables = export(tmp_path, "salesforce_report", texts)
    frame = tables.frames["opportunities"]
    assert frame["rep"].tolist() == ["5", "5"]
    assert frame["account"].tolist() == ["11", "Twin"]  # two accounts have the name: nobody can tell which


def test_the_hidden_columns_of_dynamics_are_kept(tmp_path: Path) -> None:
    tables = read(tmp_path, "dynamics", LOCALES["iso"])
    kept = tables.kept["opportunities"]
    assert [str(name)[:15] for name in kept] == ["(Do Not Modify)"] * 3
    assert kept["(Do Not Modify) Opportunity"].tolist() == small_demo()["opportunities"]["id"].tolist()


def test_the_config_goes_before_the_preset(tmp_path: Path) -> None:
    (tmp_path / "Opportunity.csv").write_text(
        SF_DEALS.replace("Name,StageName", "Label__c,StageName"), encoding="utf-8"
    )
    data = {
        "source": "tables",
        "root": str(tmp_path),
        "preset": "salesforce",
        "tables": {"opportunities": {"path": "Opportunity.csv", "columns": {"name": "Label__c", "rep": "AccountId"}}},
        "replace": {"opportunities": {"stage": {"Qualify": "Proposal"}}},
    }
    frame = load_tables(config_of(data)).frames["opportunities"]
    assert frame["name"].tolist() == ["One", "Two"]
    assert frame["rep"].tolist() == ["A1", "A2"]
    assert frame["stage"].tolist() == ["Won", "Proposal"]


def test_quotas_know_their_level_by_the_column_that_is_filled(tmp_path: Path) -> None:
    text = "QuotaOwnerId,QuotaAmount,StartDate,Territory2Id\nR1,10,2025-01-01,\n,20,2025-01-01,T1\n,30,2025-01-01,\n"
    (tmp_path / "q.csv").write_text(text, encoding="utf-8")
    (tmp_path / "o.csv").write_text(SF_DEALS, encoding="utf-8")
    tables = {"opportunities": {"path": "o.csv"}, "quotas": {"path": "q.csv", "period": "quarter"}}
    data = {"source": "tables", "root": str(tmp_path), "preset": "salesforce", "tables": tables}
    frame = load_tables(config_of(data)).frames["quotas"]
    assert frame["level"].tolist() == ["rep", "territory", "company"]
    assert frame["key"].fillna("").tolist() == ["R1", "T1", ""]


# Currencies

MIXED = (
    "date,amount,rep,account,currency\n2025-01-05,100,R1,A1,EUR\n2025-02-05,100,R1,A1,USD\n2025-03-05,100,R1,A1,usd\n"
)


def money(folder: Path, rates: str | None, text: str = MIXED) -> Tables:
    """Bookings in two currencies, with a rate table or without."""
    data: dict[str, object] = {"source": "tables", "root": str(folder), "tables": {"bookings": {"path": "b.csv"}}}
    (folder / "b.csv").write_text(text, encoding="utf-8")
    if rates is not None:
        (folder / "rates.csv").write_text(rates, encoding="utf-8")
        data["rates"] = {"path": "rates.csv"}
    return load_tables(config_of(data))


def test_amounts_become_the_companys_money_at_the_rate_of_their_day(tmp_path: Path) -> None:
    rates = "currency,rate,date\nUSD,0.9,2025-03-01\nUSD,0.5,2025-01-01\n"
    bookings = money(tmp_path, rates).frames["bookings"]
    assert bookings["amount"].tolist() == [100.0, 50.0, 90.0]
    assert "currency" not in bookings
    assert money(tmp_path, "currency,rate\nUSD,0.25\n").frames["bookings"]["amount"].tolist() == [100.0, 25.0, 25.0]


def test_other_rates_are_other_data(tmp_path: Path) -> None:
    one = money(tmp_path, "currency,rate\nUSD,0.25\n").digests
    assert one != money(tmp_path, "currency,rate\nUSD,0.5\n").digests
    assert "rates" in one


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        (None, "USD in 2 rows"),
        ("currency,rate\nGBP,1.2\n", "no rate for USD on the day of the row"),
        ("currency,rate,date\nUSD,0.9,2025-03-01\n", "row 3, column 'currency': got no rate for USD"),
    ],
)
def test_a_missing_rate_is_refused_by_name(tmp_path: Path, rates: str | None, words: str) -> None:
    with pytest.raises(InputRefusedError) as refused:
        money(tmp_path, rates)
    assert words in str(refused.value)
