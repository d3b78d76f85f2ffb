"""Draws what commands print for a finished sweep, on terminals of several widths.

Usage:
  draw_terminal.py <out> <run-id>
  draw_terminal.py --help

Writes the answer and --status at 120, 80 and 50 columns to docs/images/.
"""

from __future__ import annotations

import sys
from pathlib import Path

from docopt import docopt

from docs.terminal import Terminal

_IMAGES = Path(__file__).parent / "images"
_WIDTHS = (120, 80, 50)
_ROWS, _FONT_SIZE = 90, 12


def draw(command: list[str], columns: int, name: str) -> None:
    """Draw a command's output at its end."""
    *_, picture = Terminal([sys.executable, *command], columns, _ROWS).pictures(1.0, _FONT_SIZE)
    picture.quantize(32).save(_IMAGES / f"{name}_{columns}.png", optimize=True)


def main() -> None:
    """Draw all."""
    arguments = docopt(__doc__)
    sweep = [f"--out={arguments['<out>']}", f"--run-id={arguments['<run-id>']}"]
    for columns in _WIDTHS:
        draw(["report.py", *sweep], columns, "terminal_answer")
        draw(["tune.py", "--status", *sweep], columns, "terminal_status")


if __name__ == "__main__":
    main()
