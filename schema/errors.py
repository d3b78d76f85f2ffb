"""The one exception that commands turn into plain lines and exit code 2."""

from __future__ import annotations

from collections.abc import Iterable


class UserError(Exception):
    """Something the user can mend: a wrong option, config, file or folder.

    Args:
        lines: what is wrong and what would be right, one line for each error.
    """

    def __init__(self, lines: str | Iterable[str]) -> None:
        self.lines = [lines] if isinstance(lines, str) else list(lines)
        super().__init__("\n".join(self.lines))
