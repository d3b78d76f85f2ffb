"""Makes the console for standard output, and prints sentences there."""

from __future__ import annotations

import os

from rich.console import Console


def make_console() -> Console:
    """Return the console for standard output.

    Outside a terminal, only the variable COLUMNS limits the length of lines. Brackets are printed as
    they are, since paths and choices may contain them.
    """
    # A size of 0 would print nothing.
    unset = {name for name in ("COLUMNS", "LINES") if not _is_size(os.environ.get(name, ""))}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    console = Console(highlight=False, markup=False, _environ=environment)
    if not console.is_terminal and "COLUMNS" in unset:
        console.width = 240
    return console


def _is_size(text: str) -> bool:
    return text.isdecimal() and int(text) > 0


def print_sentence(console: Console, line: str, style: str | None = None) -> None:
    """Print a line that breaks between words on a terminal, and isn't broken in a file."""
    console.print(line, style=style, soft_wrap=not console.is_terminal, markup=False)
