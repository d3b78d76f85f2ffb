"""How functions are compiled, and where what was compiled is kept.

Compiling takes some seconds, so that it is kept in a folder of the user's. Numba itself looks for
changes in the file of a function only, and not in what it calls; so each version of these modules has a
folder of its own. What processor it was compiled for is in Numba's own index.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llvmlite
import numba

# One product and one sum may be rounded as one, which is the same at each call. Everything else that
# would make rounding depend on more than the numbers stays off.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
_NUMBA: Any = numba.config  # which has no types


def _fingerprint() -> str:
    """What a kept compilation depends on, apart from the processor."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for path in _sources():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _sources() -> Iterator[Path]:
    """All modules with functions that are compiled."""
    here = Path(__file__).parent
    yield from sorted([*here.glob("*.py"), *here.parent.glob("*/compiled/*.py")])


def _cache_folder() -> Path | None:
    """Where to keep what is compiled; None where nothing can be written."""
    user = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(_NUMBA.CACHE_DIR or Path(user).expanduser() / "ppo-grid")
    folder /= f"compiled-{_fingerprint()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # the latter where there is no home
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


_FOLDER = _cache_folder()
if _FOLDER is not None:
    _NUMBA.CACHE_DIR = str(_FOLDER)

# For what is called by compiled functions only; nothing is compiled for calls from elsewhere.
jit = numba.njit(**_OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True})
# For what Python calls; with it, all that it calls is kept.
entry = numba.njit(**_OPTIONS, cache=_FOLDER is not None)
