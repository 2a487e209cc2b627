"""The win-probability model on simulated opportunities whose truth is known, and the study of won and lost ones."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import log_loss

from engine.errors import InputRefusedError
from experiments.win_loss import IBM, main
from experiments.win_loss_data import Opportunities, Question, read
from experiments.win_loss_models import INNER_FOLDS, Part, _boosted, rows, stacked
from experiments.win_loss_study import assigned, calibration_error, largest_gap, study
from models.crossed_logit import FactorCells, climb, extended, sample, start
from models.win_factors import search
from models.win_probability import fit_win_probability, win_chances
from models.win_settings import WinSettings
from models.win_table import UNKNOWN, WinTable, coded, learn_coding, summed
from tests.conftest import ROOT

SHAPE = (6, 5, 4)
"""Levels of three simulated covariates."""


def simulated(rows: int, pair_scale: float, seed: int, main_scale: float = 0.5) -> tuple[WinTable, np.ndarray]:
    """Opportunities with main effects and one interaction, of the first two covariates; and their true chances."""
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, levels, rows) for levels in SHAPE], axis=1)
    line = -0.7 + sum(rng.normal(0, main_scale, levels)[codes[:, c]] for c, levels in enumerate(SHAPE))
    chance = expit(line + rng.normal(0, pair_scale, SHAPE[:2])[codes[:, 0], codes[:, 1]])
    won = rng.binomial(1, chance).astype(float)
    return WinTable(("a", "b", "c"), codes, np.array(SHAPE), np.zeros(3, bool), np.ones(rows), won), chance


def grid(table: WinTable) -> WinTable:
    """Every combination once."""
    codes = np.stack([axis.ravel() for axis in np.meshgrid(*map(np.arange, SHAPE), indexing="ij")], axis=1)
    return replace(table, codes=codes, count=np.ones(len(codes)), success=np.zeros(len(codes)))


# --- the model


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_known_interaction_is_found_and_recovered(seed: int) -> None:
    table, chance = simulated(20_000, 0.6, seed)
    model = fit_win_probability(table, WinSettings(), seed)
    assert "a x b" in model.labels()
    assert model.draws.scale[model.labels().index("a x b")] == pytest.approx(0.6, abs=0.25)
    draws = logit(win_chances(model, table, seed))
    error = draws.mean(axis=1) - logit(chance)
    assert np.sqrt(np.mean(error**2)) < 0.12
    inside = np.abs(error) < 1.645 * draws.std(axis=1)
    assert 0.80 < inside.mean() < 0.97


def test_a_model_without_the_interaction_fails_the_recovery() -> None:
    """The test above can fail: main effects alone are five times as far off."""
    table, chance = simulated(20_000, 0.6, 1)
    poor = win_chances(fit_win_probability(table, WinSettings(order=1), 1), table, 1).mean(axis=1)
    assert np.sqrt(np.mean((logit(poor) - logit(chance)) ** 2)) > 0.4


def test_an_interaction_of_three_is_found() -> None:
    rng = np.random.default_rng(4)
    codes = np.stack([rng.integers(0, levels, 40_000) for levels in SHAPE], axis=1)
    pair, triple = rng.normal(0, 0.4, SHAPE[:2]), rng.normal(0, 0.5, SHAPE)
    line = pair[codes[:, 0], codes[:, 1]] + rng.normal(0, 0.4, SHAPE[1:])[codes[:, 1], codes[:, 2]]
    won = rng.binomial(1, expit(line + triple[tuple(codes.T)])).astype(float)
    table = WinTable(("a", "b", "c"), codes, np.array(SHAPE), np.zeros(3, bool), np.ones(len(codes)), won)
    assert "a x b x c" in fit_win_probability(table, WinSettings(), 1).labels()


@pytest.mark.parametrize("seed", range(4))
def test_without_effects_everything_shrinks_to_the_base_rate(seed: int) -> None:
    """Raw shares of the 120 combinations of 42 rows spread by 0.3 logits or more."""
    table, _ = simulated(5_000, 0.0, seed, main_scale=0.0)
    chance = win_chances(fit_win_probability(table, WinSettings(), seed), grid(table), seed).mean(axis=1)
    assert np.std(logit(chance)) < 0.06


def test_chances_are_coherent_for_seen_unseen_and_unknown_levels() -> None:
    table, _ = simulated(3_000, 0.6, 5)
    model = fit_win_probability(table, WinSettings(), 1)
    odd = replace(grid(table), codes=np.where(grid(table).codes == 0, UNKNOWN, grid(table).codes))
    known, unknown = win_chances(model, grid(table), 2), win_chances(model, odd, 2)
    for chance in (known, unknown):
        assert np.isfinite(chance).all()
        assert ((chance > 0) & (chance < 1)).all()
    changed = (grid(table).codes == 0).any(axis=1)
    np.testing.assert_array_equal(known[~changed], unknown[~changed])
    assert logit(unknown[changed]).std(axis=1).mean() > 2 * logit(known[changed]).std(axis=1).mean()


def test_summed_rows_give_the_same_fit() -> None:
    table, _ = simulated(4_000, 0.5, 6)
    whole, short = (fit_win_probability(t, WinSettings(), 1).draws.effects[0] for t in (table, summed(table)))
    np.testing.assert_array_equal(whole, short)


def test_an_ordered_covariate_follows_a_curve_better_than_its_raw_bins() -> None:
    rng = np.random.default_rng(7)
    amount = rng.lognormal(10, 1, 8_000)
    chance = expit(-0.5 - 1.2 * np.tanh(np.log(amount) - 10))
    won = rng.binomial(1, chance).astype(float)
    coding = learn_coding({"amount": amount})
    table = coded({"amount": amount}, coding, won)
    fitted = win_chances(fit_win_probability(table, WinSettings(), 1), table, 1).mean(axis=1)
    code = table.codes[:, 0]
    raw = ((np.bincount(code, won) + 0.5) / (np.bincount(code) + 1))[code]
    assert np.mean((fitted - chance) ** 2) < 0.25 * np.mean((raw - chance) ** 2)


def test_a_covariate_nested_in_another_makes_no_interaction() -> None:
    table, _ = simulated(5_000, 0.5, 8)
    nested = np.stack([table.codes[:, 0], table.codes[:, 0] // 2, table.codes[:, 1]], axis=1)
    found = search(summed(replace(table, codes=nested, levels=np.array([6, 3, 5]))), WinSettings(least_gain=0))
    assert (0, 1) not in [factor.views for factor in found.factors]


def test_one_outcome_only_is_refused() -> None:
    table, _ = simulated(100, 0.5, 1)
    with pytest.raises(ValueError, match="both outcomes"):
        fit_win_probability(replace(table, success=np.zeros(100)), WinSettings(), 1)


def test_other_covariates_are_refused() -> None:
    table, _ = simulated(500, 0.5, 1)
    model = fit_win_probability(table, WinSettings(), 1)
    with pytest.raises(ValueError, match="the model knows"):
        win_chances(model, replace(table, names=("b", "a", "c")), 1)


@pytest.mark.slow
def test_the_approximate_tier_agrees_with_nuts() -> None:
    """Same density; chances of all 120 combinations, of which many have a few rows only, and the scales."""
    import pymc as pm

    table, _ = simulated(1_500, 0.6, 9)
    table = summed(table)
    a, b, c = table.codes.T
    index = (a, b, c, a * SHAPE[1] + b)
    size = np.array([*SHAPE, SHAPE[0] * SHAPE[1]])
    cells = FactorCells(index, size, table.count, table.success)
    mode = climb(cells, extended(start(cells.count, cells.success), size, np.full(4, 0.04)), 20, 1.0)
    fast = sample(cells, mode, (200, 800), 1.0, np.random.default_rng(1))
    ours = fast.base + sum(effects[level] for effects, level in zip(fast.effects, index, strict=True))
    with pm.Model() as model:
        scale = pm.HalfNormal("scale", 1.0, shape=4)
        line = pm.Flat("base")
        for f, level in enumerate(index):
            line = line + (scale[f] * pm.Normal(f"z{f}", shape=int(size[f])))[level]
        pm.Deterministic("line", line)
        pm.Binomial("won", n=table.count.astype(int), logit_p=line, observed=table.success.astype(int))
    with model:
        kept = pm.sample(1000, tune=1000, chains=2, cores=1, random_seed=1, nuts_sampler="nutpie", progressbar=False)
    truth = np.asarray(kept.posterior["line"]).reshape(-1, len(table.count)).T
    spread = truth.std(axis=1)
    assert np.abs((ours.mean(axis=1) - truth.mean(axis=1)) / spread).max() < 0.5
    assert np.median(ours.std(axis=1) / spread) == pytest.approx(1.0, abs=0.15)
    assert np.abs(expit(ours).mean(axis=1) - expit(truth).mean(axis=1)).max() < 0.03
    low, high = np.quantile(np.asarray(kept.posterior["scale"]).reshape(-1, 4), [0.025, 0.975], axis=0)
    assert ((low < fast.scale) & (fast.scale < high)).all()


# --- columns and codes


@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), min_size=1, max_size=60))
def test_codes_of_numbers_keep_their_order(values: list[float]) -> None:
    column = np.array(values)
    table = coded({"x": column}, learn_coding({"x": column}), np.zeros(len(values)))
    code, known = table.codes[:, 0], np.isfinite(column)
    rank = np.argsort(column[known], kind="stable")
    assert (np.diff(code[known][rank]) >= 0).all()
    assert (code[~known] == table.levels[0] - 1).all()
    assert (code[known] < table.levels[0] - 1).all()


def test_a_heap_has_a_level_for_itself() -> None:
    rng = np.random.default_rng(1)
    column = np.concatenate([rng.uniform(0, 1000, 5_000), np.full(10, 500.0)])
    code = coded({"x": column}, learn_coding({"x": column}), np.zeros(len(column))).codes[:, 0]
    assert len(np.unique(code[column == 500.0])) == 1
    assert not np.isin(code[column != 500.0], code[-1]).any()


def test_a_category_that_was_not_seen_is_unknown() -> None:
    coding = learn_coding({"x": np.array(["a", "c"])})
    codes = coded({"x": np.array(["c", "b", "z", "a"])}, coding, np.zeros(4)).codes[:, 0]
    assert codes.tolist() == [1, UNKNOWN, UNKNOWN, 0]


# --- the study


def opportunities(rows: int, seed: int) -> Opportunities:
    table, _ = simulated(rows, 0.6, seed)
    columns = {name: table.codes[:, c].astype(str) for c, name in enumerate(table.names)}
    return Opportunities(columns, table.success, np.arange(rows) // 2, table.codes[:, 0])


def test_folds_keep_blocks_together_and_are_stratified() -> None:
    data = opportunities(2_000, 1)
    fold = assigned(data, 5, 1)
    assert (fold[::2] == fold[1::2]).all()
    shares = [data.won[::2][fold[::2] == number].mean() for number in range(5)]
    assert np.ptp(shares) < 0.01
    assert (fold != assigned(data, 5, 2)).any()


def test_calibration_error_and_gap_by_hand() -> None:
    chance, won = np.repeat([0.2, 0.6], 500), np.repeat([0.0, 1.0, 0.0], [300, 400, 300])
    assert calibration_error(won, chance) == pytest.approx(0.5 * abs(0.2 - 0.4) + 0.5 * abs(0.6 - 0.4))
    data = Opportunities({}, won, np.arange(1000), np.repeat([0, 1, 2], [500, 400, 100]))
    count, gap = largest_gap(data, chance, 200)
    assert count == 2
    assert gap == pytest.approx(200 / 500 - 0.2)


def test_the_boosted_score_of_a_training_row_did_not_see_its_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[set[str], set[str]]] = []

    def spy(train: dict, won: np.ndarray, test: dict, how: tuple[int, int, int]) -> np.ndarray:
        seen.append((set(train["id"]), set(test["id"])))
        return _boosted(rows_of(train), won, rows_of(test), how)

    def rows_of(columns: dict) -> dict:
        return {name: column for name, column in columns.items() if name != "id"}

    data = opportunities(600, 2)
    columns = {**data.columns, "id": np.array([f"r{i % 300}-{i}" for i in range(600)])}
    part = Part(rows(columns, np.arange(500)), data.won[:500], rows(columns, np.arange(500, 600)), (8, 5), 1)
    monkeypatch.setattr("experiments.win_loss_models._boosted", spy)
    stacked(part)
    assert len(seen) == INNER_FOLDS + 1
    assert all(not fitted & scored for fitted, scored in seen)
    assert set().union(*(scored for _, scored in seen)) == set(columns["id"])


@pytest.mark.slow
def test_the_study_of_simulated_opportunities_ranks_the_models() -> None:
    lines = {line.model: line for line in study(opportunities(3_000, 3), (), 2, 1)}
    ours = lines["engine hierarchical"]
    assert ours.log_loss < lines["logit, main effects"].log_loss < lines["base rate"].log_loss
    assert ours.ratio_to_boosting < 1.03
    assert ours.cells == 6


def test_a_file_is_read_with_its_columns_and_refused_with_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "deals.csv"
    frame = pd.DataFrame(
        {
            "deal": [f"d{i}" for i in range(40)],
            "size": ["1.5", "", "3", "4"] * 10,
            "kind": ["None", "NA", "x", "y"] * 10,
            "days": range(40),
            "result": ["yes", "no"] * 20,
        }
    )
    frame.to_csv(path, index=False)
    data = read(tmp_path, Question("result", "yes", {"days": "known at close"}, identifier="deal", cells=("kind",)))
    assert list(data.columns) == ["size", "kind"]
    assert np.isnan(data.columns["size"][1])
    assert set(data.columns["kind"]) == {"None", "NA", "x", "y"}
    assert data.won.tolist() == [1.0, 0.0] * 20
    with pytest.raises(InputRefusedError) as refused:
        read(path, Question("result", "Won", {"weeks": "known at close"}))
    assert len(refused.value.problems) == 2
    with pytest.raises(InputRefusedError, match="no column left"):
        read(path, Question("result", "yes", dict.fromkeys(["deal", "size", "kind", "days"], "why")))
    with pytest.raises(InputRefusedError, match="words that hardly repeat"):
        read(path, Question("result", "yes"))


def test_the_command_answers_for_any_file(tmp_path: Path) -> None:
    data = opportunities(600, 4)
    frame = pd.DataFrame(data.columns).assign(
        result=np.where(data.won == 1, "yes", "no"), days=range(600), deal=range(600)
    )
    frame.to_csv(tmp_path / "deals.csv", index=False)
    asked = ["--outcome", "result", "--won", "yes", "--bar", "days=known at close", "--folds", "2", "--json"]
    asked += ["--id", "deal", "--cells", "a", "--least-rows", "50"]
    command = [sys.executable, "-m", "experiments.win_loss", str(tmp_path), *asked]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    head, *lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert head["used"] == ["a", "b", "c"]
    assert head["barred"].keys() == {"days", "deal"}
    assert len(lines) == 5
    assert sum(line["model"].startswith("engine") for line in lines) == 2


def test_too_many_folds_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.DataFrame({"kind": ["x", "y"] * 30, "result": ["yes", "no", "no"] * 20})
    frame.to_csv(tmp_path / "deals.csv", index=False)
    command = ["win_loss", str(tmp_path), "--outcome", "result", "--won", "yes", "--folds", "3"]
    monkeypatch.setattr(sys, "argv", command)
    assert main() == 2
    assert "allowed: 2 to 2 (the rarer outcome has 20 rows)" in capsys.readouterr().err


@pytest.mark.slow
def test_permuted_outcomes_of_ibm_show_nothing(sales_data: Callable[[str], Path]) -> None:
    data = read(sales_data("ibm_win_loss"), IBM)
    won = np.random.default_rng(1).permutation(data.won)
    table = coded(data.columns, learn_coding(data.columns), won)
    chance = win_chances(fit_win_probability(table, WinSettings(), 1), table, 1).mean(axis=1)
    assert np.std(logit(chance)) < 0.05


@pytest.mark.slow
def test_ibm_win_loss_meets_its_goals(sales_data: Callable[[str], Path]) -> None:
    data = read(sales_data("ibm_win_loss"), IBM)
    assert not set(data.columns) & set(IBM.barred)
    lines = study(data, IBM.suspect, 5, 1)
    ours = [line for line in lines if line.model == "engine hierarchical"]
    both = [line for line in lines if line.model == "engine hierarchical + boosted score"]
    assert len(ours) == len(both) == 2
    for line in ours:
        assert line.ratio_to_boosting <= 1.03, line
        assert line.calibration_error <= 0.01, line
        assert line.cells == 63
        assert line.largest_gap <= 0.05, line
    for line in both:
        assert line.ratio_to_boosting <= 1.01, line
    boosting = [line.log_loss for line in lines if line.model == "gradient boosting"]
    assert boosting == pytest.approx([0.396, 0.443], rel=0.01)  # the peer is as strong as the one of the reference
    assert log_loss(data.won, np.full(len(data.won), data.won.mean())) > 1.3 * ours[0].log_loss
