"""Prints every text in every encoding: characters that the encoding lacks have substitutes."""

from __future__ import annotations

import codecs
import io
import sys

_NAME = "ppo-grid"  # of the error handler
_SUBSTITUTES = {
    **dict.fromkeys("–—−", "-"),
    "±": "+-",
    "×": "x",
    "·": ".",
    "…": "...",
    **{column: str(height) for height, column in enumerate("▁▂▃▄▅▆▇█", start=1)},
}
# Python stands these for bytes of file names that aren't text.
_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF


def print_any_character() -> None:
    """Make standard output and errors print substitutes instead of raising errors."""
    codecs.register_error(_NAME, _substitute)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_NAME)


def _substitute(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return the substitute of the first character that can't be encoded, and the place after it."""
    assert isinstance(error, UnicodeEncodeError)
    character = error.object[error.start]
    if _FIRST_BYTE <= ord(character) <= _LAST_BYTE:
        return bytes([ord(character) - _FIRST_BYTE + 0x80]), error.start + 1
    return _SUBSTITUTES.get(character, "?"), error.start + 1
