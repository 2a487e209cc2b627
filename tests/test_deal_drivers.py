"""Drivers of open deals: parts of the chance the simulation gives, only for what the model uses, in safe words."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from engine.deals.chances import CONSTANT, GROUPS, month_shocks, play, typical_deal
from engine.deals.driver_words import sentences
from engine.deals.drivers import Drivers, explain, shapley_weights
from engine.planning.verification import months
from engine.results import ForecastResult
from engine.simulation.clock import Clock, SimulationHorizons, build_clock
from engine.simulation.inputs import build_pipeline, plain
from engine.simulation.odds import build_odds
from engine.simulation.reference import outcome_table
from engine.simulation.world import Odds, Pipeline
from tests.finished import finished_result
from tests.simulation_inputs import make_draws, make_panel

HORIZON = np.arange(678, 681)


@pytest.fixture(scope="module")
def result() -> ForecastResult:
    """A run whose company has deals of all kinds, some past their expected close."""
    return finished_result(("allocation.enabled=false",))


@pytest.fixture(scope="module")
def drivers(result: ForecastResult) -> Drivers:
    """Of its open deals."""
    found = explain(result.panel, result.draws, result.outcomes.deals, months(result.config.horizon), 1)
    assert found is not None
    return found


def test_points_add_up_to_the_chance_of_the_simulation(result: ForecastResult, drivers: Drivers) -> None:
    chance = result.outcomes.deals.p_win_in_period
    np.testing.assert_allclose(drivers.points.sum(axis=1), chance - drivers.typical, atol=1e-12)
    assert np.ptp(chance) > 0.2


def test_what_the_handful_of_draws_misses_is_small(result: ForecastResult) -> None:
    odds, pipeline, clock, deal_class = _world(result)
    game = play(odds, pipeline, clock, 1)
    missed = result.outcomes.deals.p_win_in_period - game.values[deal_class, -1]
    # this small run's own chances come from 100 draws of shocks and have errors of that size themselves
    assert np.abs(missed).mean() < 0.01
    assert np.abs(missed).max() < 0.05


def test_the_same_covariates_get_no_points(result: ForecastResult, drivers: Drivers) -> None:
    _, pipeline, _, deal_class = _world(result)
    typical = typical_deal(pipeline)
    for group, name in enumerate(GROUPS):
        same = getattr(pipeline, name)[deal_class] == typical[group]
        np.testing.assert_allclose(drivers.points[same, group], 0.0, atol=1e-12)
        assert name in ("territory", "rep") or same.any()
        assert np.abs(drivers.points[~same, group]).max() > 1e-3


def test_every_coalition_is_what_the_outcome_tables_say() -> None:
    """The polynomials through the simulation's tables against the NumPy twin at random mixes of covariates."""
    panel = make_panel(deals=60)
    draws = make_draws(panel, count=2)
    assert draws.closing is not None
    clock = plain(build_clock(panel.as_of, SimulationHorizons(HORIZON), 1, 1))
    odds = plain(build_odds(draws.closing, clock, 2))
    index = np.flatnonzero(panel.deals.outcome == 0)
    pipeline = plain(build_pipeline(panel, draws, clock, index, np.zeros(len(index), dtype=np.int64)))
    values, typical = (game := play(odds, pipeline, clock, 3)).values, game.typical
    noise = np.random.default_rng(3).standard_normal((1, 3, 2))
    rng, expected, found = np.random.default_rng(4), [], []
    for coalition in rng.integers(0, 2 ** len(GROUPS), 25):
        inside = coalition >> np.arange(len(GROUPS)) & 1
        mixed = {
            name: np.where(inside[g], getattr(pipeline, name), typical[g]).astype(np.int64)
            for g, name in enumerate(GROUPS)
        }
        mix = pipeline._replace(**mixed)
        tables = [_won(odds, mix, clock, draw, sign * noise[0]) for draw, sign in ((0, 1), (1, -1))]
        expected.append(np.mean(tables, axis=0))
        found.append(values[:, coalition])
    np.testing.assert_allclose(found, expected, atol=3e-4)
    assert np.ptp(expected) > 0.1


def _won(odds: Odds, pipeline: Pipeline, clock: Clock, draw: int, normal: np.ndarray) -> np.ndarray:
    table = outcome_table(odds, pipeline, clock, draw, month_shocks(odds, draw, normal))
    return np.asarray(table[:, 0].sum(axis=1))


def _world(result: ForecastResult) -> tuple[Odds, Pipeline, Clock, np.ndarray]:
    """Odds, pipeline and clock as the drivers use them, and [deal] the class of every open deal."""
    panel, draws = result.panel, result.draws
    assert draws.closing is not None
    clock = plain(build_clock(panel.as_of, SimulationHorizons(HORIZON), panel.fiscal_year_start, 1))
    index = result.outcomes.deals.deal
    pipeline = plain(build_pipeline(panel, draws, clock, index, np.zeros(len(index), dtype=np.int64)))
    deal_class = np.empty(len(index), dtype=np.int64)
    deal_class[pipeline.order] = np.repeat(np.arange(len(pipeline.age)), np.diff(pipeline.class_start))
    return plain(build_odds(draws.closing, clock, draws.count)), pipeline, clock, deal_class


def test_shapley_weights_average_over_all_orders() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=2**4)
    expected = np.zeros(4)
    for order in permutations(range(4)):
        coalition = 0
        for player in order:
            expected[player] += (values[coalition | 1 << player] - values[coalition]) / 24
            coalition |= 1 << player
    np.testing.assert_allclose(shapley_weights(4) @ values, expected)


def test_without_open_deals_there_is_nothing_to_explain(result: ForecastResult) -> None:
    none = replace(result.draws, closing=None)
    assert explain(result.panel, none, result.outcomes.deals, HORIZON, 1) is None


def test_words_name_the_largest_drivers_and_their_points_add_up(result: ForecastResult) -> None:
    index = result.outcomes.deals.deal[:3]
    points = np.zeros((3, len(GROUPS)))
    points[0] = [-0.081, -0.034, 0.006, 0.0, 0.012, 0.0, -0.018]
    points[2] = [0.001, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    deals = result.panel.deals
    late, pushes = deals.expected_close.copy(), deals.pushes.copy()
    late[index[0]], pushes[index[0]] = result.panel.as_of, 2
    pushes[index[1]] = 1
    panel = replace(result.panel, deals=replace(deals, expected_close=late, pushes=pushes))
    words = sentences(panel, index, Drivers(0.21, points))
    age = (panel.as_of - deals.created[index[0]]).astype(int)
    stage = panel.stages.names[deals.stage[index[0]]]
    assert words[0] == (
        f"age {age} days -8, stage {stage} -3, its rep -2, rest +1: -12 points on the 21 % of a typical open deal; "
        "not in the model: past its expected close, which moved later 2 times"
    )
    assert words[1] == "close to the 21 % of a typical open deal; not in the model: expected close moved later once"
    assert words[2] == "close to the 21 % of a typical open deal"


def test_words_of_all_deals_add_up_and_start_with_no_sign(result: ForecastResult, drivers: Drivers) -> None:
    words = sentences(result.panel, result.outcomes.deals.deal, drivers)
    for text, total in zip(words, 100 * drivers.points.sum(axis=1), strict=True):
        assert text[0].isalpha()
        if ": " in text.split(";")[0]:
            listed, said = text.split(";")[0].split(": ")
            parts = [int(part.rsplit(" ", 1)[1]) for part in listed.split(", ")]
            assert sum(parts) == int(said.split()[0]) == round(float(total))


def test_reps_are_not_named(result: ForecastResult, drivers: Drivers) -> None:
    words = " ".join(sentences(result.panel, result.outcomes.deals.deal, drivers))
    assert not [rep for rep in result.panel.reps.labels.ids if rep in words]
    assert "its rep" in words


def test_every_constant_covariate_has_a_table_of_odds() -> None:
    assert set(CONSTANT) <= set(Odds._fields)
