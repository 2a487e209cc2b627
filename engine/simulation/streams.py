"""Random streams inside Numba kernels: xoshiro256++ seeded by SplitMix64, and the distributions built on it.

The rule this module keeps: a stream is named by (seed, leg, path or block of paths, entity) and by nothing else, so no
number depends on threads, on chunks or on which other deals and accounts exist (tests/test_simulation_streams.py).

Blackman & Vigna 2021, Scrambled linear pseudorandom number generators, doi:10.1145/3460772.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

type Stream = NDArray[np.uint64]
"""[4] state of one generator, changed in place by every draw."""

SHOCKS, OPEN_DEALS, AMOUNTS, MARKET, ARRIVALS, NEW_DEALS = (np.uint64(i) for i in range(1, 7))
ORDER_MARKET, ORDERS, ORDER_AMOUNTS, FIRST_ORDERS, NEW_CUSTOMERS = (np.uint64(i) for i in range(7, 12))
"""Legs: what a stream is for."""

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S11, _S17, _S23, _S27, _S30, _S31, _S41, _S45 = (np.uint64(i) for i in (11, 17, 23, 27, 30, 31, 41, 45))
_S19 = np.uint64(19)
_LAYER = np.uint64(127)
_UNIT = 2.0**-53

_TAIL = 3.442619855899
"""Start of the tail of the ziggurat with 128 layers of equal area (Doornik 2005, An improved ziggurat method)."""
_AREA = 9.91256303526217e-3
_SMALL_MEAN = 10.0
"""Poisson means below are inverted by search, above drawn by transformed rejection."""


def _ziggurat() -> NDArray[np.float64]:
    """Right edges of the 128 layers, from the widest to zero; [129]."""
    edges = np.zeros(129)
    density = math.exp(-0.5 * _TAIL**2)
    edges[0], edges[1] = _AREA / density, _TAIL
    for i in range(2, 128):
        edges[i] = math.sqrt(-2.0 * math.log(_AREA / edges[i - 1] + density))
        density = math.exp(-0.5 * edges[i] ** 2)
    return edges


_EDGES = _ziggurat()


@njit(cache=True, error_model="numpy")
def _mix(z: np.uint64) -> np.uint64:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195)."""
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


@njit(cache=True, error_model="numpy")
def start(state: Stream, seed: np.uint64, leg: np.uint64, path: np.uint64, entity: np.uint64) -> None:
    """Set ``state`` to the beginning of the stream of this name."""
    z = _mix(seed + GOLDEN)
    z = _mix((z ^ leg) + GOLDEN)
    z = _mix((z ^ path) + GOLDEN)
    z = _mix((z ^ entity) + GOLDEN)
    for i in range(4):
        z += GOLDEN
        state[i] = _mix(z)


@njit(cache=True, error_model="numpy")
def leg_name(seed: np.uint64, leg: np.uint64) -> np.uint64:
    """First part of the name of counted streams."""
    return _mix((_mix(seed + GOLDEN) ^ leg) + GOLDEN)


@njit(inline="always", error_model="numpy")
def entity_name(leg: np.uint64, entity: np.uint64) -> np.uint64:
    """Name of an entity's counted stream in a leg: its word number ``i`` is ``word(name + i * GOLDEN)``.

    SplitMix64 read at any place: no start-up, no state, and so as many streams at once as a loop has lanes.
    """
    return word((leg ^ entity) + GOLDEN)


@njit(inline="always", error_model="numpy")
def word(z: np.uint64) -> np.uint64:
    """64 random bits of a place in a counted stream; also a second word made from a first one plus `GOLDEN`."""
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


@njit(cache=True, error_model="numpy", nogil=True)
def count_below(name: np.uint64, count: int, chance: float) -> int:
    """How many of the first ``count`` uniforms of a counted stream lie below ``chance``."""
    limit, found = np.int64(math.ceil(chance / _UNIT)), 0
    for i in range(count):
        found += 1 if np.int64(word(name + np.uint64(i) * GOLDEN) >> _S11) < limit else 0
    return found


@njit(cache=True, error_model="numpy")
def bits(state: Stream) -> np.uint64:
    """64 random bits."""
    a, b, c, d = state[0], state[1], state[2], state[3]
    x = a + d
    result = ((x << _S23) | (x >> _S41)) + a
    c ^= a
    d ^= b
    state[1] = b ^ c
    state[0] = a ^ d
    state[2] = c ^ (b << _S17)
    state[3] = (d << _S45) | (d >> _S19)
    return result


@njit(cache=True, error_model="numpy")
def uniform(state: Stream) -> float:
    """One of the 2^53 evenly spaced numbers of [0, 1)."""
    return np.float64(bits(state) >> _S11) * _UNIT


@njit(cache=True, error_model="numpy")
def normal(state: Stream) -> float:
    """Standard normal by the ziggurat (Marsaglia & Tsang 2000, doi:10.18637/jss.v005.i08; Doornik 2005)."""
    while True:
        word = bits(state)
        layer = np.int64(word & _LAYER)
        u = 2.0 * (np.float64(word >> _S11) * _UNIT) - 1.0
        x = u * _EDGES[layer]
        if abs(x) < _EDGES[layer + 1]:
            return x
        if layer == 0:
            return math.copysign(_normal_tail(state), u)
        low = math.exp(-0.5 * (_EDGES[layer] ** 2 - x * x))
        high = math.exp(-0.5 * (_EDGES[layer + 1] ** 2 - x * x))
        if high + uniform(state) * (low - high) < 1.0:
            return x


@njit(cache=True, error_model="numpy")
def _normal_tail(state: Stream) -> float:
    """Normal given that it is beyond the ziggurat's last layer (Marsaglia 1964)."""
    while True:
        x = -math.log(1.0 - uniform(state)) / _TAIL
        y = -math.log(1.0 - uniform(state))
        if y + y > x * x:
            return x + _TAIL


@njit(cache=True, error_model="numpy")
def student_t(state: Stream, dof: float) -> float:
    """Student t by the polar method (Bailey 1994, doi:10.2307/2153537)."""
    while True:
        u = 2.0 * uniform(state) - 1.0
        v = 2.0 * uniform(state) - 1.0
        w = u * u + v * v
        if 0.0 < w < 1.0:
            return u * math.sqrt(dof * math.expm1(-2.0 / dof * math.log(w)) / w)


@njit(cache=True, error_model="numpy")
def gamma(state: Stream, shape: float) -> float:
    """Gamma with scale one (Marsaglia & Tsang 2000, doi:10.1145/358407.358414)."""
    d = (shape if shape >= 1.0 else shape + 1.0) - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = normal(state)
        v = (1.0 + c * x) ** 3
        if v > 0.0 and math.log(1.0 - uniform(state)) < 0.5 * x * x + d - d * v + d * math.log(v):
            break
    if shape >= 1.0:
        return d * v
    return d * v * (1.0 - uniform(state)) ** (1.0 / shape)


@njit(cache=True, error_model="numpy")
def poisson(state: Stream, mean: float) -> int:
    """Poisson: small means by search, others by rejection (Hoermann 1993, doi:10.1016/0167-6687(93)90997-4)."""
    if mean >= _SMALL_MEAN:
        return _poisson_large(state, mean)
    u = uniform(state)
    term = math.exp(-mean)
    count = 0
    while u >= term and count < 200:  # the terms sum to one only up to rounding
        u -= term
        count += 1
        term *= mean / count
    return count


@njit(cache=True, error_model="numpy")
def _poisson_large(state: Stream, mean: float) -> int:
    """Algorithm PTRS."""
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    scale = math.log(1.1239 + 1.1328 / (b - 3.4))
    squeeze = 0.9277 - 3.6224 / (b - 2.0)
    while True:
        u = uniform(state) - 0.5
        v = 1.0 - uniform(state)
        s = 0.5 - abs(u)
        k = math.floor((2.0 * a / s + b) * u + mean + 0.43) if s > 0.0 else -1.0
        if s >= 0.07 and v <= squeeze:
            return int(k)
        if k < 0.0 or (s < 0.013 and v > s):
            continue
        if math.log(v) + scale - math.log(a / (s * s) + b) <= k * math.log(mean) - mean - math.lgamma(k + 1.0):
            return int(k)


@njit(cache=True, error_model="numpy")
def negative_binomial(state: Stream, mean: float, dispersion: float) -> int:
    """Poisson with a gamma rate: variance = mean + mean^2 / dispersion."""
    if mean <= 0.0:
        return 0
    return poisson(state, gamma(state, dispersion) * mean / dispersion)


@njit(cache=True, error_model="numpy")
def pick(cumulative: NDArray[np.float64], low: int, high: int, u: float) -> int:
    """First position of [low, high) whose cumulative chance exceeds ``u``, the last one against rounding."""
    high -= 1
    while low < high:
        middle = (low + high) // 2
        if cumulative[middle] > u:
            high = middle
        else:
            low = middle + 1
    return low
