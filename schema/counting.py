"""Puts a number before a noun, in sentences that are printed."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number and a noun, with an s unless it is one: `1 run`, `2,000 runs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
