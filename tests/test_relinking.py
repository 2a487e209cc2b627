"""Relinking: children lie between their parents, hold the bands, and take the plan of the better ones further."""

import time
from dataclasses import replace

import numpy as np
import pytest

from optimization.large_scale import relinking
from optimization.large_scale.certificate import plan_cost, violations
from optimization.large_scale.field import Field, make_field
from optimization.large_scale.passes import Climate, run_pass
from optimization.large_scale.pricing import solve_relaxation
from optimization.large_scale.relinking import FEWEST, between, relink
from optimization.problem import BandedProblem, Ints

LONG = 60.0
"""Seconds that no test here needs."""


@pytest.fixture(scope="module")
def field() -> Field:
    """Cost falls as use grows (type d of the literature): what is cheap for one book crowds out others."""
    rng = np.random.default_rng(4)
    use = rng.integers(1, 101, (5, 40)).astype(float)
    cost = 111 - use + rng.integers(-10, 11, use.shape).astype(float)
    problem = BandedProblem.from_table(cost, use, np.floor(0.8 * use.sum(axis=1) / 5))
    return make_field(problem, solve_relaxation(problem, time.monotonic() + LONG))


@pytest.fixture(scope="module")
def parents(field: Field) -> list[Ints]:
    climate = Climate(warm=10.0, cool=0.5, reach=2.0, nodes=100, steps=100.0)
    streams = np.random.SeedSequence(1).spawn(4)
    passes = [run_pass(field, climate, field.first, s, time.monotonic() + LONG) for s in streams]
    return [one.best for one in passes if one.best is not None]


def costs(field: Field, plans: list[Ints]) -> list[float]:
    return [plan_cost(field.problem, field.problem.pair_rep[plan]) for plan in plans]


def test_a_child_starts_between_its_parents() -> None:
    first, second = np.arange(30), np.arange(30)
    second[:20] += 100
    rng = np.random.default_rng(0)
    for _ in range(50):
        child = between([first, second], rng)
        assert ((child == first) | (child == second)).all()
        assert (child[20:] == first[20:]).all()
    assert {tuple(between([first, second], rng)) for _ in range(20)} != {tuple(first), tuple(second)}


def test_parents_that_hardly_differ_are_annealed_as_they_are() -> None:
    first = np.arange(30)
    second = first.copy()
    second[: FEWEST - 1] += 100
    child = between([first, second], np.random.default_rng(0))
    assert tuple(child) in {tuple(first), tuple(second)}


def test_children_hold_the_bands_and_go_beyond_their_parents(field: Field, parents: list[Ints]) -> None:
    assert len(parents) > 1
    born: list[Ints] = []
    for stream in np.random.SeedSequence(2).spawn(4):
        offspring = relink(field, parents, stream, time.monotonic() + LONG)
        assert offspring.ended
        born += offspring.plans
    assert born
    for plan in born:
        np.testing.assert_array_equal(field.account[plan], np.arange(40))
        assert not violations(field.problem, field.problem.pair_rep[plan])
    assert min(costs(field, born)) <= np.median(costs(field, parents))
    assert min(costs(field, born)) >= field.bound - 1e-6


def test_the_same_stream_gives_the_same_children(field: Field, parents: list[Ints]) -> None:
    once, again, other = (
        relink(field, parents, np.random.SeedSequence(seed), time.monotonic() + LONG).plans for seed in (3, 3, 4)
    )
    assert [plan.tolist() for plan in once] == [plan.tolist() for plan in again]
    assert [plan.tolist() for plan in once] != [plan.tolist() for plan in other]


def test_the_clock_ends_a_birth(field: Field, parents: list[Ints]) -> None:
    assert not relink(field, parents, np.random.SeedSequence(5), time.monotonic() - 1.0).ended


def test_a_pass_has_as_many_temperatures_as_its_climate_says(
    field: Field, parents: list[Ints], monkeypatch: pytest.MonkeyPatch
) -> None:
    heats: list[float] = []
    monkeypatch.setattr("optimization.large_scale.passes.run", lambda *arguments: heats.append(arguments[-3]))
    climate = replace(relinking.CHILD, steps=0.0, stages=7)
    run_pass(field, climate, parents[0], np.random.SeedSequence(6), time.monotonic() + LONG)
    np.testing.assert_allclose(heats, field.heat * np.geomspace(climate.warm, climate.cool, 7))
