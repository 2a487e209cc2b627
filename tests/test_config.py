"""The config: what is refused and how it is said, what is completed, and what its hash covers."""

import gzip
import math
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.config import (
    TABLES,
    DemoData,
    Horizon,
    RunConfig,
    TablesData,
    hashable,
    load_config,
    resolved,
)
from engine.config.data import TableName
from engine.config.problems import nearest
from engine.errors import InputRefusedError
from engine.runs import content_hash
from tests.conftest import ROOT

GOOD: dict[str, Any] = {"name": "q3", "as_of": date(2026, 6, 30), "horizon": {"start": date(2026, 7, 1)}}
TABLES_GOOD: dict[str, Any] = {
    "source": "tables",
    "root": ".",
    "tables": {"bookings": {"path": "bookings.csv", "columns": {"date": "OrderDate"}}},
}


def written(folder: Path, content: object) -> Path:
    """Write a config; texts and bytes as they are."""
    path = folder / "test.yaml"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return path


def complaints(folder: Path, content: object, *overrides: str) -> list[str]:
    with pytest.raises(InputRefusedError) as caught:
        load_config(written(folder, content), overrides)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def the_complaint(folder: Path, content: object, *overrides: str) -> str:
    said = complaints(folder, content, *overrides)
    assert len(said) == 1, said
    return said[0]


def test_the_example_of_the_issue_loads_as_it_stands() -> None:
    config = load_config(ROOT / "configs/q3.yaml")
    assert config.name == "q3"
    assert config.as_of == date(2026, 6, 30)
    assert (config.horizon.months, config.horizon.end) == (3, date(2026, 9, 30))
    assert config.planning_horizon == config.horizon
    assert config.seed == 20260701
    assert config.data == DemoData()
    assert config.simulation.paths == 20_000
    assert config.allocation.max_moved_accounts_share == 0.25
    assert config.tracking.experiment == "q3"
    assert config.output == Path("runs")


@pytest.mark.parametrize(("name", "data"), [("maven", "maven_crm"), ("adventureworks", "adventureworks")])
def test_the_examples_for_real_data_ask_for_their_root_and_find_every_column(
    name: str, data: str, sales_data: Callable[[str], Path]
) -> None:
    path = ROOT / f"configs/{name}.yaml"
    with pytest.raises(InputRefusedError, match=r"line 12, data\.root: got nothing.*--set data\.root=PATH"):
        load_config(path)
    root = sales_data(data)
    config = load_config(path, [f"data.root={root}"])
    assert isinstance(config.data, TablesData)
    for table in config.data.tables.values():
        assert table.path is not None
        assert set(table.columns.values()) <= set(header(root / table.path)), table.path


def header(path: Path) -> list[str]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return content.decode().splitlines()[0].split(",")


def test_every_field_says_what_it_is() -> None:
    schema = RunConfig.model_json_schema()
    sections = {"RunConfig": schema, **schema["$defs"]}
    silent = [
        f"{name}.{key}"
        for name, section in sections.items()
        for key, field in section.get("properties", {}).items()
        if len(field.get("description", "").split()) < 2
    ]
    assert not silent


def test_every_section_refuses_unknown_keys_and_is_frozen() -> None:
    schema = RunConfig.model_json_schema()
    sections = [section for section in (schema, *schema["$defs"].values()) if "properties" in section]
    assert all(section["additionalProperties"] is False for section in sections)
    with pytest.raises(ValueError, match="frozen"):
        Horizon(start=date(2026, 7, 1)).periods = 2


def test_names_of_tables_agree() -> None:
    assert get_args(TableName.__value__) == tuple(TABLES)


def test_each_mistake_has_its_line_and_its_suggestion(tmp_path: Path) -> None:
    text = """\
name: q3
as_of: 2026-06-30
horizn: {start: 2026-07-01}
data:
  source: tables
  root: .
  tables:
    bookings:
      path: bookings.csv
      seperator: ";"
simulation: {paths: many}
allocation: {fairness: atainment}
calendar: {fiscal_year_start: 13}
"""
    said = complaints(tmp_path, text)
    assert [line.split(":")[0] for line in said] == [
        "test.yaml line 3, horizn",
        "test.yaml line 10, data.tables.bookings.seperator",
        "test.yaml line 11, simulation.paths",
        "test.yaml line 12, allocation.fairness",
        "test.yaml line 13, calendar.fiscal_year_start",
    ]
    assert "did you mean `horizon`?" in said[0]
    assert "did you mean `separator`?" in said[1]
    assert "got 'many'; allowed: a whole number" in said[2]
    assert "got 'atainment'; allowed: `attainment`, `potential`, `hours`; did you mean `attainment`?" in said[3]
    assert "got 13; allowed: less than or equal to 12" in said[4]


def test_mistakes_in_keys_do_not_hide_mistakes_between_keys(tmp_path: Path) -> None:
    config = GOOD | {"as_of": date(2026, 9, 30), "curency": "EUR", "stages": ["New", "New"], "decisions": "gone.csv"}
    said = complaints(tmp_path, config)
    assert len(said) == 4
    assert any("as_of: got 2026-09-30; allowed: a date before the last day of the horizon" in line for line in said)
    assert any("stages.1: got 'New'; allowed: every stage once" in line for line in said)
    assert any("decisions: got" in line and "a file that exists" in line for line in said)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    said = complaints(tmp_path, {"seed": 1})
    assert len(said) == 2
    assert "name: got nothing" in said[0]
    assert "add the key `name`" in said[0]
    assert "horizon: got nothing" in said[1]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"paths": 100}, "did you mean `simulation.paths`?"),
        ({"zzz": 1}, "remove it"),
        ({"seed": True}, "got true; allowed: a whole number"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"name": "../up"}, "letters, digits, dot"),
        ({"name": 3}, "a text"),
        ({"currency": "euro"}, "three letters"),
        ({"as_of": 20260630}, "a date written as 2026-06-30, or 'latest'"),
        ({"as_of": "30-06-2026"}, "a date written as 2026-06-30, or 'latest'"),
        ({"horizon": {"start": 20260701}}, "a date written as 2026-06-30"),
        ({"horizon": {"start": date(2026, 7, 2)}}, "use 2026-07-01 or 2026-10-01"),
        ({"horizon": {"start": date(2026, 8, 1)}}, "the first day of a quarter"),
        ({"horizon": {"start": date(2026, 8, 15), "frequency": "month"}}, "use 2026-08-01 or 2026-09-01"),
        ({"horizon": {"start": date(2026, 7, 1), "frequency": "year"}}, "use 2026-01-01 or 2027-01-01"),
        ({"horizon": {"start": date(2026, 7, 1), "periods": 0}}, "greater than or equal to 1"),
        ({"allocation": {"horizon": {"start": date(2026, 1, 1)}}}, "a horizon that ends after as_of"),
        ({"calendar": {"timezone": "Europe/Amsterdan"}}, "the name of a time zone"),
        ({"stages": [{"name": "Won", "meaning": "win"}]}, "did you mean `won`?"),
        ({"models": {"legs": ["pipelin"]}}, "did you mean `pipeline`?"),
        ({"tracking": None}, "remove the key to keep its defaults"),
        ({"data": {"source": "table"}}, "did you mean `tables`?"),
        ({"data": {"root": "."}}, "data.source: got nothing"),
        ({"data": {"source": "tables", "root": ".", "tables": {}}}, "at least 1 item"),
        (
            {"data": {"source": "tables", "root": ".", "tables": {"opportunites": {"path": "x.csv"}}}},
            "`opportunities`?",
        ),
        ({"data": {"source": "tables", "root": ".", "tables": {"reps": {"path": "x.csv"}}}}, "opportunities, bookings"),
        ({"data": TABLES_GOOD | {"root": "no/such"}}, "a folder that exists"),
        ({"data": TABLES_GOOD | {"replace": {"reps": {"id": {"a": "b"}}}}}, "a table of data.tables"),
        ({"data": TABLES_GOOD | {"replace": {"bookings": {"acount": {"a": "b"}}}}}, "did you mean `account`?"),
        (
            {"data": TABLES_GOOD | {"tables": {"bookings": {"path": "b.csv", "columns": {"OrderDate": "date"}}}}},
            "date: OrderDate",
        ),
        ({"data": TABLES_GOOD | {"tables": {"bookings": {"path": "b.csv", "encoding": "utf-9"}}}}, "windows-1252"),
        ({"data": TABLES_GOOD | {"tables": {"bookings": {"path": "b.csv", "decimal": ","}}}}, "often to ;"),
        ({"data": TABLES_GOOD | {"tables": {"bookings": {"path": "b.csv", "date_format": "DD/MM"}}}}, "strptime"),
        ({"data": TABLES_GOOD | {"tables": {"bookings": {"path": "b.csv", "sheet": "x"}}}}, "an .xlsx file"),
        ({"data": TABLES_GOOD | {"tables": {"bookings": {"path": "b.csv", "period": "month"}}}}, "outside quotas"),
    ],
)
def test_one_mistake_is_one_problem_that_says_what_is_right(
    tmp_path: Path, change: dict[str, Any], expected: str
) -> None:
    assert expected in the_complaint(tmp_path, GOOD | change)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "test.yaml: got an empty file"),
        ("# only a comment\n", "test.yaml: got an empty file"),
        ("- a\n- b\n", "test.yaml: got a list; allowed: keys with values"),
        ("q3\n", "test.yaml: got a single value"),
        ("name: q3\n\tseed: 1\n", "test.yaml line 2, column 1: got"),
        ("name: [q3\n", "test.yaml line 2"),
        ("a: 1\n---\nb: 2\n", "keep one document"),
        (b"name: caf\xe9\n", "test.yaml line 1: got byte 0xe9; allowed: text in UTF-8"),
        ("x: &a [1]\ny: *a\n", "test.yaml line 2: got the alias *a"),
        ("[" * 5000, "test.yaml line 1: got more than 30 levels"),
        ("#" * 300_000, "got a file above 256 kB"),
    ],
)
def test_a_text_that_is_no_config_is_refused(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert expected in the_complaint(tmp_path, text)


def test_a_tab_is_named_as_what_it_is(tmp_path: Path) -> None:
    assert "replace the tab by spaces" in the_complaint(tmp_path, "name: q3\n\tseed: 1\n")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("seed: 2", "line 4, seed: got the key a second time; allowed: every key once (first: test.yaml line 3)"),
        ("1: 2", "line 4: got the key '1'; allowed: keys that are texts"),
        ("yes: 2", "line 4: got the key 'yes'; allowed: keys that are texts"),
        ("report: !!python/object/apply:os.system [ls]", "line 4, report: got the tag"),
        ("currency: !!python/name:os.system x", "line 4, currency: got the tag"),
        ("output: 2026-13-45", "line 4, output: got '2026-13-45'"),
        ("allocation: {attainment_band_points: .nan}", "got .nan; allowed: a finite number"),
        ("allocation: {time_limit: .inf}", "got .inf; allowed: a finite number"),
    ],
)
def test_yaml_beyond_plain_values_is_refused_where_it_stands(tmp_path: Path, line: str, expected: str) -> None:
    text = f"name: q3\nhorizon: {{start: 2026-07-01}}\nseed: 1\n{line}\n"
    assert expected in the_complaint(tmp_path, text)


def test_a_tag_on_a_section_runs_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    text = f"name: q3\nhorizon: {{start: 2026-07-01}}\nreport: !!python/object/apply:os.mkdir ['{marker}']\n"
    complaints(tmp_path, text)
    assert not marker.exists()


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(InputRefusedError, match="a readable YAML file"):
            load_config(path)


def test_overrides_win_and_are_read_as_yaml(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    config = load_config(path, ["horizon.periods=2", "as_of=latest", "report={html: no}", "seed=1", "seed=2"])
    assert (config.horizon.periods, config.as_of, config.report.html, config.seed) == (2, "latest", False, 2)
    assert config.horizon.start == date(2026, 7, 1)
    assert load_config(path, ["seed=1"], {"seed": 9}).seed == 9


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("simulation.path=3", "--set simulation.path: got the unknown key `path`"),
        ("horizon.freqency=month", "did you mean `frequency`?"),
        ("seed", "KEY=VALUE"),
        ("=3", "KEY=VALUE"),
        ("a..b=3", "KEY=VALUE"),
        ("name.x=3", "got a value at `name`"),
        ("seed=[1", "--set seed"),
        ("seed=.nan", "--set seed: got .nan"),
        ("name=", "--set name: got null"),
    ],
)
def test_a_wrong_override_is_refused_by_its_name(tmp_path: Path, override: str, expected: str) -> None:
    assert expected in the_complaint(tmp_path, GOOD, override)


def test_an_override_mends_the_mistake_of_the_file(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, GOOD | {"seed": "x"}), ["seed=5"]).seed == 5


def test_paths_start_from_the_config_file_or_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs/export").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "configs/decisions.csv").touch()
    config = GOOD | {"data": TABLES_GOOD | {"root": "export"}, "decisions": "decisions.csv"}
    path = written(tmp_path / "configs", config)
    monkeypatch.chdir(tmp_path)
    loaded = load_config(path)
    assert isinstance(loaded.data, TablesData)
    assert loaded.data.root == tmp_path / "configs/export"
    assert loaded.decisions == tmp_path / "configs/decisions.csv"
    loaded = load_config(path, ["data.root=elsewhere"])
    assert isinstance(loaded.data, TablesData)
    assert loaded.data.root == tmp_path / "elsewhere"
    with pytest.raises(InputRefusedError, match="a folder that exists"):
        load_config(path, ["data.root=export"])


def test_plain_stages_mean_what_their_words_say(tmp_path: Path) -> None:
    stages = ["Prospecting", "Closed Won", "closed-lost", {"name": "Wonderful", "meaning": "lost"}, "Wonderland"]
    config = load_config(written(tmp_path, GOOD | {"stages": stages}))
    assert [stage.meaning for stage in config.stages] == ["open", "won", "lost", "lost", "open"]


def test_fiscal_quarters_begin_where_the_fiscal_year_says(tmp_path: Path) -> None:
    for start, fits in ((date(2026, 8, 1), True), (date(2026, 7, 1), False)):
        path = written(tmp_path, GOOD | {"horizon": {"start": start}, "calendar": {"fiscal_year_start": 2}})
        if fits:
            assert load_config(path).horizon.end == date(2026, 10, 31)
        else:
            with pytest.raises(InputRefusedError, match="use 2026-05-01 or 2026-08-01"):
                load_config(path)


def test_the_as_of_date_may_lie_inside_the_horizon(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, GOOD | {"as_of": date(2026, 9, 29)})).as_of == date(2026, 9, 29)


@given(start=st.dates(date(1990, 1, 1), date(2090, 1, 1)), periods=st.integers(1, 60))
def test_a_horizon_ends_on_the_day_before_the_next_month(start: date, periods: int) -> None:
    horizon = Horizon(start=start.replace(day=1), periods=periods, frequency="month")
    after = horizon.first_month + horizon.months
    assert (horizon.end - date(1970 + after // 12, after % 12 + 1, 1)).days == -1


@pytest.mark.parametrize("name", ["q3", "smoke"])
def test_the_resolved_config_runs_again_to_the_same_hash(tmp_path: Path, name: str) -> None:
    first = load_config(ROOT / f"configs/{name}.yaml")
    again = load_config(written(tmp_path, resolved(first)))
    assert resolved(again) == resolved(first)
    assert content_hash(hashable(again)) == content_hash(hashable(first))


def test_the_hash_covers_what_changes_results_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    path = written(tmp_path, GOOD | {"data": TABLES_GOOD | {"root": "a"}})

    def hashed(*overrides: str) -> str:
        return content_hash(hashable(load_config(path, overrides)))

    same = [
        "simulation.threads=1",
        "models.sampler.cores=1",
        "output=x",
        "tracking.enabled=false",
        f"data.root={tmp_path}/b",
    ]
    assert {hashed(change) for change in same} == {hashed()}
    other = ["seed=5", "simulation.paths=500", "name=x", "as_of=2026-05-31", "report.names=absent", "stages=[New]"]
    hashes = {hashed(change) for change in other}
    assert len(hashes | {hashed()}) == len(other) + 1
    text = yaml.safe_dump(resolved(load_config(path, same)))
    assert not [word for word in ("threads", "cores", "output", "tracking") if word in text]


def test_no_word_of_the_data_is_taken_for_a_key_of_the_machine(tmp_path: Path) -> None:
    data = TABLES_GOOD | {"replace": {"bookings": {"product": {"cores": "Cores"}}}}
    config = load_config(written(tmp_path, GOOD | {"data": data}))
    assert resolved(config)["data"]["replace"] == data["replace"]


def keys_of(schema: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    for section in (schema, *schema["$defs"].values()):
        known = list(section.get("properties", {}))
        for key in known:
            yield key, known


def test_a_letter_too_few_or_two_swapped_still_finds_the_key() -> None:
    schema = RunConfig.model_json_schema()
    pairs = list(keys_of(schema))
    assert len(pairs) > 60
    for key, known in pairs:
        middle = len(key) // 2
        for typo in (
            key[:middle] + key[middle + 1 :],
            key[: middle - 1] + key[middle] + key[middle - 1] + key[middle + 1 :],
        ):
            assert typo in known or nearest(typo, known) == key


scalars = st.one_of(st.none(), st.booleans(), st.integers(-5, 3000), st.sampled_from([0.5, -1.0]), st.text(max_size=8))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(list(RunConfig.model_fields))
sections = st.dictionaries(
    st.sampled_from(["start", "periods", "source", "tables", "root", "replace", "legs", "horizon", "bookings", "x"]),
    values,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=st.dictionaries(keys, values | sections, max_size=4))
def test_whatever_a_key_holds_is_taken_or_refused_with_reasons(tmp_path: Path, change: dict[str, Any]) -> None:
    path = written(tmp_path, GOOD | change)
    try:
        assert math.isfinite(load_config(path).allocation.value_band_share)
    except InputRefusedError as error:
        unplaced = [problem for problem in error.problems if str(path) not in problem.where]
    else:
        unplaced = []
    assert not unplaced


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_refused_with_reasons(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputRefusedError):
        load_config(written(tmp_path, content))


def test_no_protected_attribute_enters_a_forecast(tmp_path: Path) -> None:
    people = {"path": "reps.csv", "columns": {"id": "Id", "role": "Gender__c", "territory": "dateOfBirth"}}
    accounts = {"path": "accounts.csv", "columns": {"id": "Id", "segment": "Health", "industry": "religion"}}
    data = {**TABLES_GOOD, "tables": {**TABLES_GOOD["tables"], "reps": people, "accounts": accounts}}
    for path in ("bookings.csv", "reps.csv", "accounts.csv"):
        (tmp_path / path).touch()
    said = [text for text in complaints(tmp_path, {**GOOD, "data": data}) if "protected attribute" in text]
    assert len(said) == 3
    assert "accounts.columns.industry" in said[0]
    assert "data.tables.reps.columns.role: got `Gender__c`, which speaks of gender" in said[1]
    assert "dateOfBirth" in said[2]
