"""Open deals: bit for bit on any threads and chunks, no memory of paths x deals, interruptible, and the exact laws."""

import signal
import tracemalloc
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from engine.simulation import outcome_kernels, reference
from engine.simulation.clock import SimulationHorizons
from engine.simulation.control_variates import controlled_mean, level_means, lines_mean, open_means
from engine.simulation.inputs import build_world
from engine.simulation.settings import SimulationSettings
from engine.simulation.simulate import run_chunks, simulate
from models.draws import AmountDraws, Draws
from models.panel import Floats, Panel
from tests.simulation_inputs import MONTH, make_draws, make_panel

CRITICAL = 1e-6
QUARTER = SimulationHorizons(np.arange(MONTH, MONTH + 3))
BOTH = SimulationHorizons(np.arange(MONTH, MONTH + 3), np.arange(MONTH, MONTH + 4))
SMALL = SimulationSettings(paths=90, paths_per_draw=10, chunk_paths=500, sample_paths=15, max_weeks=30, ever_draws=5)


def assert_same(one: object, two: object, where: str = "") -> None:
    """Bit for bit."""
    if is_dataclass(one):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(two, field.name), f"{where}.{field.name}")
    elif isinstance(one, dict):
        assert isinstance(two, dict)
        for name in one:
            assert_same(one[name], two[name], f"{where}.{name}")
    else:
        np.testing.assert_array_equal(one, two, err_msg=where)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    shape=st.integers(0, 40),
    chunk=st.integers(1, 100),
    per_draw=st.sampled_from([1, 7, 10, 64]),
)
def test_threads_and_scheduling_change_no_number(seed: int, shape: int, chunk: int, per_draw: int) -> None:
    """Levels, sums per deal, sample and planning, for fifty pairs of a seed and a company."""
    panel = make_panel(deals=7 * shape, accounts=1 + shape % 5, seed=shape)
    draws = make_draws(panel, count=5, seed=shape)
    base = SMALL.model_copy(update={"paths_per_draw": per_draw})
    one = simulate(panel, draws, BOTH, base, seed, threads=1)
    assert_same(one, simulate(panel, draws, BOTH, base.model_copy(update={"chunk_paths": chunk}), seed, threads=2))


def independent(
    deals: int, seed: int = 0, exact: bool = True, months: SimulationHorizons = QUARTER
) -> tuple[Panel, Draws, Floats]:
    """Deals that share no shock, worth their list amount when ``exact``; and the chance [deal, month] to win each."""
    panel = make_panel(deals=deals, seed=seed, orders=False)
    known = np.where(np.isnan(panel.deals.list_amount), 5000.0, panel.deals.list_amount)
    panel = replace(panel, deals=replace(panel.deals, list_amount=known))
    draws = make_draws(panel, count=1, seed=seed, arrivals=False, orders=False)
    assert draws.closing is not None
    assert draws.amounts is not None
    amounts = replace(draws.amounts, zero=np.zeros(1), exact=np.ones(1)) if exact else draws.amounts
    draws = replace(draws, closing=replace(draws.closing, shock_scale=np.zeros((1, 2))), amounts=amounts)
    world, _, index = build_world(panel, draws, months, SimulationSettings())
    table = reference.outcome_table(world.odds, world.pipeline, world.clock, 0, np.ones((len(world.clock.months), 2)))
    chances = np.empty((len(index), table.shape[2]))
    chances[world.pipeline.order] = np.repeat(table[:, 0], np.diff(world.pipeline.class_start), axis=0)
    return panel, draws, chances


def many(paths: int) -> SimulationSettings:
    return SimulationSettings(paths=paths, paths_per_draw=1000, sample_paths=0, max_weeks=1, ever_draws=1)


@pytest.mark.parametrize("seed", range(20))
def test_number_won_is_poisson_binomial_in_twenty_random_pipelines(seed: int) -> None:
    panel, draws, chances = independent(int(np.random.default_rng(seed).integers(5, 150)), seed)
    panel = replace(panel, deals=replace(panel.deals, list_amount=np.ones(len(panel.deals))))
    world, _, _ = build_world(panel, draws, QUARTER, many(20_000))
    # sizes of the deals have changed with their amounts
    table = reference.outcome_table(world.odds, world.pipeline, world.clock, 0, np.ones((3, 2)))
    chances = np.repeat(table[:, 0].sum(axis=1), np.diff(world.pipeline.class_start))
    booked = simulate(panel, draws, QUARTER, many(20_000), seed=seed).levels["company"]
    won = np.rint((booked.total[:, 0] - booked.booked[0]).sum(axis=1)).astype(int)
    expected = stats.poisson_binom(chances).pmf(np.arange(len(chances) + 1)) * len(won)
    observed, often = np.bincount(won, minlength=len(expected)), expected >= 5
    pooled = np.append(observed[often], observed[~often].sum()), np.append(expected[often], expected[~often].sum())
    used = pooled[1] > 1e-6
    statistic = ((pooled[0] - pooled[1])[used] ** 2 / pooled[1][used]).sum()
    assert stats.chi2.sf(statistic, used.sum() - 1) > CRITICAL


def test_mean_and_variance_of_revenue_against_the_closed_form() -> None:
    """Sums of p x amount and of p (1 - p) x amount^2: the mean within 0.1 %, the variance within its own error."""
    panel, draws, chances = independent(450)
    outcomes = simulate(panel, draws, QUARTER, many(200_000), seed=3)
    total = outcomes.levels["company"].total.sum(axis=(1, 2), dtype=np.float64)
    total -= outcomes.levels["company"].booked.sum()
    p, amount = chances.sum(axis=1), panel.deals.list_amount[outcomes.deals.deal]
    mean, variance = (p * amount).sum(), (p * (1 - p) * amount**2).sum()
    assert total.mean() == pytest.approx(mean, rel=1e-3)
    assert total.var() == pytest.approx(
        variance, rel=6 * np.sqrt(np.mean((total - mean) ** 4) / variance**2 / len(total))
    )


def test_mean_revenue_with_drawn_amounts_against_quadrature() -> None:
    """Capped log Student t with mass at zero and at the list amount: within 0.1 %."""
    panel, draws, chances = independent(450, exact=False)
    outcomes = simulate(panel, draws, QUARTER, many(200_000), seed=4)
    level, deals = outcomes.levels["company"], panel.deals
    assert draws.amounts is not None
    index = outcomes.deals.deal
    expected = chances.sum(axis=1) * deals.list_amount[index] * mean_multiple(draws.amounts, panel, index)
    assert level.open.sum() == pytest.approx(expected.sum(), rel=1e-3)
    np.testing.assert_allclose(outcomes.deals.expected_revenue, expected, rtol=2e-4)


def mean_multiple(amounts: AmountDraws, panel: Panel, index: np.ndarray) -> Floats:
    """Expected won over list amount of every deal, by Simpson's rule."""
    deals = panel.deals
    centre = amounts.base[0] + amounts.product[0, deals.product[index]] + amounts.segment[0, deals.segment[index]]
    centre = (centre + amounts.rep[0, deals.rep[index]])[:, None]
    grid = np.linspace(-20.0, np.log(amounts.cap), 20_001)
    inside = np.exp(grid) * stats.t.sf((grid - centre) / amounts.scale[0], amounts.dof[0])
    return amounts.exact[0] + (1 - amounts.zero[0] - amounts.exact[0]) * integrate.simpson(inside, x=grid, axis=1)


def test_won_lost_and_slipped_make_one_and_months_add_up() -> None:
    panel = make_panel()
    deals = simulate(panel, make_draws(panel), QUARTER, SMALL, seed=1).deals
    assert deals.p_lose_in_period is not None
    assert deals.p_won_by_month is not None
    assert deals.p_lost_by_month is not None
    assert deals.expected_by_month is not None
    np.testing.assert_allclose(deals.p_win_in_period + deals.p_lose_in_period + deals.p_slip, 1, rtol=1e-12)
    np.testing.assert_allclose(deals.p_won_by_month.sum(axis=1), deals.p_win_in_period, rtol=1e-12)
    np.testing.assert_allclose(deals.p_lost_by_month.sum(axis=1), deals.p_lose_in_period, rtol=1e-12)
    np.testing.assert_allclose(deals.expected_by_month.sum(axis=1), deals.expected_revenue, rtol=1e-12)
    assert deals.p_won_by_month.shape == (len(deals.deal), 3)
    assert deals.p_won_by_month.min() > 0


def test_a_class_does_not_depend_on_its_neighbours() -> None:
    """One class alone has the numbers it has among hundreds: no shared stop, no shared rounding."""
    panel = make_panel(deals=400, as_of=np.datetime64("2026-07-05"))
    world, _, _ = build_world(panel, make_draws(panel, count=2), QUARTER, SimulationSettings())
    shocks = np.full((3, 2), 0.9)
    table = outcome_kernels.outcome_table(world.odds, world.pipeline, world.clock, 1, shocks)
    names = ("age", "stage", "size", "segment", "product", "territory", "rep")
    for number in (0, 63, 64, 100, len(table) - 1):
        alone = {name: getattr(world.pipeline, name)[number : number + 1] for name in names}
        one = outcome_kernels.outcome_table(world.odds, world.pipeline._replace(**alone), world.clock, 1, shocks)
        np.testing.assert_array_equal(one[0], table[number])


def test_progress_is_told_and_an_interruption_stops_the_run() -> None:
    panel = make_panel()
    draws, told = make_draws(panel, count=3), []
    chunked = SMALL.model_copy(update={"chunk_paths": 10})
    simulate(panel, draws, QUARTER, chunked, 1, 2, progress=lambda done, _: told.append(done))
    assert told == list(range(10, 100, 10))
    started: list[int] = []

    def interrupt(done: int, _: int) -> None:
        started.append(done)
        if len(started) == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        simulate(panel, draws, QUARTER, chunked, 1, 2, progress=interrupt)
    assert len(started) == 2


def test_memory_does_not_grow_with_paths_times_deals() -> None:
    """Four times the paths may add their levels, and nothing per deal and path."""
    panel = make_panel(deals=3_000, accounts=30, orders=False)
    draws = make_draws(panel, count=2, arrivals=False, orders=False)
    peaks, held = [], []
    for paths in (1_000, 4_000):
        some = many(paths).model_copy(update={"paths_per_draw": 10, "chunk_paths": 100})
        world, _, index = build_world(panel, draws, QUARTER, some)
        tracemalloc.start()
        out = run_chunks(world, some, np.zeros(paths // 10, dtype=np.int64), np.uint64(1), 2, False)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        held.append(sum(part.nbytes for part in out))
    assert peaks[1] - peaks[0] < 2 * (held[1] - held[0]) + 2_000_000
    assert 3_000 * len(index) > 2 * (held[1] - held[0]) + 2_000_000  # a byte a deal-path would be seen


def test_487_independent_lines_are_exact_through_the_control_variate() -> None:
    """The weighted pipeline, sum(p x amount), whatever the random numbers are; the plain mean misses it."""
    rng = np.random.default_rng(0)
    stage: Floats = rng.choice(np.array([0.1, 0.25, 0.5, 0.75, 0.9]), 487)
    amounts: Floats = np.round(np.exp(rng.normal(9, 1, 487)), 2)
    for paths in (2, 50):
        won = (rng.random((paths, 487)) < stage).astype(np.float64)
        found = lines_mean(stage, amounts, won)
        assert found.mean == float(stage @ amounts)
        assert found.error == 0
        assert found.plain_error > 0
        assert (won @ amounts).mean() != found.mean


def test_487_simulated_deals_have_the_exact_mean_at_every_level() -> None:
    """The same through the simulator: ten paths give sum(p x amount) of the company, each rep and product."""
    panel, draws, chances = independent(730)  # two in three are open
    ten = many(10).model_copy(update={"paths_per_draw": 10})
    outcomes = simulate(panel, draws, QUARTER, ten, seed=1)
    assert len(outcomes.deals.deal) == 487
    amount = panel.deals.list_amount[outcomes.deals.deal]
    means = open_means(panel, outcomes.deals)
    assert means["company"][0].sum() == pytest.approx((chances.sum(axis=1) * amount).sum(), rel=1e-9)
    np.testing.assert_allclose(means["company"][0], (chances * amount[:, None]).sum(axis=0), rtol=1e-9)
    for name, member in (("rep", panel.deals.rep), ("product", panel.deals.product)):
        expected = np.bincount(member[outcomes.deals.deal], chances.sum(axis=1) * amount)
        np.testing.assert_allclose(means[name].sum(axis=1)[: len(expected)], expected, rtol=1e-9)
    for name, level in outcomes.levels.items():
        mean = level_means(level, means[name])
        np.testing.assert_allclose(mean.sum(), level.booked.sum() + means["company"].sum(), rtol=1e-9)
    assert abs(outcomes.levels["company"].open.sum() / means["company"].sum() - 1) > 1e-4


def test_a_control_variate_takes_off_what_it_explains() -> None:
    rng = np.random.default_rng(2)
    control, noise = rng.standard_normal(4_000), rng.standard_normal(4_000)
    found = controlled_mean(5 + 3 * control + 0.1 * noise, control, 0.0)
    assert found.mean == pytest.approx(5, abs=5 * found.error)
    assert found.error < 0.05 * found.plain_error
    with pytest.raises(ValueError, match="same two or more paths"):
        controlled_mean(control, control[:5], 0.0)
