"""Reads the permutations that a tuning config lists under `try`, which begin before all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schema.errors import UserError
from schema.messages import nearest
from schema.yaml_file import Document
from sweeps.search_space.choices import canonical, show
from sweeps.search_space.keys import Axis
from sweeps.search_space.merging import complete, value_at

TRY = "try"


def resolve_tried(base: Document, tune: Document, axes: Sequence[Axis]) -> list[tuple[int, ...]]:
    """Return the positions of each entry's choices, in the order of the file.

    A key that an entry lacks has the base config's value if that is one of its choices, else its first
    choice.

    Raises:
        UserError: an entry is malformed, or isn't part of the grid; a line for each error.
    """
    if TRY not in tune.data:
        return []
    entries = tune.data[TRY]
    example = f"{axes[0].label}: {show(axes[0].choices[0])}"
    where = f"{tune.where((TRY,))}: {TRY}"
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{where}: must be a list of permutations, such as `- {{{example}}}`")
    usual = _usual_positions(base, axes)
    found: list[tuple[int, ...]] = []
    errors: list[str] = []
    for number, entry in enumerate(entries):
        if isinstance(entry, dict) and entry:
            positions = usual | _positions(entry, number, tune, axes, errors)
            found.append(tuple(positions[axis.label] for axis in axes))
        else:
            errors.append(
                f"{where}: entry {number + 1} must hold tuned keys with values, such as `{example}`"
            )
    if errors:
        raise UserError(errors)
    return found


def _usual_positions(base: Document, axes: Sequence[Axis]) -> dict[str, int]:
    """Return the position, by label, of the choice that a key has where an entry lacks it."""
    data = complete(base.data)
    return {axis.label: _position(axis, value_at(data, axis.key_path)) or 0 for axis in axes}


def _positions(
    entry: dict[str, Any], number: int, tune: Document, axes: Sequence[Axis], errors: list[str]
) -> dict[str, int]:
    """Return the positions of an entry's choices, by label, and add its errors to `errors`."""
    by_label = {axis.label: axis for axis in axes}
    found = {}
    for key, value in entry.items():
        where = f"{tune.where((TRY, str(number), key))}: {TRY}: entry {number + 1}: {key}"
        if key not in by_label:
            errors.append(f"{where}: isn't tuned here{nearest(key, list(by_label))}")
            continue
        position = _position(by_label[key], value)
        if position is None:
            choices = ", ".join(dict.fromkeys(map(show, by_label[key].choices)))
            errors.append(f"{where}: {show(value)} is none of its choices {choices}")
        else:
            found[key] = position
    return found


def _position(axis: Axis, value: Any) -> int | None:
    """Return the position of the first choice that equals a value; None if none does."""
    choices = list(map(canonical, axis.choices))
    wanted = canonical(value)
    return choices.index(wanted) if wanted in choices else None
