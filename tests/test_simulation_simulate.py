"""The simulation as a whole: levels add up, nothing depends on threads, and what is booked is booked."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from engine.simulation.clock import SimulationHorizons, build_clock
from engine.simulation.inputs import build_world
from engine.simulation.odds import NODES, limited_log_mean
from engine.simulation.outcomes import LEVELS, UNASSIGNED, Outcomes
from engine.simulation.sellers import exposure, landing, tenure
from engine.simulation.settings import SimulationSettings
from engine.simulation.simulate import simulate
from models.draws import Draws
from models.panel import NONE, OPEN, Ints, Panel
from tests.simulation_inputs import MONTH, make_draws, make_panel

SMALL = SimulationSettings(paths=300, paths_per_draw=10, chunk_paths=70, sample_paths=50, max_weeks=60, ever_draws=10)
QUARTER = np.arange(MONTH, MONTH + 3)
BOTH = SimulationHorizons(QUARTER, np.arange(MONTH, MONTH + 5))


def company(outcomes: Outcomes) -> np.ndarray:
    """Company total of every path over the horizon."""
    return outcomes.levels["company"].total.sum(axis=(1, 2), dtype=np.float64)


def assert_same(one: object, two: object) -> None:
    """Bit for bit."""
    if is_dataclass(one):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(two, field.name))
    elif isinstance(one, dict):
        assert isinstance(two, dict)
        for name in one:
            assert_same(one[name], two[name])
    else:
        np.testing.assert_array_equal(one, two)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return make_panel()


@pytest.fixture(scope="module")
def draws(panel: Panel) -> Draws:
    return make_draws(panel)


def test_levels_add_up(panel: Panel, draws: Draws) -> None:
    outcomes = simulate(panel, draws, BOTH, SMALL, seed=1)
    assert tuple(outcomes.levels) == LEVELS
    total = outcomes.levels["company"].total.astype(np.float64).sum(axis=1)
    for name, level in outcomes.levels.items():
        np.testing.assert_allclose(level.total.sum(axis=1, dtype=np.float64), total, rtol=1e-6, err_msg=name)
        parts = level.booked + level.open + level.new
        np.testing.assert_allclose(level.total.mean(axis=0, dtype=np.float64), parts, rtol=1e-5, atol=1e-2)
        assert level.total.shape == (SMALL.paths, len(level.keys), 3)
        assert len(level.keys) == len(level.names) == len(level.booked)
    np.testing.assert_allclose(outcomes.sample.sum(axis=1), total[:50], rtol=1e-5)
    assert outcomes.sample.shape == (50, len(outcomes.cells), 3)


def test_levels_are_sums_over_cells(panel: Panel, draws: Draws) -> None:
    outcomes = simulate(panel, draws, BOTH, SMALL, seed=1)
    cells = outcomes.cells
    regions = np.append(panel.territory_region, NONE)
    members = {
        "rep": (cells.rep, panel.reps.labels),
        "product": (cells.product, panel.products.labels),
        "territory": (cells.territory, panel.territories),
        "region": (regions[cells.territory], panel.regions),
        "manager": (panel.reps.manager[cells.rep], panel.managers),
    }
    for name, (index, labels) in members.items():
        level = outcomes.levels[name]
        for i, key in enumerate(level.keys):
            here = index == (NONE if key == UNASSIGNED else labels.ids.tolist().index(key))
            np.testing.assert_allclose(level.total[:50, i], outcomes.sample[:, here].sum(axis=1), rtol=1e-4, atol=0.1)
    assert UNASSIGNED in outcomes.levels["manager"].keys  # the first rep has no manager
    assert UNASSIGNED in outcomes.levels["territory"].keys  # deals without an account
    assert UNASSIGNED not in outcomes.levels["rep"].keys
    assert len(np.unique(np.stack([cells.account, cells.rep, cells.product, cells.territory]), axis=1).T) == len(cells)


def test_planning_holds_everything(panel: Panel, draws: Draws) -> None:
    """Over the same months the accounts and the fixed part are the company's total."""
    same = SimulationHorizons(QUARTER, QUARTER)
    mid_month = make_panel(as_of=np.datetime64("2026-07-20"))
    for one in (panel, mid_month):
        outcomes = simulate(one, draws, same, SMALL, seed=1)
        assert outcomes.planning is not None
        held = outcomes.planning.account.sum(axis=1, dtype=np.float64) + outcomes.planning.fixed.sum(
            axis=1, dtype=np.float64
        )
        np.testing.assert_allclose(held, company(outcomes), rtol=1e-5)
    assert simulate(panel, draws, SimulationHorizons(QUARTER), SMALL, seed=1).planning is None


def test_longer_planning_leaves_the_forecast_alone(panel: Panel, draws: Draws) -> None:
    one = simulate(panel, draws, SimulationHorizons(QUARTER, QUARTER), SMALL, seed=1)
    two = simulate(panel, draws, SimulationHorizons(QUARTER, np.arange(MONTH, MONTH + 9)), SMALL, seed=1)
    np.testing.assert_allclose(company(one), company(two), rtol=1e-6)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**63 - 1), shape=st.integers(0, 3), chunk=st.integers(1, 400))
def test_threads_and_chunks_change_nothing(seed: int, shape: int, chunk: int) -> None:
    panel = make_panel(deals=20 * shape, accounts=1 + 4 * shape, seed=shape)
    draws = make_draws(panel, count=7)
    one = simulate(panel, draws, BOTH, SMALL, seed, threads=1)
    assert_same(one, simulate(panel, draws, BOTH, SMALL, seed, threads=2))
    other = simulate(panel, draws, BOTH, SMALL.model_copy(update={"chunk_paths": chunk}), seed, threads=2)
    for name in LEVELS:
        np.testing.assert_array_equal(one.levels[name].total, other.levels[name].total)
    np.testing.assert_array_equal(one.sample, other.sample)


def test_purpose_seed_and_draws_name_the_streams(panel: Panel, draws: Draws) -> None:
    base = company(simulate(panel, draws, BOTH, SMALL, seed=1))
    for fresh in (
        simulate(panel, draws, BOTH, SMALL, seed=2),
        simulate(panel, draws, BOTH, SMALL, seed=1, purpose="verification"),
    ):
        assert abs(np.corrcoef(base, company(fresh))[0, 1]) < 0.4
    other_draws = simulate(panel, draws, BOTH, SMALL, seed=1, draw_slice=slice(1, None, 2))
    assert not np.array_equal(base, company(other_draws))
    with pytest.raises(ValueError, match="no posterior draw left"):
        simulate(panel, draws, BOTH, SMALL, seed=1, draw_slice=slice(0, 0))


def test_draw_slice_uses_only_its_draws(panel: Panel, draws: Draws) -> None:
    """With hopeless odd draws the even ones are as before."""
    assert draws.closing is not None
    hopeless = draws.closing.win_base.copy()
    hopeless[1::2] = -50.0
    spoiled = replace(draws, closing=replace(draws.closing, win_base=hopeless))
    even = slice(0, None, 2)
    one, two = (simulate(panel, each, BOTH, SMALL, seed=1, draw_slice=even) for each in (draws, spoiled))
    np.testing.assert_array_equal(company(one), company(two))
    odd = simulate(panel, spoiled, BOTH, SMALL, seed=1, draw_slice=slice(1, None, 2))
    assert odd.deals.p_win.max() < 1e-12


def without(panel: Panel, deal: int) -> Panel:
    """The same company without one open deal."""
    kept = np.arange(len(panel.deals)) != deal
    return replace(
        panel, deals=replace(panel.deals, **{f.name: getattr(panel.deals, f.name)[kept] for f in fields(panel.deals)})
    )


def test_other_deals_keep_their_random_numbers(panel: Panel) -> None:
    """Common random numbers: without one deal, the company changes by that deal's revenue and no more."""
    draws = make_draws(panel, arrivals=False)
    deal = int(np.flatnonzero(panel.deals.outcome == OPEN)[5])
    change = company(simulate(panel, draws, BOTH, SMALL, seed=1)) - company(
        simulate(without(panel, deal), draws, BOTH, SMALL, seed=1)
    )
    assert change.min() > -0.1
    lost = np.abs(change) < 0.1
    assert 0.4 < lost.mean() < 1


def test_deals_are_coherent(panel: Panel, draws: Draws) -> None:
    outcomes = simulate(panel, draws, BOTH, SMALL, seed=1)
    deals = outcomes.deals
    np.testing.assert_array_equal(deals.deal, np.flatnonzero(panel.deals.outcome == OPEN))
    assert (deals.p_win_in_period >= 0).all()
    assert (deals.p_win > deals.p_win_in_period).all()
    assert (deals.p_win < 1).all()
    assert (deals.p_slip > 0).all()
    assert (deals.p_slip + deals.p_win_in_period < 1).all()
    assert (deals.expected_revenue > 0).all()


def test_expected_revenue_is_the_mean_of_the_paths(panel: Panel) -> None:
    draws = make_draws(panel, arrivals=False, orders=False)
    many = SMALL.model_copy(update={"paths": 40_000, "paths_per_draw": 4, "chunk_paths": 2_000})
    outcomes = simulate(panel, draws, SimulationHorizons(QUARTER), many, seed=1)
    simulated = outcomes.levels["company"].open.sum()
    error = company(outcomes).reshape(-1, 4).mean(axis=1).std() / np.sqrt(10_000)
    assert abs(outcomes.deals.expected_revenue.sum() - simulated) < 5 * error
    assert outcomes.deals.share_of_variance.sum() == pytest.approx(1, abs=1e-9)
    assert outcomes.deals.share_of_variance.argmax() == outcomes.deals.expected_revenue.argmax()


def test_expected_revenue_against_the_closed_form(panel: Panel) -> None:
    """Chance from the outcome table times the mean of the capped log Student t, by quadrature: within 0.1 %."""
    draws = make_draws(panel, count=1, arrivals=False, orders=False)
    assert draws.closing is not None
    draws = replace(draws, closing=replace(draws.closing, shock_scale=np.zeros((1, 2))))
    outcomes = simulate(panel, draws, SimulationHorizons(QUARTER), SMALL, seed=1)
    amounts, deals = draws.amounts, panel.deals
    assert amounts is not None
    scale, dof, zero, exact = amounts.scale[0], amounts.dof[0], amounts.zero[0], amounts.exact[0]
    for i, deal in enumerate(outcomes.deals.deal[:10]):
        centre = amounts.base[0] + amounts.product[0, deals.product[deal]]
        centre += amounts.segment[0, deals.segment[deal]] + amounts.rep[0, deals.rep[deal]]
        grid = np.linspace(-30.0, np.log(amounts.cap), 400_001)
        multiple = integrate.simpson(np.exp(grid) * stats.t.sf((grid - centre) / scale, dof), x=grid)
        mean_list = np.exp(amounts.list_log_mean[0] + amounts.list_log_sd[0] ** 2 / 2)
        listed = mean_list if np.isnan(deals.list_amount[deal]) else deals.list_amount[deal]
        expected = outcomes.deals.p_win_in_period[i] * listed * (exact + (1 - zero - exact) * multiple)
        assert outcomes.deals.expected_revenue[i] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("scale", "dof", "cap"), [(0.05, 2.5, 1.5), (0.3, 3.0, 2.0), (1.0, 4.0, 3.0), (0.8, 30.0, 0.2)]
)
def test_limited_mean(scale: float, dof: float, cap: float) -> None:
    table = limited_log_mean(np.array([scale]), np.array([dof]))[0]
    found = np.exp(np.interp(np.arcsinh(cap / scale), NODES, table))
    grid = np.linspace(-60.0, cap, 1_000_001)
    expected = integrate.simpson(np.exp(grid) * stats.t.sf(grid / scale, dof), x=grid)
    assert found == pytest.approx(expected, rel=1e-4)


def test_monthly_shocks_widen_the_total() -> None:
    """All deals share the shock of a month: the company's spread grows far beyond that of independent deals."""
    panel = make_panel(deals=600, orders=False)
    spread = []
    for scale in (0.0, 0.8):
        draws = make_draws(panel, count=20, arrivals=False, orders=False)
        assert draws.closing is not None
        draws = replace(draws, closing=replace(draws.closing, shock_scale=np.full((20, 2), scale)))
        one_each = SMALL.model_copy(update={"paths": 2_000, "paths_per_draw": 1})
        spread.append(company(simulate(panel, draws, SimulationHorizons(QUARTER), one_each, seed=1)).std())
    assert spread[1] > 1.5 * spread[0]


def test_a_fitted_shock_of_the_running_month_is_used() -> None:
    panel = make_panel(as_of=np.datetime64("2026-07-10"), orders=False)
    draws = make_draws(panel, arrivals=False, orders=False)
    closing = draws.closing
    assert closing is not None
    wins = []
    for shock in (-3.0, 3.0):
        shocks = np.concatenate([closing.shocks, np.full((draws.count, 1, 2), shock)], axis=1)
        fitted = replace(closing, shocks=shocks, shock_months=np.append(closing.shock_months, MONTH))
        outcomes = simulate(panel, replace(draws, closing=fitted), SimulationHorizons(QUARTER[:1]), SMALL, seed=1)
        wins.append(outcomes.deals.p_win_in_period.sum())
    assert wins[1] > 10 * wins[0]


def test_late_wins_reach_the_chance_to_win() -> None:
    """Where every closing is won with chance w and closing is quick, a deal is won ever with chance w."""
    panel = make_panel(orders=False)
    draws = make_draws(panel, count=5, arrivals=False, orders=False)
    closing = draws.closing
    assert closing is not None
    flat = {name: np.zeros_like(getattr(closing, name)) for name in vars(closing) if name.startswith("win_")}
    flat |= {"win_base": np.full(5, np.log(0.3 / 0.7)), "shock_scale": np.tile([0.3, 0.0], (5, 1))}
    draws = replace(draws, closing=replace(closing, **flat))
    outcomes = simulate(
        panel, draws, SimulationHorizons(QUARTER[:1]), SMALL.model_copy(update={"max_weeks": 600}), seed=1
    )
    np.testing.assert_allclose(outcomes.deals.p_win, 0.3, rtol=1e-3)
    assert outcomes.deals.p_win_in_period.max() < 0.3


def test_booked_inside_the_horizon() -> None:
    """As of mid August, July and August hold what was booked in them, and July nothing more."""
    panel = make_panel(deals=200, as_of=np.datetime64("2026-08-15"))
    draws = make_draws(panel)
    outcomes = simulate(panel, draws, BOTH, SMALL, seed=1)
    won = np.isfinite(panel.deals.won_amount)
    closed = panel.deals.closed.astype("datetime64[M]")
    for slot, month in enumerate(QUARTER):
        in_month = won & (closed == np.datetime64(int(month), "M"))
        booked = panel.deals.won_amount[in_month].sum() + panel.orders.amount[panel.orders.month == month].sum()
        assert outcomes.levels["company"].booked[0, slot] == pytest.approx(booked)
        assert outcomes.levels["rep"].booked[:, slot].sum() == pytest.approx(booked)
    july = outcomes.levels["company"].total[:, 0, 0]
    assert np.ptp(july) == 0
    assert july[0] == pytest.approx(outcomes.levels["company"].booked[0, 0])
    assert outcomes.levels["company"].booked[0, 0] > 0
    assert np.ptp(outcomes.levels["company"].total[:, 0, 1]) > 0


def test_an_order_of_the_running_month_is_not_repeated() -> None:
    panel = make_panel(deals=0, as_of=np.datetime64("2026-07-10"))
    draws = make_draws(panel, closing=False, arrivals=False)
    assert draws.orders is not None
    certain = replace(draws.orders, base=np.full(draws.count, 40.0), first_rate=draws.orders.first_rate * 0)
    for elapsed, expected in ((0, 0), (1, 1)):
        orders = replace(certain, elapsed=np.full(20, elapsed), weight=np.ones(20), orders=np.ones(20, dtype=np.int64))
        outcomes = simulate(panel, replace(draws, orders=orders), SimulationHorizons(QUARTER), SMALL, seed=1)
        level = outcomes.levels["company"]
        simulated = level.total[:, 0] - level.booked[0]
        assert (simulated[:, 0] > 1).mean() == expected
        assert (simulated[:, 1] > 1).all()


@pytest.mark.parametrize(
    "legs", [(False, False, True), (True, False, False), (False, False, False), (True, True, False)]
)
def test_any_leg_may_be_missing(panel: Panel, legs: tuple[bool, bool, bool]) -> None:
    closing, arrivals, orders = legs
    draws = make_draws(panel, closing=closing, arrivals=arrivals, orders=orders)
    outcomes = simulate(panel, draws, BOTH, SMALL, seed=1)
    level = outcomes.levels["company"]
    assert bool(level.open.sum()) == closing
    assert bool(level.new.sum()) == (arrivals or orders)
    assert len(outcomes.deals.deal) == (closing * (panel.deals.outcome == OPEN).sum())


def test_a_company_without_accounts_or_deals() -> None:
    panel = make_panel(deals=0, accounts=0)
    draws = make_draws(panel)
    outcomes = simulate(panel, draws, BOTH, SMALL, seed=1)
    assert outcomes.planning is not None
    assert outcomes.planning.account.shape == (SMALL.paths, 0)
    assert company(outcomes).mean() > 0


def test_stage_is_ignored_without_stage_history(panel: Panel, draws: Draws) -> None:
    """Effects of stages that no record distinguishes are the prior's: they must not reach the forecast."""
    none = replace(
        panel.stage_moves,
        deal=panel.stage_moves.deal[:0],
        stage=panel.stage_moves.stage[:0],
        date=panel.stage_moves.date[:0],
    )
    world, _, _ = build_world(replace(panel, stage_moves=none), draws, BOTH, SMALL)
    assert not world.pipeline.stage.any()


def test_exposure_and_tenure_of_reps(panel: Panel) -> None:
    clock = build_clock(np.datetime64("2026-07-10"), SimulationHorizons(QUARTER), 1, 10)
    shares = exposure(replace(panel, as_of=np.datetime64("2026-07-10")), clock)
    np.testing.assert_allclose(shares[0], [21 / 31, 1, 1])  # never left
    np.testing.assert_allclose(shares[1], [21 / 31, 10 / 31, 0])  # last day 10 August
    assert np.isinf(tenure(panel, clock)[0]).all()
    hired = (np.datetime64("2026-07-16") - np.datetime64("2026-05-15")).astype(int)
    assert tenure(panel, clock)[1, 0] == pytest.approx(hired / (365.25 / 12))


def test_new_deals_land_on_the_reps_own_accounts(panel: Panel) -> None:
    draws = make_draws(panel, orders=False)
    world, cells, _ = build_world(panel, draws, BOTH, SMALL)
    arrivals = world.arrivals
    for seller in range(len(arrivals.rep)):
        entries = np.arange(arrivals.account_start[seller], arrivals.account_start[seller + 1])
        used = arrivals.cell[entries].reshape(-1)
        assert (cells.rep[used] == arrivals.rep[seller]).all()
        owned = np.flatnonzero(panel.accounts.owner == arrivals.rep[seller])
        assert set(cells.account[used]) == {NONE, *owned}
        chances = np.diff(arrivals.account_cumulative[entries], prepend=0.0)
        assert chances.sum() == pytest.approx(1)
        assert chances.min() > 0
        assert arrivals.product_cumulative[seller, -1] == pytest.approx(1)


@pytest.mark.parametrize("as_of", ["2026-06-30", "2026-07-10", "2026-07-31", "2026-09-29"])
def test_clock_covers_the_days_that_are_left(as_of: str) -> None:
    clock = build_clock(np.datetime64(as_of), SimulationHorizons(QUARTER), 1, 40)
    days = np.array([8, 7, 8, 8, 8, 7, 8, 8, 8, 7, 8, 7])[-clock.weeks :]  # July, August, September
    left = (np.datetime64("2026-09-30") - np.datetime64(as_of)).astype(int)
    assert (days * clock.week_share[: clock.weeks]).sum() == pytest.approx(left)
    assert clock.week_month[clock.weeks - 1] == len(clock.months) - 1
    assert len(clock.week_month) == 40
    np.testing.assert_allclose(clock.creation[:, -1], 1)
    weeks: Ints = clock.creation_week
    assert weeks[0] == 0
    assert (np.diff(weeks) > 0).all()


def test_a_horizon_that_is_over_is_refused(panel: Panel, draws: Draws) -> None:
    with pytest.raises(ValueError, match="nothing to simulate"):
        simulate(panel, draws, SimulationHorizons(np.arange(MONTH - 3, MONTH)), SMALL, seed=1)


def test_accounts_of_a_leaver_still_get_new_deals_from_their_territory() -> None:
    panel = make_panel(deals=60, reps=4, accounts=12, territories=2)
    panel = replace(
        panel,
        accounts=replace(panel.accounts, owner=np.repeat(np.arange(4), 3), territory=np.repeat([0, 1], 6)),
        reps=replace(panel.reps, territory=np.array([0, 0, 1, 1]), active=np.array([True, True, True, False])),
    )
    clock = build_clock(panel.as_of, SimulationHorizons(np.arange(678, 681)), 1, 60)
    landed = landing(panel, clock, make_draws(panel).arrivals)
    of_third = landed.account[landed.account_start[2] : landed.account_start[3]]
    assert {9, 10, 11} <= set(of_third.tolist())
    of_first = landed.account[: landed.account_start[1]]
    assert not {9, 10, 11} & set(of_first.tolist())
    np.testing.assert_allclose(np.add.reduceat(landed.account_share, landed.account_start[:-1]), 1.0)
