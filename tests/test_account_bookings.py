from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from models.draws import OrderDraws
from models.first_orders import draw_first_amounts, first_orders
from models.order_cycles import draw_cycles, fit_cycles
from models.order_history import (
    AFTER_DUE,
    BEFORE_DUE,
    DUE,
    DUE_2,
    DUE_3,
    DUE_MORE,
    EARLY,
    LAPSED,
    MAX_CYCLE,
    OFF_PHASE,
    OVERDUE,
    QUIET,
    RECENT,
    SILENT,
    STATES,
    OrderHistory,
    account_months,
    last_complete_month,
    latest_state,
    order_history,
    order_state,
    usual_gap,
)
from models.order_rows import amount_rows, grade_edges, group_level, order_cells, product_split
from models.panel import NONE, Panel
from models.settings import ModelSettings, OrderSettings, SamplerSettings
from tests.order_panels import FIRST_MONTH, buyers, buying_truth, with_orders

SETTINGS = OrderSettings()


@pytest.mark.parametrize(
    ("cycle", "elapsed", "state"),
    [
        (3, 1, EARLY),
        (3, 2, BEFORE_DUE),
        (3, 3, DUE),
        (3, 4, AFTER_DUE),
        (3, 5, OVERDUE),
        (3, 6, DUE_2),
        (3, 7, OFF_PHASE),
        (3, 9, DUE_3),
        (3, 12, DUE_MORE),
        (3, 27, LAPSED),
        (1, 1, DUE),
        (1, 2, DUE_2),
        (2, 3, AFTER_DUE),
        (12, 24, DUE_2),
        (12, 36, DUE_3),
        (12, 37, LAPSED),
        (0, 1, RECENT),
        (0, 4, QUIET),
        (0, 13, SILENT),
    ],
)
def test_order_state_names_where_an_account_stands(cycle: int, elapsed: int, state: int) -> None:
    assert order_state(cycle, elapsed) == state


def test_order_state_is_the_same_for_ints_arrays_and_compiled_code() -> None:
    cycle, elapsed = (grid.ravel() for grid in np.meshgrid(np.arange(MAX_CYCLE + 1), np.arange(1, 80)))
    states = order_state(cycle, elapsed)
    compiled = njit(order_state)
    assert [order_state(int(c), int(e)) for c, e in zip(cycle, elapsed, strict=True)] == states.tolist()
    assert [compiled(int(c), int(e)) for c, e in zip(cycle, elapsed, strict=True)] == states.tolist()
    assert set(states.tolist()) == set(range(len(STATES)))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 35), st.floats(1, 1e6)), min_size=1, max_size=60))
def test_history_knows_nothing_of_later_orders(orders: list[tuple[int, int, float]]) -> None:
    account, month, amount = (np.array(column) for column in zip(*orders, strict=True))
    whole = _history(with_orders(account, FIRST_MONTH + month, amount, 6, "2025-12-31"))
    early = month < 20
    if not early.any():
        return
    part = _history(with_orders(account[early], FIRST_MONTH + month[early], amount[early], 6, "2024-08-31"))
    known = whole.month < FIRST_MONTH + 20
    for name in ("account", "month", "log_amount", "number", "level", "weight"):
        np.testing.assert_allclose(getattr(part, name), getattr(whole, name)[known])
    before, after = account_months(part), account_months(whole)
    shared = after.month < FIRST_MONTH + 20
    for field in fields(before):
        left, right = getattr(before, field.name), getattr(after, field.name)[shared]
        np.testing.assert_allclose(left.astype(float), right.astype(float))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 35), st.floats(1, 1e6)), min_size=1, max_size=40))
def test_account_months_and_levels_agree_with_a_walk_through_the_months(orders: list[tuple[int, int, float]]) -> None:
    account, month, amount = (np.array(column) for column in zip(*orders, strict=True))
    panel = with_orders(account, FIRST_MONTH + month, amount, 4, "2025-12-31")
    history = _history(panel)
    months = account_months(history)
    latest = latest_state(history, 4)
    expected = []
    for who in range(4):
        level, weight, last = 0.0, 0.0, None
        for now in range(36):
            spent = amount[(account == who) & (month == now)].sum()
            if last is not None:
                expected.append((who, FIRST_MONTH + now, now - last, spent > 0, level))
            if spent > 0:
                weight = 1 + (1 - history.decay) * weight
                level, last = level + (np.log(spent) - level) / weight, now
        assert latest.elapsed[who] == (-1 if last is None else 35 - last)
        assert latest.level[who] == pytest.approx(level)
        assert latest.weight[who] == pytest.approx(weight)
    found = list(zip(months.account, months.month, months.elapsed, months.ordered, months.level, strict=True))
    assert len(found) == len(expected)
    np.testing.assert_allclose(
        np.array(found, dtype=float).reshape(-1, 5), np.array(expected, dtype=float).reshape(-1, 5)
    )


def test_returned_goods_are_taken_off_the_order_before() -> None:
    account, month = np.array([0, 0, 0, 1, 1, 2]), FIRST_MONTH + np.array([0, 1, 4, 0, 2, 3])
    history = _history(with_orders(account, month, np.array([100.0, -30.0, 50.0, 20.0, -20.0, -5.0]), 3, "2025-12-31"))
    assert history.account.tolist() == [0, 0]
    np.testing.assert_allclose(np.exp(history.log_amount), [70.0, 50.0])


def test_a_month_that_has_not_ended_is_known_but_explains_nothing() -> None:
    account, month = np.array([0, 0, 1]), FIRST_MONTH + np.array([0, 5, 0])
    history = _history(with_orders(account, month, np.array([10.0, 10.0, 10.0]), 2, "2023-06-15"))
    assert history.last_month == FIRST_MONTH + 4
    assert latest_state(history, 2).elapsed.tolist() == [0, 5]
    assert account_months(history).month.max() == FIRST_MONTH + 4
    assert last_complete_month(np.datetime64("2023-06-30")) == FIRST_MONTH + 5


def test_orders_without_an_account_are_refused() -> None:
    panel = with_orders(np.array([NONE]), np.array([FIRST_MONTH]), np.array([10.0]), 2, "2025-12-31")
    with pytest.raises(ValueError, match="needs the account"):
        _history(panel)


def test_cycles_are_recovered_and_borrowed() -> None:
    truth = buying_truth(1)
    history = _history(buyers(truth, 1))
    latest = latest_state(history, len(truth.cycle))
    cycles = fit_cycles(account_months(history), latest.orders)
    often = latest.orders >= 4
    assert (cycles.posterior.argmax(axis=1) == truth.cycle)[often].mean() > 0.95
    assert cycles.chance[DUE] == pytest.approx(truth.due, abs=0.04)
    share = cycles.share / cycles.share.sum()
    assert share[[2, 3, 6]] == pytest.approx([0.3, 0.5, 0.2], abs=0.09)
    drawn, shares = draw_cycles(cycles, latest.orders, 400, np.random.default_rng(1))
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    young = np.flatnonzero((latest.orders == 1) & (latest.elapsed == 0))
    assert len(young)
    # Nothing but the others is known of an account that has just ordered for the first time.
    assert np.isin(drawn[:, young], [2, 3, 6]).mean() > 0.9
    assert len(np.unique(drawn[:, young[0]])) >= 3
    assert (drawn[:, latest.orders == 0] == 0).all()


def test_cells_keep_every_account_month_and_order() -> None:
    truth = buying_truth(2, accounts=60)
    history = _history(buyers(truth, 2))
    months = account_months(history)
    cycles = fit_cycles(months, latest_state(history, 60).orders)
    edges = grade_edges(history, SETTINGS)
    cells = order_cells(months, cycles, edges)
    assert cells.trials.sum() == pytest.approx(len(months), rel=1e-3)
    assert cells.orders.sum() == pytest.approx(months.ordered.sum(), rel=1e-3)
    assert (cells.orders <= cells.trials + 1e-9).all()
    rows = amount_rows(history, group_level(buyers(truth, 2), history), edges, SETTINGS)
    assert len(rows) < (history.number > 1).sum()  # what follows a truncated history is left out
    assert rows.grade.max() == len(edges)


def test_account_months_after_a_missed_order_carry_the_month_that_was_missed() -> None:
    account = np.repeat(np.arange(8), 5)
    month = np.tile([0, 3, 6, 12, 15], 8)  # every third month, but for month 9
    panel = with_orders(account, FIRST_MONTH + month, np.full(40, 100.0), 8, "2024-06-30")
    history = _history(panel)
    months = account_months(history)
    cells = order_cells(months, fit_cycles(months, latest_state(history, 8).orders), np.zeros(0))
    likely = cells.trials > 4  # of the cycle that fits
    late = likely & (cells.month > FIRST_MONTH + 9) & (cells.month <= FIRST_MONTH + 12)
    assert (cells.missed[late] == (FIRST_MONTH + 9) % 12).all()
    assert cells.state[late & (cells.orders > 4)].tolist() == [DUE_2]
    assert (cells.missed[likely & ~late] == NONE).all()


def test_first_orders_of_the_first_cycle_are_no_new_customers() -> None:
    account = np.repeat(np.arange(5), 4)
    start = np.repeat([0, 1, 2, 12, 20], 4)
    month = FIRST_MONTH + start + np.tile([0, 3, 6, 9], 5)
    panel = with_orders(account, month, np.full(20, 100.0), 5, "2025-12-31")
    history = _history(panel)
    assert usual_gap(history) == 3
    first = first_orders(panel, history)
    assert first.months[0] == FIRST_MONTH + 3
    assert first.counts.sum() == 2
    assert first.counts[0, 12 - 3] == first.counts[1, 20 - 3] == 1  # account 3 lies in territory 0, account 4 in 1


def test_amounts_of_first_orders_follow_the_data_and_the_territory() -> None:
    rng = np.random.default_rng(3)
    account = np.arange(300)
    log_amount = rng.normal(7.0, 0.5, 300) + np.array([0.8, 0.0, -0.8])[account % 3]
    panel = with_orders(account, FIRST_MONTH + 13 + account % 20, np.exp(log_amount), 300, "2025-12-31")
    first = first_orders(panel, _history(panel))
    pool, shift, season = draw_first_amounts(first, 500, 50, 3, rng)
    assert shift.mean(axis=0) == pytest.approx([0.8, 0.0, -0.8], abs=0.15)
    assert np.abs(season.mean(axis=0)).max() < 0.1
    # The pool is of an average territory; each territory's amounts are the pool's times its effect.
    assert np.log(pool).std() == pytest.approx(0.5, rel=0.1)
    mean = pool.mean() * np.exp(shift).mean(axis=0)
    expected = [first.amounts[first.territory == territory].mean() for territory in range(3)]
    assert mean == pytest.approx(expected, rel=0.1)


def test_first_orders_out_of_season_are_of_their_own_size() -> None:
    rng = np.random.default_rng(8)
    account = np.arange(260)
    month = np.where(account < 200, 18 + account % 3, 13 + account % 5)  # a wave of full assortments, trials before it
    amount = np.exp(np.where(account < 200, 10.0, 7.0) + rng.normal(0, 0.5, 260))
    panel = with_orders(account, FIRST_MONTH + month, amount, 260, "2024-12-31")
    first = first_orders(panel, _history(panel))
    pool, _, season = draw_first_amounts(first, 400, 50, 3, rng)
    typical = np.log(pool).mean() + season.mean(axis=0)
    in_wave, before = (FIRST_MONTH + 18 + np.arange(3)) % 12, (FIRST_MONTH + 13 + np.arange(5)) % 12
    assert typical[in_wave] == pytest.approx(10.0, abs=0.3)
    assert typical[before] == pytest.approx(7.0, abs=0.3)
    never = np.setdiff1d(np.arange(12), np.concatenate([in_wave, before]))
    assert season[:, never].std(axis=0).min() > 1.0  # of other months nothing is known but how seasons differ


def test_product_shares_sum_to_one_and_silent_accounts_get_the_company_mix() -> None:
    account, product = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 0, 1])
    month = FIRST_MONTH + np.array([30, 30, 31, 32, 2])
    panel = with_orders(account, month, np.array([25.0, 75.0, 60.0, 40.0, 9.0]), 4, "2025-12-31", product)
    of, what, share = product_split(panel, _history(panel), 24)
    shares = {(a, p): s for a, p, s in zip(of.tolist(), what.tolist(), share.tolist(), strict=True)}
    assert shares[0, 0] == pytest.approx(0.25)
    assert shares[1, 0] == 1.0
    assert shares[2, 0] == shares[NONE, 0] == pytest.approx(125 / 200)
    assert set(of.tolist()) == {NONE, 0, 1, 2}
    for who in (NONE, 0, 1, 2):
        assert sum(s for (a, _), s in shares.items() if a == who) == pytest.approx(1)


@pytest.mark.slow
def test_fit_recovers_how_accounts_buy() -> None:
    from models.account_bookings import fit_bookings

    truth = buying_truth(4)
    draws, diagnostics = fit_bookings(buyers(truth, 4), ModelSettings(), 4)
    assert diagnostics.converged(), diagnostics
    _is_well_formed(draws, accounts=len(truth.cycle))
    due = 1 / (1 + np.exp(-(draws.base[:, None] + draws.season.mean(axis=2))))
    assert (
        np.quantile(due[:, 7], 0.05)
        < 1 / (1 + np.exp(1.5) * (1 - truth.due) / truth.due)
        < np.quantile(due[:, 7], 0.95)
    )
    others = np.delete(due, 7, axis=1).mean(axis=1)
    assert others.mean() == pytest.approx(truth.due, abs=0.05)
    assert (due[:, 7] < others).mean() > 0.99
    again = draws.state[:, DUE_2] + draws.base
    assert (again < draws.base).mean() > 0.99
    # An odd order also makes the next one look odd, since it has moved the level.
    assert truth.odd < draws.odd_chance.mean() < 2.5 * truth.odd
    # An order scatters around the level by its own noise and by that of the level.
    assert truth.noise < draws.amount_scale.mean() < 1.6 * truth.noise
    assert draws.carry[:, -1].mean() > 0.8
    rate = (draws.first_rate * np.exp(draws.first_season).mean(axis=1, keepdims=True)).mean(axis=1)
    assert np.quantile(rate, 0.02) < truth.first_rate < np.quantile(rate, 0.98)


@pytest.mark.slow
def test_fit_is_repeatable_and_works_with_little_data() -> None:
    from models.account_bookings import fit_bookings

    panel = with_orders(
        np.array([0, 0, 1]), FIRST_MONTH + np.array([0, 3, 5]), np.array([10.0, 12.0, 30.0]), 3, "2023-08-31"
    )
    settings = ModelSettings(sampler=SamplerSettings(chains=2, tune=100, draws=50))
    draws, _ = fit_bookings(panel, settings, 5)
    _is_well_formed(draws, accounts=3)
    assert draws.elapsed.tolist() == [4, 2, -1]
    again, _ = fit_bookings(panel, settings, 5)
    for field in fields(draws):
        np.testing.assert_array_equal(getattr(draws, field.name), getattr(again, field.name))


@pytest.mark.slow
def test_orders_without_any_territory_have_no_first_orders() -> None:
    from models.account_bookings import fit_bookings

    panel = with_orders(
        np.array([0, 0, 1]), FIRST_MONTH + np.array([0, 3, 5]), np.array([10.0, 12.0, 30.0]), 3, "2023-08-31"
    )
    settings = ModelSettings(sampler=SamplerSettings(chains=2, tune=100, draws=50))
    nothing = replace(panel, territories=replace(panel.territories, ids=np.empty(0, str), names=np.empty(0, str)))
    unplaced = replace(
        nothing,
        accounts=replace(panel.accounts, territory=np.full(3, NONE)),
        reps=replace(panel.reps, territory=np.full(6, NONE)),
    )
    assert fit_bookings(unplaced, settings, 5)[0].first_rate.shape == (100, 0)


def _history(panel: Panel) -> OrderHistory:
    # One decay: the one chosen among several is a number for the whole company, learned from all that is known.
    return order_history(panel, (0.7,))


def _is_well_formed(draws: OrderDraws, accounts: int) -> None:
    count, grades = len(draws.base), len(draws.grade_edges) + 1
    shapes = {
        "state": (count, len(STATES)),
        "season": (count, 12, grades),
        "missed": (count, 12, grades),
        "seller": (count, accounts),
        "first_amount_season": (count, 12),
        "cycle": (count, accounts),
        "cycle_share": (count, MAX_CYCLE + 1),
        "level": (accounts,),
        "group": (accounts,),
        "carry": (count, SETTINGS.age_classes),
        "amount_age": (count, SETTINGS.age_classes),
        "amount_grade": (count, grades),
        "amount_scale": (count, grades),
        "odd_chance": (count, grades),
        "amount_season": (count, 12),
        "first_season": (count, 12),
        "first_pool": (count, SETTINGS.pool),
    }
    for name, shape in shapes.items():
        assert getattr(draws, name).shape == shape, name
    for field in fields(draws):
        assert np.isfinite(getattr(draws, field.name)).all(), field.name
