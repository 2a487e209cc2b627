"""What a panel holds: the tiny company by hand, and the two real layouts."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from engine.config.horizon import Horizon
from engine.config.loading import load_config
from engine.config.schema import Allocation, RunConfig
from engine.data import Tables, as_of_date, build_panel, cut, issues_frame, load_tables
from engine.data.revenue import revenue_events
from engine.errors import InputRefusedError
from models.panel import LOST, NONE, OPEN, WON, Panel
from tests.data_company import COMPANY, company_config, run_config

CONFIGS = Path(__file__).parents[1] / "configs"

ONE_AMOUNT = """id,rep,stage,created,closed,account,product,amount,expected_close
D1,R1,Won,2025-01-10,2025-02-20,A1,P1,90,2025-02-28
D2,R1,Lost,2025-01-15,2025-03-05,A2,P1,200,2025-03-31
D3,R2,Propose,2025-02-01,,A2,P2,300,2025-06-30
D4,R2,Won,2025-03-01,2025-04-15,A3,P2,420,2025-04-30
D5,R1,Qualify,2025-04-10,,A1,P1,150,2025-07-31
"""
"""Opportunities whose one amount says what was booked when won."""

type Folder = Callable[[str], Path]


def panel_of(tables: Tables, config: RunConfig) -> Panel:
    return build_panel(cut(tables, as_of_date(tables, config)), config)


def arrays(value: object) -> list[np.ndarray]:
    """All arrays inside a dataclass."""
    if isinstance(value, np.ndarray):
        return [value]
    return (
        [item for field in fields(value) for item in arrays(getattr(value, field.name))] if is_dataclass(value) else []
    )


def members(index: np.ndarray, ids: np.ndarray) -> list[str]:
    return ["" if number == NONE else str(ids[number]) for number in index]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    config = company_config(tmp_path_factory.mktemp("company"), COMPANY)
    return panel_of(load_tables(config), config)


def test_deals(tiny: Panel) -> None:
    deals = tiny.deals
    assert deals.ids.tolist() == ["D1", "D2", "D3", "D4", "D5"]
    assert deals.outcome.tolist() == [WON, LOST, OPEN, WON, OPEN]
    np.testing.assert_array_equal(deals.won_amount, [90, np.nan, np.nan, 420, np.nan])
    assert deals.list_amount.tolist() == [100, 200, 300, 400, 150]
    assert members(deals.stage, tiny.stages.ids) == ["Propose", "Qualify", "Propose", "Propose", "Qualify"]
    assert deals.pushes.tolist() == [1, 0, 1, 0, 0]
    assert deals.exposed.astype(str).tolist() == ["2025-02-20"] * 2 + ["2025-02-20", "2025-03-01", "2025-04-10"]
    assert members(deals.territory, tiny.territories.ids) == ["North", "South", "South", "South", "North"]
    assert members(deals.segment, tiny.segments.ids) == ["Large", "Small", "Small", "Small", "Large"]


def test_stage_moves_end_before_the_closing(tiny: Panel) -> None:
    moves = tiny.stage_moves
    rows = list(zip(members(moves.deal, tiny.deals.ids), members(moves.stage, tiny.stages.ids), strict=True))
    assert rows == [
        ("D1", "Qualify"),
        ("D1", "Propose"),
        ("D2", "Qualify"),
        ("D3", "Qualify"),
        ("D3", "Propose"),
        ("D4", "Qualify"),
        ("D4", "Propose"),
        ("D5", "Qualify"),
    ]


def test_orders_leave_out_what_belongs_to_a_deal(tiny: Panel) -> None:
    orders = tiny.orders
    assert orders.amount.sum() == 50 + 60 - 10 + 500 + 70
    january = orders.month == (2025 - 1970) * 12
    assert orders.amount[january].tolist() == [110]
    assert orders.first_month == (2025 - 1970) * 12


def test_owners_and_accounts(tiny: Panel) -> None:
    accounts = tiny.accounts
    assert accounts.labels.ids.tolist() == ["A1", "A2", "A3"]  # nothing says whose A4 could be
    assert members(accounts.owner, tiny.reps.labels.ids) == ["R1", "R1", "R2"]
    assert accounts.inferred_owner.tolist() == [True, False, False]
    assert accounts.family.tolist() == [0, 0, 1]
    assert accounts.locked.tolist() == [False, True, False]
    assert accounts.labels.names.tolist() == ["Alpha", "Beta", "Gamma"]


def test_reps(tiny: Panel) -> None:
    assert members(tiny.reps.territory, tiny.territories.ids) == ["North", "South", "", "North"]
    assert tiny.reps.active.tolist() == [True, True, False, True]  # R3 only manages, R4 has just been hired
    assert members(tiny.reps.manager, tiny.managers.ids) == ["R3", "R3", "", "R3"]
    assert tiny.managers.names.tolist() == ["Cid"]


def test_quotas(tiny: Panel) -> None:
    assert list(
        zip(tiny.quotas.level.tolist(), tiny.quotas.key.tolist(), tiny.quotas.amount.tolist(), strict=True)
    ) == [("company", "", 3500.0), ("rep", "R1", 1000.0), ("rep", "R2", 2000.0)]


def test_arrays_are_plain_and_writeable(tiny: Panel) -> None:
    for array in arrays(tiny):
        assert array.flags.writeable or array.dtype.kind == "U"
        assert array.dtype.kind == "U" or str(array.dtype) in ("int64", "float64", "bool", "int8", "datetime64[D]")


def test_the_same_tables_give_the_same_panel_in_any_order(tmp_path: Path, tiny: Panel) -> None:
    texts = {}
    for name, text in COMPANY.items():
        header, *rows = text.splitlines()
        texts[name] = "\n".join([header, *reversed(rows)]) + "\n"
    config = company_config(tmp_path, texts)
    other = panel_of(load_tables(config), config)
    for one, two in zip(arrays(tiny), arrays(other), strict=True):
        np.testing.assert_array_equal(one, two)


def test_bookings_alone_make_a_panel(tmp_path: Path) -> None:
    config = company_config(tmp_path, {"bookings": COMPANY["bookings"]})
    panel = panel_of(load_tables(config), config)
    assert not panel.has_pipeline
    assert panel.has_orders
    assert panel.orders.amount.sum() == 1090
    assert panel.territories.ids.tolist() == ["all"]
    assert panel.accounts.territory.tolist() == [0, 0]


def test_a_deal_without_creation_date_is_left_out_and_named(tmp_path: Path) -> None:
    config = company_config(
        tmp_path, {**COMPANY, "opportunities": COMPANY["opportunities"].replace("2025-02-01,,A2", ",,A2")}
    )
    tables = load_tables(config)
    assert panel_of(tables, config).deals.ids.tolist() == ["D1", "D2", "D4", "D5"]
    issues = issues_frame(tables.issues).set_index("rule")
    assert issues.loc["missing creation date", "value_at_stake"] == 300


def test_bookings_of_a_deal_left_out_stay_as_orders(tmp_path: Path) -> None:
    texts = {**COMPANY, "opportunities": COMPANY["opportunities"].replace("2025-03-01,2025-04-15", ",2025-04-15")}
    tables = load_tables(company_config(tmp_path, texts))
    panel = panel_of(tables, company_config(tmp_path, texts))
    assert "D4" not in panel.deals.ids
    assert panel.orders.amount.sum() == 1090  # with the 420 of D4
    assert revenue_events(tables.frames)["amount"].sum() == 1090 + 90  # D1; D4 is not counted again


def test_the_list_amount_is_what_was_shown_before_the_closing(tmp_path: Path) -> None:
    history = COMPANY["stage_history"].replace("D4,Propose,2025-03-25,2025-04-30,400", "D4,Propose,2025-03-25,,380")
    history = history.replace("D4,Won,2025-04-15,,", "D4,Won,2025-04-15,,420").replace("2025-03-05,,", "2025-03-04,,1")
    texts = {**COMPANY, "stage_history": history, "opportunities": ONE_AMOUNT}
    config = company_config(tmp_path, texts)
    panel = panel_of(load_tables(config), config)
    assert panel.deals.list_amount.tolist() == [100, 1, 300, 380, 150]
    np.testing.assert_array_equal(panel.deals.won_amount, [90, np.nan, np.nan, 420, np.nan])


def test_an_amount_that_only_closed_deals_have_is_not_shown(tmp_path: Path) -> None:
    texts = {"opportunities": ONE_AMOUNT, "products": COMPANY["products"]}
    tables = cut(load_tables(company_config(tmp_path, texts)), np.datetime64("2025-03-10"))
    panel = build_panel(tables, company_config(tmp_path, texts))
    assert panel.deals.list_amount.tolist() == [120, 120, 350, 350]  # list prices, of closed deals too
    assert panel.deals.won_amount[0] == 90
    assert tables.frames["opportunities"]["amount"].notna().tolist() == [True, True, False, False]
    issue = issues_frame(tables.issues).set_index("rule").loc["state of a later date"]
    assert "stage and expected_close and amount of open deals" in issue["action"]


def test_in_a_past_cut_owners_of_the_export_are_not_used(tmp_path: Path) -> None:
    accounts = COMPANY["accounts"].replace("North,,,no", "North,R2,,no").replace("South,R2", "South,R1")
    config = company_config(tmp_path, {**COMPANY, "accounts": accounts})
    for day, owner in (("2025-03-10", ["R1", "R2", "R2"]), ("2025-04-25", ["R2", "R1", "R2"])):
        tables = cut(load_tables(config), np.datetime64(day))
        panel = build_panel(tables, config)
        assert members(panel.accounts.owner, panel.reps.labels.ids) == owner
        assert panel.accounts.inferred_owner.tolist() == [day == "2025-03-10", False, False]
        named = [issue.action for issue in tables.issues if issue.rule == "owner of a later date"]
        assert ["the owners of 1 accounts" in action for action in named] == [True] * (day == "2025-03-10")
    early = build_panel(cut(load_tables(config), np.datetime64("2024-12-31")), config)
    assert (early.accounts.owner == NONE).all()


def test_an_as_of_date_before_all_data_is_refused(tmp_path: Path) -> None:
    config = company_config(tmp_path, COMPANY)
    early = config.model_copy(update={"as_of": config.horizon.start.replace(year=2020)})
    with pytest.raises(InputRefusedError, match="the first day in the tables"):
        as_of_date(load_tables(config), early)


def test_an_as_of_date_long_after_the_data_is_refused_and_one_soon_after_named(tmp_path: Path) -> None:
    config = company_config(tmp_path, COMPANY)  # data up to 2025-04-25
    tables = load_tables(config)
    for day, named in (("2025-05-02", False), ("2025-05-03", True), ("2025-05-26", True)):
        as_of = as_of_date(tables, config.model_copy(update={"as_of": date.fromisoformat(day)}))
        rules = [issue.rule for issue in cut(tables, as_of).issues]
        assert ("as-of date after the data" in rules) is named
    with pytest.raises(InputRefusedError, match="a date up to 2025-05-26: the last event in the tables is of 2025-04"):
        as_of_date(tables, config.model_copy(update={"as_of": date(2025, 5, 27)}))


@pytest.mark.parametrize("as_of", ["latest", date(2025, 3, 31)])
def test_an_as_of_date_with_nothing_left_to_forecast_is_refused(tmp_path: Path, as_of: object) -> None:
    config = company_config(tmp_path, COMPANY)
    tables = load_tables(config)
    over = config.model_copy(update={"as_of": as_of, "horizon": Horizon(start=date(2025, 1, 1))})
    with pytest.raises(InputRefusedError, match="before 2025-03-31, the end of the horizon"):
        as_of_date(tables, over)
    planned = Allocation(horizon=Horizon(start=date(2025, 4, 1)))
    assert as_of_date(tables, over.model_copy(update={"allocation": planned})) <= tables.known_until


def real(sales_data: Folder, name: str, folder: str, as_of: str, start: str) -> tuple[Tables, Panel]:
    overrides = [f"data.root={sales_data(folder)}", f"as_of={as_of}", f"horizon.start={start}"]
    config = load_config(CONFIGS / f"{name}.yaml", overrides)
    tables = load_tables(config)
    tables = cut(tables, as_of_date(tables, config))
    return tables, build_panel(tables, config)


def test_maven(sales_data: Folder) -> None:
    tables, panel = real(sales_data, "maven", "maven_crm", "2017-09-30", "2017-10-01")
    deals = panel.deals
    opened = deals.outcome == OPEN
    assert (opened.sum(), (deals.account[opened] == NONE).sum()) == (2409, 1008)
    assert (
        len(np.unique(deals.stage)) == 1
    )  # the stage at the date is not on record, and must not tell open from closed
    assert deals.exposed.min() == np.datetime64("2017-03-01")
    assert panel.barred == ("account",)
    assert (deals.segment == 0).all()
    np.testing.assert_array_equal(deals.territory, panel.reps.territory[deals.rep])
    assert (len(panel.reps.labels), panel.reps.active.sum()) == (35, 30)
    assert "GTXPro" in panel.products.labels.ids
    issues = issues_frame(tables.issues)
    text = issues.set_index("rule")["action"]
    assert "1,480 rows name product 'GTXPro'" in text["unknown product"]
    assert "{GTXPro: GTX Pro}" in text["unknown product"]
    assert "present on 100 % of closed and 32 % of open deals" in text["leak: account"]
    assert "1,425 rows" in text["missing account"]
    assert "68 % of the open ones" in text["missing account"]
    assert "500 rows have no engage_date (stage Prospecting)" in text["missing creation date"]
    assert (issues["rule"] == "rep without deals").sum() == 5
    large = issues.set_index("rule").loc[
        ["unknown product", "missing account", "missing creation date"], "value_at_stake"
    ]
    assert (large > 100_000).all()


def test_maven_open_deals_end_as_the_export_says(sales_data: Folder) -> None:
    _, then = real(sales_data, "maven", "maven_crm", "2017-09-30", "2017-10-01")
    _, now = real(sales_data, "maven", "maven_crm", "2017-12-31", "2018-01-01")
    later = now.deals.outcome[np.searchsorted(now.deals.ids, then.deals.ids[then.deals.outcome == OPEN])]
    assert ((later == WON).sum(), (later == LOST).sum()) == (559, 376)
    won = now.deals.won_amount[np.isin(now.deals.ids, then.deals.ids[then.deals.outcome == OPEN])]
    assert np.nansum(won) == 1_251_928
    quarter = now.deals.closed > np.datetime64("2017-09-30")
    assert np.nansum(now.deals.won_amount[quarter]) == 2_802_496


def test_adventureworks(sales_data: Folder) -> None:
    tables, panel = real(sales_data, "adventureworks", "adventureworks", "2019-09-30", "2019-10-01")
    assert not panel.has_pipeline
    assert len(panel.accounts.labels) == 623  # 630 resellers ever buy, seven of them for the first time after the date
    assert (panel.accounts.owner != NONE).all()
    assert panel.accounts.inferred_owner.all()
    assert (panel.accounts.territory != NONE).all()
    idle = panel.reps.labels.ids[~panel.reps.active]
    assert idle.tolist() == ["277"]
    assert sorted(panel.regions.ids) == ["Europe", "North America", "Pacific"]
    assert panel.orders.month.max() == (2019 - 1970) * 12 + 8
    booked = tables.frames["bookings"]["amount"].sum()
    assert panel.orders.amount.sum() == pytest.approx(booked)
    assert (panel.quotas.end - panel.quotas.start).astype(int).min() == 89
    [action] = [issue.action for issue in tables.issues if issue.table == "accounts"]
    assert action.startswith("78 accounts have no owner")


def test_the_demo_goes_through_the_same_contract() -> None:
    config = run_config({"source": "demo", "seed": 3}, as_of="2026-06-30", horizon={"start": "2026-07-01"}, stages=[])
    tables = load_tables(config)
    panel = panel_of(tables, config)
    assert tables.stages.open == ("Qualify", "Proposal", "Negotiate")
    assert len(panel.stage_moves.deal) > len(panel.deals)
    assert panel.barred == ()
    assert panel.deals.created.max() <= panel.as_of
    assert (panel.accounts.owner != NONE).mean() > 0.95
