"""Ranges of numbers, which a tuning config may have in place of a list of choices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from schema.errors import UserError
from schema.messages import nearest
from schema.section import as_whole

_NUMBERS = ("low", "high", "step")
_KEYS = (*_NUMBERS, "log")
_DIGITS = 4  # decimal places of a drawn value, relative to the range's width
_ROUNDING = 1e-6  # of a step


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes:
        low: the least number.
        high: the greatest number.
        log: whether equal factors, rather than equal differences, are equally likely.
        step: distance between neighbours; None for numbers without gaps.
        whole: whether the numbers are whole.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    @property
    def count(self) -> float:
        """Number of values; infinite without a step."""
        if self.step is None:
            return math.inf
        return math.floor((self.high - self.low) / self.step + _ROUNDING) + 1

    def value(self, place: int) -> float:
        """Return the value at a place, counted from `low` in steps."""
        assert self.step is not None
        value = self.low + place * self.step
        # Without the error of the product.
        return value if self.whole else self._within(float(f"{value:.15g}"))

    def holds(self, value: Any) -> bool:
        """Return whether a value is a number of the range."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        if not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return abs(steps - round(steps)) <= _ROUNDING * max(1.0, abs(steps))

    def rounded(self, value: float) -> float:
        """Return a drawn value with few digits, still within the range."""
        if self.step is not None:
            return self.value(round((value - self.low) / self.step))
        width = min(self.high - self.low, value) if self.log else self.high - self.low
        short = round(value, _DIGITS - math.floor(math.log10(width)) - 1)
        return float(self._within(short))

    def _within(self, value: float) -> float:
        return min(max(value, self.low), self.high)

    def __str__(self) -> str:
        by = f" in steps of {self.step:g}" if self.step is not None and self.step != 1 else ""
        return f"{self.low:g} to {self.high:g}{by}"


def is_range(value: Any) -> bool:
    """Return whether a key's value in a tuning config is meant as a range."""
    return isinstance(value, dict) and not {"low", "high"}.isdisjoint(value)


def parse_range(written: dict[str, Any], whole: bool | None) -> Range:
    """Return the range that a tuning config describes.

    Args:
        written: the keys `low` and `high`, and `log` or `step`.
        whole: whether the key takes whole numbers only; None if the schema doesn't know the key.

    Raises:
        UserError: the description is malformed, or the range holds fewer than two numbers.
    """
    for key in written:
        if key not in _KEYS:
            raise UserError(f"a range has no key {key}{nearest(key, list(_KEYS))}")
    for key in ("low", "high"):
        if key not in written:
            raise UserError(f"a range needs {key}, such as {{low: 1.0e-5, high: 1.0e-3}}")
    given = [key for key in _NUMBERS if key in written]
    numbers = {key: _number(key, written[key]) for key in given}
    log = written.get("log", False)
    if not isinstance(log, bool):
        raise UserError(f"log: must be true or false, not {log}")
    if whole is None:
        whole = all(isinstance(number, int) for number in numbers.values())
    if whole:
        numbers = {key: _whole(key, number) for key, number in numbers.items()}
    return _checked(numbers, log, whole)


def _number(key: str, value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise UserError(f"{key}: must be a number, not {value}")
    return value


def _whole(key: str, value: float) -> int:
    number = as_whole(value)
    if not isinstance(number, int):
        raise UserError(f"{key}: must be a whole number, not {value}")
    return number


def _checked(numbers: dict[str, float], log: bool, whole: bool) -> Range:
    low, high, step = numbers["low"], numbers["high"], numbers.get("step")
    if low >= high:
        raise UserError(f"an empty range: high ({high:g}) must be greater than low ({low:g})")
    if log and low <= 0:
        raise UserError(f"low: must be greater than 0 with log, not {low:g}")
    if log and step is not None:
        raise UserError("step: can't be combined with log; remove one of them")
    if step is not None and not 0 < step <= high - low:
        raise UserError(f"step: must be greater than 0 and at most high - low, not {step:g}")
    if whole:
        return Range(low, high, log, 1 if step is None else step, whole)
    return Range(float(low), float(high), log, None if step is None else float(step), whole)
