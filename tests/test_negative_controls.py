"""No skill where there is none: the flag, the shuffles, the judgement, and small companies without differences."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments import book_swap, negative_controls
from experiments.negative_controls import Control, dealt_out, judge, shuffled, table_of, winning
from models.flags import flags, from_team
from models.panel import NONE, OPEN, Floats, Panel
from models.settings import SamplerSettings
from tests.panels import company, truth


def control(means: Floats, sd: float, name: str = "c") -> Control:
    """Normal draws around some means."""
    rng = np.random.default_rng(1)
    return Control(name, "winning", "rep", means + sd * rng.standard_normal((4000, len(means))))


def test_a_flag_needs_size_and_certainty() -> None:
    draws = np.random.default_rng(0).standard_normal((20_000, 5)) * np.array([0.05, 0.05, 0.05, 0.5, 0.01])
    draws += np.array([0.2, -0.2, 0.0, 0.2, 0.09])
    # Sure and large above, below; nothing; large but unsure; sure but small.
    assert flags(draws).tolist() == [1, -1, 0, 0, 0]


def test_effects_are_differences_from_the_members_seen() -> None:
    draws = np.array([[1.0, 3.0, 100.0]])
    assert from_team(draws, np.array([True, True, False])).tolist() == [[-1.0, 1.0]]


def test_shrunk_effects_pass_and_raw_rates_do_not() -> None:
    rng = np.random.default_rng(3)
    raw = rng.normal(0, 0.15, 30)
    assert judge([control(0.1 * raw, 0.06)])["pass"] == "yes"
    broken = judge([control(raw, 0.02)])
    assert broken["pass"] == "NO"
    assert int(str(broken["flagged"])) > 0


def test_one_flag_in_one_permutation_fails_the_control() -> None:
    calm, odd = control(np.zeros(20), 0.05), control(np.append(np.zeros(19), 0.2), 0.05)
    assert judge([calm, calm])["pass"] == "yes"
    assert judge([calm, odd])["pass"] == "NO"


def test_effects_left_out_of_the_model_prove_nothing() -> None:
    assert judge([control(np.zeros(5), 0.0)])["pass"] == "not in the model"


def test_permutations_of_a_control_are_one_row() -> None:
    table = table_of([control(np.zeros(4), 0.05, name) for name in ("a", "a", "b")])
    assert table[["control", "permutations"]].to_numpy().tolist() == [["a", 2], ["b", 1]]


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Twenty reps who differ by far more than any limit."""
    return company(truth(1, win_rep=1.0), 3000, 1)


def test_shuffling_keeps_all_but_who(panel: Panel) -> None:
    other = shuffled(panel, np.random.default_rng(1))
    assert np.bincount(other.deals.rep).tolist() == np.bincount(panel.deals.rep).tolist()
    assert (other.deals.rep != panel.deals.rep).mean() > 0.9
    assert (other.deals.product != panel.deals.product).any()
    np.testing.assert_array_equal(other.deals.outcome, panel.deals.outcome)
    closed = panel.deals.outcome != OPEN

    def spread(each: Panel) -> float:
        count = np.bincount(each.deals.rep[closed])
        return float(np.std(np.bincount(each.deals.rep[closed], each.deals.outcome[closed] == 1) / count))

    assert spread(other) < 0.5 * spread(panel)


def test_deals_are_dealt_out_to_those_who_were_there(panel: Panel) -> None:
    start, end = panel.reps.start.copy(), panel.reps.end.copy()
    start[0], end[1] = np.datetime64("2025-01-01"), np.datetime64("2024-12-31")
    fte = np.ones(len(start))
    fte[2] = 0.5
    panel = replace(panel, reps=replace(panel.reps, start=start, end=end, fte=fte))
    other = dealt_out(panel, 4.0, np.random.default_rng(1))
    created, rep = other.deals.created, other.deals.rep
    assert (created[rep == 0] >= start[0]).all()
    assert (created[rep == 1] <= end[1]).all()
    count = np.bincount(rep)
    assert count[2] == pytest.approx(count[3:].mean() / 2, rel=0.25)
    assert (rep != NONE).all()


@pytest.mark.slow
def test_a_permuted_company_has_nobody_to_flag_and_the_true_one_has(panel: Panel) -> None:
    config = negative_controls.demo_config(1)
    small = SamplerSettings(chains=2, tune=300, draws=300)
    config = config.model_copy(update={"models": config.models.model_copy(update={"sampler": small})})
    for seed in (1, 2):
        other = shuffled(panel, np.random.default_rng(seed))
        assert all(not flags(found.draws).any() for found in winning("permuted", other, config))
    reps = next(found for found in winning("true", panel, config) if found.group == "rep")
    assert np.count_nonzero(flags(reps.draws)) > 5
    assert judge([reps])["pass"] == "NO"


@pytest.mark.slow
@pytest.mark.parametrize("as_of", ["2017-09-30", "2017-12-31"])
def test_maven_has_no_skill(sales_data: Callable[[str], Path], as_of: str, capsys: pytest.CaptureFixture[str]) -> None:
    root = sales_data("maven_crm")
    arguments = ["configs/maven.yaml", "--set", f"data.root={root}", "--as-of", as_of, "--demo", "0"]
    assert negative_controls.main(arguments) == 0, capsys.readouterr().out


@pytest.mark.slow
def test_books_that_were_swapped_do_not_make_their_reps(
    sales_data: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = sales_data("adventureworks")
    dates = ["as_of=2019-09-30", "horizon.start=2019-10-01"]
    settings = [part for text in (f"data.root={root}", *dates) for part in ("--set", text)]
    assert book_swap.main(["configs/adventureworks.yaml", "--reps", "281", "283", *settings]) == 0
    told = capsys.readouterr().out
    assert "281 to 283: 47 accounts" in told
    assert "283 to 281: 45 accounts" in told


def test_an_unknown_rep_is_refused(sales_data: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    root = sales_data("adventureworks")
    arguments = ["configs/adventureworks.yaml", "--reps", "281", "none", "--set", f"data.root={root}"]
    assert book_swap.main(arguments) == 2
    assert "got none" in capsys.readouterr().err
