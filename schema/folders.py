"""The folder in which a command was started; relative paths of its options and configs belong to it.

An environment may change the working folder, so paths are made absolute before any environment is built.
People see paths as they gave them, relative to the folder of the start.
"""

from __future__ import annotations

import os
import re
from pathlib import Path


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except OSError:  # it was deleted
        return Path()


START = _working_folder()


def absolute(path: str | Path) -> Path:
    """Return an absolute path, with `~` expanded."""
    return START / Path(path).expanduser()


def shown(path: Path) -> Path:
    """Return a path below the folder of the start relative to it, any other as it is."""
    return path.relative_to(START) if path.is_relative_to(START) else path


def shown_text(text: str) -> str:
    """Return a text, such as an error, with its paths as `shown` returns them."""
    folder = f"{START}{os.sep}"
    if not START.name:
        return text
    return re.sub(rf"(?<![^\s'\"=(]){re.escape(folder)}", "", text)
