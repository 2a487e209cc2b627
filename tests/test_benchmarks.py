import json
import os
import sys
from pathlib import Path

import numpy as np
import pytensor
import pytest

from benchmarks import sampling
from benchmarks.end_to_end import main, measure
from benchmarks.reference_panel import reference_panel
from models.close_hazard import prepare
from models.deal_weeks import deal_weeks
from models.settings import ModelSettings

CHILD = "import time; held = bytearray(b'x' * 150 * 2**20); time.sleep(1)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD!r}], check=True)"


def test_memory_of_a_grandchild_is_seen(tmp_path: Path) -> None:
    usage = measure([sys.executable, "-c", PARENT], os.environ, tmp_path / "log")
    assert usage.returncode == 0
    assert 150 < usage.peak_mb < 400
    assert 1 < usage.wall_seconds < 30


def test_a_failing_command_keeps_what_it_said(tmp_path: Path) -> None:
    usage = measure([sys.executable, "-c", "raise SystemExit('no such config')"], os.environ, tmp_path / "log")
    assert usage.returncode == 1
    assert "no such config" in (tmp_path / "log").read_text()


@pytest.mark.slow
def test_both_cases_are_measured_on_the_smoke_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs/smoke.yaml", "--json"]) == 0
    cold, warm = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (cold["case"], warm["case"]) == ("cold", "warm")
    assert warm["wall_seconds"] < cold["wall_seconds"]
    assert sum(warm["stages"].values()) <= warm["wall_seconds"]


@pytest.mark.slow
def test_sampling_reports_every_method_on_a_tiny_company(capsys: pytest.CaptureFixture[str]) -> None:
    tiny = ["--deals", "150", "--row-tune", "2", "--row-seconds", "0", "--chains", "2", "--tune", "10", "--draws", "10"]
    assert sampling.main([*tiny, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["method"].split(" ")[0] for row in rows if row["method"] != "numpyro"] == [
        "row",
        "aggregated:",
        "engine",
    ]
    assert rows[0]["ratio_to_row_level"] == 1
    ours = rows[-1]
    assert ours["ratio_to_row_level"] == pytest.approx(ours["min_ess_per_second"] / rows[0]["min_ess_per_second"])
    assert all(row["sample_seconds"] > 0 and row["compile_seconds"] > 0 for row in rows)


@pytest.mark.slow
def test_growth_reports_both_tiers(capsys: pytest.CaptureFixture[str]) -> None:
    assert sampling.main(["--scale", "--sizes", "300:6", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["method"] for row in rows] == ["engine nuts", "engine laplace"]
    assert all(row["deal_weeks"] > row["cells"] > 0 and row["min_ess"] > 0 for row in rows)


def test_row_level_and_aggregated_model_have_the_same_likelihood() -> None:
    panel = reference_panel(120, 3, 2)
    problem = prepare(panel, deal_weeks(panel), ModelSettings())
    rng = np.random.default_rng(1)
    by_row, by_cell = (sampling.plain_model(problem, by_row=flag) for flag in (True, False))
    # Terms apart: in Python mode PyTensor cannot add more than 32 of them at once.
    functions = [
        pytensor.function(model.value_vars, model.logp(sum=False), mode="FAST_COMPILE") for model in (by_row, by_cell)
    ]
    differences = []
    for _ in range(2):
        point = [rng.normal(0, 0.5, v.type.shape) for v in by_row.value_vars]
        a, b = (sum(float(np.sum(term)) for term in evaluate(*point)) for evaluate in functions)
        differences.append(a - b)
    # They differ by the binomial coefficients, which are constant.
    assert differences[0] == pytest.approx(differences[1], abs=1e-6)


def test_reference_company_closes_as_stated() -> None:
    panel = reference_panel(5000, 40, 1)
    assert len(panel.deals) == 5000
    assert len(panel.territories) == 8
    assert (panel.deals.closed >= panel.deals.created)[~np.isnat(panel.deals.closed)].all()
    rows = deal_weeks(panel)
    assert 0.055 < rows.closing.mean() < 0.085
    again = reference_panel(5000, 40, 1)
    np.testing.assert_array_equal(again.deals.closed, panel.deals.closed)
