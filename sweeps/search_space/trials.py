"""A search space to draw trials from, and the grid that consists of those trials."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

from schema.config import Config
from schema.errors import UserError
from schema.yaml_file import Document
from sweeps.search_space.choices import canonical, show_choices
from sweeps.search_space.exclusions import EXCLUDE, Exclusions
from sweeps.search_space.grid import (
    Grid,
    Permutation,
    base_errors,
    nested,
    problems_of,
    read_space,
    value_errors,
)
from sweeps.search_space.keys import Axis
from sweeps.search_space.merging import complete, deep_merge, value_at
from sweeps.search_space.tried import TRY, resolve_tried

# The value of each tuned key.
Values = tuple[Any, ...]
_LEAST_DIGITS = 2  # of a trial's name


class SearchSpace:
    """The choices and ranges of a tuning config over a base config.

    Args:
        base: the base config's document.
        tune: the tuning config's document.
        axes: the tuned keys.

    Attributes:
        tried: the permutations under `try`, in the order of the file.

    Raises:
        UserError: an `exclude` rule or a `try` entry is malformed, or isn't part of the space.
    """

    def __init__(self, base: Document, tune: Document, axes: Sequence[Axis]) -> None:
        self.base = base
        self.tune = tune
        self.axes = [axis if axis.range else axis.unique() for axis in axes]
        self._exclusions = Exclusions(tune, self.axes)
        self.tried = resolve_tried(base, tune, self.axes)

    @property
    def labels(self) -> list[str]:
        """Names of the tuned keys."""
        return [axis.label for axis in self.axes]

    @property
    def size(self) -> float:
        """Number of combinations; infinite if a range has no step."""
        return math.prod(axis.count for axis in self.axes)

    @property
    def usual(self) -> Values | None:
        """The base config's own values; None if they aren't part of the space."""
        data = complete(self.base.data)
        values = tuple(value_at(data, axis.key_path) for axis in self.axes)
        held = all(axis.holds(value) for axis, value in zip(self.axes, values, strict=True))
        return values if held else None

    def combinations(self) -> Iterator[Values]:
        """Yield all combinations of a space of finite size."""
        return product(*map(_all_values, self.axes))

    def validate(self) -> list[str]:
        """Validate the base config, every choice, the ends of ranges and what is tried first.

        Returns:
            The warnings, a line each.

        Raises:
            UserError: there are errors, a line each.
        """
        errors = base_errors(self.base, self.axes)
        errors += [line for axis in self.axes for line in value_errors(self.base, self.tune, axis)]
        if errors:
            raise UserError(errors)
        warnings = list(self._exclusions.warnings)
        for number, values in enumerate(self.tried, 1):
            where = f"{self.tune.where((TRY,))}: {TRY}: entry {number}"
            if self.excludes(values):
                warnings.append(f"{where}: is excluded")
            elif (problem := self.problem(values)) is not None:
                errors.append(f"{where}: {problem}")
        if errors:
            raise UserError(errors)
        return warnings

    def allows(self, values: Values) -> bool:
        """Return whether a permutation is neither excluded nor invalid."""
        return not self.excludes(values) and self.problem(values) is None

    def excludes(self, values: Values) -> bool:
        """Return whether a rule under `exclude` matches a permutation."""
        if not self._exclusions:
            return False
        # No rule names a key with a range, which has no positions.
        places = (axis.position(value) for axis, value in zip(self.axes, values, strict=True))
        return self._exclusions.match([-1 if place is None else place for place in places])

    def problem(self, values: Values) -> str | None:
        """Return the first error of a permutation's config; None if it is valid."""
        problems, _ = problems_of(_merged(self.base, self.axes, values))
        if not problems:
            return None
        key_path, message = problems[0]
        choices = show_choices(dict(zip(self.labels, values, strict=True)))
        return f"{choices}: {'.'.join(key_path)}: {message}"

    def nothing_left(self) -> UserError:
        """Return the error for a space without any permutation that is allowed."""
        values = tuple(axis.first for axis in self.axes)
        why = self.problem(values) or f"{EXCLUDE} leaves it out"
        return UserError(f"{self.tune.path}: hardly any permutation is valid, such as {why}")

    def described(self) -> dict[str, Any]:
        """Return the choices and ranges of each key, by label, as plain values."""
        return {
            axis.label: list(axis.choices) if axis.range is None else asdict(axis.range)
            for axis in self.axes
        }


def load_space(base_path: Path, tune_path: Path) -> SearchSpace:
    """Read a base config and a tuning config, and return their search space.

    Raises:
        UserError: a file can't be read, or the tuning config names a key that doesn't exist.
    """
    return SearchSpace(*read_space(base_path, tune_path))


class TrialGrid(Grid):
    """The permutations that a search has chosen so far; its indices count them in their order.

    Args:
        space: the search space.
        trials: the values of each permutation.
        sampler: name of the sampler that chose them.
        planned: number of permutations in the end.
    """

    def __init__(
        self, space: SearchSpace, trials: Sequence[Values], sampler: str, planned: int
    ) -> None:
        self._trials = list(trials)
        self._search = {"sampler": sampler, "space": space.described(), "planned": planned}
        columns = zip(*trials, strict=True)
        places = [_places(column) for column in columns]
        self._positions = [
            tuple(place[canonical(value)][0] for place, value in zip(places, values, strict=True))
            for values in trials
        ]
        axes = [
            replace(axis, choices=tuple(value for _, value in place.values()), range=None)
            for axis, place in zip(space.axes, places, strict=True)
        ]
        data = {key: keys for key, keys in space.tune.data.items() if key not in (EXCLUDE, TRY)}
        super().__init__(space.base, replace(space.tune, data=data), axes)

    @property
    def size(self) -> int:
        """Number of permutations."""
        return len(self._positions)

    @property
    def search(self) -> dict[str, Any]:
        """The sampler, the space, the permutations and their number in the end, for the journal."""
        return {**self._search, "trials": list(map(list, self._trials))}

    def name(self, index: int) -> str:
        """Return the index of a permutation with at least two digits."""
        return str(index).zfill(_LEAST_DIGITS)

    def later_name(self, number: int) -> str:
        """Return the name of a permutation that joins the search later, which is its index, too."""
        return self.name(number)

    def positions(self, index: int) -> tuple[int, ...]:
        """Return the positions of a permutation's values among those that occur."""
        return self._positions[index]

    def permutations(self) -> Iterator[Permutation]:
        """Yield every permutation, in order."""
        return map(self.permutation, range(len(self)))

    def permutation(self, index: int) -> Permutation:
        """Return the permutation at an index."""
        values = self._trials[index]
        config = Config.model_validate(_merged(self.base, self.axes, values))
        return Permutation(index, dict(zip(self.labels, values, strict=True)), config)


def _places(column: Sequence[Any]) -> dict[str, tuple[int, Any]]:
    """Return the place and the value of each value that occurs, by its canonical text."""
    found: dict[str, tuple[int, Any]] = {}
    for value in column:
        found.setdefault(canonical(value), (len(found), value))
    return found


def _all_values(axis: Axis) -> Sequence[Any]:
    if axis.range is None:
        return axis.choices
    return [axis.range.value(place) for place in range(int(axis.range.count))]


def _merged(base: Document, axes: Sequence[Axis], values: Values) -> dict[str, Any]:
    """Return a base config's data with the value of each key."""
    data = base.data
    for axis, value in zip(axes, values, strict=True):
        data = deep_merge(data, nested(axis.key_path, value))
    return data
