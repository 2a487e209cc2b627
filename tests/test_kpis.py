"""The numbers of the trade: intervals, what is left out and said to be, accuracy presets, reports and data quality."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from engine.data.suspects import ADVICE, find_suspects, suspect_issues
from engine.kpis.accuracy import PRESETS, accuracy_of
from engine.kpis.bookings import contracts_received
from engine.kpis.calendar import Calendar
from engine.kpis.facts import facts_of
from engine.kpis.folder import kpi_tables
from engine.kpis.intervals import jeffreys, linearised, quantile
from engine.kpis.quality import without
from engine.kpis.reports import REPORTS, reports
from engine.kpis.table import NEEDS, kpis
from engine.report.tables import forecast_table
from engine.results import ForecastResult
from engine.track_record import read_table
from models.panel import LOST, OPEN
from tests.finished import finished_result
from tests.kpi_company import demo

RATES = ("win_rate", "closing_rate", "lead_to_opportunity", "customer_retention", "selling_time_share")


@pytest.fixture(scope="module")
def company() -> ForecastResult:
    return demo()


@pytest.fixture(scope="module")
def finished() -> ForecastResult:
    return finished_result(("allocation.enabled=false",))


@pytest.fixture(scope="module")
def tables(finished: ForecastResult) -> dict[str, pd.DataFrame]:
    known = {"forecast": forecast_table(finished), "backtest": read_table(None)}
    return known | kpi_tables(finished, known)


def test_jeffreys_is_the_beta_interval_with_closed_ends() -> None:
    low, high = jeffreys(np.array([0.0, 3.0, 10.0]), np.array([10.0, 10.0, 10.0]))
    np.testing.assert_allclose([low[1], high[1]], stats.beta(3.5, 7.5).ppf([0.05, 0.95]))
    assert (low[0], high[2]) == (0.0, 1.0)


def test_the_linearised_interval_of_a_mean_is_the_normal_one() -> None:
    x = np.array([1.0, 4.0, 2.0, 8.0, 5.0])
    moments = tuple(np.array([part]) for part in (x.sum(), 5.0, (x**2).sum(), 5.0, x.sum()))
    low, high = linearised(np.array([5.0]), moments)  # type: ignore[arg-type]
    half = stats.norm.ppf(0.95) * x.std(ddof=1) / np.sqrt(5)
    np.testing.assert_allclose([low[0], high[0]], [x.mean() - half, x.mean() + half])


def test_intervals_of_medians_cover() -> None:
    rng = np.random.default_rng(7)
    values = np.sort(rng.exponential(size=(2000, 25)), axis=1)
    starts, sizes = np.arange(2000) * 25, np.full(2000, 25)
    middle, low, high = quantile(values.ravel(), starts, sizes, 0.5)
    np.testing.assert_allclose(middle, np.median(values, axis=1))
    assert 0.88 <= ((low <= np.log(2)) & (np.log(2) <= high)).mean() <= 0.98


def test_periods_are_named_for_what_is_known_of_them() -> None:
    calendar = Calendar(np.datetime64("2026-08-10"), np.datetime64("2024-05-20"), 4)
    (first, last), (_, month) = calendar.span("quarter"), calendar.span("month")
    assert calendar.name("quarter", first) == "2025-Q1 from 2024-05-20"
    assert calendar.name("quarter", last) == "2027-Q2 to date"
    assert calendar.name("month", month - 1) == "2026-07"
    assert not calendar.complete("month", month)


def test_the_accuracy_presets_say_different_things_of_one_forecast() -> None:
    found = {name: float(accuracy_of(name, np.array([250.0]), np.array([100.0]))[0]) for name in PRESETS}
    assert found == {"percent_difference": 1.5, "accuracy": 0.0, "ratio": 2.5}
    assert np.isnan(accuracy_of("ratio", np.array([1.0]), np.array([0.0]))).all()


def test_what_needs_a_table_is_left_out_and_named(finished: ForecastResult, tables: dict[str, pd.DataFrame]) -> None:
    """The result has no tables beside its panel: no leads, activities, costs."""
    there, absent = set(tables["kpis"]["kpi"]), set(tables["kpis_not_available"]["kpi"])
    assert {"leads_generated", "calls", "margin", "contract_renewal_rate"} <= absent
    assert not there & absent
    assert set(NEEDS) <= there | absent
    assert finished.tables is None
    assert tables["data_quality"].empty


def test_every_rate_has_an_interval_around_it(company: ForecastResult) -> None:
    table = kpis(company, {"backtest": read_table(None)}).table
    assert not table.duplicated(["kpi", "level", "key", "period", "formula"]).any()
    rates = table[table["kpi"].isin(RATES)]
    assert set(rates["kpi"]) == set(RATES)
    assert rates[["low", "high"]].notna().all(axis=None)
    assert ((rates["low"] <= rates["value"] + 1e-9) & (rates["value"] <= rates["high"] + 1e-9)).all()


def test_the_reports(finished: ForecastResult, tables: dict[str, pd.DataFrame]) -> None:
    found = reports(finished, tables)
    assert tuple(found) == REPORTS
    board = found["leaderboard"].groupby("rank")["chance"].sum()
    assert board.loc[1] == pytest.approx(1.0, abs=0.01)
    received = found["contracts_received"].query("level == 'company' and grain == 'month'")
    booked = facts_of(finished.panel).revenue
    last = received.iloc[0]
    inside = booked["date"].dt.strftime("%Y-%m") == last["period"].split(" ")[0]
    assert last["total"] == pytest.approx(booked.loc[inside, "amount"].sum())
    company = found["forecast_report"].query("level == 'company'").iloc[-1]
    assert company["p10"] <= company["p50"] <= company["p90"]


def test_a_running_period_is_compared_with_the_same_days_of_the_year_before(company: ForecastResult) -> None:
    """The demo begins in July 2023 and is read on 30 June 2026: half of a year against half of the one before."""
    booked = facts_of(company.panel, company.tables).revenue
    received = contracts_received(facts_of(company.panel, company.tables)).query("level == 'company'")
    years = received[received["grain"] == "year"].set_index("period")
    half = booked.loc[booked["date"].between("2025-01-01", "2025-06-30"), "amount"].sum()
    assert years.loc["2026 to date", "year_before"] == pytest.approx(half)
    assert years.loc["2025", "year_before"] == pytest.approx(years.loc["2024", "total"])
    assert years["change"].isna()["2024"]  # 2023 is known in part


def test_leads_that_name_no_deal_leave_out_what_needs_them(company: ForecastResult) -> None:
    known = company.tables
    assert known is not None
    leads = known.frames["leads"].assign(opportunity=pd.Series(np.nan, index=known.frames["leads"].index, dtype="str"))
    bare = replace(company, tables=replace(known, frames=known.frames | {"leads": leads}))
    found = set(kpis(bare, {"backtest": read_table(None)}).table["kpi"])
    assert "leads_generated" in found
    assert "sales_cycle_won_mean" in found
    assert "sales_cycle_from_lead_won_mean" not in found


def test_suspects_are_found_where_they_were_put(company: ForecastResult) -> None:
    """A twin, an absurd amount, an imported batch and a default date, each in the deals of one company."""
    known = company.tables
    assert known is not None
    deals = known.frames["opportunities"].copy()
    opened = deals.index[deals["outcome"] == "open"]
    twin = deals.loc[[opened[5]]].assign(id="X1", account="A0001")
    pair = twin.assign(id="X0", created=twin["created"] - pd.Timedelta(days=3))
    deals.loc[opened[9], "amount"] = 9e9
    batch = pd.concat([deals.loc[[opened[20]]]] * 400, ignore_index=True)
    batch = batch.assign(id=[f"B{i}" for i in range(400)], created=pd.Timestamp("2026-05-05"), account=None)
    batch["expected_close"] = pd.Timestamp("2026-05-31")
    frames = known.frames | {"opportunities": pd.concat([deals, pair, twin, batch], ignore_index=True)}
    found = find_suspects(replace(known, frames=frames))
    rules = found.groupby("rule")["id"].apply(set)
    assert "X1" in rules["possible duplicate"]
    assert deals.loc[opened[9], "id"] in rules["amount out of line"]
    assert set(batch["id"]) <= rules["spike of creation"]
    assert set(batch["id"]) <= rules["default close date"]
    assert set(found["rule"]) <= set(ADVICE)
    before = find_suspects(known)
    assert not {"amount out of line", "spike of creation", "default close date"} & set(before["rule"])
    issues = suspect_issues(found)
    worth = sum(issue.value_at_stake for issue in issues if issue.rule == "amount out of line")
    assert worth == pytest.approx(found.loc[found["rule"] == "amount out of line", "value_at_stake"].sum())


def test_a_deal_left_out_is_lost_today(finished: ForecastResult) -> None:
    panel = finished.panel
    chosen = panel.deals.outcome == OPEN
    bare = without(panel, chosen)
    assert (bare.deals.outcome[chosen] == LOST).all()
    assert (bare.deals.closed[chosen] == panel.as_of).all()
