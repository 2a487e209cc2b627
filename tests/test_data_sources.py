"""Bad input: everything wrong is listed at once, with file, row, column, what came, what is allowed, how to mend it."""

import gzip
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from engine.config.schema import RunConfig
from engine.data import DataIssue, issues_frame, load_tables
from engine.data.dates import read_dates
from engine.errors import InputRefusedError, Problem
from tests.data_company import COMPANY, company_config

type Settings = Mapping[str, Mapping[str, object]]


def refusals(
    folder: Path, changes: dict[str, str], settings: Settings | None = None, without: tuple[str, ...] = ()
) -> list[Problem]:
    """Problems of the tiny company with some tables' texts changed."""
    texts = {name: text for name, text in {**COMPANY, **changes}.items() if name not in without}
    with pytest.raises(InputRefusedError) as refused:
        load_tables(company_config(folder, texts, settings))
    return refused.value.problems


def changed(table: str, old: str, new: str) -> dict[str, str]:
    """A table's text with one piece replaced."""
    assert old in COMPANY[table]
    return {table: COMPANY[table].replace(old, new, 1)}


def test_the_tiny_company_is_right(tmp_path: Path) -> None:
    tables = load_tables(company_config(tmp_path, COMPANY))
    assert len(tables.frames["opportunities"]) == 5
    assert tables.frames["opportunities"]["outcome"].tolist() == ["won", "lost", "open", "won", "open"]
    assert str(tables.known_until) == "2025-04-25"
    assert tables.frames["quotas"]["end"].dt.strftime("%Y-%m-%d").unique().tolist() == ["2025-06-30"]
    assert tables.barred == ()


@pytest.mark.parametrize(
    ("changes", "where", "came", "allowed"),
    [
        (changed("opportunities", "Propose", "Propos"), "row 4, column 'stage'", "near 'Propose'", "Qualify, Propose"),
        (changed("opportunities", "D2,", "D1,"), "row 3, column 'id'", "'D1', which row 2 has too", "each id once"),
        (
            changed("opportunities", "2025-02-20", "2025-01-02"),
            "row 2, column 'closed'",
            "2025-01-02, before",
            "created",
        ),
        (changed("opportunities", "100,90", "-100,90"), "row 2, column 'amount'", "'-100'", "at least 0"),
        (changed("opportunities", "100,90", "lots,90"), "row 2, column 'amount'", "'lots'", "a number"),
        (changed("opportunities", "100,90", "NaN,90"), "row 2, column 'amount'", "'NaN'", "a number"),
        (changed("opportunities", "100,90", "inf,90"), "row 2, column 'amount'", "'inf'", "a number"),
        (changed("opportunities", "100,90", "1e999,90"), "row 2, column 'amount'", "'1e999'", "a number"),
        (changed("bookings", "500,R2", "-inf,R2"), "row 5, column 'amount'", "'-inf'", "a number"),
        (changed("bookings", "500,R2", ",R2"), "row 5, column 'amount'", "an empty cell", "a value in every row"),
        (changed("opportunities", "D3,R2", "D3,R9"), "row 4, column 'rep'", "'R9'", "4 reps in reps.csv"),
        (changed("opportunities", "D3,R2", "D3,"), "row 4, column 'rep'", "an empty cell", "a value in every row"),
        (changed("accounts", "South,R2", "South,Rex"), "row 4, column 'owner'", "'Rex'", "4 reps"),
        (changed("quotas", "rep,R2", "rep,Bob"), "row 3, column 'key'", "'Bob'", "4 reps"),
        (changed("quotas", "rep,R2", "rep,"), "row 3, column 'key'", "no key on a quota", "the id"),
        (changed("quotas", "rep,R2", "team,R2"), "row 3, column 'level'", "'team'", "one of company"),
        (changed("opportunities", "2025-02-01", "2025-02-31"), "row 4, column 'created'", "2025-02-31", "a date"),
        (changed("opportunities", "2025-02-01", "0225-02-01"), "row 4, column 'created'", "0225-02-01", "a date"),
        (changed("opportunities", "2025-02-20", ""), "row 2, column 'closed'", "is won", "every closed deal"),
        (changed("opportunities", "100,90", ","), "row 2, column 'won_amount'", "'D1'", "every won deal"),
        (changed("accounts", "yes", "perhaps"), "row 3, column 'locked'", "'perhaps'", "true, false"),
        (changed("reps", "2024-01-01,,", "2024-01-01,2023-01-01,"), "row 2, column 'end'", "2023-01-01", "'start'"),
        (changed("stage_history", "D3,Propose", "D3,Pitch"), "row 8, column 'stage'", "'Pitch'", "Qualify"),
        (
            changed("quotas", "company,", "rep,R1,2025-04-01,1000\ncompany,"),
            "row 4, column 'start'",
            "rep 'R1' from 2025-04-01 to 2025-06-30, which shares days with row 2: rep 'R1' from 2025-04-01",
            "one quota of a level and key for any day",
        ),
        (
            changed("quotas", "company,", "company,any,2025-02-01,5\ncompany,"),
            "row 5, column 'start'",
            "company from 2025-04-01 to 2025-06-30, which shares days with row 4: company from 2025-02-01 to",
            "one quota of a level and key for any day",
        ),
    ],
)
def test_a_bad_cell_is_named(tmp_path: Path, changes: dict[str, str], where: str, came: str, allowed: str) -> None:
    [problem] = refusals(tmp_path, changes)
    assert problem.where == f"{next(iter(changes))}.csv, {where}"
    assert came in problem.came
    assert allowed in problem.allowed
    assert problem.mend


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    broken = {
        **changed("opportunities", "Propose", "Pitch"),
        **changed("bookings", "500", "five hundred"),
        **changed("accounts", "id,name", "code,name"),
        "products": "",
    }
    text = "\n".join(str(problem) for problem in refusals(tmp_path, broken))
    for piece in (
        "opportunities.csv, row 4",
        "bookings.csv, row 5",
        "accounts.csv, header",
        "products.csv: got an empty file",
    ):
        assert piece in text


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"2025-01-05,x{i},R1,A1,P1,\n" for i in range(100))
    problems = refusals(tmp_path, {"bookings": COMPANY["bookings"] + rows})
    assert len(problems) == 21
    assert "80 more rows" in problems[-1].came


def test_returns_are_allowed_in_bookings(tmp_path: Path) -> None:
    tables = load_tables(company_config(tmp_path, COMPANY))
    assert tables.frames["bookings"]["amount"].min() == -10


@pytest.mark.parametrize("text", ["", "\n\n", "id,rep\n"])
def test_an_empty_table_is_refused(tmp_path: Path, text: str) -> None:
    [problem] = refusals(tmp_path, {"account_owners": text})
    assert problem.where == "account_owners.csv"
    assert problem.allowed == "a header and at least one row"


def test_a_missing_file_suggests_the_nearest(tmp_path: Path) -> None:
    [problem] = refusals(tmp_path, {}, {"accounts": {"path": "acounts.csv"}})
    assert problem.where == "acounts.csv"
    assert problem.came == "no such file"
    assert "did you mean accounts.csv?" in problem.mend


def test_a_missing_column_suggests_the_nearest(tmp_path: Path) -> None:
    [problem] = refusals(tmp_path, {}, {"accounts": {"columns": {"segment": "segmnt"}}})
    assert problem.came == "no column 'segmnt'"
    assert "did you mean 'segment'?" in problem.mend
    assert "data.tables.accounts.columns.segment" in problem.mend


def test_a_ten_megabyte_cell_is_refused_and_shortened(tmp_path: Path) -> None:
    [problem] = refusals(tmp_path, changed("accounts", "Alpha", "x" * 10_000_000))
    assert "row 2, column 'name'" in problem.where
    assert "10,000,000 characters" in problem.came
    assert len(str(problem)) < 500


def test_ambiguous_dates_are_refused_with_both_readings(tmp_path: Path) -> None:
    text = "date,amount,rep\n03/04/2025,5,R1\n05/06/2025,6,R1\n"
    problems = refusals(tmp_path, {"bookings": text})
    assert len(problems) == 2
    assert "3 April 2025 or 4 March 2025" in problems[0].came
    assert "data.tables.bookings.date_format" in problems[0].mend


@pytest.mark.parametrize(("form", "first"), [("%d/%m/%Y", "2025-04-03"), ("%m/%d/%Y", "2025-03-04")])
def test_a_date_format_settles_ambiguous_dates(tmp_path: Path, form: str, first: str) -> None:
    texts = {**COMPANY, "bookings": "date,amount,rep\n03/04/2025,5,R1\n"}
    tables = load_tables(company_config(tmp_path, texts, {"bookings": {"date_format": form}}))
    assert tables.frames["bookings"]["date"].dt.strftime("%Y-%m-%d").tolist() == [first]


def test_one_impossible_reading_settles_a_date_column(tmp_path: Path) -> None:
    texts = {**COMPANY, "bookings": "date,amount,rep\n03/04/2025,5,R1\n03/25/2025,6,R1\n"}
    tables = load_tables(company_config(tmp_path, texts))
    assert tables.frames["bookings"]["date"].dt.month.tolist() == [3, 3]


def test_time_stamps_become_days_of_the_companys_time_zone() -> None:
    texts = pd.Series(["2025-03-31T22:30:00Z", "2025-03-31 23:59:59", "2025-03-31T22:30:00.000+0000"], dtype="str")
    read = read_dates(texts, None, "Europe/Amsterdam")
    assert read.days.dt.strftime("%Y-%m-%d").tolist() == ["2025-04-01", "2025-03-31", "2025-04-01"]
    assert not read.bad.any()


def test_windows_1252_is_refused_by_name_and_read_when_told(tmp_path: Path) -> None:
    config = company_config(tmp_path, COMPANY)
    (tmp_path / "reps.csv").write_bytes(COMPANY["reps"].replace("Ann", "José").encode("cp1252"))
    with pytest.raises(InputRefusedError) as refused:
        load_tables(config)
    [problem] = refused.value.problems
    assert "line 2" in problem.came
    assert "José" in problem.came
    assert problem.mend == "set data.tables.reps.encoding: cp1252"
    tables = load_tables(_retold(tmp_path, {"reps": {"encoding": "cp1252"}}))
    assert "José" in tables.frames["reps"]["name"].tolist()


def _retold(folder: Path, settings: Settings) -> RunConfig:
    """Config over files that are there already."""
    kept = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    config = company_config(folder, COMPANY, settings)
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    return config


def test_utf8_read_as_windows_1252_and_utf16_are_refused_by_name(tmp_path: Path) -> None:
    changes = changed("reps", "Ann", "José")
    [problem] = refusals(tmp_path, changes, {"reps": {"encoding": "cp1252"}})
    assert problem.came == "text in UTF-8"
    (tmp_path / "reps.csv").write_text(COMPANY["reps"], encoding="utf-16")
    with pytest.raises(InputRefusedError, match="text in UTF-16"):
        load_tables(_retold(tmp_path, {}))


def test_a_byte_order_mark_is_fine(tmp_path: Path) -> None:
    config = company_config(tmp_path, COMPANY)
    (tmp_path / "reps.csv").write_text(COMPANY["reps"], encoding="utf-8-sig")
    assert len(load_tables(config).frames["reps"]) == 4


def test_decimal_comma_is_named_and_read_when_told(tmp_path: Path) -> None:
    text = "date;amount;rep\n2025-01-05;1.234,50;R1\n2025-01-06;7;R1\n"
    [problem] = refusals(tmp_path, {"bookings": text})
    assert "separator: ';'" in problem.mend
    [problem] = refusals(tmp_path, {"bookings": text}, {"bookings": {"separator": ";"}})
    assert 'data.tables.bookings.decimal: ","' in problem.mend
    settings = {"bookings": {"separator": ";", "decimal": ","}}
    tables = load_tables(company_config(tmp_path, {**COMPANY, "bookings": text}, settings))
    assert tables.frames["bookings"]["amount"].tolist() == [1234.5, 7.0]


@pytest.mark.parametrize("text", ["date,amount\n2025-01-05,1,2\n", 'date,amount\n2025-01-05,"1\n'])
def test_broken_records_are_refused(tmp_path: Path, text: str) -> None:
    [problem] = refusals(tmp_path, {"bookings": text})
    assert problem.where == "bookings.csv"


def test_broken_files_are_refused(tmp_path: Path) -> None:
    config = company_config(
        tmp_path,
        COMPANY,
        {
            "reps": {"path": "reps.csv.gz"},
            "products": {"path": "products.xlsx"},
            "accounts": {"path": "accounts.parquet"},
            "quotas": {"path": "quotas.pdf"},
        },
    )
    for name in ("reps.csv.gz", "products.xlsx", "accounts.parquet", "quotas.pdf"):
        (tmp_path / name).write_bytes(b"not what it says")
    with pytest.raises(InputRefusedError) as refused:
        load_tables(config)
    words = " ".join(problem.came for problem in refused.value.problems)
    for piece in ("broken gzip", "not an Excel workbook", "not Parquet", "type '.pdf'"):
        assert piece in words


def test_gzip_parquet_and_excel_give_the_same_tables(tmp_path: Path) -> None:
    plain = load_tables(company_config(tmp_path, COMPANY))
    settings = {"reps": {"path": "reps.csv.gz"}, "opportunities": {"path": "o.parquet"}, "bookings": {"path": "b.xlsx"}}
    config = company_config(tmp_path, COMPANY, settings)
    with gzip.open(tmp_path / "reps.csv.gz", "wb") as file:
        file.write(COMPANY["reps"].encode())
    plain.frames["opportunities"].to_parquet(tmp_path / "o.parquet")
    plain.frames["bookings"].to_excel(tmp_path / "b.xlsx", index=False)
    other = load_tables(config)
    for name, frame in plain.frames.items():
        pd.testing.assert_frame_equal(other.frames[name], frame, check_like=True)


def test_the_types_of_parquet_files_are_read(tmp_path: Path) -> None:
    stamp = pd.to_datetime(["2025-01-05T23:30:00Z", "2025-01-06T10:00:00Z"])
    frame = pd.DataFrame(
        {
            "date": stamp.tz_convert("Europe/Amsterdam"),
            "amount": [Decimal("5.25"), Decimal("-1")],
            "rep": pd.array([272, None], dtype="Int64"),
            "account": pd.Categorical(["A1", None]),
        }
    )
    config = company_config(tmp_path, {"bookings": "x"}, {"bookings": {"path": "b.parquet"}})
    frame.to_parquet(tmp_path / "b.parquet")
    bookings = load_tables(config).frames["bookings"]
    assert bookings["date"].dt.strftime("%d").tolist() == ["05", "06"]
    assert bookings["amount"].tolist() == [5.25, -1.0]
    assert bookings["rep"].fillna("").tolist() == ["272", ""]
    assert bookings["account"].fillna("").tolist() == ["A1", ""]
    frame.assign(date=[date(2025, 1, 5), date(2025, 1, 6)], amount=[1.0, float("inf")]).to_parquet(
        tmp_path / "b.parquet"
    )
    with pytest.raises(InputRefusedError, match="row 2, column 'amount': got 'inf'"):
        load_tables(config)


def test_numeric_ids_match_across_files(tmp_path: Path) -> None:
    texts = {"bookings": "date,amount,rep,account\n2025-01-05,5,272,7\n", "reps": "id,name\n272,Ann\n"}
    config = company_config(tmp_path, texts, {"bookings": {"path": "b.xlsx"}})
    row = {"date": pd.Timestamp("2025-01-05"), "amount": 5.0, "rep": 272.0, "account": 7.0}
    pd.DataFrame([row]).to_excel(tmp_path / "b.xlsx")
    assert load_tables(config).frames["bookings"]["rep"].tolist() == ["272"]


def test_replace_mends_values_and_says_so(tmp_path: Path) -> None:
    texts = {**COMPANY, **changed("opportunities", "A1,P1,100", "A1,P-1,100")}
    issues = issues_frame(load_tables(company_config(tmp_path, texts)).issues)
    [unknown] = issues.loc[issues["rule"] == "unknown product", "action"]
    assert "1 rows name product 'P-1'" in unknown
    config = company_config(tmp_path, texts, replace={"opportunities": {"product": {"P-1": "P1"}}})
    tables = load_tables(config)
    assert tables.frames["opportunities"]["product"].tolist()[0] == "P1"
    rules = [issue.rule for issue in tables.issues]
    assert "unknown product" not in rules
    assert "replaced product" in rules


def test_open_deals_with_a_closing_date_keep_it_as_the_expected_one(tmp_path: Path) -> None:
    text = "id,rep,stage,created,closed,amount\n"
    text += "D1,R1,Won,2025-01-10,2025-02-20,100\nD2,R1,Qualify,2025-01-10,2025-09-30,50\n"
    tables = load_tables(company_config(tmp_path, {"opportunities": text}))
    deals = tables.frames["opportunities"]
    assert deals["closed"].isna().tolist() == [False, True]
    assert deals["expected_close"].dt.strftime("%Y-%m-%d").tolist()[1] == "2025-09-30"
    assert str(tables.known_until) == "2025-02-20"
    assert [issue.rule for issue in tables.issues] == ["open with closing date"]


def test_an_outcome_that_contradicts_the_stage_is_refused(tmp_path: Path) -> None:
    text = "id,rep,stage,created,closed,amount,outcome\nD1,R1,Won,2025-01-10,2025-02-20,100,lost\n"
    problems = refusals(tmp_path, {"opportunities": text}, without=("stage_history", "bookings"))
    assert [problem.came for problem in problems] == ["'lost' in stage 'Won'"]


def test_a_quota_is_held_against_every_earlier_one_of_its_key(tmp_path: Path) -> None:
    text = "level,key,start,end,amount\nrep,R1,2025-01-01,2025-12-31,9\nrep,R1,2025-02-01,2025-02-28,1\n"
    text += "rep,R1,2025-11-01,2025-11-30,1\nrep,R1,2026-01-01,2026-01-31,1\nmanager,R3,2025-01-01,2025-12-31,9\n"
    problems = refusals(tmp_path, {"quotas": text})
    assert [problem.where for problem in problems] == [f"quotas.csv, row {row}, column 'start'" for row in (3, 4)]
    assert all("shares days with row 2" in problem.came for problem in problems)


def bookings_issues(folder: Path, texts: dict[str, str]) -> dict[str, DataIssue]:
    """Issues over the bookings of a company, by rule."""
    issues = load_tables(company_config(folder, texts)).issues
    return {issue.rule: issue for issue in issues if issue.table == "bookings"}


@pytest.mark.parametrize("column", ["absent", "empty"])
def test_bookings_that_name_no_deal_may_repeat_the_won_ones(tmp_path: Path, column: str) -> None:
    assert "bookings may repeat won deals" not in bookings_issues(tmp_path, COMPANY)
    text = COMPANY["bookings"].replace(",D4\n", ",\n")
    if column == "absent":
        text = "".join(line.rpartition(",")[0] + "\n" for line in text.splitlines())
    issue = bookings_issues(tmp_path, {**COMPANY, "bookings": text})["bookings may repeat won deals"]
    assert issue.severity == "warning"
    assert issue.value_at_stake == 90 + 420  # the won deals; all bookings are 1,090
    for words in ("counted as orders beside the 2 won deals", "add the `opportunity` column", "models.legs"):
        assert words in issue.action


def test_orders_without_account_are_named_with_what_follows(tmp_path: Path) -> None:
    words = "their future is not forecast: the bookings leg works account by account"
    some = COMPANY["bookings"].replace("500,R2,A3", "500,R2,").replace("420,R2,A3", "420,R2,")
    issue = bookings_issues(tmp_path, {**COMPANY, "bookings": some})["missing account"]
    assert issue.action.startswith("1 orders have no account")  # the other row is the revenue of D4
    assert words in issue.action
    assert issue.value_at_stake == 500
    none = "date,amount,rep\n2025-01-05,50,R1\n2025-01-20,60,R1\n"
    issue = bookings_issues(tmp_path, {**COMPANY, "bookings": none})["missing account"]
    assert words in issue.action
    assert "add the `account` column in bookings.csv" in issue.action
    assert issue.value_at_stake == 110


@pytest.mark.parametrize("text", ["date,amount\n2025-01-05,50\n", "date,amount,account\n2025-01-05,50,\n"])
def test_bookings_alone_without_any_account_are_refused(tmp_path: Path, text: str) -> None:
    [problem] = refusals(tmp_path, {"bookings": text}, without=("opportunities", "stage_history"))
    assert problem.where == "bookings.csv, column 'account'"
    assert "account by account" in problem.allowed
