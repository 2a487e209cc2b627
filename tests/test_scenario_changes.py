"""Every kind of change moves the right numbers in the right direction and leaves the others as they were."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engine.errors import InputRefusedError
from engine.scenarios.answers import batches, standard_error
from engine.scenarios.futures import LevelPair, compare, legs
from engine.scenarios.reference import log_odds, rate
from engine.scenarios.touched import only_touched, touched_parts
from engine.simulation.clock import SimulationHorizons, build_clock
from models.panel import OPEN, WON
from tests.scenarios import Stage, company_months, difference, write_run

SUBTOTALS = ("region", "territory", "manager", "rep", "product")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    output = tmp_path_factory.mktemp("runs")
    write_run(output)
    return Stage(output)


@pytest.fixture(scope="module")
def piped(stage: Stage) -> Stage:
    """Deals alone: what orders do cannot hide an error."""
    return stage.without_orders()


def adds_up(pairs: Mapping[str, LevelPair]) -> bool:
    """Every level sums to the company, path by path."""
    company = pairs["company"].changed[:, 0].astype(float)
    return all(
        np.allclose(pairs[name].changed.astype(float).sum(axis=1), company, rtol=1e-4, atol=1.0) for name in SUBTOTALS
    )


def open_deals(stage: Stage, count: int = 2) -> list[str]:
    """Open deals with an amount, the largest first."""
    deals = stage.base.panel.deals
    index = np.flatnonzero((deals.outcome == OPEN) & (deals.list_amount > 0))
    return [str(deals.ids[i]) for i in index[np.argsort(-deals.list_amount[index])][:count]]


CHANGES: list[dict[str, Any]] = [
    {"change": "hire", "date": "2026-07-05", "territory": "territory00001"},
    {"change": "leave", "rep": "rep00002", "date": "2026-07-31"},
    {"change": "leave", "rep": "rep00002", "date": "2026-07-31", "book": "to", "to": "rep00003"},
    {"change": "leave", "rep": "rep00002", "date": "2026-07-31", "book": "idle"},
    {"change": "part_time", "rep": "rep00002", "fte": 0.5},
    {"change": "swap", "reps": ["rep00002", "rep00003"]},
    {"change": "win_rate", "points": 5},
    {"change": "win_rate", "relative": -0.2, "rep": "rep00002"},
    {"change": "win_rate", "relative": -0.2, "stage": "stage00001"},
    {"change": "cycle", "relative": 0.3, "segment": "segment00001"},
    {"change": "cycle", "relative": 0.3, "rep": "rep00002"},
    {"change": "amount", "relative": 0.2},
    {"change": "amount", "relative": 0.2, "stage": "stage00001"},
    {"change": "price", "relative": 0.1, "elasticity": -2, "product": "product00001"},
    {"change": "generation", "relative": 0.3, "segment": "segment00001"},
    {"change": "generation", "relative": 0.3, "start": "2026-08"},
    {"change": "delay", "weeks": 3},
    {"change": "delay", "weeks": 3, "rep": "rep00002"},
    {"change": "retention", "fewer_missed": 0.3},
    {"change": "crisis", "win_rate": -0.2, "cycle": 0.2, "arrivals": -0.2},
    {"change": "allocation", "run": "smoke"},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: "-".join(str(value) for value in change.values()))
def test_simulating_what_is_touched_gives_what_simulating_all_gives(stage: Stage, change: dict[str, Any]) -> None:
    """And levels add up: a part that was left out by mistake would be missing in the difference."""
    after = stage.company(change)
    horizons = SimulationHorizons(stage.frame.months)
    touched = touched_parts(stage.base, after, build_clock(stage.base.panel.as_of, horizons, 1, 1))
    whole = legs(stage.bench, after, 400)
    old, new = (legs(stage.bench, only_touched(touched, company), 400) for company in (stage.base, after))
    for name, level in whole.items():
        before = {str(key): stage.bench.stored[name].total[:, i] for i, key in enumerate(stage.bench.stored[name].keys)}
        nothing = np.zeros_like(level.total[:, 0])
        parts = [
            dict(zip(part[name].keys.tolist(), part[name].total.swapaxes(0, 1), strict=True)) for part in (old, new)
        ]
        for i, key in enumerate(level.keys.tolist()):
            moved = parts[1].get(key, nothing).astype(float) - parts[0].get(key, nothing)
            expected = before.get(key, nothing).astype(float) + moved
            np.testing.assert_allclose(level.total[:, i], expected, rtol=1e-4, atol=2.0, err_msg=f"{name} {key}")
    assert adds_up(compare(stage.bench, stage.base, after))


def test_the_stored_levels_are_recognised_as_the_legs(stage: Stage) -> None:
    assert stage.bench.legs_stored


def test_a_hire_adds_to_nobody_else(stage: Stage) -> None:
    pairs = stage.pairs({"change": "hire", "date": "2026-07-01", "territory": "territory00001", "ramp_months": 0})
    moved = difference(pairs["rep"])
    assert set(moved) == {"HIRE-1"}
    assert moved["HIRE-1"] > 0
    assert adds_up(pairs)


def test_a_hire_brings_less_part_time_later_and_with_a_longer_ramp(piped: Stage) -> None:
    hire = {"change": "hire", "date": "2026-07-01", "territory": "territory00001", "ramp_months": 0}
    full = difference(piped.pairs(hire)["rep"])["HIRE-1"]
    for less in ({"fte": 0.3}, {"date": "2026-08-20"}, {"ramp_months": 12}):
        assert 0 < difference(piped.pairs(hire | less)["rep"]).get("HIRE-1", 1e-9) < full


def test_two_hires_are_two_people(piped: Stage) -> None:
    hire = {"change": "hire", "date": "2026-07-01", "territory": "territory00001"}
    company = piped.company(hire, hire | {"id": "Ada", "quota": 100.0})
    assert company.panel.reps.labels.ids[-2:].tolist() == ["HIRE-1", "Ada"]
    assert not np.array_equal(company.draws.closing.win_rep[:, -1], company.draws.closing.win_rep[:, -2])  # type: ignore[union-attr]
    assert company.quotas.target("rep", "Ada", int(piped.frame.months[0]), int(piped.frame.months[-1]))[0] == 100


def test_standard_error_of_a_hire_is_a_tenth_of_that_with_independent_numbers(piped: Stage) -> None:
    """The promise of common random numbers. A company of 12 reps: with more the ratio only grows."""
    hire = {"change": "hire", "date": "2026-08-01", "territory": "territory00001"}
    after = piped.company(hire)
    starts = batches(piped.bench)
    base = piped.bench.stored["company"].total.sum(axis=(1, 2), dtype=float)
    common, independent = (
        legs(piped.bench, after, 400, purpose)["company"].total.sum(axis=(1, 2), dtype=float)
        for purpose in ("forecast", "independent")
    )
    small, large = (float(standard_error(other - base, starts)) for other in (common, independent))
    assert large >= 10 * small > 0


def test_a_leaver_loses_and_the_heir_gains(stage: Stage) -> None:
    leave = {"change": "leave", "rep": "rep00002", "date": "2026-06-30"}
    moved = difference(stage.pairs(leave | {"book": "to", "to": "rep00003"})["rep"])
    assert moved["rep00002"] < 0 < moved["rep00003"]
    spread = difference(stage.pairs(leave)["rep"])
    idle = difference(stage.pairs(leave | {"book": "idle"})["company"])
    assert spread["rep00002"] < 0
    assert sum(spread.values()) > idle[""]
    assert idle[""] < 0


def test_idle_deals_go_on_until_the_last_day(piped: Stage) -> None:
    leave = {"change": "leave", "rep": "rep00002", "date": "2026-07-31", "book": "idle"}
    pair = piped.pairs(leave)["rep"]
    i = pair.keys.tolist().index("rep00002")
    np.testing.assert_array_equal(pair.changed[:, i, 0], pair.base[:, i, 0])
    assert pair.changed[:, i, 1:].sum() < pair.base[:, i, 1:].sum()


def test_part_time_touches_one_rep(stage: Stage) -> None:
    moved = difference(stage.pairs({"change": "part_time", "rep": "rep00002", "fte": 0.4})["rep"])
    assert set(moved) == {"rep00002"}
    assert moved["rep00002"] < 0


def test_a_swap_exchanges_books(stage: Stage) -> None:
    company = stage.company({"change": "swap", "reps": ["rep00002", "rep00003"], "disruption": 0})
    old, new = stage.base.panel.accounts.owner, company.panel.accounts.owner
    assert (new[old == 2] == 3).all() and (new[old == 3] == 2).all()  # noqa: PT018
    np.testing.assert_array_equal(new[(old != 2) & (old != 3)], old[(old != 2) & (old != 3)])
    seller, swapped = stage.base.draws.orders.seller, company.draws.orders.seller  # type: ignore[union-attr]
    assert (swapped[:, old == 2][seller[:, old == 2] == 2] == 3).all()
    back = stage.company({"change": "swap", "reps": ["rep00003", "rep00002"], "disruption": 0}, base=company)
    np.testing.assert_array_equal(back.panel.accounts.owner, old)
    np.testing.assert_array_equal(back.panel.deals.rep, stage.base.panel.deals.rep)


def test_disruption_costs(stage: Stage) -> None:
    swap = {"change": "swap", "reps": ["rep00002", "rep00003"]}
    calm, dear = (difference(stage.pairs(swap | {"disruption": d})["company"])[""] for d in (0.0, 0.3))
    assert dear < calm


def test_win_rate_moves_by_the_points_asked_for(stage: Stage) -> None:
    closed = np.flatnonzero(stage.base.panel.deals.outcome != OPEN)
    before = rate(log_odds(stage.base, closed, "win"))
    for change, after in (({"points": 7}, before + 0.07), ({"relative": -0.2}, before * 0.8)):
        company = stage.company({"change": "win_rate"} | change)
        assert rate(log_odds(company, closed, "win")) == pytest.approx(after, abs=1e-6)
    assert difference(stage.pairs({"change": "win_rate", "points": 7})["company"])[""] > 0


@pytest.mark.parametrize("kind", ["win_rate", "cycle", "amount"])
def test_a_shift_of_one_rep_touches_no_other(piped: Stage, kind: str) -> None:
    moved = difference(piped.pairs({"change": kind, "relative": 0.3, "rep": "rep00002"})["rep"])
    assert set(moved) == {"rep00002"}
    assert (moved["rep00002"] < 0) == (kind == "cycle")


@pytest.mark.parametrize("scope", ["segment", "stage", "product", "territory"])
def test_win_rate_of_a_part_moves_less_than_all(piped: Stage, scope: str) -> None:
    change = {"change": "win_rate", "relative": 0.3}
    part = difference(piped.pairs(change | {scope: f"{scope}00001"})["company"])[""]
    assert 0 < part < difference(piped.pairs(change)["company"])[""]


def test_longer_cycles_lower_the_weekly_chance_as_asked(stage: Stage) -> None:
    deals = np.flatnonzero(stage.base.panel.deals.outcome == OPEN)
    company = stage.company({"change": "cycle", "relative": 0.25})
    old, new = (rate(log_odds(each, deals, "close")) for each in (stage.base, company))
    assert new == pytest.approx(old / 1.25, rel=1e-6)
    assert difference(stage.pairs({"change": "cycle", "relative": 0.25})["company"])[""] < 0


def test_amounts_of_all_scale_exactly(stage: Stage) -> None:
    pair = stage.pairs({"change": "amount", "relative": 0.2})["company"]
    booked = stage.bench.stored["company"].booked
    expected = booked + (pair.base.astype(float) - booked) * 1.2
    np.testing.assert_allclose(pair.changed, expected, rtol=1e-5)


def test_amounts_of_a_part_scale_in_the_mean(piped: Stage) -> None:
    """Wins at exactly the list amount stay as they are; the others make up for them."""
    pair = piped.pairs({"change": "amount", "relative": 0.2, "product": "product00001"})["product"]
    i = pair.keys.tolist().index("product00001")
    assert set(difference(pair)) == {"product00001"}
    assert pair.changed[:, i].sum(dtype=float) / pair.base[:, i].sum(dtype=float) == pytest.approx(1.2, abs=0.02)


def test_named_deals_are_lost_and_won(stage: Stage) -> None:
    ids = open_deals(stage)
    deals = stage.base.panel.deals
    index = np.flatnonzero(np.isin(deals.ids, ids))
    reps = {str(stage.base.panel.reps.labels.ids[rep]) for rep in deals.rep[index]}
    lost = difference(stage.pairs({"change": "lose", "deals": ids})["rep"])
    won = difference(stage.pairs({"change": "win", "deals": ids, "date": "2026-08-15"})["rep"])
    assert set(lost) == set(won) == reps
    assert max(lost.values()) < 0 < min(won.values())
    gap = sum(won.values()) - sum(lost.values())
    assert gap == pytest.approx(deals.list_amount[index].sum(), rel=1e-4)
    company = stage.company({"change": "win", "deals": ids[:1], "amount": 5.0})
    assert company.panel.deals.won_amount[company.panel.deals.outcome == WON].min() <= 5.0


def test_a_price_without_elasticity_is_an_amount(stage: Stage) -> None:
    price, amount = (stage.pairs({"change": kind, "relative": 0.1})["company"].changed for kind in ("price", "amount"))
    np.testing.assert_array_equal(price, amount)
    elastic = difference(stage.pairs({"change": "price", "relative": 0.1, "elasticity": -3})["company"])[""]
    assert elastic < difference(stage.pairs({"change": "price", "relative": 0.1})["company"])[""]


@pytest.mark.parametrize(
    "scope", [{}, {"territory": "territory00001"}, {"segment": "segment00001"}, {"rep": "rep00002"}]
)
def test_generation_goes_up_and_down(piped: Stage, scope: dict[str, str]) -> None:
    up, down = (
        difference(piped.pairs({"change": "generation", "relative": relative} | scope)["rep"])
        for relative in (0.5, -0.5)
    )
    assert sum(down.values()) < 0 < sum(up.values())
    if "rep" in scope:
        assert set(up) == {"rep00002"}
    if "territory" in scope:
        home = piped.base.panel.reps.territory
        assert set(up) <= {str(piped.base.panel.reps.labels.ids[i]) for i in np.flatnonzero(home == 1)}


def test_generation_of_a_month_leaves_earlier_revenue(stage: Stage) -> None:
    pair = stage.pairs({"change": "generation", "relative": 1.0, "start": "2026-08", "end": "2026-08"})["rep"]
    np.testing.assert_array_equal(pair.changed[:, :, 0], pair.base[:, :, 0])
    assert (pair.changed[:, :, 1:] != pair.base[:, :, 1:]).any()


def test_a_delay_of_a_month_leaves_no_deal_of_the_first(piped: Stage) -> None:
    pair = piped.pairs({"change": "delay", "weeks": 4})["company"]
    np.testing.assert_allclose(pair.changed[:, 0, 0], piped.bench.stored["company"].booked[0, 0], rtol=1e-6)
    assert company_months(pair)[0] < 0
    one = difference(piped.pairs({"change": "delay", "weeks": 4, "rep": "rep00002"})["rep"])
    assert set(one) == {"rep00002"}


def test_a_delay_only_moves_what_happens(piped: Stage) -> None:
    """Without effects of age, week and stage a deal's chances after the delay are those it had before it."""
    closing = piped.base.draws.closing
    assert closing is not None
    flat = {name: np.zeros_like(getattr(closing, name)) for name in ("close_week", "win_week", "shock_scale", "shocks")}
    flat |= {name: np.zeros_like(getattr(closing, name)) for name in ("close_age", "close_age_month", "win_age")}
    draws = replace(piped.base.draws, closing=replace(closing, **flat), arrivals=None)
    calm = piped.with_company(replace(piped.base, draws=draws))
    pair = calm.pairs({"change": "delay", "weeks": 4})["company"]
    # the same uniforms against the same chances, a month later
    np.testing.assert_allclose(pair.changed[:, 0, 1:].mean(axis=0), pair.base[:, 0, :2].mean(axis=0), rtol=0.1)


def test_a_quota_changes_chances_alone(stage: Stage) -> None:
    change = {"change": "quota", "level": "rep", "key": "rep00002", "relative": 0.5}
    pairs = stage.pairs(change)
    assert not any(difference(pair) for pair in pairs.values())
    span = int(stage.frame.months[0]), int(stage.frame.months[-1])
    before, _ = stage.base.quotas.target("rep", "rep00002", *span)
    after, source = stage.company(change).quotas.target("rep", "rep00002", *span)
    assert after == pytest.approx(1.5 * before)
    assert source == "given"
    goal = stage.company({"change": "quota", "level": "company", "amount": 123.0})
    assert goal.quotas.target("company", "", *span)[0] == pytest.approx(123.0)


def test_retention_is_about_orders(stage: Stage, piped: Stage) -> None:
    change = {"change": "retention", "fewer_missed": 0.4}
    assert difference(stage.pairs(change)["company"])[""] > 0
    with pytest.raises(InputRefusedError, match="orders of known accounts"):
        piped.company(change)


def test_a_crisis_lowers_all_and_begins_when_it_begins(stage: Stage) -> None:
    crisis = {"change": "crisis", "win_rate": -0.2, "cycle": 0.3, "arrivals": -0.3}
    assert max(difference(stage.pairs(crisis)["rep"]).values()) < 0
    pair = stage.pairs(crisis | {"start": "2026-08"})["company"]
    np.testing.assert_array_equal(pair.changed[:, 0, 0], pair.base[:, 0, 0])
    assert (company_months(pair)[1:] < 0).all()


def test_an_allocation_gives_accounts_to_the_plan(stage: Stage) -> None:
    company = stage.company({"change": "allocation", "run": "smoke"})
    plan = pd.read_csv(stage.run.folder / "allocation.csv", dtype=str).set_index("account")["new_rep"]
    owner = company.panel.reps.labels.ids[company.panel.accounts.owner]
    assert dict(zip(company.panel.accounts.labels.ids, owner, strict=True)) == plan.to_dict()
    assert (plan.to_numpy() != stage.base.panel.reps.labels.ids[stage.base.panel.accounts.owner]).any()


def test_where_a_track_record_moved_the_levels_the_base_stays_and_the_change_is_the_legs(stage: Stage) -> None:
    """Fewer paths and other levels, as a combination leaves them."""
    stored = {
        name: replace(level, total=np.ascontiguousarray(level.total[:200] * np.float32(0.5)))
        for name, level in stage.bench.stored.items()
    }
    moved = replace(stage.bench, stored=stored, legs_stored=False)
    after = stage.company({"change": "win_rate", "relative": 0.2, "rep": "rep00002"})
    direct, shifted = (compare(bench, stage.base, after) for bench in (stage.bench, moved))
    np.testing.assert_array_equal(shifted["rep"].base, stored["rep"].total)
    for name in SUBTOTALS:
        gaps = [pair[name].changed[:200].astype(float) - pair[name].base[:200] for pair in (direct, shifted)]
        np.testing.assert_allclose(gaps[0], gaps[1], atol=2.0)
    assert set(difference(shifted["rep"])) == {"rep00002"}
    assert adds_up(shifted)


def test_standard_error_knows_that_paths_of_a_draw_are_alike() -> None:
    rng = np.random.default_rng(0)
    starts = np.arange(0, 1001, 10)
    alike = np.repeat(rng.normal(size=100), 10)
    assert standard_error(alike, starts) == pytest.approx(1 / np.sqrt(100), rel=0.2)
    assert standard_error(rng.normal(size=1000), starts) == pytest.approx(1 / np.sqrt(1000), rel=0.2)
