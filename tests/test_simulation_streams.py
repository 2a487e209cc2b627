"""The generator against the distributions it claims to draw from. A wrong constant or a biased branch fails here."""

from typing import Any

import numpy as np
import pytest
from numba import njit
from scipy import stats

from engine.simulation import streams
from engine.simulation.world import Keys
from models.panel import Floats

CRITICAL = 1e-6
COUNT = 200_000


@njit
def _sample(kind: int, a: float, b: float, count: int) -> Floats:
    state = np.empty(4, np.uint64)
    streams.start(state, np.uint64(7), np.uint64(kind), np.uint64(0), np.uint64(0))
    out = np.empty(count)
    for i in range(count):
        if kind == 0:
            out[i] = streams.uniform(state)
        elif kind == 1:
            out[i] = streams.normal(state)
        elif kind == 2:
            out[i] = streams.student_t(state, a)
        elif kind == 3:
            out[i] = streams.gamma(state, a)
        elif kind == 4:
            out[i] = streams.poisson(state, a)
        else:
            out[i] = streams.negative_binomial(state, a, b)
    return out


@njit
def _words(seed: np.uint64, leg: np.uint64, block: np.uint64, entity: np.uint64, count: int) -> Keys:
    state = np.empty(4, np.uint64)
    streams.start(state, seed, leg, block, entity)
    out = np.empty(count, np.uint64)
    for i in range(count):
        out[i] = streams.bits(state)
    return out


@njit
def _from_state(state: Keys, count: int) -> Keys:
    out = np.empty(count, np.uint64)
    for i in range(count):
        out[i] = streams.bits(state)
    return out


def test_reference_output_of_xoshiro256plusplus() -> None:
    """The first words from state (1, 2, 3, 4), as the authors' C code gives them."""
    words = _from_state(np.array([1, 2, 3, 4], dtype=np.uint64), 4)
    assert words.tolist() == [41943041, 58720359, 3588806011781223, 3591011842654386]


@pytest.mark.parametrize(
    ("kind", "a", "law"),
    [
        (0, 0.0, stats.uniform()),
        (1, 0.0, stats.norm()),
        (2, 2.5, stats.t(2.5)),
        (2, 30.0, stats.t(30.0)),
        (3, 0.4, stats.gamma(0.4)),
        (3, 1.0, stats.gamma(1.0)),
        (3, 17.0, stats.gamma(17.0)),
    ],
)
def test_continuous_laws(kind: int, a: float, law: Any) -> None:
    assert stats.kstest(_sample(kind, a, 0.0, COUNT), law.cdf).pvalue > CRITICAL


def test_normal_tail() -> None:
    """Kolmogorov-Smirnov is blind in the tail, where a ziggurat goes wrong."""
    draws = np.abs(_sample(1, 0.0, 0.0, 2_000_000))
    for edge in (2.0, 3.0, 3.442619855899, 4.0):
        expected = 2 * stats.norm.sf(edge)
        assert stats.binomtest(int((draws > edge).sum()), len(draws), expected).pvalue > CRITICAL


@pytest.mark.parametrize(
    ("kind", "a", "b", "law"),
    [
        (4, 0.3, 0.0, stats.poisson(0.3)),
        (4, 9.9, 0.0, stats.poisson(9.9)),
        (4, 10.1, 0.0, stats.poisson(10.1)),
        (4, 400.0, 0.0, stats.poisson(400.0)),
        (5, 6.0, 2.5, stats.nbinom(2.5, 2.5 / 8.5)),
        (5, 0.2, 0.5, stats.nbinom(0.5, 0.5 / 0.7)),
    ],
)
def test_counting_laws(kind: int, a: float, b: float, law: Any) -> None:
    draws = _sample(kind, a, b, COUNT).astype(int)
    edges = np.unique(law.ppf(np.linspace(0.0005, 0.9995, 40)).astype(int))
    bins = np.concatenate([[-1], edges, [10**9]])
    observed = np.histogram(draws, bins=bins + 0.5)[0]
    expected = np.diff(np.append(law.cdf(bins[:-1]), 1.0)) * COUNT
    keep = expected > 5
    pooled = np.append(observed[keep], observed[~keep].sum()), np.append(expected[keep], expected[~keep].sum())
    statistic = ((pooled[0] - pooled[1]) ** 2 / np.maximum(pooled[1], 1e-9))[pooled[1] > 0].sum()
    assert stats.chi2.sf(statistic, int((pooled[1] > 0).sum()) - 1) > CRITICAL


def test_no_arrivals_at_rate_zero() -> None:
    assert _sample(5, 0.0, 2.0, 100).max() == 0


def test_streams_differ_in_every_part_of_their_name() -> None:
    one, two = np.uint64(1), np.uint64(2)
    names = [
        (one, one, one, one),
        (two, one, one, one),
        (one, two, one, one),
        (one, one, two, one),
        (one, one, one, two),
    ]
    words = np.concatenate([_words(*name, 64) for name in names])
    assert len(np.unique(words)) == len(words)


def test_first_values_over_streams_are_uniform() -> None:
    """Streams of neighbouring names must not be alike: the first word of each is what most deals see."""
    firsts = np.array(
        [_words(np.uint64(3), np.uint64(2), np.uint64(b), np.uint64(e), 1)[0] for b in range(100) for e in range(100)]
    )
    assert stats.kstest(firsts / 2.0**64, "uniform").pvalue > CRITICAL
