"""One suite over the compiled kernels and their NumPy twin: equal tables, and revenue that follows the exact laws."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from engine.simulation import outcome_kernels, reference
from engine.simulation.clock import SimulationHorizons
from engine.simulation.inputs import build_world
from engine.simulation.settings import SimulationSettings
from engine.simulation.simulate import simulate
from models.draws import AmountDraws, Draws
from models.order_history import DUE_2
from models.panel import NONE, Floats, Ints, Panel
from tests.simulation_inputs import MONTH, make_draws, make_panel

CRITICAL = 1e-6
SURE = 40.0
"""A logit that is certain."""

type Simulated = Callable[[Panel, Draws, Ints, int], Floats]


def by_kernel(panel: Panel, draws: Draws, months: Ints, paths: int) -> Floats:
    """Simulated revenue [path, cell, month], every path with a draw and shocks of its own."""
    settings = SimulationSettings(paths=paths, paths_per_draw=1, sample_paths=paths, max_weeks=1, ever_draws=1)
    outcomes = simulate(panel, draws, SimulationHorizons(months), settings, seed=5)
    booked = build_world(panel, draws, SimulationHorizons(months), settings)[0].booked.cell
    return outcomes.sample.astype(np.float64) - booked


def by_twin(panel: Panel, draws: Draws, months: Ints, paths: int) -> Floats:
    """The same by NumPy, in larger blocks where there is one draw and no shock to share."""
    world, _, _ = build_world(panel, draws, SimulationHorizons(months), SimulationSettings())
    size = paths if draws.count == 1 else 1
    chosen = np.arange(-(-paths // size)) * draws.count // -(-paths // size)
    return reference.simulate_cells(world, paths, size, chosen, np.random.default_rng(5))


@pytest.fixture(params=[by_kernel, by_twin], ids=["kernel", "twin"])
def simulated(request: pytest.FixtureRequest) -> Simulated:
    return request.param


def months(count: int = 3) -> Ints:
    return np.arange(MONTH, MONTH + count)


def calm(draws: Draws) -> Draws:
    """One posterior draw without monthly shocks: all deals are independent."""
    assert draws.closing is not None
    return replace(draws, closing=replace(draws.closing, shock_scale=np.zeros((draws.count, 2))))


def plain_amounts(panel: Panel, count: int = 1) -> AmountDraws:
    """Every win is worth its list amount, which is one where it is not known."""
    amounts = make_draws(panel, count).amounts
    assert amounts is not None
    products = len(panel.products.labels)
    return replace(
        amounts,
        zero=np.zeros(count),
        exact=np.ones(count),
        list_log_mean=np.zeros(products),
        list_log_sd=np.zeros(products),
    )


def unit_list(panel: Panel) -> Panel:
    return replace(panel, deals=replace(panel.deals, list_amount=np.ones(len(panel.deals))))


def chi_square(counts: Ints, chances: Floats) -> float:
    """P-value of counts against the chances of 0, 1, 2, ..., rare ones pooled."""
    expected = chances * len(counts)
    observed = np.bincount(counts, minlength=len(chances))[: len(chances)]
    often = expected >= 5
    observed = np.append(observed[often], len(counts) - observed[often].sum())
    expected = np.append(expected[often], len(counts) - expected[often].sum())
    used = expected > 1e-6
    assert not observed[~used].any()
    return float(stats.chi2.sf(((observed - expected)[used] ** 2 / expected[used]).sum(), used.sum() - 1))


@pytest.mark.parametrize("as_of", ["2026-06-30", "2026-07-05", "2026-07-20"])
def test_outcome_tables_are_equal(as_of: str) -> None:
    panel = make_panel(deals=120, as_of=np.datetime64(as_of))
    draws = make_draws(panel)
    world, _, _ = build_world(panel, draws, SimulationHorizons(months()), SimulationSettings())
    shocks = reference.month_shocks(world.odds, 7, len(world.clock.months), np.random.default_rng(0))
    compiled = outcome_kernels.outcome_table(world.odds, world.pipeline, world.clock, 7, shocks)
    twin = reference.outcome_table(world.odds, world.pipeline, world.clock, 7, shocks)
    np.testing.assert_allclose(compiled, twin, rtol=1e-11, atol=1e-15)
    assert compiled.sum(axis=(1, 2)).max() < 1
    assert compiled.min() > 0


def test_outcome_table_of_one_stage_by_hand() -> None:
    """Hazard h a week, no moves: closed within n weeks with 1 - (1 - h)^n, a part week with its share."""
    panel = make_panel(deals=3, as_of=np.datetime64("2026-07-05"))
    draws = make_draws(panel, count=1)
    assert draws.closing is not None
    zeroed = {
        name: np.zeros_like(getattr(draws.closing, name))
        for name in vars(draws.closing)
        if name.startswith(("close_", "win_"))
    }
    h, w = 0.07, 0.6
    zeroed |= {"close_base": np.array([np.log(h / (1 - h))]), "win_base": np.array([np.log(w / (1 - w))])}
    draws = replace(draws, closing=replace(draws.closing, **zeroed))
    world, _, _ = build_world(panel, draws, SimulationHorizons(months(1)), SimulationSettings())
    table = outcome_kernels.outcome_table(world.odds, world.pipeline, world.clock, 0, np.ones((1, 2)))
    closed = 1 - (1 - h) ** (3 / 8 + 3)  # 6, 7 and 8 July are left of the first week
    np.testing.assert_allclose(table[:, 0, 0], w * closed, rtol=1e-12)
    np.testing.assert_allclose(table[:, 1, 0], (1 - w) * closed, rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_number_won_is_poisson_binomial(simulated: Simulated, seed: int) -> None:
    """Exact law by convolution of the deals' chances."""
    panel = unit_list(make_panel(deals=60, seed=seed))
    draws = calm(make_draws(panel, count=1, seed=seed, arrivals=False, orders=False))
    draws = replace(draws, amounts=plain_amounts(panel))
    world, _, _ = build_world(panel, draws, SimulationHorizons(months()), SimulationSettings())
    table = reference.outcome_table(world.odds, world.pipeline, world.clock, 0, np.ones((3, 2)))
    chances = np.repeat(table[:, 0].sum(axis=1), np.diff(world.pipeline.class_start))
    law = np.ones(1)
    for chance in chances:
        law = np.convolve(law, [1 - chance, chance])
    won = np.rint(simulated(panel, draws, months(), 20_000).sum(axis=(1, 2))).astype(int)
    assert chi_square(won, law) > CRITICAL


def test_number_won_by_month_follows_the_table(simulated: Simulated) -> None:
    panel = unit_list(make_panel(deals=60))
    draws = replace(calm(make_draws(panel, count=1, arrivals=False, orders=False)), amounts=plain_amounts(panel))
    world, _, _ = build_world(panel, draws, SimulationHorizons(months()), SimulationSettings())
    table = reference.outcome_table(world.odds, world.pipeline, world.clock, 0, np.ones((3, 2)))
    chances = np.repeat(table[:, 0], np.diff(world.pipeline.class_start), axis=0)  # [deal, month]
    won = simulated(panel, draws, months(), 20_000).sum(axis=1)
    deviation = (won.mean(axis=0) - chances.sum(axis=0)) / np.sqrt((chances * (1 - chances)).sum(axis=0) / len(won))
    assert np.abs(deviation).max() < stats.norm.isf(CRITICAL / 2)


def test_number_of_new_deals_is_negative_binomial(simulated: Simulated) -> None:
    """Deals that close and are won at once count arrivals: of the one rep who sells, in one month."""
    panel = unit_list(make_panel(deals=3, reps=1, accounts=4))
    draws = calm(make_draws(panel, count=1, orders=False))
    assert draws.closing is not None
    assert draws.arrivals is not None
    draws = replace(
        draws,
        closing=replace(draws.closing, close_base=np.array([SURE]), win_base=np.array([SURE])),
        amounts=plain_amounts(panel),
        arrivals=replace(draws.arrivals, level_scale=np.zeros(1), shock_scale=np.zeros(1)),
    )
    world, _, index = build_world(panel, draws, SimulationHorizons(months(1)), SimulationSettings())
    mean, alpha = reference.seller_rates(world, 0)[0, 0], world.arrivals.dispersion[0]
    found = np.rint(simulated(panel, draws, months(1), 20_000).sum(axis=(1, 2))).astype(int) - len(index)
    law = stats.nbinom(alpha, alpha / (alpha + mean)).pmf(np.arange(200))
    assert found.min() >= 0
    assert chi_square(found, law) > CRITICAL


def test_orders_when_due_and_only_then(simulated: Simulated) -> None:
    """Accounts that order for sure in their due month and never else, with amounts that carry over without noise."""
    panel = make_panel(deals=0, accounts=6)
    draws = make_draws(panel, count=1, closing=False, arrivals=False)
    orders = draws.orders
    assert orders is not None
    state = np.full((1, 13), -SURE)
    state[0, 2] = SURE
    draws = replace(
        draws,
        orders=replace(
            orders,
            base=np.zeros(1),
            state=state,
            season=np.zeros((1, 12, 2)),
            shock_scale=np.zeros(1),
            cycle=np.array([[1, 2, 3, 4, 5, 6]]),
            elapsed=np.zeros(6, dtype=np.int64),
            orders=np.ones(6, dtype=np.int64),
            level=np.full(6, 7.0),
            weight=np.ones(6),
            group=np.full(6, 9.0),
            carry=np.full((1, 3), 0.5),
            amount_age=np.zeros((1, 3)),
            amount_grade=np.zeros((1, 2)),
            amount_scale=np.zeros((1, 2)),
            odd_chance=np.zeros((1, 2)),
            amount_season=np.zeros((1, 12)),
            amount_shock_scale=np.zeros(1),
            first_rate=np.zeros((1, 3)),
            split_account=np.arange(6),
            split_product=np.zeros(6, dtype=np.int64),
            split_share=np.ones(6),
        ),
    )
    revenue = simulated(panel, draws, months(6), 10)
    world, cells, _ = build_world(panel, draws, SimulationHorizons(months(6)), SimulationSettings())
    expected = np.zeros((6, 6))
    for account, cycle in enumerate([1, 2, 3, 4, 5, 6]):
        level, weight = 7.0, 1.0
        for month in range(cycle - 1, 6, cycle):
            log_amount = 0.5 * level + 0.5 * 9.0
            expected[account, month] = np.exp(log_amount)
            weight = 1 + (1 - orders.decay) * weight
            level += (log_amount - level) / weight
    found = np.stack([revenue[:, cells.account == account].sum(axis=1) for account in range(6)], axis=1)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=2e-6, atol=1e-9)


@pytest.mark.parametrize("gone", [False, True], ids=["come back", "gone for good"])
def test_a_missed_order_follows_the_season_it_was_missed_in(simulated: Simulated, gone: bool) -> None:
    """Accounts with a cycle of three months that let the as-of month pass: due again in the third month to come."""
    panel = make_panel(deals=0, accounts=6)
    draws = make_draws(panel, count=1, closing=False, arrivals=False)
    assert draws.orders is not None
    state, missed = np.full((1, 13), -3 * SURE), np.full((1, 12, 2), SURE if gone else -SURE)
    state[0, DUE_2] = 0.0
    missed[0, (MONTH - 1) % 12] *= -1
    orders = replace(
        draws.orders,
        base=np.zeros(1),
        state=state,
        season=np.full((1, 12, 2), -SURE if not gone else SURE),
        missed=missed,
        shock_scale=np.zeros(1),
        cycle=np.full((1, 6), 3),
        elapsed=np.full(6, 3),
        orders=np.ones(6, dtype=np.int64),
        level=np.full(6, 7.0),
        weight=np.ones(6),
        first_rate=np.zeros((1, 3)),
    )
    revenue = simulated(panel, replace(draws, orders=orders), months(6), 10).sum(axis=1)
    assert not revenue[:, [0, 1, 3, 4, 5]].any()
    assert (revenue[:, 2] > 0).all() != gone
    assert revenue[:, 2].any() != gone


def test_orders_are_booked_by_the_seller_of_the_draw(simulated: Simulated) -> None:
    """Two posterior draws in which other reps book, each in half of the paths."""
    panel = make_panel(deals=0, accounts=6)
    draws = make_draws(panel, count=2, closing=False, arrivals=False)
    assert draws.orders is not None
    seller = np.array([[0, 1, 2, 0, 1, NONE], [1, 1, 0, NONE, 2, 0]])
    orders = replace(
        draws.orders,
        elapsed=np.arange(6),
        orders=np.ones(6, dtype=np.int64),
        weight=np.ones(6),
        level=np.full(6, 7.0),
        base=np.full(2, SURE),
        split_account=np.repeat(np.arange(6), 2),
        split_product=np.tile([0, 1], 6),
        split_share=np.tile([0.75, 0.25], 6),
        seller=seller,
        first_rate=np.zeros((2, 3)),
    )
    revenue = simulated(panel, replace(draws, orders=orders), months(2), 40)
    _, cells, _ = build_world(panel, replace(draws, orders=orders), SimulationHorizons(months(2)), SimulationSettings())
    for draw, paths in enumerate((slice(0, 20), slice(20, 40))):
        for account in range(6):
            mine = (cells.account == account) & (cells.rep == seller[draw, account])
            assert (revenue[paths, mine].sum(axis=1) > 0).all()
            assert not revenue[paths, (cells.account == account) & ~mine].any()
            first, second = (revenue[paths, mine & (cells.product == product)] for product in (0, 1))
            np.testing.assert_allclose(first, 3 * second, rtol=1e-5)


def test_first_orders_come_back(simulated: Simulated) -> None:
    """Every new customer orders once, and again whenever it is due: with a cycle of two months, in month three."""
    panel = make_panel(deals=0, accounts=3, orders=False)
    draws = make_draws(panel, count=1, closing=False, arrivals=False)
    assert draws.orders is not None
    state, share = np.full((1, 13), -SURE), np.zeros((1, 13))
    state[0, 2], share[0, 2] = SURE, 1.0
    draws = replace(
        draws,
        orders=replace(
            draws.orders,
            base=np.zeros(1),
            state=state,
            season=np.zeros((1, 12, 2)),
            shock_scale=np.zeros(1),
            cycle_share=share,
            elapsed=np.full(3, -1),
            carry=np.ones((1, 3)),
            amount_age=np.zeros((1, 3)),
            amount_grade=np.zeros((1, 2)),
            amount_scale=np.zeros((1, 2)),
            odd_chance=np.zeros((1, 2)),
            amount_season=np.zeros((1, 12)),
            amount_shock_scale=np.zeros(1),
            first_rate=np.array([[0.7, 0.0, 0.0]]),
            first_season=np.where(np.arange(12) == 6, 0.0, -200.0)[None, :],
            first_shock_scale=np.zeros(1),
            first_pool=np.full((1, 5), 100.0),
            first_shift=np.zeros((1, 3)),
            first_amount_season=np.zeros((1, 12)),
            first_seller=np.tile([2, NONE], 3),
            first_seller_share=np.tile([0.25, 0.75], 3)[None, :],
        ),
    )
    revenue = simulated(panel, draws, months(4), 20_000)
    _, cells, _ = build_world(panel, draws, SimulationHorizons(months(4)), SimulationSettings())
    winner = revenue[:, cells.rep == 2].sum() / revenue.sum()
    assert winner == pytest.approx(0.25, abs=0.02)
    assert revenue[:, cells.rep == NONE].sum() / revenue.sum() == pytest.approx(1 - winner)
    found = revenue.sum(axis=1)
    np.testing.assert_allclose(found[:, 2], found[:, 0], rtol=1e-5)
    assert not found[:, [1, 3]].any()
    alpha = draws.orders.first_dispersion[0] if draws.orders is not None else 0.0
    counts = np.rint(found[:, 0] / 100).astype(int)
    assert chi_square(counts, stats.nbinom(alpha, alpha / (alpha + 0.7)).pmf(np.arange(60))) > CRITICAL


LEGS = {
    "open deals": {"arrivals": False, "orders": False},
    "deals": {"orders": False},
    "orders": {"closing": False, "arrivals": False},
}


@pytest.mark.parametrize("legs", LEGS.values(), ids=LEGS)
def test_kernel_and_twin_agree(legs: dict[str, bool]) -> None:
    """Totals by Kolmogorov-Smirnov, every cell and month by its mean; the as-of date lies inside a week."""
    panel = make_panel(as_of=np.datetime64("2026-07-10"))
    draws = make_draws(panel, **legs)
    one, two = by_kernel(panel, draws, months(4), 2_000), by_twin(panel, draws, months(4), 2_000)
    assert stats.ks_2samp(one.sum(axis=(1, 2)), two.sum(axis=(1, 2))).pvalue > CRITICAL
    error = np.sqrt((one.var(axis=0) + two.var(axis=0)) / len(one))
    deviation = np.divide(one.mean(axis=0) - two.mean(axis=0), error, out=np.zeros_like(error), where=error > 0)
    assert np.abs(deviation).max() < stats.norm.isf(CRITICAL / deviation.size)
    assert ((one != 0).any(axis=0) == (two != 0).any(axis=0)).mean() > 0.9
