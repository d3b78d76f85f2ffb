"""Numba's decorators with this project's options and cache; compiling takes some seconds."""

from __future__ import annotations

from typing import Any

import numba

from numerics.kept import Locator, folder

# A product and a sum may be fused, which rounds alike at each call. All other options of fastmath are
# off, as they would make rounding depend on more than the numbers.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}

_NUMBA: Any = numba.config  # without type annotations
if folder() is not None:
    # CACHE_DIR is for versions before 0.62, which have one cache for each path of a checkout.
    _NUMBA.CACHE_LOCATOR_CLASSES = f"{Locator.__module__}.{Locator.__name__}"
    _NUMBA.CACHE_DIR = str(folder())

# For functions that only compiled functions call; no wrappers are compiled for other callers.
jit = numba.njit(**_OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True})
# The same for functions with one caller and many arrays, as passing these takes time.
inlined = numba.njit(
    **_OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "inline": "always"}
)
# For functions that Python calls; cached with all functions that they call.
entry = numba.njit(**_OPTIONS, cache=folder() is not None)
