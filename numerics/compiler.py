"""How functions are compiled. It takes some seconds, so that what was compiled is kept."""

from __future__ import annotations

from typing import Any

import numba

from numerics.kept import Locator, folder

# One product and one sum may be rounded as one, which is the same at each call. Everything else that
# would make rounding depend on more than the numbers stays off.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}

_NUMBA: Any = numba.config  # which has no types
if folder() is not None:
    # The second is for versions before 0.62, which keep each path of a checkout apart.
    _NUMBA.CACHE_LOCATOR_CLASSES = f"{Locator.__module__}.{Locator.__name__}"
    _NUMBA.CACHE_DIR = str(folder())

# For what is called by compiled functions only; nothing is compiled for calls from elsewhere.
jit = numba.njit(**_OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True})
# The same for what is called from one place: handing over as many arrays as it works on takes its time.
inlined = numba.njit(
    **_OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "inline": "always"}
)
# For what Python calls; with it, all that it calls is kept.
entry = numba.njit(**_OPTIONS, cache=folder() is not None)
