"""Names the file in errors of the operating system, and describes them on one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schema.folders import shown


def file_of(error: OSError) -> Path | None:
    """Return the file that an error names; None if it names none."""
    # TensorBoard names files as bytes; a number is an open file's.
    name = error.filename
    return Path(os.fsdecode(name)) if isinstance(name, str | bytes | os.PathLike) else None


def describe(error: OSError) -> str:
    """Return an error on one line: the file, if it is known, and the fault."""
    path, fault = file_of(error), error.strerror or str(error)
    return fault if path is None else f"{shown(path)}: {fault}"


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Make errors within the context name a file if they name none, or a temporary file beside it.

    Args:
        path: the file that is written; the name of a temporary file begins with a point, this file's
            name and a point.
    """
    try:
        yield
    except OSError as error:
        named = file_of(error)
        if named is None or named.name.startswith(f".{path.name}."):
            error.filename = str(path)
        raise
