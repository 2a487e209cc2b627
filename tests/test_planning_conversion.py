"""The question conversion: counts by hand, the pooled rates against an exact integral, claims that hold their rate."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import betaln

from engine.planning.conversion import (
    LIKE_FOR_LIKE,
    _against_team,
    conversion_table,
    created_between,
    steps_table,
    teams,
)
from engine.planning.conversion_settings import ConversionSettings
from engine.planning.pooled_rates import chance_below_team, claims, pooled_rates, population_grid
from engine.planning.stage_counts import CLOSED_ONLY, HISTORY, furthest_stage, stage_counts
from models.panel import LOST, NONE, OPEN, WON, Ints, Panel, StageMoves
from tests.simulation_inputs import make_panel

DEALS = (
    # rep, stages entered, outcome
    (0, (0, 1, 2), WON),
    (0, (0,), LOST),
    (0, (0, 2), LOST),  # skipped a stage: passed it
    (0, (0, 1, 0), LOST),  # went back: its furthest stage counts
    (0, (0, 1), OPEN),  # passed the first, undecided at the second
    (1, (0,), WON),  # won from the first stage: passed all
    (1, (0,), OPEN),
)


def panel_of(deals: tuple[tuple[int, tuple[int, ...], int], ...] = DEALS) -> Panel:
    """Four stages (nobody enters the last), two reps or more."""
    panel = make_panel(deals=len(deals), reps=3, accounts=5)
    moves = [(d, s) for d, (_, stages, _) in enumerate(deals) for s in stages]
    day = np.datetime64("2026-01-01") + np.arange(len(moves)).astype("timedelta64[D]")
    return replace(
        panel,
        deals=replace(
            panel.deals,
            rep=np.array([deal[0] for deal in deals]),
            outcome=np.array([deal[2] for deal in deals], dtype=np.int8),
        ),
        stage_moves=StageMoves(np.array([m[0] for m in moves]), np.array([m[1] for m in moves]), day),
    )


def test_stages_are_counted_by_the_furthest_one() -> None:
    counts = stage_counts(panel_of(), np.ones(len(DEALS), dtype=bool))
    assert counts.source == HISTORY
    assert counts.steps[0] == "stage00000 > stage00001"
    assert counts.steps[-2:] == ("stage00003 > won", "closed > won")
    # rep 0 leaves the first stage with 4 of 5, the second (of the 3 decided) with 2, the third with 1 of 2
    assert counts.tried[:, 0].tolist() == [5, 3, 2, 1, 4]
    assert counts.passed[:, 0].tolist() == [4, 2, 1, 1, 1]
    assert counts.undecided[:, 0].tolist() == [0, 1, 0, 0, 1]
    assert counts.tried[:, 1].tolist() == [1, 1, 1, 1, 1]
    assert counts.undecided[:, 1].tolist() == [1, 0, 0, 0, 1]
    assert not counts.tried[:, 2].any()


def test_without_open_deals_the_steps_multiply_to_won_of_closed() -> None:
    rng = np.random.default_rng(7)
    deals = tuple((0, tuple(range(int(rng.integers(1, 5)))), int(rng.choice([WON, LOST]))) for _ in range(40))
    counts = stage_counts(panel_of(deals), np.ones(40, dtype=bool))
    rate = counts.passed[:, 0] / counts.tried[:, 0]
    assert np.prod(rate[:-1]) == pytest.approx(rate[-1])


def test_without_history_only_closed_deals_count() -> None:
    panel = panel_of()
    none = np.zeros(0, dtype=np.int64)
    bare = replace(panel, stage_moves=StageMoves(none, none, np.zeros(0, dtype="datetime64[D]")))
    counts = stage_counts(bare, np.ones(len(DEALS), dtype=bool))
    assert counts.source == CLOSED_ONLY
    assert counts.steps == ("closed > won",)
    assert counts.tried[0].tolist() == [4, 1, 0]
    assert counts.passed[0].tolist() == [1, 1, 0]


def test_one_row_a_deal_is_no_history() -> None:
    panel = panel_of(tuple((rep, (2,), outcome) for rep, _, outcome in DEALS))
    assert (furthest_stage(panel) == NONE).all()


def test_deals_are_chosen_by_the_day_of_creation() -> None:
    panel = make_panel(deals=50)
    days = np.sort(panel.deals.created)
    asked = ConversionSettings.model_validate({"since": str(days[10]), "until": str(days[30])})
    chosen = created_between(panel, asked)
    assert chosen.sum() == ((panel.deals.created >= days[10]) & (panel.deals.created <= days[30])).sum()
    assert 0 < chosen.sum() < 50


def test_one_rep_alone_has_the_exact_posterior_mean() -> None:
    """One rep, no population to speak of: the mean of the rate is that of the mixture over the grid, integrated."""
    tried, passed = np.array([20]), np.array([5])
    mean, strength, weight = population_grid(tried, passed)
    exact = float((weight * (mean * strength + 5) / (strength + 20)).sum())
    rate = pooled_rates(tried, passed, 200_000, np.random.default_rng(1)).rate
    assert rate.mean() == pytest.approx(exact, abs=5 * rate.std() / np.sqrt(200_000))


def test_the_grid_is_the_beta_binomials_marginal_likelihood() -> None:
    tried, passed = np.array([10, 4]), np.array([3, 4])
    mean, strength, weight = population_grid(tried, passed)
    a, b = mean * strength, (1 - mean) * strength
    likelihood = np.exp(sum(betaln(a + y, b + n - y) - betaln(a, b) for n, y in zip(tried, passed, strict=True)))
    assert weight == pytest.approx(likelihood / likelihood.sum())


def test_few_deals_are_shrunk_further_than_many() -> None:
    """Nobody of 3 and nobody of 60 among reps who convert a third: the first keeps most of the company's rate."""
    tried = np.array([60] * 20 + [3, 60])
    passed = np.array([20, 18, 22, 19, 21, 16, 24, 20, 17, 23] * 2 + [0, 0])
    rate = pooled_rates(tried, passed, 4_000, np.random.default_rng(2)).rate.mean(axis=0)
    assert rate[20] > 0.2
    assert rate[21] < 0.12


def test_reps_who_are_all_the_same_are_pulled_together() -> None:
    rng = np.random.default_rng(3)
    tried = np.full(40, 50)
    same = rng.binomial(tried, 0.3)
    different = rng.binomial(tried, rng.beta(3, 7, 40))
    spread = [pooled_rates(tried, passed, 4_000, rng).spread.mean() for passed in (same, different)]
    raw = [(passed / 50).std() for passed in (same, different)]
    assert spread[0] < 0.6 * raw[0]
    assert spread[1] == pytest.approx(np.sqrt(0.21 / 11), rel=0.3)


def test_the_chance_of_being_below_the_rest_of_the_team_by_hand() -> None:
    """Two draws, three reps of one team with 10, 10 and 30 deals, and one of another team alone."""
    rate = np.array([[0.2, 0.4, 0.6, 0.1], [0.5, 0.4, 0.2, 0.9]])
    below, others = chance_below_team(rate, np.array([10, 10, 30, 5]), np.array([0, 0, 0, 1]))
    assert below[:3].tolist() == [0.5, 0.5, 0.5]
    assert others[0] == pytest.approx(((0.4 * 10 + 0.6 * 30) / 40 + (0.4 * 10 + 0.2 * 30) / 40) / 2)
    assert np.isnan(below[3])


def test_a_rep_without_a_team_is_compared_with_all() -> None:
    rate = np.tile([0.1, 0.5, 0.5, 0.5], (10, 1))
    below, others = _against_team(rate, np.array([1, 1, 1, 0]), np.array([NONE, 0, 0, 0]))
    assert below[0] == 1.0
    assert others[0] == pytest.approx(0.5)
    assert others[1] == pytest.approx(0.5)  # the team's other member, not the lone rep's 0.1
    assert np.isnan(below[3])


def test_claims_are_the_mean_error_of_all_that_are_as_sure() -> None:
    found = claims(np.array([0.99, 0.5, np.nan, 0.95]))
    assert found[[0, 3, 1]] == pytest.approx([0.01, 0.03, (0.01 + 0.05 + 0.5) / 3])
    assert np.isnan(found[2])


def _simulated(seed: int, spread: bool) -> tuple[np.ndarray, Ints, Ints]:
    """True rates, tried and passed of 60 reps."""
    rng = np.random.default_rng([seed, 4])
    true = rng.beta(9, 21, 60) if spread else np.full(60, 0.3)
    tried = rng.integers(5, 120, 60)
    return true, tried, rng.binomial(tried, true)


def test_claims_hold_their_rate_where_reps_differ_and_vanish_where_they_do_not() -> None:
    """Of all claims at 10 %, over five companies, at most 10 % plus 3 standard errors are wrong.

    A claim is wrong when the rep is truly not below the rest. Where all are the same, every claim is wrong, so there
    may be next to none: at most 3 in 300.
    """
    wrong = made = none = 0
    for seed in range(5):
        for spread in (True, False):
            true, tried, passed = _simulated(seed, spread)
            rate = pooled_rates(tried, passed, 1_000, np.random.default_rng(seed)).rate
            below, _ = chance_below_team(rate, tried, np.zeros(60, dtype=np.int64))
            called = claims(below) <= 0.1
            if spread:
                truly = true < ((true * tried).sum() - true * tried) / (tried.sum() - tried)
                wrong, made = wrong + int((called & ~truly).sum()), made + int(called.sum())
            else:
                none += int(called.sum())
    assert made > 50
    assert wrong / made <= 0.1 + 3 * np.sqrt(0.09 / made)
    assert none <= 3


def test_tables_have_active_reps_with_deals_and_the_models_step_with_the_counts_of_closed_deals() -> None:
    panel = panel_of()
    panel = replace(panel, reps=replace(panel.reps, active=np.array([True, False, True])))
    counts = stage_counts(panel, np.ones(len(DEALS), dtype=bool))
    steps = [*counts.steps, LIKE_FOR_LIKE]
    rng = np.random.default_rng(5)
    rates = [rng.uniform(size=(100, 3)) for _ in steps]
    table = conversion_table(panel, counts, (steps, rates), np.array([NONE, NONE, NONE]), 0.05)
    assert set(table["rep"]) == {"rep00000"}
    assert table["step"].tolist() == steps
    assert table["tried"].tolist() == [5, 3, 2, 1, 4, 4]
    assert (table["team"] == "company").all()
    assert table["raw_rate"].to_numpy() == pytest.approx([0.8, 2 / 3, 0.5, 1.0, 0.25, 0.25])
    totals = steps_table(counts, (steps, rates))
    assert totals["tried"].tolist() == [6, 4, 3, 2, 5, 5]
    assert totals["rate"].tolist() == pytest.approx([5 / 6, 3 / 4, 2 / 3, 1.0, 0.4, 0.4])


def test_small_teams_are_compared_with_the_company() -> None:
    panel = make_panel(deals=10, reps=8)
    panel = replace(panel, reps=replace(panel.reps, manager=np.array([0, 0, 0, 1, 1, NONE, 1, 2])))
    team, standing_in = teams(panel, np.array([1, 1, 1, 1, 1, 1, 0, 1]))
    assert team.tolist() == [0, 0, 0, NONE, NONE, NONE, NONE, NONE]
    assert standing_in == 4
