"""Coverage: the closed form of the textbook, and the simulation where both must agree."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import binom

from engine.config import RunOptions
from engine.errors import InputRefusedError
from engine.finished import FinishedRun
from engine.planning import coverage
from engine.planning.coverage import needed
from engine.planning.question_settings import CoverageSettings
from engine.planning.textbook import deals_needed, required_coverage
from models.draws import AmountDraws, ClosingDraws
from models.panel import OPEN
from tests.planned_run import finished_run, with_quotas


def test_small_quotas_need_more_coverage_than_large_ones() -> None:
    """80 % chance at a 25 % win rate: not the 4 x of the rule of thumb."""
    assert required_coverage(2, 0.25, 0.8) == 5.5
    assert required_coverage(32, 0.25, 0.8) == 4.5


@pytest.mark.parametrize(("quota", "rate", "chance"), [(1, 0.25, 0.8), (3, 0.6, 0.5), (17, 0.1, 0.95), (200, 0.9, 0.3)])
def test_the_closed_form_is_the_smallest_number(quota: int, rate: float, chance: float) -> None:
    deals = deals_needed(quota, rate, chance)
    assert binom.sf(quota - 1, deals, rate) >= chance
    assert binom.sf(quota - 1, deals - 1, rate) < chance


@pytest.mark.parametrize(("quota", "rate", "chance"), [(0, 0.5, 0.5), (1, 0.0, 0.5), (1, 1.0, 0.5), (1, 0.5, 1.0)])
def test_the_closed_form_refuses_what_it_cannot_answer(quota: int, rate: float, chance: float) -> None:
    with pytest.raises(ValueError, match="out of range"):
        deals_needed(quota, rate, chance)


def test_needed_goes_straight_between_two_coverages() -> None:
    levels, chances = np.array([0.0, 1.0, 2.0]), np.array([0.1, 0.5, 0.9])
    assert needed(levels, chances, 0.7) == pytest.approx(1.5)
    assert needed(levels, chances, 0.05) == 0.0
    assert np.isnan(needed(levels, chances, 0.95))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return finished_run(tmp_path_factory.mktemp("runs"))


def plain(run: FinishedRun, win_rate: float, amount: float) -> FinishedRun:
    """All deals equal, closed for certain within the horizon, won at one rate for exactly their amount."""
    closing, amounts = run.draws.closing, run.draws.amounts
    assert closing is not None
    assert amounts is not None
    kept = ("age_bins", "size_edges", "shock_months", "stage_move", "first_stage")
    zeros = {item.name: np.zeros_like(getattr(closing, item.name)) for item in fields(ClosingDraws)}
    zeros |= {name: getattr(closing, name) for name in kept}
    zeros |= {"close_base": np.full(run.draws.count, 9.0), "win_base": np.full(run.draws.count, logit(win_rate))}
    flat = {item.name: np.zeros_like(getattr(amounts, item.name)) for item in fields(AmountDraws) if item.name != "cap"}
    flat |= {"exact": np.ones(run.draws.count), "scale": np.ones(run.draws.count), "dof": np.full(run.draws.count, 5.0)}
    sure = AmountDraws(**flat, cap=amounts.cap)
    draws = replace(run.draws, closing=ClosingDraws(**zeros), amounts=sure, arrivals=None, orders=None)
    deals = run.panel.deals
    listed = np.full(len(deals), amount)
    outcome = np.full_like(deals.outcome, OPEN)
    blank = np.full_like(deals.won_amount, np.nan)
    orders = replace(run.panel.orders, amount=np.zeros_like(run.panel.orders.amount))
    deals = replace(deals, list_amount=listed, outcome=outcome, won_amount=blank)
    return replace(run, draws=draws, panel=replace(run.panel, deals=deals, orders=orders))


def test_the_simulated_need_of_equal_deals_is_the_closed_form(run: FinishedRun) -> None:
    company = plain(run, 0.25, 1000.0)
    reps = company.panel.reps.labels.ids[:2].tolist()
    company = with_quotas(company, {"": 40_000.0, reps[0]: 8_000.0, reps[1]: 32_000.0})
    others = replace(company.panel.reps, active=np.isin(company.panel.reps.labels.ids, reps), end=no_ends(company))
    company = replace(company, panel=replace(company.panel, reps=others))
    asked = CoverageSettings(paths=8_000, most=8.0, step=0.125)
    levels = np.arange(0.0, 8.0001, 0.125)  # a deal apart for the quota of 8 deals, four for that of 32
    found = coverage.answer(company, asked, RunOptions(threads=1))
    table = found.tables["coverage"].set_index("rep")
    for key, quota in zip(reps, (8, 32), strict=True):
        exact = needed(levels, binom.sf(quota - 1, np.round(levels * quota), 0.25), 0.8)
        assert exact == pytest.approx(required_coverage(quota, 0.25, 0.8), abs=1 / quota)
        assert table.loc[key, "coverage_needed"] == pytest.approx(exact, abs=0.6 / quota)  # 3.5 standard errors
        assert table.loc[key, "value_won_share"] == pytest.approx(0.25, abs=0.01)
    curve = found.tables["coverage_curve"]
    for _, part in curve.groupby(["level", "key"]):
        assert (np.diff(part["chance"]) >= 0).all(), "more pipeline never lowers a chance"


def no_ends(run: FinishedRun) -> np.ndarray:
    return np.full_like(run.panel.reps.end, np.datetime64("NaT", "D"))


def test_coverage_as_the_run_has_it(run: FinishedRun) -> None:
    found = coverage.answer(run, CoverageSettings(paths=1_000, most=4.0), RunOptions(threads=1))
    table = found.tables["coverage"]
    assert (table["chance_now"].between(0, 1)).all()
    owned = run.panel.deals.rep[run.panel.deals.outcome == OPEN]
    assert table["deals_open"].sum() == np.isin(owned, np.flatnonzero(run.panel.reps.active)).sum()
    assert (table["gap"] == (table["quota"] - table["booked"]).clip(lower=0)).all()


def test_a_run_without_deals_is_refused(run: FinishedRun, tmp_path: Path) -> None:
    bare = replace(run, draws=replace(run.draws, closing=None, amounts=None), folder=tmp_path)
    with pytest.raises(InputRefusedError, match="without opportunities"):
        coverage.answer(bare, CoverageSettings(), RunOptions())
