"""Pooled predictors: groups by index are the columns they stand for, and the map leaves the posterior alone."""

import numpy as np
import pymc as pm
import pytensor
import pytest
from scipy.stats import norm

from models.pooling import SPREAD_OF_SCALES, Group, Pooled, approximate, logit_working, predictor

ROWS = 40


def pooled() -> Pooled:
    """A base, unknown members, weights, and a walk whose first row has no step yet."""
    rng = np.random.default_rng(1)
    groups = (
        Group("base", np.zeros(ROWS, dtype=np.int64), 1, 1.0, free=False),
        Group("rep", rng.integers(-1, 5, ROWS), 5, 0.4, free=True),
        Group("carry", rng.integers(0, 3, ROWS), 3, 0.3, free=False, weight=rng.normal(size=ROWS)),
        Group("step", np.arange(ROWS) // 10 - 1, 3, 0.2, free=True, walk=True),
    )
    return Pooled(groups, rng.normal(size=ROWS))


def test_columns_are_what_the_groups_say() -> None:
    made, (base, rep, carry, step) = pooled().columns().toarray(), pooled().groups
    assert made.shape == (ROWS, 12)
    np.testing.assert_array_equal(made[:, 0], 1)
    for row in range(ROWS):
        expected = np.zeros(5)
        if rep.member[row] >= 0:
            expected[rep.member[row]] = 1
        np.testing.assert_array_equal(made[row, 1:6], expected)
        assert carry.weight is not None
        assert made[row, 6 + carry.member[row]] == carry.weight[row]
        assert made[row, 6:9].astype(bool).sum() == 1
        np.testing.assert_array_equal(made[row, 9:], np.arange(3) < row // 10)
    assert (base.size, step.size) == (1, 3)


@pytest.mark.parametrize("seed", [1, 2])
def test_predictor_and_density_are_those_of_the_model(seed: int) -> None:
    """Against the formulas: the change of coordinates and its Jacobian leave the posterior alone."""
    problem, rng = pooled(), np.random.default_rng(seed)
    trials = rng.integers(1, 9, ROWS).astype(float)
    _, white = approximate(problem, logit_working(trials, rng.binomial(trials.astype(int), 0.4).astype(float)))
    with pm.Model() as model:
        eta = pm.Deterministic("eta", predictor("effects", problem, white))
    assert eta.ndim == 1
    chosen = [model["effects"], model["effects_scale"], model["eta"]]
    evaluate = pytensor.function(
        model.value_vars, [*model.replace_rvs_by_values(chosen), model.logp()], mode="FAST_COMPILE"
    )
    differences = []
    for _ in range(3):
        point = [rng.normal(0, 0.7, v.type.shape) for v in model.value_vars]
        effects, scale, found, ours = evaluate(*point)
        np.testing.assert_allclose(found, problem.shift + problem.columns() @ effects, atol=1e-12)
        sigma = np.repeat([1.0, scale[0], 0.3, scale[1]], [1, 5, 3, 3])
        log = norm.logpdf(effects, 0, sigma).sum() - 0.5 * np.log(white.information + sigma**-2).sum()
        log += norm.logpdf(np.log(scale / [0.4, 0.2]) / SPREAD_OF_SCALES).sum()
        differences.append(ours - log)
    np.testing.assert_allclose(differences, differences[0], atol=1e-8)
