"""Where what was compiled is kept: in a folder of the user's, for all checkouts.

Numba by itself looks for changes in the file of a function only, not in what it calls, and keeps each
file's path apart. So each version of the sources has a folder of its own here, whatever their path. What
processor something was compiled for is in Numba's own index.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any


@cache
def fingerprint() -> str:
    """What a kept compilation depends on, apart from the processor."""
    digest = hashlib.sha256(f"{version('numba')} {version('llvmlite')}".encode())
    for path in sources():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def sources() -> Iterator[Path]:
    """Yield all modules with functions that Numba compiles."""
    root = Path(__file__).parents[1]
    patterns = ("numerics/*.py", "*/by_numba/*.py", "environments/compiled/*.py")
    yield from sorted(path for pattern in patterns for path in root.glob(pattern))


@cache
def folder() -> Path | None:
    """Where to keep what is compiled; None where nothing can be written."""
    user = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    try:
        found = Path(chosen) if chosen else Path(user).expanduser() / "ppo-grid"
        found /= f"compiled-{fingerprint()}"
        found.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # the latter where there is no home
        return None
    return found if os.access(found, os.W_OK | os.X_OK) else None


class Locator:
    """Tells Numba where a function is kept, and that it is as it was.

    Args:
        function: what is compiled.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._line = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Callable[..., Any], _: str) -> Locator:
        """The locator of a function in a file."""
        return cls(function)

    def get_cache_path(self) -> str:
        """The folder."""
        return str(folder())

    def get_source_stamp(self) -> str:
        """What changes with the sources."""
        return fingerprint()

    def get_disambiguator(self) -> str:
        """What tells functions of the same name apart."""
        return str(self._line)

    def ensure_cache_path(self) -> None:
        """The folder is there."""
