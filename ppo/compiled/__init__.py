"""The learning step of fully connected networks, compiled by Numba.

All epochs and mini-batches of a member's update are one call of `learning.learn`. It computes what
`ppo/losses.py`, `networks/` and torch's autograd define, by gradients that are written out.

Every function here works on NumPy arrays, which are views of torch's memory. Arrays of a mini-batch are
cut into chunks of a few rows, so that what a layer leaves is still in the processor's cache when the
next one takes it.
"""

from __future__ import annotations

from functools import cache


@cache
def is_installed() -> bool:
    """Whether there is all that this needs, in versions that fit each other."""
    try:
        import numba  # noqa: F401  # loading it takes half a second
        import scipy.linalg.cython_blas  # noqa: F401
    except ImportError:
        return False
    return True
