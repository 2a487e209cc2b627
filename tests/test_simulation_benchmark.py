"""The benchmark of the simulation runs, and its twin does the same work as the kernels."""

import json

import numpy as np
import pytest

from benchmarks import simulation
from engine.simulation import reference
from engine.simulation.settings import SimulationSettings
from engine.simulation.simulate import run_chunks


def test_the_twin_computes_what_the_kernels_compute() -> None:
    """Chances per class and means of every level and deal agree, on draws of their own."""
    settings = SimulationSettings(paths=4_000, sample_paths=0)
    world, draws = simulation.company(simulation.Size(60, 4, 4_000, 4_000, 6, 3), settings)
    chosen = np.arange(400) * draws // 400
    ours = run_chunks(world, settings, chosen, np.uint64(1), 2, False)
    twin = reference.open_outcomes(world, 4_000, 10, chosen, np.random.default_rng(1))
    for mine, theirs in ((ours.rep, twin.rep), (ours.territory, twin.territory), (ours.product, twin.product)):
        one, two = mine.mean(axis=0, dtype=np.float64), theirs.mean(axis=0)
        # paths of a block share their shocks: blocks are the independent ones
        error = theirs.reshape(400, 10, *theirs.shape[1:]).mean(axis=1).std(axis=0) / np.sqrt(400)
        assert np.abs(one - two).max() < 7 * error.max()
    np.testing.assert_allclose(ours.classes[:2].sum(), twin.chances.sum(), rtol=0.02)
    np.testing.assert_allclose(ours.deals[:, 0].sum(), twin.deals[:, 0].sum(), rtol=0.1)


@pytest.mark.slow
def test_every_case_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulation.main(["--json", "--sizes", "60:4:40,200:6:30"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["case"] for row in rows] == [
        "60 deals, 4 reps, 3 months, 40 paths",
        "200 deals, 6 reps, 3 months, 30 paths",
    ]
    names = {"case", "deal_paths_per_second", "ratio_to_numpy", "uniforms_per_second", "peak_mb"}
    assert all(set(row) == names for row in rows)
    assert all(value > 0 for row in rows for name, value in row.items() if name != "case")
