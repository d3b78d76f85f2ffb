"""Elementary functions of float32 that a processor computes for whole vectors.

C's library computes them number by number. Here a Taylor polynomial around 0 computes e^r, which is
exact to rounding after reducing the argument to |r| <= log(2) / 2 (Cody and Waite, 1980, Software
manual for the elementary functions): e^x = 2^n e^r with x = n log(2) + r.
"""

from __future__ import annotations

import math

import numpy as np

from numerics.compiler import jit

f32 = np.float32

ONE = f32(1)
_TWO, _HALF = f32(2), f32(0.5)
# Beyond these limits, 2^n isn't a normal float32.
_LEAST, _GREATEST = f32(-87), f32(88)
_PER_LOG_2 = f32(1 / math.log(2))
# log(2) in two parts; n times the first is exact.
_LOG_2 = f32(0.693359375)
_REST_OF_LOG_2 = f32(math.log(2) - 0.693359375)
# Adding this number leaves no bits for a fraction.
_TO_INTEGER = f32(1.5 * 2**23)
_C2, _C3, _C4, _C5, _C6, _C7 = (f32(1 / math.factorial(power)) for power in range(2, 8))
# Beyond this number, tanh is 1 to rounding.
_TANH_IS_ONE = f32(9.1)


@jit
def clamp(x: float, least: float, greatest: float) -> float:
    """Return the nearest number within limits; NaN stays NaN."""
    # Two comparisons in sequence; each is one instruction.
    x = greatest if x > greatest else x
    return least if x < least else x


@jit
def _power_and_rest(x: float) -> tuple[float, float]:
    """Return 2^n and e^r - 1 for e^x = 2^n e^r; 2^n must be a normal float32."""
    n = (x * _PER_LOG_2 + _TO_INTEGER) - _TO_INTEGER
    r = (x - n * _LOG_2) - n * _REST_OF_LOG_2
    rest = ((((_C7 * r + _C6) * r + _C5) * r + _C4) * r + _C3) * r + _C2
    rest = rest * r * r + r
    # Build the float32 2^n from the bits of its exponent.
    power = np.int32((np.int32(n) + 127) << 23).view(np.float32)
    return power, rest


@jit
def exp(x: float) -> float:
    """Return e^x, limited to the range of float32."""
    power, rest = _power_and_rest(clamp(x, _LEAST, _GREATEST))
    return power * rest + power


@jit
def expm1(x: float) -> float:
    """Return e^x - 1, also near 0 exact to rounding."""
    return _expm1_within(clamp(x, _LEAST, _GREATEST))


@jit
def _expm1_within(x: float) -> float:
    power, rest = _power_and_rest(x)
    return power * rest + (power - ONE)


@jit
def tanh(x: float) -> float:
    """Return the hyperbolic tangent."""
    grown = _expm1_within(_TWO * clamp(x, -_TANH_IS_ONE, _TANH_IS_ONE))
    return grown / (grown + _TWO)


@jit
def sigmoid(x: float) -> float:
    """Return 1 / (1 + e^-x)."""
    return ONE / (ONE + exp(-x))


# Abramowitz and Stegun (1964), Handbook of mathematical functions, equation 7.1.26.
_P = f32(0.3275911 / math.sqrt(2))
_A1, _A2, _A3, _A4, _A5 = map(
    f32, (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
)
_PER_ROOT_TWO_PI = f32(1 / math.sqrt(2 * math.pi))


@jit
def normal(x: float) -> tuple[float, float]:
    """Return the standard normal distribution function, to 1e-7, and its density."""
    bell = exp(-_HALF * x * x)
    t = ONE / (ONE + _P * abs(x))
    tail = _HALF * bell * (((((_A5 * t + _A4) * t + _A3) * t + _A2) * t + _A1) * t)
    return (tail if x < f32(0) else ONE - tail), bell * _PER_ROOT_TWO_PI
