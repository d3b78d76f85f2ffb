"""What makes a permutation the same when its grid has grown, and a grid another one."""

from __future__ import annotations

from collections import Counter
from typing import Any

from schema.config import Config
from schema.yaml_file import KeyPath
from sweeps.search_space.choices import canonical, show
from sweeps.search_space.grid import Grid, deep_merge
from sweeps.search_space.keys import Axis

# What may grow from one session of a sweep to the next.
_UPDATES: KeyPath = ("trainer", "updates")


class Identities:
    """Identifies permutations by the values of their choices, wherever the grid has them.

    A choice that is the base config's value isn't mentioned, so that a key that is tuned from now on
    leaves the permutations with its former value what they were.

    Args:
        grid: whose permutations.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        base = complete(grid.base.data)
        self._texts = [_texts(axis, base) for axis in grid.axes]
        self._shown = [list(map(show, axis.choices)) for axis in grid.axes]

    def __call__(self, index: int) -> str:
        """What identifies the permutation of that index."""
        positions = self._grid.positions(index)
        texts = [texts[place] for texts, place in zip(self._texts, positions, strict=True)]
        return ";".join(filter(None, texts))

    def shown(self, index: int) -> list[str]:
        """The permutation's choices as text."""
        positions = self._grid.positions(index)
        return [shown[place] for shown, place in zip(self._shown, positions, strict=True)]


def _texts(axis: Axis, base: dict[str, Any]) -> list[str]:
    """What each choice adds to an identity; what a list repeats is told apart by its number."""
    usual = None if axis.key_path == _UPDATES else canonical(_value_at(base, axis.key_path))
    seen: Counter[str] = Counter()
    texts = []
    for text in map(canonical, axis.choices):
        seen[text] += 1
        number = f"#{seen[text]}" if seen[text] > 1 else ""
        is_usual = text == usual and not number
        texts.append("" if is_usual else f"{'.'.join(axis.key_path)}={text}{number}")
    return texts


def _value_at(data: Any, key_path: KeyPath) -> Any:
    for key in key_path:
        if not isinstance(data, dict) or key not in data:
            return None
        data = data[key]
    return data


def complete(base: dict[str, Any]) -> dict[str, Any]:
    """A base config with the defaults of what it leaves out."""
    return deep_merge(Config().as_dict(), base)


def differences(before: Any, now: Any, key_path: KeyPath = ()) -> list[str]:
    """A line for each key that isn't the same in two completed base configs, but for the updates."""
    if key_path == _UPDATES or (canonical(before) == canonical(now)):
        return []
    if isinstance(before, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*before, *now])
        return [
            line
            for key in keys
            for line in differences(before.get(key), now.get(key), (*key_path, key))
        ]
    return [f"{'.'.join(key_path)}: was {show(before)}, is {show(now)}"]
