"""Reads the permutations that a tuning config lists under `try`, which begin before all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schema.errors import UserError
from schema.messages import nearest
from schema.yaml_file import Document
from sweeps.search_space.choices import show
from sweeps.search_space.keys import Axis
from sweeps.search_space.merging import complete, value_at

TRY = "try"


def resolve_tried(base: Document, tune: Document, axes: Sequence[Axis]) -> list[tuple[Any, ...]]:
    """Return the value of each key in each entry, in the order of the file.

    A key that an entry lacks has the base config's value if that is one of its choices or lies in its
    range, else its first choice or the range's lower end.

    Raises:
        UserError: an entry is malformed, or isn't part of the search space; a line for each error.
    """
    if TRY not in tune.data:
        return []
    entries = tune.data[TRY]
    example = f"{axes[0].label}: {show(axes[0].first)}"
    where = f"{tune.where((TRY,))}: {TRY}"
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{where}: must be a list of permutations, such as `- {{{example}}}`")
    data = complete(base.data)
    usual = {axis.label: _usual(data, axis) for axis in axes}
    found: list[tuple[Any, ...]] = []
    errors: list[str] = []
    for number, entry in enumerate(entries):
        if isinstance(entry, dict) and entry:
            values = usual | _values(entry, number, tune, axes, errors)
            found.append(tuple(values[axis.label] for axis in axes))
        else:
            errors.append(
                f"{where}: entry {number + 1} must hold tuned keys with values, such as `{example}`"
            )
    if errors:
        raise UserError(errors)
    return found


def _usual(data: dict[str, Any], axis: Axis) -> Any:
    """Return the value that a key has where an entry lacks it."""
    value = value_at(data, axis.key_path)
    return value if axis.holds(value) else axis.first


def _values(
    entry: dict[str, Any], number: int, tune: Document, axes: Sequence[Axis], errors: list[str]
) -> dict[str, Any]:
    """Return the values of an entry, by label, and add its errors to `errors`."""
    by_label = {axis.label: axis for axis in axes}
    found = {}
    for key, value in entry.items():
        where = f"{tune.where((TRY, str(number), key))}: {TRY}: entry {number + 1}: {key}"
        if key not in by_label:
            errors.append(f"{where}: isn't tuned here{nearest(key, list(by_label))}")
        elif not by_label[key].holds(value):
            errors.append(f"{where}: {show(value)} is {by_label[key].described}")
        else:
            found[key] = value
    return found
