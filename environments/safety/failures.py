"""Turns exceptions in environments into failures: one line, with the traceback as details."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path

from environments.interface import EnvironmentFailure


def failure_of(call: str, error: BaseException) -> EnvironmentFailure:
    """Return the failure for an exception in an environment's code.

    Args:
        call: the environment's name and the call, `CartPole-v1: step`.
        error: the exception.
    """
    return EnvironmentFailure(f"{call} raised {described(error)}", traceback_of(error))


def traceback_of(error: BaseException) -> str:
    """Return an exception's traceback as Python prints it."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def described(error: BaseException) -> str:
    """Return an exception's type and message on one line, without what Gymnasium appends."""
    text = str(error).partition(" was raised from the environment creator")[0]
    first = next(iter(text.strip().splitlines()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def keep_details(failure: EnvironmentFailure) -> str:
    """Write a failure's details to a temporary file; return its line, with the file's path.

    For commands that have no folder of their own. All failures of a process share one file. Without
    details, return the line alone.
    """
    if not failure.details:
        return str(failure)
    try:
        path = _file_of_details()
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{failure}\n\n{failure.details.rstrip()}\n\n")
    except OSError as error:
        return f"{failure} (details are lost: {error.strerror})"
    return f"{failure} (details in {path})"


@cache
def warn_once(line: str) -> None:
    """Print a warning, the first time that this process has it."""
    print(f"warning: {line}", file=sys.stderr, flush=True)


@cache
def _file_of_details() -> Path:
    descriptor, path = tempfile.mkstemp(prefix="ppo-grid-failure-", suffix=".txt")
    os.close(descriptor)
    return Path(path)
