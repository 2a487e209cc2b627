"""Posterior predictive checks: silent where the data come from the draws, loud where one feature was broken."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import ArrayLike

from experiments import predictive_checks
from experiments.ppc_statistics import Check, Reference, compare, dispersion, interaction
from experiments.predictive_checks import check
from models.calendar import WEEKS_PER_QUARTER, week_number, week_of_quarter
from models.draws import AmountDraws, ArrivalDraws, ClosingDraws, Draws, OrderDraws
from models.panel import LOST, WON, Floats, Panel
from models.settings import ModelSettings, SamplerSettings
from tests.conftest import ROOT
from tests.order_panels import BuyingTruth, buyers, buying_truth, sellers
from tests.panels import Truth, company, truth

SETTINGS = ModelSettings()
COUNT = 100
REPS, SEGMENTS, PRODUCTS, TERRITORIES = 20, 2, 3, 4


def same(values: ArrayLike) -> Floats:
    """One truth as ``COUNT`` equal posterior draws."""
    array = np.asarray(values, dtype=float)
    return np.broadcast_to(array, (COUNT, *array.shape)).copy()


def closing_draws(effects: Truth) -> ClosingDraws:
    """What `tests.panels.company` simulates its deals from."""
    ages = SETTINGS.closing.age_bins
    stages, months = len(effects.close_stage), len(effects.shocks)
    week = np.where(np.arange(WEEKS_PER_QUARTER) >= 8, effects.win_quarter_end, 0.0)
    none = {"size": 1, "segment": SEGMENTS, "product": PRODUCTS}
    zeros = {f"{side}_{name}": same(np.zeros(size)) for side in ("close", "win") for name, size in none.items()}
    return ClosingDraws(
        age_bins=np.array(ages),
        size_edges=np.zeros(0),
        close_base=same(effects.close_base),
        close_age=same(np.zeros(len(ages))),
        close_age_month=same(np.zeros((3, len(ages)))),
        close_stage=same(effects.close_stage),
        close_week=same(np.zeros(WEEKS_PER_QUARTER)),
        win_base=same(effects.win_base),
        win_age=same(np.zeros(len(ages))),
        win_stage=same(np.zeros(stages)),
        win_week=same(week),
        win_territory=same(np.zeros(TERRITORIES)),
        win_rep=same(effects.win_rep),
        shock_scale=same([0.3, 0.3]),
        shock_correlation=same(0.5),
        shock_months=effects.first_month + np.arange(months),
        shocks=same(effects.shocks),
        stage_move=same(np.eye(stages)),
        first_stage=same(np.eye(stages)[0]),
        **zeros,
    )


def amount_draws() -> AmountDraws:
    """What `tests.panels.won_amounts` draws from."""
    return AmountDraws(
        base=same(-0.2),
        scale=same(0.1),
        dof=same(5.0),
        zero=same(0.05),
        exact=same(0.2),
        product=same(np.zeros(PRODUCTS)),
        segment=same(np.zeros(SEGMENTS)),
        rep=same(0.1 * ((np.arange(REPS) % 3) - 1.0)),
        list_log_mean=np.zeros(PRODUCTS),
        list_log_sd=np.ones(PRODUCTS),
        cap=1e6,
    )


def failing(checks: Sequence[Check], leg: str) -> set[str]:
    return {item.statistic for item in checks if item.fails and item.leg == leg}


@pytest.fixture(scope="module")
def effects() -> Truth:
    return replace(truth(1, reps=REPS), never=0.0)


@pytest.fixture(scope="module")
def panel(effects: Truth) -> Panel:
    return company(effects, 4000, 1)


def pipeline(panel: Panel, effects: Truth) -> list[Check]:
    return check(panel, Draws(COUNT, closing_draws(effects), amount_draws(), None, None, ()), SETTINGS, COUNT, 1)


def test_data_from_the_model_pass(panel: Panel, effects: Truth) -> None:
    checks = pipeline(panel, effects)
    assert {item.leg for item in checks} == {"close", "win", "amount"}
    assert len(checks) > 20
    # Draws that are the truth give uniform p-values: more than 4 of some 30 in the outer 5 % would come once in 50.
    assert sum(item.fails for item in checks) <= 4
    assert all(item.low <= item.mean <= item.high for item in checks)


def test_reps_who_win_one_segment_only_are_found(panel: Panel, effects: Truth) -> None:
    deals = panel.deals
    closed = deals.outcome != 0
    favoured = (deals.rep + deals.segment) % 2 == 0
    luck = np.random.default_rng(1).random(len(deals))
    outcome = np.where(closed, np.where(luck < np.where(favoured, 0.8, 0.3), WON, LOST), deals.outcome)
    broken = replace(panel, deals=replace(deals, outcome=outcome.astype(np.int8)))
    checks = pipeline(broken, effects)
    assert "dispersion over rep x segment" in failing(checks, "win")
    assert not failing(checks, "close") - failing(pipeline(panel, effects), "close")


def test_discounts_at_the_quarter_end_are_found(panel: Panel, effects: Truth) -> None:
    deals = panel.deals
    week = week_of_quarter(week_number(np.where(np.isnat(deals.closed), panel.as_of, deals.closed)))
    won_amount = np.where(week == WEEKS_PER_QUARTER - 1, 0.8, 1.0) * deals.won_amount
    broken = replace(panel, deals=replace(deals, won_amount=won_amount))
    found = failing(pipeline(broken, effects), "amount")
    assert "log multiple, quarter-end less others" in found
    assert "log multiple, quarter-end less others" not in failing(pipeline(panel, effects), "amount")


def test_shocks_that_last_are_found(effects: Truth) -> None:
    slow = np.sin(np.arange(len(effects.shocks)) / 4)[:, None] * np.array([0.45, 0.45])
    lasting = replace(effects, shocks=slow)
    checks = pipeline(company(lasting, 4000, 1), lasting)
    assert "correlation of neighbouring months" in failing(checks, "close")


def test_large_deals_that_the_model_takes_for_small_ones_are_found(panel: Panel, effects: Truth) -> None:
    deals = panel.deals
    large = deals.list_amount > np.median(deals.list_amount)
    # Every second win of a large deal was lost: neither reps nor months differ by it.
    lost = large & (deals.outcome == WON) & (np.arange(len(deals)) % 2 == 0)
    broken = replace(panel, deals=replace(deals, outcome=np.where(lost, LOST, deals.outcome).astype(np.int8)))
    draws = replace(closing_draws(effects), size_edges=np.array([np.log(np.median(deals.list_amount))]))
    draws = replace(draws, close_size=same(np.zeros(2)), win_size=same(np.zeros(2)))
    checks = check(broken, Draws(COUNT, draws, None, None, None, ()), SETTINGS, COUNT, 1)
    assert "large less small" in failing(checks, "win")
    assert "large less small" not in failing(checks, "close")


def arrival_draws(rate: Floats) -> ArrivalDraws:
    """What `tests.order_panels.sellers` draws from; the gamma factor there is per rep and month."""
    return ArrivalDraws(
        base=same(0.0),
        level=same(0.0),
        level_scale=same(1e-6),
        season=same(np.zeros(12)),
        territory=same(np.zeros(3)),
        rep=same(np.log(rate)),
        ramp_months=same(4.0),
        shock_scale=same(1e-6),
        dispersion=same(20.0),
    )


def test_arrivals_pass_and_a_wave_of_the_whole_company_is_found() -> None:
    rate = np.tile([6.0, 3.0, 4.0, 8.0], 3)
    wave = np.where(np.arange(12) % 2 == 0, 0.4, -0.4)
    draws = Draws(COUNT, None, None, arrival_draws(rate), None, ())
    calm, stormy = (check(sellers(rate, season, 4.0, 2), draws, SETTINGS, COUNT, 1) for season in (np.zeros(12), wave))
    assert len(calm) == 8
    assert len(failing(calm, "arrivals")) <= 1
    assert {"SD over months", "dispersion over territory-months"} <= failing(stormy, "arrivals")


@pytest.fixture(scope="module")
def buying() -> BuyingTruth:
    return buying_truth(3)


@pytest.fixture(scope="module")
def orders(buying: BuyingTruth) -> OrderDraws:
    from models.account_bookings import fit_bookings

    settings = ModelSettings(sampler=SamplerSettings(method="laplace", chains=2, draws=50))
    return fit_bookings(buyers(buying, 3), settings, 1)[0]


@pytest.mark.slow
def test_orders_pass_and_a_territory_that_stopped_is_found(buying: BuyingTruth, orders: OrderDraws) -> None:
    panel = buyers(buying, 3)
    draws = Draws(COUNT, None, None, None, orders, ())
    checks = check(panel, draws, SETTINGS, COUNT, 1)
    assert {item.leg for item in checks} == {"order", "order amount", "first orders"}
    timing = failing(checks, "order") | failing(checks, "first orders")
    assert len(timing) <= 2, timing
    # Two of five orders of one territory are taken away: the timing knows no territory.
    number = np.arange(len(panel.orders))
    kept = (panel.accounts.territory[panel.orders.account] != 0) | (number % 5 > 1)
    fields = {name: values[kept] for name, values in vars(panel.orders).items() if name != "first_month"}
    broken = replace(panel, orders=replace(panel.orders, **fields))
    assert "spread over territories" in failing(check(broken, draws, SETTINGS, COUNT, 1), "order")


def test_a_discrepancy_is_of_the_draw_that_the_replicate_comes_from() -> None:
    def above(data: Floats, reference: Reference) -> dict[str, float]:
        return {"sum": float((data - reference.mean).sum()), "nothing": np.nan}

    expected = [Reference(np.full(2, mean), np.ones(2)) for mean in (0.0, 1.0, 2.0, 3.0)]
    drawn = [(np.array([1.0, 1.0]), expected[0]), *((item.mean + 1.0, item) for item in expected[1:])]
    (found,) = compare("leg", above, np.array([1.0, 2.0]), drawn)
    assert found.observed == 3.0 - np.mean([0, 2, 4, 6])
    assert found.mean == 2.0
    assert found.p_value == 0.75  # the first draw's replicate lies below the data, those of the others above
    assert not found.fails


def test_statistics_by_hand() -> None:
    reference = Reference(np.full(6, 10.0), np.full(6, 4.0))
    data = np.array([12.0, 8.0, 10.0, 14.0, 10.0, 10.0])
    assert dispersion(data, reference, np.array([0, 0, 1, 1, 2, -1])) == pytest.approx((0 / 8 + 16 / 8 + 0) / 3)
    first = np.array([True, True, False, False, False, False])
    second = np.array([True, False, True, False, True, False])
    assert interaction(data, reference, first, second) == pytest.approx((1.2 - 0.8) - (1.0 - 1.2))


def test_the_command_writes_json_lines(
    panel: Panel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Run:
        config = type("Config", (), {"models": SETTINGS, "seed": 1})
        draws = Draws(COUNT, None, amount_draws(), None, None, ())

    Run.panel = panel  # type: ignore[attr-defined]
    monkeypatch.setattr(predictive_checks, "open_run", lambda *_: Run)
    assert predictive_checks.main(["RUN", "--json", "--replicates", "50"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"leg", "statistic", "observed", "mean", "low", "high", "p_value", "replicates", "fails"} == set(rows[0])
    assert rows[0]["replicates"] == 50
    assert predictive_checks.main(["RUN", "--replicates", "50"]) == 0
    assert f"of {len(rows)} checks fail" in capsys.readouterr().out


def test_no_run_is_told(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    assert predictive_checks.main(["nowhere", "--out", str(tmp_path)]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_pymc_is_not_needed() -> None:
    code = "import sys, experiments.predictive_checks; sys.exit('pymc' in sys.modules)"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, check=True)
