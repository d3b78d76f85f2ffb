"""The one exception that commands print as plain lines, with exit code 2."""

from __future__ import annotations

from collections.abc import Iterable


class UserError(Exception):
    """An error that the user can mend: a wrong option, config, file or folder.

    Args:
        lines: the fault and how to mend it, one line per error.
    """

    def __init__(self, lines: str | Iterable[str]) -> None:
        self.lines = [lines] if isinstance(lines, str) else list(lines)
        super().__init__("\n".join(self.lines))
