"""Forecast methods: what they may know, that levels add up, and that each follows what it lives on."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from engine.config.backtest import Rival
from engine.methods import call_evidence, human_call
from engine.methods.combination import Combination, Lesson, combine, learn, starting_weights
from engine.methods.error_paths import with_errors
from engine.methods.protocol import (
    SCORED_LEVELS,
    Forecast,
    Method,
    MethodUnavailableError,
    Places,
    Question,
    booked_by_place,
    find_places,
    level_total,
    members_of,
    place_of,
)
from engine.methods.registry import CALL, SLOW, rivals
from engine.methods.snapshots import Snapshot, look_back, snapshot
from engine.scoring import PROBABILITIES
from models.calendar import month_number
from models.panel import WON, Calls, Floats, Panel
from tests.panels import company, truth

AS_OF = np.datetime64("2025-10-31")
MONTHS = month_number(np.array(["2025-10", "2025-11", "2025-12"], dtype="datetime64[M]"))
QUESTION = Question(MONTHS, 200, 1)


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Two years of 20 reps' deals, seen in the middle of a quarter, with a call of every rep every month."""
    whole = company(truth(3, months=22), 3000, 3, as_of=str(AS_OF))
    return replace(whole, calls=calls_of(whole, bias=1.5, noise=0.1))


def calls_of(panel: Panel, bias: float, noise: float) -> Calls:
    """Calls on every month's last day for its quarter: what is booked, and ``bias`` times what is to come."""
    rng = np.random.default_rng(5)
    places = find_places(panel)
    starts = np.arange(MONTHS[0] - 18, MONTHS[0] + 1, 3)
    rows = []
    for start in starts:
        day = np.datetime64(int(start) + 1, "M").astype("datetime64[D]") - np.timedelta64(1, "D")
        then = snapshot(panel, places, day, np.arange(start, start + 3))
        for rep in range(len(panel.reps.labels)):
            mine = places.rep == rep
            to_come = then.remaining[mine].sum() if start < MONTHS[0] else 40_000.0
            call = then.booked[mine].sum() + bias * to_come * np.exp(noise * rng.normal())
            rows.append((rep, day, start, call))
    of_rep, on_day, for_month, amount = zip(*rows, strict=True)
    return Calls(np.array(of_rep), np.array(on_day), np.array(for_month), np.array(amount))


@pytest.mark.parametrize("name", [name for name in rivals() if name not in SLOW])
def test_paths_add_up_contain_what_is_booked_and_repeat(panel: Panel, name: str) -> None:
    method: Method = rivals()[name]
    first, second = method(panel, QUESTION), method(panel, QUESTION)
    assert np.array_equal(first.total, second.total)
    assert first.total.shape == (200, len(first.places), 3)
    assert np.isfinite(first.total).all()
    booked = booked_by_place(panel, first.places, MONTHS)
    assert booked.sum() > 0
    if name not in (CALL, "reps_call_corrected"):  # a rep may call less than what is booked
        assert (first.total.min(axis=0) >= booked * (1 - 1e-6) - 1e-3).all()
    sums = {}
    for level in SCORED_LEVELS:
        keys, member = members_of(panel, first.places, level)
        sums[level] = level_total(first.total, member, len(keys)).sum(axis=1)
    assert np.allclose(sums["company"], sums["rep"], rtol=1e-4)
    assert np.allclose(sums["company"], sums["territory"], rtol=1e-4)


def test_the_config_knows_every_rival() -> None:
    assert get_args(Rival.__value__) == tuple(rivals())


def test_a_snapshot_knows_nothing_later(panel: Panel) -> None:
    day = np.datetime64("2025-04-30")
    places = find_places(panel)
    early = snapshot(panel, places, day, MONTHS - 6)
    later = replace(panel.deals, won_amount=np.where(panel.deals.closed > day, 1e9, panel.deals.won_amount))
    again = snapshot(replace(panel, deals=later), places, day, MONTHS - 6)
    assert np.array_equal(early.booked, again.booked)
    assert np.array_equal(early.stage, again.stage)
    assert again.remaining.sum() > 1e8
    assert (panel.deals.created[early.deal] <= day).all()


def test_a_snapshot_splits_what_the_horizon_brought(panel: Panel) -> None:
    places, months = find_places(panel), MONTHS - 6
    then = snapshot(panel, places, np.datetime64("2025-05-15"), months)
    assert np.allclose(then.booked + then.remaining, booked_by_place(panel, places, months))
    won = panel.deals.outcome == WON
    closed = month_number(panel.deals.closed)
    inside = won & (panel.deals.closed > np.datetime64("2025-05-15")) & (closed <= months[-1])
    assert then.remaining.sum() == pytest.approx(panel.deals.won_amount[inside].sum())


def test_earlier_horizons_had_ended(panel: Panel) -> None:
    past = look_back(panel, QUESTION)
    assert len(past.before) >= 3
    assert all(then.months[-1] < MONTHS[0] + 1 for then in past.before)
    offsets = {int((then.day - then.months[0].astype("datetime64[M]")).astype(int)) for then in past.before}
    assert offsets == {30}


def test_a_rule_that_is_always_half_is_corrected(panel: Panel) -> None:
    past = look_back(panel, QUESTION)
    before = tuple(replace(then, remaining=np.full_like(then.remaining, 100.0)) for then in past.before)
    steady = replace(past, before=before)

    def half(now: Snapshot, _: tuple[Snapshot, ...]) -> Floats:
        return np.full((len(past.places), len(now.months)), 50.0)

    drawn = with_errors(half, steady, QUESTION).total - past.now.booked
    open_months = drawn[:, :, 1:]
    assert np.allclose(open_months, 100.0, rtol=1e-3)


def test_too_short_a_history_is_said(panel: Panel) -> None:
    long = Question(np.arange(MONTHS[0], MONTHS[0] + 36), 50, 1)
    with pytest.raises(MethodUnavailableError, match="horizons of 36 months that ended by 2025-10-31"):
        rivals()["conversion"](panel, long)


def test_a_biased_call_is_corrected(panel: Panel) -> None:
    raw, corrected = human_call.raw(panel, QUESTION), human_call.corrected(panel, QUESTION)
    booked = booked_by_place(panel, raw.places, MONTHS).sum()
    assert raw.total.sum(axis=(1, 2)).mean() - booked == pytest.approx(1.5 * 40_000 * 20, rel=0.1)
    assert corrected.total.sum(axis=(1, 2)).mean() - booked == pytest.approx(40_000 * 20, rel=0.1)


def test_calls_pull_the_paths_to_what_they_usually_mean(panel: Panel) -> None:
    places = find_places(panel)
    rng = np.random.default_rng(1)
    to_come = rng.lognormal(np.log(10_000), 1.0, (400, len(places), 3)) * rng.lognormal(0, 0.7, (400, 1, 1))
    to_come[:, :, 0] = 0.0
    before = Forecast(places, (booked_by_place(panel, places, MONTHS) + to_come).astype(np.float32))
    after = call_evidence.weigh(panel, Question(MONTHS, 400, 1), before)
    booked = booked_by_place(panel, places, MONTHS)
    rep = {name: _by_rep(forecast.total - booked, places) for name, forecast in (("old", before), ("new", after))}
    # Every rep's call, 60,000, has meant 40,000 so far; all but the noise of the calls is gone.
    assert np.median(rep["new"]) == pytest.approx(40_000, rel=0.1)
    assert rep["new"].std(axis=0).mean() < 0.5 * rep["old"].std(axis=0).mean()
    assert (np.argsort(rep["old"][:, 0]) == np.argsort(rep["new"][:, 0])).mean() > 0.9


def test_worthless_calls_change_little(panel: Panel) -> None:
    rng = np.random.default_rng(9)
    noise = replace(panel.calls, amount=panel.calls.amount * np.exp(1.5 * rng.normal(size=len(panel.calls))))
    places = find_places(panel)
    to_come = np.random.default_rng(1).lognormal(np.log(10_000), 0.5, (400, len(places), 3))
    before = Forecast(places, (booked_by_place(panel, places, MONTHS) + to_come).astype(np.float32))
    after = call_evidence.weigh(replace(panel, calls=noise), Question(MONTHS, 400, 1), before)
    ratio = after.total.sum(axis=(1, 2)).mean() / before.total.sum(axis=(1, 2)).mean()
    assert ratio == pytest.approx(1.0, abs=0.25)


def _by_rep(total: Floats, places: Places) -> Floats:
    return np.stack([total[:, places.rep == rep].sum(axis=(1, 2)) for rep in range(20)], axis=1)


def test_without_calls_there_is_nothing_to_weigh(panel: Panel) -> None:
    silent = replace(panel, calls=replace(panel.calls, month=panel.calls.month + 1200))
    with pytest.raises(MethodUnavailableError, match="no call for the horizon"):
        call_evidence.weigh(silent, QUESTION, Forecast(find_places(panel), np.ones((10, 20, 3), dtype=np.float32)))


def test_pairs_without_a_place_have_none() -> None:
    places = Places(rep=np.array([-1, 0, 2, 1]), territory=np.array([-1, 0, 0, 3]))
    found = place_of(places, np.array([2, 1, 0, -1, 7]), np.array([0, 3, 3, -1, 9]))
    assert found.tolist() == [2, 3, -1, 0, -1]


def lesson(rng: np.random.Generator, biases: tuple[float, ...], spread: float = 1.0) -> Lesson:
    """Forecasts of 40 targets by methods that are off by ``biases``; actuals vary ``spread`` times as they think."""
    centre = rng.uniform(50, 100, 40)
    shape = 5 * np.array([-1.96, *np.linspace(-1.6, 1.6, len(PROBABILITIES) - 2), 1.96])
    quantile = np.stack([centre[:, None] + bias + shape for bias in biases])
    return Lesson(quantile, centre + 5 * spread * rng.normal(size=40), 1.0)


def test_weights_go_to_the_method_that_is_right() -> None:
    rng = np.random.default_rng(4)
    learned = learn(["own", "wrong", "right"], [lesson(rng, (20.0, 30.0, 0.0)) for _ in range(40)], 40)
    assert learned.weights["right"] > 0.8
    assert sum(learned.weights.values()) == pytest.approx(1)


def test_before_anything_is_learned_a_second_opinion_has_half() -> None:
    start = starting_weights(["own", "rule", "history", "season"], ["history", "season", "absent"])
    assert start.weights == {"own": 0.5, "rule": 0.0, "history": 0.25, "season": 0.25}
    assert (start.spread, start.origins) == (1.0, 0.0)
    assert starting_weights(["own", "rule"], ["history"]).weights == {"own": 1.0, "rule": 0.0}


def test_a_forecast_that_is_too_narrow_is_widened() -> None:
    rng = np.random.default_rng(4)
    learned = learn(["own"], [lesson(rng, (0.0,), spread=1.8) for _ in range(40)], 40)
    assert learned.spread > 1.3


def test_a_combination_keeps_the_order_of_the_first_and_the_mean_of_both() -> None:
    rng = np.random.default_rng(6)
    places = Places(rep=np.arange(4), territory=np.zeros(4, dtype=np.int64))
    common = rng.normal(size=(1000, 1, 1))
    own = Forecast(places, (100 + 10 * (common + 0.3 * rng.normal(size=(1000, 4, 2)))).astype(np.float32))
    other = Forecast(places, (140 + 10 * rng.normal(size=(1000, 4, 2))).astype(np.float32))
    both = combine({"own": own, "other": other}, Combination({"own": 0.5, "other": 0.5}, 1.0, 20))
    assert both.total.mean() == pytest.approx(120, abs=1)
    assert (np.argsort(both.total[:, 2, 1]) == np.argsort(own.total[:, 2, 1])).all()
    # Methods that err together in the sum: independent paths of the other would have halved the spread of the total.
    assert both.total.sum(axis=1).std() > 0.9 * own.total.sum(axis=1).std()


def test_a_missing_method_gives_its_weight_away() -> None:
    places = Places(rep=np.arange(2), territory=np.zeros(2, dtype=np.int64))
    own = Forecast(places, np.full((10, 2, 1), 7.0, dtype=np.float32))
    found = combine({"own": own}, Combination({"own": 0.3, "gone": 0.7}, 1.0, 20))
    assert np.allclose(found.total, 7.0)
