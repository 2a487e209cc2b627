"""The tables and the page of a run: they add up, they are in order, and no text of the CRM can run anything."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import xarray as xr

from engine.archive import load
from engine.config import resolved
from engine.report.coverage import rep_coverage
from engine.report.folder import make_tables, write_folder
from engine.report.names import anonymous
from engine.report.plan_section import attained
from engine.report.record_figures import BLUE, ORANGE, coverage_against_need
from engine.report.tables import allocation_table, books_table, periods
from engine.report.terminal import Surroundings, summary_text
from engine.report.words import words_of
from engine.results import ForecastResult
from models.panel import Panel
from optimization.plan import TerritoryPlan
from optimization.problem import TerritoryProblem
from tests.finished import GOOD, finished_result

HOSTILE = '=HYPERLINK("http://evil")</script><script>alert(1)</script><img src=x onerror=alert(2)>\u202e😀'


@pytest.fixture(scope="module")
def result() -> ForecastResult:
    """One run for all tests of this module."""
    return finished_result()


@pytest.fixture(scope="module")
def tables(result: ForecastResult) -> dict[str, pd.DataFrame]:
    """Its tables."""
    return make_tables(result)


@pytest.fixture(scope="module")
def folder(result: ForecastResult, tables: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder."""
    path = tmp_path_factory.mktemp("run")
    write_folder(result, tables, resolved(result.config), path)
    return path


def page_figures(page: str) -> dict[str, dict[str, object]]:
    """Figures embedded in a page."""
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_draws_add_up_over_every_level(result: ForecastResult) -> None:
    company = result.outcomes.levels["company"].total[:, 0]
    for outcome in result.outcomes.levels.values():
        np.testing.assert_allclose(outcome.total.sum(axis=1, dtype=float), company, rtol=1e-5)


def test_means_add_up_over_every_level_and_over_months(tables: dict[str, pd.DataFrame]) -> None:
    sums = tables["forecast"].groupby(["level", "period"])[["mean", "booked", "open", "new"]].sum()
    for period in sums.index.unique("period"):
        rows = sums.xs(period, level="period")
        for level in rows.index:
            np.testing.assert_allclose(rows.loc[level], rows.loc["company"], rtol=1e-5, atol=1e-6)
    company = sums.loc["company"]
    np.testing.assert_allclose(company.loc["2026-07":"2026-09"].sum(), company.loc["2026-Q3"], rtol=1e-6)


def test_the_mean_is_booked_plus_open_plus_new(tables: dict[str, pd.DataFrame]) -> None:
    forecast = tables["forecast"]
    np.testing.assert_allclose(forecast["mean"], forecast[["booked", "open", "new"]].sum(axis=1), rtol=0.02, atol=50.0)


def test_quantiles_are_in_order(tables: dict[str, pd.DataFrame]) -> None:
    for frame in (tables["forecast"], tables["books"]):
        assert (frame["p10"] <= frame["p50"]).all()
        assert (frame["p50"] <= frame["p90"]).all()


def test_every_account_has_exactly_one_rep(result: ForecastResult, tables: dict[str, pd.DataFrame]) -> None:
    allocation = tables["allocation"]
    assert allocation["account"].is_unique
    assert set(allocation["account"]) == set(result.panel.accounts.labels.ids)
    assert allocation["new_rep"].isin(tables["books"]["rep"]).all()
    assert tables["books"]["accounts"].sum() == len(allocation)


def test_books_agree_with_the_moves(tables: dict[str, pd.DataFrame]) -> None:
    moves = tables["moves"]
    assert tables["books"]["moves_in"].sum() == len(moves) > 0
    assert (moves["old_rep"] != moves["new_rep"]).all()


def test_chances_of_the_books_are_those_of_the_certificate(
    result: ForecastResult, tables: dict[str, pd.DataFrame]
) -> None:
    assert result.allocation is not None
    assert isinstance(result.allocation.answer, TerritoryPlan)
    certificate, books = result.allocation.answer.certificate, tables["books"]
    quota = books["quota"].to_numpy()
    assert books["p_attain"].max() - books["p_attain"].min() == pytest.approx(certificate.p_attain_spread)
    assert (books["p10"] <= books["p90"]).all()
    assert (quota > 0).all()


def test_the_folder_holds_what_was_promised(folder: Path) -> None:
    promised = {
        "forecast.csv",
        "deals.csv",
        "allocation.csv",
        "moves.csv",
        "books.csv",
        "certificate.json",
        "data_issues.csv",
    }
    assert promised | {"config.yaml", "report.html", "draws"} <= {path.name for path in folder.iterdir()}


def test_the_arrays_of_a_folder_come_back(folder: Path, result: ForecastResult) -> None:
    panel = load(Panel, folder / "draws" / "panel.nc")
    np.testing.assert_array_equal(panel.deals.closed, result.panel.deals.closed)
    problem = load(TerritoryProblem, folder / "draws" / "territory_problem.nc")
    assert result.allocation is not None
    np.testing.assert_array_equal(problem.value, result.allocation.problem.value)


def test_a_sample_of_paths_by_cell_and_month_is_kept(folder: Path, result: ForecastResult) -> None:
    with xr.open_dataarray(folder / "draws" / "sample.nc", engine="h5netcdf") as sample:
        assert sample.dims == ("path", "cell", "month")
        company = result.outcomes.levels["company"].total[: sample.sizes["path"], 0]
        np.testing.assert_allclose(sample.sum("cell").to_numpy(), company, rtol=1e-4)


def test_the_same_result_writes_the_same_bytes(folder: Path, result: ForecastResult, tmp_path: Path) -> None:
    write_folder(result, make_tables(result), resolved(result.config), tmp_path)
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    for name in written:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_every_figure_is_one_that_plotly_knows(folder: Path) -> None:
    figures = page_figures((folder / "report.html").read_text(encoding="utf-8"))
    assert {"fan", "range-rep", "attainment", "balance-p_attain", "bands", "sizes", "flow", "coverage"} <= set(figures)
    for figure in figures.values():
        go.Figure(figure)  # raises on a property it does not know


def test_coverage_and_its_need_speak_of_the_same_pipeline(
    result: ForecastResult, tables: dict[str, pd.DataFrame]
) -> None:
    """Both count all open deals; the coverage of those that are due in the horizon is another number."""
    rep = tables["forecast"].query("level == 'rep' and key != ''").iloc[-1]
    told = {"pipeline_coverage": 1.0, "pipeline_coverage_open": 5.0, "pipeline_coverage_needed": 4.0}
    rows = [
        {"kpi": kpi, "level": "rep", "key": rep["key"], "period": rep["period"], "value": value, "numerator": 1.0}
        for kpi, value in told.items()
    ]
    (row,) = rep_coverage(result, tables | {"kpis": pd.DataFrame(rows)}).itertuples()
    assert (row.rep, row.coverage, row.needed) == (rep["key"], 5.0, 4.0)


def test_a_need_that_no_coverage_meets_is_short() -> None:
    rows = pd.DataFrame({"rep_name": ["Ann", "Bob"], "coverage": [3.0, 2.0], "needed": [2.5, np.nan]})
    bars = coverage_against_need(words_of("en"), rows, 0.8)["data"][0]
    assert dict(zip(bars["y"], bars["marker"]["color"], strict=True)) == {"Ann": BLUE, "Bob": ORANGE}


def test_nothing_on_the_page_comes_from_elsewhere(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    own = page[: page.index('<script type="application/json"')]
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", own)
    assert "default-src 'none'" in own


def test_no_text_of_the_crm_reaches_page_or_spreadsheet_unescaped(tmp_path: Path) -> None:
    result = finished_result(names=HOSTILE)
    write_folder(result, make_tables(result), resolved(result.config), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in page
    for figure in page_figures(page).values():
        assert "<img" not in json.dumps(figure)
    for path in tmp_path.glob("*.csv"):
        for column in pd.read_csv(path, dtype=str, keep_default_na=False).to_numpy().T:
            assert not any(cell.startswith("=") for cell in column), path.name


@pytest.mark.parametrize("names", ["pseudonymous", "absent"])
def test_rep_names_can_be_kept_off_the_page(names: str, tmp_path: Path) -> None:
    result = finished_result((f"report.names={names}",))
    write_folder(result, make_tables(result), resolved(result.config), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "rep00003" not in page
    assert ("Rep 04" in page) == (names == "pseudonymous")
    cards = list((tmp_path / "cards").glob("*"))
    assert len(cards) == (result.panel.reps.active.sum() if names == "pseudonymous" else 0)
    for card in cards:
        assert "rep000" not in card.read_text(encoding="utf-8") + card.name


def test_full_names_leave_the_tables_alone(tables: dict[str, pd.DataFrame]) -> None:
    assert anonymous(tables, "full") is tables


def test_a_run_that_did_not_converge_says_so_and_has_no_plan(tmp_path: Path) -> None:
    bad = type(GOOD)(**{**vars(GOOD), "r_hat": 1.05})
    result = finished_result(diagnostics=bad)
    tables = make_tables(result)
    write_folder(result, tables, resolved(result.config), tmp_path)
    assert "Not converged" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert summary_text(result, tables, Surroundings(tmp_path, None, "")).startswith("NOT CONVERGED")
    assert not (tmp_path / "allocation.csv").exists()


def test_the_terminal_says_what_changed_since_the_last_run(
    result: ForecastResult, tables: dict[str, pd.DataFrame], folder: Path
) -> None:
    text = summary_text(result, tables, Surroundings(folder, folder, "python -m mlflow ui"))
    assert "P50 -0 EUR since" in text or "P50 +0 EUR since" in text
    assert "python -m mlflow ui" in text
    assert "Certificate" in text


@pytest.mark.parametrize(
    ("first", "count", "fiscal", "expected"),
    [
        ("2026-07", 3, 1, ["2026-07", "2026-08", "2026-09", "2026-Q3"]),
        ("2026-07", 1, 1, ["2026-07"]),
        ("2026-07", 3, 7, ["2026-07", "2026-08", "2026-09", "2027-Q1"]),
        ("2026-08", 3, 1, ["2026-08", "2026-09", "2026-10", "2026-08..2026-10"]),
    ],
)
def test_periods_are_months_and_the_whole_quarters_and_years(
    first: str, count: int, fiscal: int, expected: list[str]
) -> None:
    start = int(np.datetime64(first, "M").astype(int))
    assert [name for name, _ in periods(np.arange(start, start + count), fiscal)] == expected


def test_a_year_holds_its_quarters() -> None:
    start = int(np.datetime64("2026-01", "M").astype(int))
    names = [name for name, _ in periods(np.arange(start, start + 12), 1)]
    assert names[12:] == ["2026-Q1", "2026-Q2", "2026-Q3", "2026-Q4", "2026"]


def test_ranges_of_books_and_accounts_hold_the_loss_from_moves(result: ForecastResult) -> None:
    assert result.allocation is not None
    plan, before = result.allocation.answer, result.allocation.problem
    assert isinstance(plan, TerritoryPlan)
    wild = [
        np.where(np.arange(n) % 2, 2.0, 0.0).astype(np.float32) for n in (len(before.value), len(before.fresh_value))
    ]
    problem = replace(before, moved_factor=wild[0], fresh_moved_factor=wild[1])
    allocation = replace(result.allocation, problem=problem)
    accounts, books = allocation_table(result, allocation), books_table(result, allocation)
    new = (plan.rep != problem.owner) & (problem.move_cost > 0)
    assert new.any()
    money = problem.value * problem.fit[np.arange(len(new)), plan.rep]
    money[:, new] *= wild[0][:, None]
    np.testing.assert_allclose(accounts["potential_p90"], np.quantile(money, 0.9, axis=0), rtol=1e-4, atol=1.0)
    assert (accounts["potential_p10"][new] == 0).all()
    shares = attained(allocation, plan)["plan"]
    for r, book in enumerate(books.itertuples()):
        held = plan.rep == r
        pairs = problem.fresh_value[:, held] * problem.fit[held, r]
        pairs[:, new[held]] *= wild[1][:, None]
        revenue = problem.fresh_fixed[:, r] + pairs.sum(axis=1)
        assert book.p10 == pytest.approx(np.quantile(revenue, 0.1), rel=1e-4, abs=1.0)
        assert np.median(shares[:, r]) == pytest.approx(np.median(revenue[: len(shares)]) / book.quota, rel=1e-4)
