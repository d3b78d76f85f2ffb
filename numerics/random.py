"""Random numbers for compiled code, as a function of a seed and an index.

So a generator has no state to store, and draws don't depend on other draws.
"""

from __future__ import annotations

import numpy as np

from numerics.compiler import jit

_u64 = np.uint64
_STEP = _u64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = _u64(0xBF58476D1CE4E5B9), _u64(0x94D049BB133111EB)
_SHIFT_1, _SHIFT_2, _SHIFT_3 = _u64(30), _u64(27), _u64(31)
# A float64 has 53 bits.
_UNUSED_BITS, _UNIT = _u64(11), 2.0**-53


@jit
def uniform(seed: int, number: int, least: float, greatest: float) -> float:
    """Return the number-th uniform number in [least, greatest) of a seed's stream.

    SplitMix64 (Steele, Lea and Flood, 2014, Fast splittable pseudorandom number generators).

    Args:
        seed: uint64.
        number: index from 0.
        least: lower bound.
        greatest: upper bound.
    """
    bits = seed + _u64(number + 1) * _STEP
    bits = (bits ^ (bits >> _SHIFT_1)) * _MIX_1
    bits = (bits ^ (bits >> _SHIFT_2)) * _MIX_2
    bits ^= bits >> _SHIFT_3
    return least + (greatest - least) * (np.float64(bits >> _UNUSED_BITS) * _UNIT)
