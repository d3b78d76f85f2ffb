"""What compiled code is made of: the compiler, elementary functions, random numbers.

Numba is optional. Only modules that need it import the others of this wing.
"""

from __future__ import annotations

from functools import cache


@cache
def is_installed() -> bool:
    """Whether Numba is there, in a version that fits NumPy's."""
    try:
        import numba  # noqa: F401  # optional, and takes a moment
    except ImportError:
        return False
    return True
