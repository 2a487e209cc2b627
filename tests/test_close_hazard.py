"""The closing hazard: what goes in is counted right, and known effects come out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytensor
import pytest
from scipy.special import expit
from scipy.stats import binom, norm

from models.calendar import last_complete_week, week_number
from models.close_hazard import BLOCKS, USUAL_CLOSE_LOGIT, _nested, closing_model, fit_closing, prepare
from models.closing_cells import close_side, covariates, win_side
from models.deal_weeks import deal_weeks, first_stages, shock_months, size_bin, size_edges
from models.draws import ClosingDraws, Diagnostics
from models.panel import OPEN, WON, Panel, StageMoves
from models.settings import ClosingSettings, ModelSettings, SamplerSettings
from models.whitening import LogitCells, joined, whiten
from models.win_rates import quarter_end_effect, raw_win_rate, rep_win_probability
from tests.panels import Truth, company, maven, truth, without_history

SHORT = ModelSettings(sampler=SamplerSettings(tune=200, draws=300, chains=4))


@pytest.fixture(scope="module")
def known() -> tuple[Truth, Panel]:
    """Effects, and a company that follows them."""
    effects = replace(truth(1), never=0.0)
    return effects, company(effects, 2500, 1)


@pytest.fixture(scope="module")
def fitted(known: tuple[Truth, Panel]) -> tuple[ClosingDraws, Diagnostics]:
    """The one fit that the tests of recovery share."""
    result = fit_closing(known[1], SHORT, 7)
    assert result is not None
    return result


def plain_rows(panel: Panel) -> list[tuple[int, int, int, int, bool]]:
    """Deal, week, age, stage and closing by a loop over deals and weeks: the plain twin of `deal_weeks`."""
    rows = []
    deals, moves = panel.deals, panel.stage_moves
    for deal in range(len(deals)):
        mine = moves.deal == deal
        entered, stages = week_number(moves.date[mine]), moves.stage[mine]
        created, start = (int(week_number(day[deal : deal + 1])[0]) for day in (deals.created, deals.exposed))
        closed = deals.outcome[deal] != OPEN
        last = last_complete_week(panel.as_of)
        end = int(week_number(deals.closed[deal : deal + 1])[0]) if closed else last
        for week in range(start, min(end, last) + 1):
            before = stages[entered < week]
            stage = before[-1] if len(before) else stages[0]
            rows.append((deal, week, week - created, int(stage), closed and week == end))
    return rows


def test_deal_weeks_agree_with_a_plain_loop() -> None:
    panel = company(truth(2), 120, 2, as_of="2025-06-17")
    # Half of the deals are exposed later than they were created: the export begins in between.
    deals = panel.deals
    late = np.where(np.arange(120) % 2 == 0, deals.exposed, deals.exposed + np.timedelta64(40, "D"))
    late = np.minimum(late, np.where(np.isnat(deals.closed), panel.as_of, deals.closed))
    panel = replace(panel, deals=replace(deals, exposed=late))
    rows = deal_weeks(panel)
    kept = rows.complete
    columns = (rows.deal, rows.week, rows.age, rows.stage, rows.closing)
    found = list(zip(*(column[kept].tolist() for column in columns), strict=True))
    assert found == plain_rows(panel)


def test_a_closing_in_the_unfinished_week_counts_for_winning_only() -> None:
    panel = company(truth(3), 400, 3)
    during = replace(panel, as_of=np.datetime64("2025-12-29"))
    rows = deal_weeks(during)
    unfinished = rows.closing & ~rows.complete
    assert unfinished.any()
    settings, edges = ClosingSettings(), size_edges(during, 4)
    levels = covariates(during, rows, settings, edges, shock_months(rows))
    closings = close_side(levels, rows, settings).cells.success.sum()
    assert win_side(levels, rows, during, settings).cells.count.sum() == closings + unfinished.sum()


def test_cells_keep_every_exposure_and_stay_below_the_bound(known: tuple[Truth, Panel]) -> None:
    _, panel = known
    rows = deal_weeks(panel)
    for bound in (500, 3000, 200_000):
        settings = ClosingSettings(max_cells=bound)
        edges = size_edges(panel, settings.size_bins)
        levels = covariates(panel, rows, settings, edges, shock_months(rows))
        close = close_side(levels, rows, settings)
        assert close.cells.count.sum() == rows.complete.sum() == close.rows
        assert close.cells.success.sum() == (rows.closing & rows.complete).sum()
        optional = {"stage", "size", "segment", "product"}
        assert len(close.cells.count) <= bound or not optional & close.sizes.keys()
        win = win_side(levels, rows, panel, settings)
        assert win.cells.count.sum() == (panel.deals.outcome != OPEN).sum()
        assert win.cells.success.sum() == (panel.deals.outcome == WON).sum()
    assert {"age", "stage", "size", "segment", "product", "territory", "rep"} <= win.sizes.keys()


def test_the_covariate_that_tells_most_is_kept(known: tuple[Truth, Panel]) -> None:
    _, panel = known
    rows = deal_weeks(panel)
    settings = ClosingSettings(max_cells=6000)
    levels = covariates(panel, rows, settings, size_edges(panel, 4), shock_months(rows))
    kept = close_side(levels, rows, settings).sizes.keys()
    assert "stage" in kept
    assert "segment" not in kept


def test_size_edges_lie_between_amounts_and_unknown_is_a_class_of_its_own() -> None:
    panel = company(truth(1), 300, 1)
    prices = np.array([55.0, 550.0, 1096.0, 5482.0])
    amounts = prices[np.arange(300) % 4]
    listed = replace(panel, deals=replace(panel.deals, list_amount=amounts))
    edges = size_edges(listed, 3)
    assert not np.isin(np.log(prices), edges).any()
    assert len(np.unique(size_bin(amounts, edges))) == len(edges) + 1
    some = np.where(np.arange(300) % 5 == 0, np.nan, amounts)
    partly = size_edges(replace(panel, deals=replace(panel.deals, list_amount=some)), 3)
    bins = size_bin(some, partly)
    assert (bins[np.isnan(some)] == 0).all()
    assert (bins[~np.isnan(some)] > 0).all()
    none = replace(panel, deals=replace(panel.deals, list_amount=np.full(300, np.nan)))
    assert len(size_edges(none, 3)) == 0


def small_cells() -> LogitCells:
    """Counts of a base, six fixed and eight learned effects, one of them never seen."""
    rng = np.random.default_rng(5)
    index = np.stack([np.zeros(60, int), 1 + np.arange(60) % 6, 7 + rng.integers(0, 7, 60)])
    count = rng.integers(1, 40, 60).astype(float)
    success = rng.binomial(count.astype(int), expit(rng.normal(0, 1, 60))).astype(float)
    group = np.repeat([0, 1, 2], [1, 6, 8])
    return LogitCells(index, count, success, group, np.array([3.0, 1.0, 0.5]), np.array([False, False, True]))


def test_whitening_meets_the_normal_approximation_at_its_scales() -> None:
    cells = small_cells()
    white = whiten(cells, shift=-0.3)
    sigma = white.scale[white.group]
    variance = 1 / (white.information + sigma**-2)
    learned = np.sqrt(variance)[:, None] * white.factor
    spread = np.hstack([white.from_fixed, white.from_random @ learned])
    mode = white.centre + white.from_random @ (variance * white.pull)
    design = np.zeros((60, 15))
    for covariate in cells.index:
        design[np.arange(60), covariate] = 1.0
    chance = expit(-0.3 + design @ mode)
    prior = white.scale[cells.group] ** -2
    slope = design.T @ (cells.success - cells.count * chance) - prior * mode
    precision = design.T @ (design * (cells.count * chance * (1 - chance))[:, None]) + np.diag(prior)
    np.testing.assert_allclose(slope, 0, atol=1e-3)
    np.testing.assert_allclose(spread @ spread.T @ precision, np.eye(15), atol=1e-3)
    # Nobody saw the last effect: whatever the scale, it has its prior.
    moved = np.abs(white.from_random[14]) > 1e-6
    assert (white.information[moved] * white.scale[2] ** 2 < 1e-3).any()


def test_whitening_with_leaves_meets_the_normal_approximation_too() -> None:
    """The largest learned group out of the matrices: the same mode and the same covariance."""
    cells = small_cells()
    whole, white = whiten(cells, shift=-0.3), whiten(cells, shift=-0.3, leaf_members=5)
    assert len(white.leaf_group) == 8
    assert white.from_random.shape == (7, 0)
    np.testing.assert_allclose(white.scale, whole.scale, rtol=1e-9)
    own = 1 / (white.leaf_information + white.scale[white.leaf_group] ** -2)
    down = -own[:, None] * white.coupling
    mode = np.concatenate([white.centre, own * white.leaf_pull + down @ white.centre])[white.order]
    core = np.hstack([white.from_fixed, np.zeros((7, 8))])
    spread = np.vstack([core, np.hstack([down @ white.from_fixed, np.diag(np.sqrt(own))])])[white.order]
    variance = 1 / (whole.information + whole.scale[whole.group] ** -2)
    learned = np.sqrt(variance)[:, None] * whole.factor
    expected = np.hstack([whole.from_fixed, whole.from_random @ learned])
    np.testing.assert_allclose(mode, whole.centre + whole.from_random @ (variance * whole.pull), atol=1e-8)
    np.testing.assert_allclose(spread @ spread.T, expected @ expected.T, atol=1e-6)


def test_joined_whitening_keeps_the_sides_apart() -> None:
    one = whiten(small_cells())
    both = joined([one, one])
    assert both.from_random.shape == (30, 16)
    assert not both.from_random[:15, 8:].any()
    assert not both.from_random[15:, :8].any()
    assert both.group.tolist() == [*one.group, *(one.group + 3)]
    leafy = joined([whiten(small_cells(), leaf_members=5)] * 2)
    assert leafy.order.tolist() == [*range(7), *range(14, 22), *range(7, 14), *range(22, 30)]
    assert leafy.leaf_group.tolist() == [2] * 8 + [5] * 8


def test_nested_sums_pick_every_effect_once(known: tuple[Truth, Panel]) -> None:
    _, panel = known
    problem = prepare(panel, deal_weeks(panel), SHORT)
    parts, sums = _nested(problem)
    split = len(problem.close.cells.group)
    effects = np.append(np.random.default_rng(0).normal(size=split + len(problem.win.cells.group)), 0.0)
    found = effects[parts].sum(axis=0)[sums].sum(axis=0)
    close = np.append(effects[:split], 0.0)[problem.close.cells.index].sum(axis=0)
    win = effects[split:][problem.win.cells.index].sum(axis=0)
    np.testing.assert_allclose(found, np.concatenate([close, win]), atol=1e-12)
    assert {name for block in BLOCKS for name in block} >= set(problem.win.sizes)


def test_known_effects_are_recovered(known: tuple[Truth, Panel], fitted: tuple[ClosingDraws, Diagnostics]) -> None:
    effects, _ = known
    closing, judged = fitted
    assert judged.divergences == 0
    assert judged.r_hat < 1.03
    assert judged.cells < judged.rows
    stage = closing.close_stage - closing.close_stage.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(stage.mean(axis=0), effects.close_stage - effects.close_stage.mean(), atol=0.15)
    reps = closing.win_rep - closing.win_rep.mean(axis=1, keepdims=True)
    low, high = np.quantile(reps, [0.05, 0.95], axis=0)
    centred = effects.win_rep - effects.win_rep.mean()
    # 20 reps at 90 %: fewer than 14 covered happens once in 400 times when the intervals are right.
    assert ((low <= centred) & (centred <= high)).sum() >= binom.ppf(0.0025, 20, 0.9)
    assert np.corrcoef(reps.mean(axis=0), centred)[0, 1] > 0.6
    for side in range(2):
        drawn = closing.shocks[:, :, side]
        assert np.corrcoef(drawn.mean(axis=0), effects.shocks[:, side])[0, 1] > 0.5
    end = quarter_end_effect(closing)
    assert np.quantile(end, 0.01) > 0
    assert abs(end.mean() - (expit(0.1 + 0.8) - expit(0.1))) < 0.1
    np.testing.assert_allclose(closing.stage_move.mean(axis=0)[0, 1], effects.stage_move, atol=0.02)
    np.testing.assert_allclose(closing.stage_move.sum(axis=2), 1)
    assert closing.first_stage.mean(axis=0)[0] > 0.99


def test_draws_have_the_shapes_of_the_border(
    known: tuple[Truth, Panel], fitted: tuple[ClosingDraws, Diagnostics]
) -> None:
    _, panel = known
    closing, _ = fitted
    count = SHORT.sampler.chains * SHORT.sampler.draws
    assert closing.close_age.shape == closing.win_age.shape == (count, len(closing.age_bins))
    assert closing.close_week.shape == (count, 12)
    assert closing.win_size.shape == (count, len(closing.size_edges) + 1)
    assert closing.win_rep.shape == (count, len(panel.reps.labels))
    assert closing.shocks.shape == (count, len(closing.shock_months), 2)
    assert closing.stage_move.shape == (count, 3, 3)
    assert (closing.shock_scale > 0).all()
    assert (np.abs(closing.shock_correlation) < 1).all()


def test_rep_win_probability_is_shrunk_towards_the_mean(
    known: tuple[Truth, Panel], fitted: tuple[ClosingDraws, Diagnostics]
) -> None:
    _, panel = known
    chance, raw = rep_win_probability(fitted[0], panel).mean(axis=0), raw_win_rate(panel)
    assert 0.4 * raw.std() < chance.std() < 1.0 * raw.std()
    closed = panel.deals.outcome != OPEN
    assert abs(chance.mean() - (panel.deals.outcome[closed] == WON).mean()) < 0.05


def test_without_history_stages_do_nothing(known: tuple[Truth, Panel]) -> None:
    panel = without_history(known[1])
    rows = deal_weeks(panel)
    assert not rows.stage.any()
    assert not rows.next_stage.any()
    problem = prepare(panel, rows, SHORT)
    assert "stage" not in problem.close.sizes
    assert "stage" not in problem.win.sizes


def test_first_stages_count_deals_once() -> None:
    panel = company(truth(1), 50, 1)
    moves = StageMoves(np.array([3, 3, 9]), np.array([1, 2, 0]), np.array(["2024-05-01"] * 3, dtype="datetime64[D]"))
    assert first_stages(replace(panel, stage_moves=moves)).tolist() == [1, 1, 0]


def test_nothing_closed_gives_nothing() -> None:
    panel = company(truth(1), 50, 1)
    deals = replace(panel.deals, outcome=np.zeros(50, dtype=np.int8), closed=np.full(50, np.datetime64("NaT", "D")))
    assert fit_closing(replace(panel, deals=deals), SHORT, 1) is None


@pytest.mark.parametrize("leaf_members", [200, 2])
def test_log_density_is_that_of_the_model(leaf_members: int) -> None:
    """Against the formulas at three points: the change of coordinates and its Jacobian leave the posterior alone."""
    panel = without_history(company(truth(4, reps=3, months=3), 60, 4, as_of="2024-03-31"))
    problem = prepare(panel, deal_weeks(panel), SHORT)
    sides = ((problem.close.cells, USUAL_CLOSE_LOGIT), (problem.win.cells, 0.0))
    problem = replace(problem, white=joined([whiten(*side, leaf_members=leaf_members) for side in sides]))
    assert (len(problem.white.leaf_group) > 0) == (leaf_members == 2)
    model = closing_model(problem)
    close, win, white = problem.close.cells, problem.win.cells, problem.white
    free = np.concatenate([close.free, win.free])
    prior = np.concatenate([close.scale, win.scale])
    chosen = [model["beta"], model["scale"], model["correlation"]]
    evaluate = pytensor.function(
        model.value_vars, [*model.replace_rvs_by_values(chosen), model.logp()], mode="FAST_COMPILE"
    )
    rng = np.random.default_rng(3)

    def both(point: dict[str, np.ndarray]) -> tuple[float, float]:
        beta, scale, rho, ours = evaluate(*[point[variable.name] for variable in model.value_vars])
        sigma = prior.copy()
        sigma[free] = scale
        group = np.concatenate([close.group, win.group + len(close.scale)])
        months, split = len(problem.months), len(close.group)
        shock = np.zeros(len(beta), dtype=bool)
        shock[split - months : split] = shock[-months:] = True
        log = norm.logpdf(beta[~shock], 0, sigma[group][~shock]).sum()
        pair = (beta[split - months : split] / sigma[group][split - 1], beta[-months:] / sigma[group][-1])
        quadratic = (pair[0] ** 2 - 2 * rho * pair[0] * pair[1] + pair[1] ** 2) / (1 - rho**2)
        log += -0.5 * quadratic.sum() - months * (
            0.5 * np.log(1 - rho**2) + np.log(sigma[group][split - 1] * sigma[group][-1])
        )
        log += (-0.5 * (scale / prior[free]) ** 2).sum()
        for cells, part, shift in ((close, beta[:split], USUAL_CLOSE_LOGIT), (win, beta[split:], 0.0)):
            eta = shift + np.append(part, 0.0)[cells.index].sum(axis=0)
            log += binom.logpmf(cells.success, cells.count, expit(eta)).sum()
        # Jacobian of the coordinates: effects given scales, scales, correlation (x = logit of (1 + rho) / 2).
        place = np.cumsum(free) - 1
        log += -0.5 * np.log(white.information + scale[place[white.group]] ** -2).sum()
        log += -0.5 * np.log(white.leaf_information + scale[place[white.leaf_group]] ** -2).sum()
        x = point["scale_raw"]
        tail = np.logaddexp(0, -x)
        log += (np.log(scale) + np.log(1 + tail * expit(-x) / 2)).sum()
        half = (1 + rho) / 2
        log += 4 * np.log(half) + 4 * np.log(1 - half)
        return float(ours), float(log)

    differences = []
    for _ in range(3):
        point = {v.name: np.asarray(rng.normal(0, 0.7, v.type.shape)) for v in model.value_vars}
        ours, formula = both(point)
        differences.append(ours - formula)
    np.testing.assert_allclose(differences, differences[0], atol=1e-6)


@pytest.mark.slow
def test_maven_reps_do_not_differ_and_quarters_end_with_wins(sales_data: Callable[[str], Path]) -> None:
    panel = maven(sales_data("maven_crm"))
    result = fit_closing(panel, ModelSettings(), 1)
    assert result is not None
    closing, judged = result
    assert judged.converged()
    assert rep_win_probability(closing, panel).mean(axis=0).std() <= 0.01
    assert np.nanstd(raw_win_rate(panel)) > 0.03
    assert (quarter_end_effect(closing) > 0).mean() >= 0.99


@pytest.mark.slow
def test_fewer_deals_shrink_reps_further(known: tuple[Truth, Panel], fitted: tuple[ClosingDraws, Diagnostics]) -> None:
    effects, panel = known
    small = company(effects, 600, 1)
    result = fit_closing(small, SHORT, 7)
    assert result is not None
    few, many = (
        rep_win_probability(closing, of).mean(axis=0).std() / raw_win_rate(of).std()
        for closing, of in ((result[0], small), (fitted[0], panel))
    )
    assert few < 0.8 * many


def test_whitening_survives_a_company_with_hardly_any_data() -> None:
    panel = company(truth(6, reps=2, months=4), 25, 6, as_of="2024-04-30")
    lost = np.where(panel.deals.outcome == WON, 2, panel.deals.outcome).astype(np.int8)
    panel = replace(panel, deals=replace(panel.deals, outcome=lost))
    white = prepare(panel, deal_weeks(panel), SHORT).white
    for values in (white.centre, white.from_fixed, white.from_random, white.factor, white.information, white.pull):
        assert np.isfinite(values).all()
