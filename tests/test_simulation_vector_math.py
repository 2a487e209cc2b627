"""The functions that loops of the simulation work on eight numbers at a time with, against NumPy's."""

from typing import Any

import numpy as np
import pytest
from numba import njit
from scipy import stats

from engine.simulation import streams
from engine.simulation.vector_math import vector_exp, vector_log, vector_sine
from models.panel import Floats


@njit(error_model="numpy")
def _exp(x: Floats) -> Floats:
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = vector_exp(x[i])
    return out


@njit(error_model="numpy")
def _log(x: Floats) -> Floats:
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = vector_log(x[i])
    return out


@njit(error_model="numpy")
def _sine(x: Floats) -> Floats:
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = vector_sine(x[i])
    return out


@njit(error_model="numpy")
def _words(name: np.uint64, count: int) -> Floats:
    out = np.empty(count)
    for i in range(count):
        out[i] = np.float64(streams.word(name + np.uint64(i) * streams.GOLDEN) >> np.uint64(11)) * 2.0**-53
    return out


@njit(error_model="numpy")
def _firsts(count: int) -> Floats:
    out, leg = np.empty(count), streams.leg_name(np.uint64(3), streams.OPEN_DEALS)
    for i in range(count):
        out[i] = np.float64(streams.word(streams.entity_name(leg, np.uint64(i))) >> np.uint64(11)) * 2.0**-53
    return out


@pytest.mark.parametrize(
    ("ours", "theirs", "points"),
    [
        (_exp, np.exp, np.concatenate([np.linspace(-690, 690, 9_999), [0.0, -0.0, 1e-300, 1e-9, -1e-9]])),
        (_log, np.log, np.concatenate([np.exp(np.linspace(-690, 690, 9_999)), 1 + np.linspace(-1e-6, 1e-6, 101)])),
        (_sine, lambda x: np.sin(x * np.pi / 2), np.linspace(-1, 1, 9_999)),
    ],
    ids=["exp", "log", "sine"],
)
def test_as_good_as_numpy(ours: Any, theirs: Any, points: Floats) -> None:
    np.testing.assert_allclose(ours(points), theirs(points), rtol=4e-15, atol=1e-15)


def test_beyond_the_bounds_and_not_a_number() -> None:
    np.testing.assert_array_equal(_exp(np.array([800.0, -800.0])), _exp(np.array([700.0, -700.0])))
    assert np.isnan(_exp(np.array([np.nan]))).all()


def test_a_number_does_not_depend_on_its_place() -> None:
    """The remainder of a loop that is not a multiple of eight long must not be rounded otherwise."""
    points = np.random.default_rng(1).uniform(1e-6, 30, 67)
    for ours in (_exp, _log):
        whole = ours(points)
        for first in range(1, 9):
            np.testing.assert_array_equal(ours(points[first:].copy()), whole[first:])


def test_counted_streams_are_uniform_and_independent() -> None:
    """Along one stream, over the first words of neighbouring names, and from one word to the next."""
    along, firsts = _words(streams.leg_name(np.uint64(1), streams.AMOUNTS), 200_000), _firsts(200_000)
    for drawn in (along, firsts):
        assert stats.kstest(drawn, "uniform").pvalue > 1e-6
        squares = np.histogram2d(drawn[:-1:2], drawn[1::2], bins=16, range=[[0, 1], [0, 1]])[0].reshape(-1)
        assert stats.chisquare(squares).pvalue > 1e-6
    assert abs(np.corrcoef(along, firsts)[0, 1]) < 5 / np.sqrt(200_000)
    below = streams.count_below(streams.leg_name(np.uint64(1), streams.AMOUNTS), 200_000, 0.25)
    assert below == (along < 0.25).sum()
