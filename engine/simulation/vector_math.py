"""Elementary functions without calls or branches, so that the compiler works on eight numbers of a loop at once.

The rule this module keeps: plain IEEE operations in a fixed order, so a number does not depend on its place in a loop
(tests/test_simulation_vector_math.py, which also holds every function against NumPy's).
"""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_LOG2_E = 1.4426950408889634
_HALF_PI = 1.5707963267948966


@intrinsic
def _as_bits(_context: Any, _number: Any) -> Any:
    """Bits of a float64 as int64."""

    def build(_ctx: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), build


@intrinsic
def _as_float(_context: Any, _bits: Any) -> Any:
    """The float64 of these bits."""

    def build(_ctx: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), build


@njit(inline="always", error_model="numpy")
def vector_log(x: float) -> float:
    """Natural logarithm of a positive normal number, good to the last bits (fdlibm's ``__ieee754_log``)."""
    # moved so that what is left of the number lies between the root of a half and the root of two
    bits = _as_bits(x) + (0x3FF0000000000000 - 0x3FE6A09E667F3BCD)
    power = _as_float((bits >> 52) | 0x4330000000000000) - (4503599627370496.0 + 1023.0)
    f = _as_float((bits & 0x000FFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD) - 1.0
    s = f / (2.0 + f)
    z = s * s
    tail = 1.531383769920937332e-01 + z * 1.479819860511658591e-01
    tail = 2.222219843214978396e-01 + z * (1.818357216161805012e-01 + z * tail)
    tail = 2.857142874366239149e-01 + z * tail
    tail = z * (6.666666666666735130e-01 + z * (3.999999999940941908e-01 + z * tail))
    return power * _LN2_HIGH + (f - (s * (f - tail) - power * _LN2_LOW))


@njit(inline="always", error_model="numpy")
def vector_exp(x: float) -> float:
    """Exponential, beyond +-700 that of the bound: Taylor sum of degree 12 after taking out powers of 2."""
    x = 700.0 if x > 700.0 else x
    x = -700.0 if x < -700.0 else x
    shifted = x * _LOG2_E + 6755399441055744.0  # adding 1.5 x 2^52 rounds to whole numbers
    power = shifted - 6755399441055744.0
    r = (x - power * _LN2_HIGH) - power * _LN2_LOW
    total = 1.0 / 39916800.0 + r * (1.0 / 479001600.0)
    total = 1.0 / 362880.0 + r * (1.0 / 3628800.0 + r * total)
    total = 1.0 / 5040.0 + r * (1.0 / 40320.0 + r * total)
    total = 1.0 / 120.0 + r * (1.0 / 720.0 + r * total)
    total = 1.0 / 6.0 + r * (1.0 / 24.0 + r * total)
    total = 1.0 + r * (1.0 + r * (0.5 + r * total))
    # the last bits of `shifted` hold the whole number
    return total * _as_float((_as_bits(shifted) + 1023) << 52)


@njit(inline="always", error_model="numpy")
def vector_sine(quarter: float) -> float:
    """Sine of ``quarter`` right angles, between -1 and 1: Taylor sum of degree 21."""
    x = quarter * _HALF_PI
    z = x * x
    total = 1.0 / 121645100408832000.0 - z * (1.0 / 51090942171709440000.0)
    total = 1.0 / 1307674368000.0 - z * (1.0 / 355687428096000.0 - z * total)
    total = 1.0 / 39916800.0 - z * (1.0 / 6227020800.0 - z * total)
    total = 1.0 / 5040.0 - z * (1.0 / 362880.0 - z * total)
    total = 1.0 / 6.0 - z * (1.0 / 120.0 - z * total)
    return x - x * z * total
