"""The cache of compiled code: a folder in the user's cache, shared by all checkouts.

Numba itself detects changes in a function's own file only, not in functions that it calls, and has
separate caches for each file's path. Here each version of the sources has its own folder, whatever
their path. Numba's own index tells processors apart.
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
    """Return a hash of everything that compiled code depends on, apart from the processor."""
    digest = hashlib.sha256(f"{version('numba')} {version('llvmlite')}".encode())
    for path in sources():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def sources() -> Iterator[Path]:
    """Yield all modules with functions that Numba compiles."""
    root = Path(__file__).parents[1]
    patterns = ("numerics/*.py", "*/by_numba/*.py", "environments/compiled/*.py")
    yield from sorted(path for pattern in patterns for path in root.glob(pattern))


def place() -> Path:
    """Return the folder that should hold the cache.

    Raises:
        RuntimeError: there is no home folder.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ppo-grid"


@cache
def folder() -> Path | None:
    """Return the cache folder; None if it can't be written."""
    try:
        found = place() / f"compiled-{fingerprint()}"
        found.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError if there is no home folder
        return None
    return found if os.access(found, os.W_OK | os.X_OK) else None


class Locator:
    """Numba's cache locator: tells Numba a function's cache folder and the version of the sources.

    Args:
        function: the function to compile.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._line = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Callable[..., Any], _: str) -> Locator:
        """Return the locator of a function in a file."""
        return cls(function)

    def get_cache_path(self) -> str:
        """Return the cache folder."""
        return str(folder())

    def get_source_stamp(self) -> str:
        """Return the version of the sources."""
        return fingerprint()

    def get_disambiguator(self) -> str:
        """Return a text that differs between functions of the same name."""
        return str(self._line)

    def ensure_cache_path(self) -> None:
        """Do nothing, as the folder exists already."""
