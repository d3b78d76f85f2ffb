"""Keeps a command alive when its output can't be written any more, as after `tune.py | head`.

Otherwise the next line printed, by the command or by an environment, would end the training.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any


class _Lenient(io.FileIO):
    """A file that drops what can't be written.

    Attributes:
        error: the first error other than a closed pipe's, or None.
    """

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write bytes, and return how many were written or dropped."""
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes
        except OSError as error:
            self.error = self.error or error
            return memoryview(data).nbytes


def lost_output() -> OSError | None:
    """Return the error that dropped standard output; None if nothing is lost, or nobody reads it."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.error if isinstance(raw, _Lenient) else None


def outlive_readers() -> None:
    """Let this process drop output that can't be written, such as to a closed pipe or a full disk."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # Without a descriptor it is None, and tests put objects of their own there.
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, _lenient(stream))


def _lenient(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """Return a stream that writes to the same descriptor."""
    raw = _Lenient(stream.fileno(), "w", closefd=False)
    try:
        stream.flush()
    except OSError:
        discard(stream.fileno())
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def discard(*descriptors: int) -> None:
    """Redirect open files to nowhere, together with what their streams still hold."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
