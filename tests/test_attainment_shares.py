"""Rep, territory and luck: the split of the spread, what it rests on, and what reps add to the accounts they hold."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import multivariate_normal

from engine.planning.shares import QUOTA, TEAM_MEAN, SpreadReport, attainment_rows, spread_report, warning
from engine.report.shares_section import shares_section
from engine.report.words import words_of
from experiments.book_swap import words
from models.attainment_shares import AttainmentRows, AttainmentShares, attainment_shares
from models.crossed_normal import CrossedRows, _effects, _solve, _sums, fit_crossed, indicator
from models.panel import Floats, Ints, Panel, Quotas
from models.rep_given_account import BookedMonths, booked_months, handover, rep_effects
from tests.order_panels import empty_company, with_orders

REPS, TERRITORIES, QUARTERS = 40, 10, 10
FIELDS = ("account", "rep", "product", "month", "amount")


def simulated(seed: int, sd: tuple[float, float, float], moving: bool = True) -> tuple[AttainmentRows, Floats]:
    """Attainment from known SDs of rep, territory and luck, and the true shares of these very reps and quarters."""
    rng = np.random.default_rng(seed)
    rep, quarter = np.repeat(np.arange(REPS), QUARTERS), np.tile(np.arange(QUARTERS), REPS)
    # Without moves every rep has a territory of its own: nothing tells the two apart.
    home = np.arange(REPS) % TERRITORIES if moving else np.arange(REPS)
    count = TERRITORIES if moving else REPS
    territory = home[rep]
    if moving:
        moved = (rep % 2 == 0) & (quarter >= QUARTERS // 2)
        territory = np.where(moved, (territory + 1 + rep // TERRITORIES) % count, territory)
    parts = [rng.normal(0, sd[0], REPS)[rep], rng.normal(0, sd[1], count)[territory], rng.normal(0, sd[2], len(rep))]
    variance = np.array([part.var() for part in parts])
    value = 1 + sum(parts) + rng.normal(0, 0.1, QUARTERS)[quarter]
    return AttainmentRows(value, rep, quarter, np.eye(count)[territory]), variance / variance.sum()


def split(rows: AttainmentRows) -> AttainmentShares:
    """The split, which must be there."""
    found = attainment_shares(rows, 500, 1)
    assert found is not None
    return found


@pytest.mark.slow
def test_intervals_cover_the_true_shares() -> None:
    covered = []
    for seed, sd in enumerate([(0.3, 0.1, 0.2), (0.1, 0.3, 0.2), (0.1, 0.1, 0.4), (0.2, 0.2, 0.2)] * 3):
        rows, truth = simulated(seed, sd)
        low, high = np.quantile(split(rows).share, [0.05, 0.95], axis=0)
        covered += ((low <= truth) & (truth <= high)).tolist()
    # 36 intervals of 90 %: fewer than 28 hits have a chance below 1 in 1,000 if they are independent.
    assert np.mean(covered) >= 28 / 36


def test_a_large_part_is_found_and_a_broken_table_loses_it() -> None:
    rows, truth = simulated(5, (0.1, 0.4, 0.2))
    share = split(rows).share.mean(axis=0)
    np.testing.assert_allclose(share, truth, atol=0.15)
    mixed = replace(rows, territory=np.random.default_rng(0).permutation(rows.territory))
    assert split(mixed).share[:, 1].mean() < 0.1 < 0.4 < share[1]


def test_shares_add_up_to_one() -> None:
    share = split(simulated(2, (0.2, 0.2, 0.2))[0]).share
    np.testing.assert_allclose(share.sum(axis=1), 1.0)
    assert (share >= 0).all()


def test_without_moves_the_split_is_wide_and_says_so() -> None:
    still, moving = (split(simulated(3, (0.3, 0.3, 0.1), moving=flag)[0]) for flag in (False, True))

    def width(found: AttainmentShares) -> float:
        ratio = found.share[:, 0] / (found.share[:, 0] + found.share[:, 1])
        return float(np.ptp(np.quantile(ratio, [0.05, 0.95])))

    assert width(still) > 0.8
    assert width(moving) < 0.5
    assert still.movers == 0
    assert moving.movers == REPS // 2
    assert "driven by the prior" in warning(still)
    assert warning(moving) == ""


def test_luck_is_known_even_without_moves() -> None:
    rows, truth = simulated(4, (0.3, 0.3, 0.2), moving=False)
    assert split(rows).share[:, 2].mean() == pytest.approx(truth[2], abs=0.05)


def test_warnings_follow_the_numbers() -> None:
    found = split(simulated(3, (0.2, 0.2, 0.2))[0])
    assert "one territory only" in warning(replace(found, territories=1))
    assert "3 groups" in warning(replace(found, islands=3))
    assert "Only 2 of 40" in warning(replace(found, movers=2))
    assert "unreliable" in warning(replace(found, k_hat=0.9))


def test_too_little_is_not_split() -> None:
    rows, _ = simulated(1, (0.2, 0.2, 0.2))
    few = AttainmentRows(rows.value[:4], rows.rep[:4], rows.quarter[:4], rows.territory[:4])
    flat = replace(rows, value=np.ones_like(rows.value))
    once = AttainmentRows(
        rows.value[::QUARTERS], rows.rep[::QUARTERS], rows.quarter[::QUARTERS], rows.territory[::QUARTERS]
    )
    assert [attainment_shares(item, 100, 1) for item in (few, flat, once)] == [None, None, None]


def test_one_territory_explains_nothing() -> None:
    rows, _ = simulated(1, (0.2, 0.2, 0.2))
    found = split(replace(rows, territory=np.ones((len(rows.value), 1))))
    assert (found.share[:, 1] == 0).all()


def crossed(seed: int, nested: bool) -> tuple[CrossedRows, list[Floats]]:
    """A small table and its dense columns, in the order of the scales."""
    rng = np.random.default_rng(seed)
    rows = 60
    inner, group = rng.integers(0, 12, rows), rng.integers(0, 4, rows)
    inner[:12] = np.arange(12)
    weights = rng.dirichlet(np.ones(3), rows)
    outer = (inner // 3).astype(np.int64)
    nests: tuple[Ints, ...] = (inner, outer) if nested else (inner,)
    names = ("inner", "outer") if nested else ("inner",)
    columns = [np.eye(rows), *(np.eye(int(nest.max()) + 1)[nest] for nest in nests), np.eye(4)[group], weights]
    y = rng.normal(size=rows)
    y = (y - y.mean()) / y.std()
    return CrossedRows(y, nests, names, (indicator(group, 4), csr_array(weights)), ("group", "weight")), columns


@pytest.mark.parametrize("nested", [False, True])
def test_marginal_likelihood_is_that_of_the_dense_normal(nested: bool) -> None:
    table, columns = crossed(1, nested)
    sums = _sums(table, table.y, [0, 1])
    rng = np.random.default_rng(2)
    ours, dense = [], []
    for _ in range(4):
        sigma = rng.uniform(0.1, 1.5, len(columns))
        covariance = sum(s**2 * c @ c.T for s, c in zip(sigma, columns, strict=True)) + 100.0
        ours.append(_solve(sums, sigma).log_likelihood)
        dense.append(multivariate_normal(np.zeros(60), covariance).logpdf(table.y))
    np.testing.assert_allclose(np.diff(ours), np.diff(dense), rtol=1e-8)


@pytest.mark.parametrize("nested", [False, True])
def test_effects_have_the_moments_of_the_dense_normal(nested: bool) -> None:
    table, columns = crossed(3, nested)
    sigma = np.array([0.5, 0.7, 0.6, 0.8, 0.4])[: len(columns)]
    draws, nests = _effects(_sums(table, table.y, [0, 1]), np.tile(sigma, (4000, 1)), np.random.default_rng(1))
    covariance = sum(s**2 * c @ c.T for s, c in zip(sigma, columns, strict=True)) + 100.0
    weights = np.linalg.solve(covariance, table.y)
    for found, column, scale in zip([*nests, draws[:, :4]], columns[1:], sigma[1:], strict=False):
        np.testing.assert_allclose(found.mean(axis=0), scale**2 * column.T @ weights, atol=0.05)
        spread = scale**2 - scale**4 * np.diag(column.T @ np.linalg.solve(covariance, column))
        np.testing.assert_allclose(found.var(axis=0), spread, rtol=0.15)


def test_same_seed_same_draws_and_reliable_weights() -> None:
    table, _ = crossed(1, True)
    first, again = fit_crossed(table, 50, 7), fit_crossed(table, 50, 7)
    np.testing.assert_array_equal(first.effect["group"], again.effect["group"])
    assert first.k_hat < 0.7


def test_a_table_without_spread_is_refused() -> None:
    table, _ = crossed(1, False)
    with pytest.raises(ValueError, match="SD 0"):
        fit_crossed(replace(table, y=np.zeros(60)), 10, 1)


def booked(quotas: Quotas | None = None) -> Panel:
    """Six reps with two accounts each in their home territory, sold to once a month from 2024-01 to 2025-11."""
    account = np.tile(np.arange(12), 23)
    month = np.repeat(np.arange(23), 12) + 648
    panel = with_orders(account, month, np.full(len(account), 10.0), 12, "2025-11-30")
    panel = replace(panel, first_day=np.datetime64("2024-01-01"))
    return panel if quotas is None else replace(panel, quotas=quotas)


def yearly(panel: Panel, amount: float) -> Quotas:
    """A quota of every rep for 2024 and 2025."""
    ids = panel.reps.labels.ids
    return Quotas(
        np.full(len(ids), "rep"),
        ids,
        np.full(len(ids), np.datetime64("2024-01-01")),
        np.full(len(ids), np.datetime64("2025-12-31")),
        np.full(len(ids), amount),
    )


def test_attainment_is_booked_over_quota_in_complete_quarters() -> None:
    panel = booked(yearly(booked(), 731.0))
    rows, measure = attainment_rows(panel)
    assert measure == QUOTA
    # November is known to its end, December is not: 7 complete quarters, of 90 to 92 days at one of quota a day.
    assert len(rows.value) == 6 * 7
    np.testing.assert_allclose(rows.value[:7], 60.0 / np.array([91, 91, 92, 92, 90, 91, 92]))
    np.testing.assert_allclose(rows.territory.sum(axis=1), 1.0)


def test_without_quotas_the_team_is_the_measure() -> None:
    rows, measure = attainment_rows(booked())
    assert measure == TEAM_MEAN
    np.testing.assert_allclose(rows.value, 1.0)


def test_a_quarter_that_a_rep_joined_or_left_in_does_not_count() -> None:
    panel = booked()
    start, end = panel.reps.start.copy(), panel.reps.end.copy()
    start[0], end[1] = np.datetime64("2024-05-02"), np.datetime64("2025-06-30")
    rows, _ = attainment_rows(replace(panel, reps=replace(panel.reps, start=start, end=end)))
    counts = np.bincount(rows.rep)
    assert counts.tolist() == [5, 6, 7, 7, 7, 7]


def test_territories_are_weighted_by_accounts_not_by_money() -> None:
    panel = booked()
    owner = panel.accounts.owner.copy()
    owner[:] = np.arange(12) % 6
    territory = panel.accounts.territory.copy()
    territory[[0, 6]] = [0, 1]
    amount = np.where(panel.orders.account == 6, 990.0, 10.0)
    panel = replace(
        panel,
        accounts=replace(panel.accounts, owner=owner, territory=territory),
        orders=replace(panel.orders, rep=owner[panel.orders.account], amount=amount),
    )
    rows, _ = attainment_rows(panel)
    np.testing.assert_allclose(rows.territory[rows.rep == 0][:, :2], 0.5)


def test_a_company_without_sales_or_with_one_quarter_has_no_split() -> None:
    assert spread_report(empty_company(6, "2025-12-31"), 1) is None
    young = booked()
    orders = young.orders
    few = [getattr(orders, item)[:36] for item in FIELDS]
    young = replace(
        young, as_of=np.datetime64("2024-03-31"), orders=replace(orders, **dict(zip(FIELDS, few, strict=True)))
    )
    assert len(attainment_rows(young)[0].value) == 6
    assert spread_report(young, 1) is None


def test_fiscal_quarters_start_where_the_year_does() -> None:
    rows, _ = attainment_rows(replace(booked(), fiscal_year_start=2))
    # From February 2024: seven quarters to October 2025, November being in the eighth.
    assert rows.quarter.max() == 6


def swapped(seed: int, skill: float) -> BookedMonths:
    """Ten reps with twenty accounts each; a strong book and a weak one change hands half-way, and a rep adds skill."""
    rng = np.random.default_rng(seed)
    account, month = np.repeat(np.arange(200), 24), np.tile(np.arange(24), 200)
    rep = account // 20
    level = rng.normal(0, 0.5, 200)
    level[:20] += 1.5
    swap = (rep < 2) & (month >= 12)
    rep = np.where(swap, 1 - rep, rep)
    amount = np.exp(8 + level[account] + skill * (rep == 0) + rng.normal(0, 0.7, len(rep)))
    return booked_months(account, rep, month, amount)


def test_a_good_book_is_not_a_good_rep() -> None:
    rows = swapped(1, 0.0)
    before = rows.month < 12
    raw = [rows.log_amount[before & (rows.rep == r)].mean() for r in (0, 1)]
    assert raw[0] - raw[1] > 1
    found = rep_effects(rows, 10, 800, 1)
    difference = found.effect[:, 0] - found.effect[:, 1]
    assert abs(difference.mean()) < 0.15
    assert np.quantile(difference, 0.05) < 0 < np.quantile(difference, 0.95)


def test_skill_that_moved_with_the_rep_is_found() -> None:
    found = rep_effects(swapped(2, 0.8), 10, 800, 1)
    difference = found.effect[:, 0] - found.effect[:, 1]
    assert np.quantile(difference, 0.05) > 0.2


def test_handover_counts_what_identifies() -> None:
    rows = swapped(3, 0.8)
    moved = handover(rows, 0, 1)
    assert (moved.accounts, moved.before, moved.after, moved.start) == (20, 240, 240, 12)
    # Against the mean of all accounts, which the skill itself moves by a tenth of it.
    assert moved.change == pytest.approx(-0.8, abs=0.2)
    assert handover(rows, 4, 5).accounts == 0


def test_months_without_net_revenue_account_or_rep_are_left_out() -> None:
    rows = booked_months(
        np.array([0, 0, 1, -1, 2]), np.array([0, 0, 0, 0, -1]), np.zeros(5, dtype=int), np.array([5.0, -5, 2, 9, 9])
    )
    assert rows.account.tolist() == [1]
    assert rows.log_amount[0] == pytest.approx(np.log(2.0))


def test_words_say_when_nothing_tells_two_reps_apart() -> None:
    rows, panel = swapped(1, 0.0), booked()
    effects = rep_effects(rows, 10, 100, 1)
    told = words(panel, rows, effects, (0, 1))
    assert "20 accounts" in told
    # The strong book is 1.5 ahead under whoever holds it.
    first, then = (float(text) for text in re.findall(r"before 1971-01: ([+-].*?), from then on ([+-].*?):", told)[0])
    assert first > 1 > -1 > then
    assert "No account went from one of the two" in words(panel, rows, effects, (4, 5))


def test_section_shows_shares_intervals_and_warning() -> None:
    shares = split(simulated(3, (0.3, 0.3, 0.1), moving=False)[0])
    section = shares_section(SpreadReport(shares, QUOTA, warning(shares)), words_of("en"))
    assert section is not None
    assert "Warning: No rep was seen in two territories" in section.text
    assert [row[0] for row in section.tables[0].rows] == ["Rep", "Territory", "Luck"]
    assert shares_section(None, words_of("en")) is None
