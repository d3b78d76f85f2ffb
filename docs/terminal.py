"""Runs a command in a terminal of a given size, and draws what a person would see there."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import pyte
from PIL import Image, ImageDraw, ImageFont

_FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
_BACKGROUND, _FOREGROUND = "#16181d", "#d7dae0"
_COLOURS = {
    "black": "#16181d",
    "red": "#e0606a",
    "green": "#7fbf6a",
    "brown": "#d8b45f",
    "blue": "#6aa5e8",
    "magenta": "#c38ae0",
    "cyan": "#56b6c2",
    "white": "#d7dae0",
    "brightblack": "#828894",
}
_MARGIN = 10  # pixels


class Terminal:
    """A terminal in which one command runs.

    Args:
        command: the command and its arguments.
        columns, rows: size of the terminal, in characters.
    """

    def __init__(self, command: Sequence[str], columns: int, rows: int) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._own, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        for name in ("NO_COLOR", "COLUMNS", "LINES"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
        os.close(theirs)

    def pictures(self, interval: float, font_size: int) -> Iterator[Image.Image]:
        """Draw the terminal every `interval` seconds, and when the command has ended."""
        due, ended = time.monotonic() + interval, False
        while not ended:
            ended = self._read(max(0.0, due - time.monotonic()))
            if ended or time.monotonic() >= due:
                yield self.picture(font_size)
                due = time.monotonic() + interval
        self.process.wait()

    def _read(self, seconds: float) -> bool:
        """Show the output that comes within some seconds; return whether the command has ended."""
        ready, _, _ = select.select([self._own], [], [], seconds)
        if not ready:
            return False
        try:
            self._stream.feed(os.read(self._own, 65_536))
        except OSError:  # Linux reports the end of a terminal's last process so.
            return True
        return False

    def picture(self, font_size: int) -> Image.Image:
        """Draw what the terminal shows, without empty lines at its end."""
        fonts = {
            bold: ImageFont.truetype(str(_FONTS / f"DejaVuSansMono{suffix}.ttf"), font_size)
            for bold, suffix in ((False, ""), (True, "-Bold"))
        }
        width, height = fonts[False].getlength("M"), round(font_size * 1.3)
        lines = [line.rstrip() for line in self._screen.display]
        rows = max((row + 1 for row, line in enumerate(lines) if line), default=1)
        size = (round(width * self._screen.columns) + 2 * _MARGIN, height * rows + 2 * _MARGIN)
        image = Image.new("RGB", size, _BACKGROUND)
        draw = ImageDraw.Draw(image)
        for row in range(rows):
            for column in range(self._screen.columns):
                cell = self._screen.buffer[row][column]
                if cell.data.strip() or cell.reverse:
                    place = (_MARGIN + column * width, _MARGIN + row * height)
                    _draw_cell(draw, cell, place, (width, height), fonts[cell.bold])
        return image


def _draw_cell(
    draw: ImageDraw.ImageDraw,
    cell: Any,
    place: tuple[float, float],
    size: tuple[float, float],
    font: ImageFont.FreeTypeFont,
) -> None:
    foreground, background = _colour(cell.fg, _FOREGROUND), _colour(cell.bg, _BACKGROUND)
    if cell.reverse:
        foreground, background = background, foreground
    if background != _BACKGROUND:
        draw.rectangle((*place, place[0] + size[0], place[1] + size[1]), background)
    draw.text(place, cell.data, foreground, font)


def _colour(name: str, default: str) -> str:
    if name == "default":
        return default
    return _COLOURS.get(name) or _COLOURS.get(name.removeprefix("bright")) or f"#{name}"
