"""Identifies permutations, so that they are found again after their grid has grown."""

from __future__ import annotations

from collections import Counter
from typing import Any

from schema.trainer import LENGTH_KEYS
from schema.yaml_file import KeyPath
from sweeps.search_space.choices import canonical, show
from sweeps.search_space.grid import Grid
from sweeps.search_space.keys import Axis
from sweeps.search_space.merging import complete, value_at

# The key that may grow from one session of a sweep to the next.
UPDATES: KeyPath = ("trainer", "updates")


class Identities:
    """Identifies permutations by their choices, whatever their index in the grid.

    An identity leaves out choices that equal the base config's value. So a permutation keeps its
    identity when a key is added to the search space with the base config's value as a choice.

    Args:
        grid: the permutations.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self.identify_by(complete(grid.base.data))
        self._shown = [list(map(show, axis.choices)) for axis in grid.axes]

    def identify_by(self, base: dict[str, Any]) -> None:
        """Set the completed base config with the usual values: that of the sweep's first session."""
        self._texts = [_texts(axis, base) for axis in self._grid.axes]

    def __call__(self, index: int) -> str:
        """Return the identity of the permutation at an index."""
        positions = self._grid.positions(index)
        texts = [texts[place] for texts, place in zip(self._texts, positions, strict=True)]
        return ";".join(filter(None, texts))

    def shown(self, index: int) -> list[str]:
        """Return the choices of the permutation at an index as text."""
        positions = self._grid.positions(index)
        return [shown[place] for shown, place in zip(self._shown, positions, strict=True)]

    def choices(self, place: int) -> list[str]:
        """Return all choices of the tuned key at a place, as text."""
        return self._shown[place]


def _texts(axis: Axis, base: dict[str, Any]) -> list[str]:
    """Return each choice's part of an identity; repeated choices of a key are numbered."""
    usual = None if axis.key_path == UPDATES else canonical(value_at(base, axis.key_path))
    seen: Counter[str] = Counter()
    texts = []
    for text in map(canonical, axis.choices):
        seen[text] += 1
        number = f"#{seen[text]}" if seen[text] > 1 else ""
        is_usual = text == usual and not number
        texts.append("" if is_usual else f"{'.'.join(axis.key_path)}={text}{number}")
    return texts


def updates_of(grid: Grid) -> int | None:
    """Return the number of updates of all runs of a validated grid; None if it is tuned."""
    deciding = {UPDATES, ("trainer", "total_steps")}
    if "total_steps" in grid.base.data.get("trainer", {}):
        deciding |= {("trainer", key) for key in LENGTH_KEYS}
    if any(axis.key_path in deciding for axis in grid.axes):
        return None
    return grid.permutation(grid.first).config.trainer.updates


def with_values_of(before: dict[str, Any], now: dict[str, Any], grid: Grid) -> dict[str, Any]:
    """Return a completed base config with another one's values of the tuned keys.

    No run depends on the base config's value of a tuned key, but identities do.

    Args:
        before: the base config that has the values.
        now: the base config that has all other values.
        grid: the permutations, with the tuned keys.
    """
    for axis in grid.axes:
        now = _with_value_of(before, now, axis.key_path)
    return now


def _with_value_of(before: Any, now: Any, key_path: KeyPath) -> Any:
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return now
    key, *rest = key_path
    changed = {name: value for name, value in now.items() if name != key}
    if rest and key in before and key in now:
        return now | {key: _with_value_of(before[key], now[key], tuple(rest))}
    return now | {key: before[key]} if key in before else changed


def differences(before: Any, now: Any, key_path: KeyPath = ()) -> list[str]:
    """Return a line for each key that differs between completed base configs, except the updates."""
    if key_path == UPDATES or (canonical(before) == canonical(now)):
        return []
    if isinstance(before, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*before, *now])
        return [
            line
            for key in keys
            for line in differences(before.get(key), now.get(key), (*key_path, key))
        ]
    return [f"{'.'.join(key_path)}: was {show(before)}, is {show(now)}"]
