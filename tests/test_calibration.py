"""Simulation-based calibration: the test has its size and its power, fits are kept, and every sub-model passes."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from experiments import sbc_run
from experiments.growing_data import grow, summary
from experiments.sbc_ranks import band, holm, null_of, rank, uniformity
from experiments.sbc_run import HOMES, Fitted, calibrate, fit_once, judge, ranks_of, study
from experiments.sbc_study import Params, recorded
from models.panel import Ints

FITS, DRAWS = 300, 100


def normal_ranks(wider: float, shift: float, seed: int) -> Ints:
    """Ranks of normal means with a normal prior among draws whose SD is off by a factor and whose mean by some SDs."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=FITS)
    seen = truth + rng.normal(size=FITS)
    draws = seen[:, None] / 2 + np.sqrt(0.5) * (shift + wider * rng.normal(size=(FITS, DRAWS)))
    return np.array([rank(t, d) for t, d in zip(truth, draws, strict=True)])


def test_an_exact_posterior_passes_and_a_wrong_one_is_rejected() -> None:
    null = null_of(FITS, DRAWS, 1)
    assert uniformity(normal_ranks(1.0, 0.0, 1), null)[1] > 0.05
    for wider, shift in ((0.75, 0.0), (1.35, 0.0), (1.0, 0.3)):
        assert uniformity(normal_ranks(wider, shift, 1), null)[1] < 0.001, (wider, shift)


def test_the_test_has_the_size_it_states() -> None:
    null = null_of(50, 20, 1)
    ranks = np.random.default_rng(2).integers(0, 21, size=(2000, 50))
    p = np.array([uniformity(row, null)[1] for row in ranks])
    for level in (0.01, 0.05, 0.2):
        assert abs((p <= level).mean() - level) < 4 * np.sqrt(level / 2000)


def test_the_band_and_the_test_say_the_same() -> None:
    null, level = null_of(50, 20, 1), 0.05
    low, high = band(null, level)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        ranks = rng.binomial(20, rng.beta(1.5, 1.0, 50))
        below = np.cumsum(np.bincount(ranks, minlength=21))[:-1]
        outside = bool(((below < low) | (below > high)).any())
        assert outside == (uniformity(ranks, null)[1] <= level), seed


def test_ranks_of_another_design_are_refused() -> None:
    null = null_of(10, 20, 1, simulations=100)
    with pytest.raises(ValueError, match="10 ranks"):
        uniformity(np.zeros(9, dtype=np.int64), null)
    with pytest.raises(ValueError, match="0 to 20"):
        uniformity(np.full(10, 21), null)


def test_holm_is_the_textbook_example() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1.0, 1.0])


def test_the_table_names_what_is_wrong() -> None:
    ranks = {"model": {"right": normal_ranks(1.0, 0.0, 1), "narrow": normal_ranks(0.7, 0.0, 2)}}
    table = judge(ranks).set_index("quantity")
    assert table.loc["right", "verdict"] == "uniform"
    assert table.loc["narrow", "verdict"] == "REJECTED"


def test_finished_fits_are_kept_and_a_cut_off_one_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []

    def fit(_: str, index: int, tier: str) -> Fitted:
        assert tier == "nuts"
        ran.append(index)
        return Fitted(index, {"a": index}, 0)

    monkeypatch.setattr(sbc_run, "fit_once", fit)
    calibrate("amounts", 3, "nuts", tmp_path, 1)
    (path,) = tmp_path.iterdir()
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:2], lines[2][:9]]) + "\n", encoding="utf-8")
    found = calibrate("amounts", 5, "nuts", tmp_path, 1)
    assert ran == [0, 1, 2, 2, 3, 4]
    assert ranks_of(found)["a"].tolist() == [0, 1, 2, 3, 4]
    assert calibrate("amounts", 4, "nuts", tmp_path, 1) == found[:4]


def test_other_code_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sbc_run, "fit_once", lambda _, index, __: Fitted(index, {"a": index}, 0))
    calibrate("amounts", 1, "nuts", tmp_path, 1)
    monkeypatch.setitem(HOMES, "amounts", HOMES["first_orders"])
    calibrate("amounts", 1, "nuts", tmp_path, 1)
    assert len(list(tmp_path.iterdir())) == 2


class Shared:
    """What `pm.Data` gives: a value that can be set."""

    def __init__(self, value: float) -> None:
        self.value = value

    def set_value(self, value: float) -> None:
        self.value = value


def test_prior_centres_are_set_before_sampling_and_the_module_is_left_as_it_was() -> None:
    seen: list[float] = []

    def production(model: dict[str, Shared], *_: object) -> str:
        seen.append(float(model["centre"].value))
        return "trace"

    module = ModuleType("fits")
    vars(module)["sample"] = production
    with recorded(module, {"centre": 3.0}) as traces:
        assert module.sample({"centre": Shared(1.0)}, None, 1) == "trace"
    assert (seen, traces, module.sample) == ([3.0], ["trace"], production)
    with pytest.raises(KeyError), recorded(module, {"no such": 3.0}):
        module.sample({"centre": Shared(1.0)}, None, 1)
    assert module.sample is production


def test_a_summary_of_growing_data_counts_and_compares() -> None:
    rows = pd.DataFrame(
        {
            "company": [0, 0, 1, 1],
            "size": [1, 4, 1, 4],
            "quantity": "a",
            "truth": [0.0, 0.0, 0.0, 9.0],
            "low": [-1.0, -0.5, -2.0, -1.0],
            "high": [1.0, 0.5, 2.0, 1.0],
        }
    )
    table = summary(rows).set_index("size")
    assert table.loc[4, "ratio"] == pytest.approx(0.5)
    assert table.loc[4, "ideal"] == pytest.approx(0.5)
    assert table["coverage"].tolist() == [1.0, 0.5]


@pytest.mark.slow
def test_every_sub_model_is_calibrated(tmp_path: Path) -> None:
    """200 fits each; the chance that any is rejected when all are right is 1 %."""
    fitted = {name: calibrate(name, 200, "nuts", tmp_path, 2) for name in HOMES}
    table = judge({name: ranks_of(items) for name, items in fitted.items()})
    assert len(table) > 50
    assert (table["verdict"] == "uniform").all(), table[table["verdict"] != "uniform"].to_string()


@pytest.mark.slow
def test_data_of_another_likelihood_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts four times as dispersed as the model is told: the fits must not be called calibrated."""
    right = study("first_orders")

    def spread(params: Params, rng: np.random.Generator) -> object:
        return right.simulate(params | {"dispersion": params["dispersion"] / 4}, rng)

    monkeypatch.setattr(sbc_run, "study", lambda _: replace(right, simulate=spread))
    table = judge({"first_orders": ranks_of([fit_once("first_orders", i, "nuts") for i in range(80)])})
    assert "dispersion" in set(table.loc[table["verdict"] == "REJECTED", "quantity"])


@pytest.mark.slow
def test_intervals_narrow_with_data_where_deals_decide_and_only_there() -> None:
    rows = pd.concat([grow(company, (1, 4), 400, 1) for company in range(8)])
    ratio = summary(rows).set_index(["quantity", "size"])["ratio"]
    assert 0.4 < ratio["close, product 0 against 1", 4] < 0.65
    assert ratio["win rep SD", 4] > 0.55
    covered = (rows["low"] <= rows["truth"]) & (rows["truth"] <= rows["high"])
    assert covered.mean() > 0.8
