"""Building blocks of compiled code: the compiler, elementary functions, random numbers.

Numba is optional, so only modules that need it import the other modules of this wing.
"""

from __future__ import annotations

from functools import cache


@cache
def is_installed() -> bool:
    """Return whether Numba is installed, in a version that works with NumPy's."""
    try:
        import numba  # noqa: F401  # optional, and slow to import
    except ImportError:
        return False
    return True
