"""Reads a tuning config, and expands it over a base config into permutations.

A tuning config lists choices under `hyperparameters` (any key of the config) and under each decay
schedule. A grid is their Cartesian product in the order of the file, the last key varying fastest.
It is generated lazily: neither the time to the first permutation nor the RAM grows with its size.
Permutations that the grid leaves out keep their index, so that the others keep theirs.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ppo.validation import runnable_problems
from schema.config import Config, config_errors, read_config
from schema.environment import EnvironmentConfig
from schema.errors import UserError
from schema.evaluation import EvaluationConfig
from schema.model import ModelConfig
from schema.schedules import DecaySchedule
from schema.section import Section
from schema.trainer import TrainerConfig
from schema.yaml_file import Document, KeyPath, read_yaml
from sweeps.search_space.choices import canonical, show, show_choices
from sweeps.search_space.exclusions import EXCLUDE, Exclusions
from sweeps.search_space.keys import Axis, resolve_axes, schedule_names
from sweeps.search_space.merging import deep_merge
from sweeps.search_space.tried import TRY, resolve_tried

ORDERS = ("grid", "random")  # names of the orders in which permutations may begin
_REPORTED = 10  # errors and warnings listed; the others are counted


@dataclass(frozen=True)
class Permutation:
    """One combination of choices, with the config it makes.

    Attributes:
        index: position in the grid, from 0.
        choices: the value of each tuned key, by label.
        config: the base config with the choices merged in, validated.
    """

    index: int
    choices: dict[str, Any]
    config: Config


class _Causes:
    """The distinct errors of permutations.

    Attributes:
        seen: number of permutations.
        failed: number of permutations with errors.
        first: number of permutations with an error, and the index and choices of the first of them, by
            the error's key and message; for the first ten errors only.
        are_more: whether there are more errors.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.failed = 0
        self.first: dict[tuple[KeyPath, str], tuple[int, int, tuple[Any, ...]]] = {}
        self.are_more = False

    def note(
        self, index: int, values: tuple[Any, ...], problems: list[tuple[KeyPath, str]]
    ) -> None:
        """Add the errors of a permutation."""
        self.seen += 1
        self.failed += bool(problems)
        for problem in problems:
            if problem not in self.first and len(self.first) == _REPORTED:
                self.are_more = True
                continue
            count, *first = self.first.get(problem, (0, index, values))
            self.first[problem] = (count + 1, *first)  # type: ignore[assignment]


class Grid:
    """The permutations of a tuning config over a base config.

    Args:
        base: the base config's document.
        tune: the tuning config's document.
        axes: the tuned keys.

    Raises:
        UserError: an `exclude` rule or a `try` entry is malformed, or isn't part of the grid.
    """

    def __init__(self, base: Document, tune: Document, axes: list[Axis]) -> None:
        self.base = base
        self.tune = tune
        self.axes = axes
        self._exclusions = Exclusions(tune, axes)
        self._tried = [
            tuple(axis.position(value) or 0 for axis, value in zip(axes, values, strict=True))
            for values in resolve_tried(base, tune, axes)
        ]
        # A flag for each combination that validation has skipped.
        self._skipped = bytearray()
        self._count: int | None = None

    @property
    def size(self) -> int:
        """Number of combinations; unlike `len`, it has no upper limit."""
        return math.prod(len(axis.choices) for axis in self.axes)

    def __len__(self) -> int:
        """Return the number of combinations, also of those left out: the range of an index."""
        return self.size

    @property
    def count(self) -> int:
        """Number of permutations that aren't left out."""
        if self._count is None:
            self._count = sum(1 for _ in self.indices())
        return self._count

    def indices(self) -> Iterable[int]:
        """Return the indices of the permutations that aren't left out, in order."""
        if not (self._exclusions or self._skipped):
            return range(len(self))
        return (index for index, positions in self._all() if not self._leaves_out(index, positions))

    @property
    def first(self) -> int:
        """Index of the first permutation that isn't left out."""
        return next(iter(self.indices()))

    @property
    def tried(self) -> list[int]:
        """Indices of the permutations under `try` that aren't left out, in the order of the file."""
        found = dict.fromkeys(map(self._index, self._tried))
        return [index for index in found if not self.leaves_out(index)]

    def _index(self, positions: tuple[int, ...]) -> int:
        """Return the index of the permutation with these positions of its choices."""
        index = 0
        for axis, position in zip(self.axes, positions, strict=True):
            index = index * len(axis.choices) + position
        return index

    def leaves_out(self, index: int) -> bool:
        """Return whether the permutation at an index is left out."""
        return self._leaves_out(index, self.positions(index))

    def _all(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield the index and the positions of the choices of every combination."""
        return enumerate(product(*(range(len(axis.choices)) for axis in self.axes)))

    def _leaves_out(self, index: int, positions: tuple[int, ...]) -> bool:
        return bool(self._skipped and self._skipped[index]) or self._exclusions.match(positions)

    @property
    def labels(self) -> list[str]:
        """Names of the tuned keys."""
        return [axis.label for axis in self.axes]

    def name(self, index: int) -> str:
        """Return the index of a permutation, zero-padded so that names sort as numbers."""
        return str(index).zfill(len(str(len(self) - 1)))

    def later_name(self, number: int) -> str:
        """Return the name of a permutation that joins a sweep later, as its permutation `number`."""
        return str(number)

    @property
    def search(self) -> dict[str, Any] | None:
        """The search that chose the permutations, for the journal; None for a plain grid."""
        return None

    def permutations(self) -> Iterator[Permutation]:
        """Yield every permutation of a validated grid that isn't left out, in order."""
        validate = _SharedSections()
        for index, values, data in self._merged():
            yield Permutation(index, dict(zip(self.labels, values, strict=True)), validate(data))

    def permutation(self, index: int) -> Permutation:
        """Return the permutation at an index of a validated grid."""
        data, values = self.base.data, self.values(index)
        for axis, value in zip(self.axes, values, strict=True):
            data = deep_merge(data, nested(axis.key_path, value))
        choices = dict(zip(self.labels, values, strict=True))
        return Permutation(index, choices, Config.model_validate(data))

    def values(self, index: int) -> tuple[Any, ...]:
        """Return the choices of the permutation at an index, without making its config."""
        positions = self.positions(index)
        return tuple(
            axis.choices[position] for axis, position in zip(self.axes, positions, strict=True)
        )

    def positions(self, index: int) -> tuple[int, ...]:
        """Return the positions of a permutation's choices in the lists of choices."""
        found = []
        for axis in reversed(self.axes):
            index, position = divmod(index, len(axis.choices))
            found.append(position)
        return tuple(reversed(found))

    def unique(self) -> Grid:
        """Return the grid without permutations that repeat an earlier one."""
        return Grid(self.base, self.tune, [axis.unique() for axis in self.axes])

    def validate(self, skip_invalid: bool = False) -> list[str]:
        """Validate the base config, every choice and every permutation.

        Args:
            skip_invalid: whether to leave out permutations that have errors, with a warning, unless all
                have some.

        Returns:
            The warnings, a line each.

        Raises:
            UserError: there are errors, a line each. For permutations, it has the first ten errors and
                how many permutations have them.
        """
        errors = base_errors(self.base, self.axes)
        if not skip_invalid:
            errors += [
                line for axis in self.axes for line in value_errors(self.base, self.tune, axis)
            ]
        if errors:
            raise UserError(errors)
        if next(iter(self.indices()), None) is None:
            raise UserError(
                f"{self.tune.where((EXCLUDE,))}: {EXCLUDE}: the rules exclude all {len(self)} "
                "permutations; remove one of them"
            )
        warnings = self._exclusions.warnings + self._repetition_warnings()
        warnings += self._validate_permutations(skip_invalid)
        return warnings + self._tried_warnings()

    def _tried_warnings(self) -> list[str]:
        """Return a line for each entry under `try` that is left out."""
        return [
            f"{self.tune.where((TRY,))}: {TRY}: entry {number} is permutation {self.name(index)}, "
            "which is left out"
            for number, index in enumerate(map(self._index, self._tried), 1)
            if self.leaves_out(index)
        ]

    def _merged(self) -> Iterator[tuple[int, tuple[Any, ...], dict[str, Any]]]:
        """Yield the index, the choices and the merged config of each permutation not left out."""
        merged = _merge_all(self.base.data, self.axes)
        for (index, positions), (values, data) in zip(self._all(), merged, strict=True):
            if not self._leaves_out(index, positions):
                yield index, values, data

    def _validate_permutations(self, skip_invalid: bool) -> list[str]:
        causes = _Causes()
        skipped = bytearray(len(self) if skip_invalid else 0)
        rising: dict[str, list[int]] = {name: [] for name in schedule_names()}
        validate = _SharedSections()
        for index, values, data in self._merged():
            problems, config = problems_of(data, validate)
            causes.note(index, values, problems)
            if config is not None and not problems:
                _note_rising_schedules(config.trainer, index, rising)
            elif skip_invalid:
                skipped[index] = True
        warnings = [self._rising_warning(name, found) for name, found in rising.items() if found]
        if not causes.failed:
            return warnings
        if not skip_invalid or causes.failed == causes.seen:
            raise UserError(self._permutation_errors(causes))
        self._skipped, self._count = skipped, None
        return self._skip_warnings(causes) + warnings

    def _skip_warnings(self, causes: _Causes) -> list[str]:
        """Return how many permutations were skipped, and a line for each error."""
        more = f"; the first {_REPORTED} reasons are" if causes.are_more else ""
        are = "is" if causes.failed == 1 else "are"
        return [
            f"{self.tune.path}: {causes.failed} of {causes.seen} permutations {are} invalid and left "
            f"out{more}:",
            *self._cause_lines(causes),
        ]

    def _permutation_errors(self, causes: _Causes) -> list[str]:
        """Return a line for each error, and a total if there are more."""
        lines = self._cause_lines(causes)
        if causes.are_more:
            lines.append(
                f"{self.tune.path}: {causes.failed} of {causes.seen} permutations are invalid"
            )
        return lines

    def _cause_lines(self, causes: _Causes) -> list[str]:
        """Return a line for each error, with the first permutation that has it."""
        lines = []
        for (path, message), (count, index, values) in causes.first.items():
            choices = show_choices(dict(zip(self.labels, values, strict=True)))
            several = f"{count} permutations, starting with " if count > 1 else "permutation "
            lines.append(
                f"{self.tune.path}: {several}{self.name(index)} ({choices}): "
                f"{'.'.join(path)}: {message}"
            )
        return lines

    def _rising_warning(self, name: str, found: list[int]) -> str:
        names = ", ".join(self.name(index) for index in found[:_REPORTED])
        more = f" and {len(found) - _REPORTED} more" if len(found) > _REPORTED else ""
        plural = "permutation" if len(found) == 1 else "permutations"
        return (
            f"{self.tune.path}: {name}: final is greater than initial in {plural} {names}{more}; "
            "the schedule rises there"
        )

    def _repetition_warnings(self) -> list[str]:
        unique = self.unique()
        if len(unique) == len(self) or not (repeated := self.count - unique.count):
            return []
        choices = [
            f"{axis.label} lists {text}" for axis in self.axes if (text := _repeated_choices(axis))
        ]
        return [
            f"{self.tune.path}: {repeated} of {self.count} permutations repeat another: "
            f"{'; '.join(choices)}. --unique drops them"
        ]


def load_grid(base_path: Path, tune_path: Path) -> Grid:
    """Read a base config and a tuning config, and return their grid.

    Raises:
        UserError: a file can't be read, or the tuning config names a key that doesn't exist, or has a
            range.
    """
    base, tune, axes = read_space(base_path, tune_path)
    ranges = [
        f"{tune.where(axis.line_path)}: {'.'.join(axis.line_path)}: is a range, and a grid needs a list "
        "of choices; write one, or give --search=tpe and --trials=<n>"
        for axis in axes
        if axis.range is not None
    ]
    if ranges:
        raise UserError(ranges)
    grid = Grid(base, tune, axes)
    if grid.size > sys.maxsize:
        raise UserError(f"{tune_path}: {grid.size:.1e} permutations are too many")
    return grid


def read_space(base_path: Path, tune_path: Path) -> tuple[Document, Document, list[Axis]]:
    """Read a base config and a tuning config, and return them with the tuned keys.

    Raises:
        UserError: a file can't be read, or the tuning config names a key that doesn't exist.
    """
    base = read_config(base_path)
    tune = read_yaml(tune_path)
    if not tune.data:
        raise UserError(
            f"{tune_path}: is empty; list choices under `hyperparameters` or a decay schedule"
        )
    axes = resolve_axes(tune)
    if not axes:
        raise UserError(f"{tune_path}: lists no choices; list some under `hyperparameters`")
    return base, tune, axes


def base_errors(base: Document, axes: Iterable[Axis]) -> list[str]:
    """Return a line for each error of a base config, except for those of tuned keys."""
    tuned = [axis.key_path for axis in axes]
    return [
        f"{base.where(key_path)}: {'.'.join(key_path)}: {message}"
        for key_path, message in _key_errors(base.data)
        if not any(key_path[: len(path)] == path for path in tuned)
    ]


def value_errors(base: Document, tune: Document, axis: Axis) -> list[str]:
    """Return a line for each choice, or end of a range, that its key can't have."""
    if axis.range is None:
        named = [(f"choice {show(choice)}", choice) for choice in axis.unique().choices]
    else:
        ends = {"low": axis.range.low, "high": axis.range.high}
        named = [(f"{end} {show(value)}", value) for end, value in ends.items()]
    lines = []
    for name, value in named:
        for key_path, message in _key_errors(deep_merge(base.data, nested(axis.key_path, value))):
            if key_path[: len(axis.key_path)] == axis.key_path:
                key = ".".join((axis.label, *key_path[len(axis.key_path) :]))
                lines.append(f"{tune.where(axis.line_path)}: {key}: {name}: {message}")
    return lines


def _merge_all(
    data: dict[str, Any], axes: list[Axis], values: tuple[Any, ...] = ()
) -> Iterator[_Merged]:
    """Yield the merged configs; neighbours share the parts that they have in common."""
    if not axes:
        yield values, data
        return
    axis, *others = axes
    for value in axis.choices:
        merged = deep_merge(data, nested(axis.key_path, value))
        yield from _merge_all(merged, others, (*values, value))


class _SharedSections:
    """Validates merged configs; a section that neighbours share is validated once."""

    def __init__(self) -> None:
        # The mapping is kept, because a new one could reuse its identity otherwise.
        self._latest: dict[str, tuple[Any, Section]] = {}

    def __call__(self, data: dict[str, Any]) -> Config:
        """Return the validated config of merged data.

        Raises:
            ValidationError: a section or the whole is invalid.
        """
        shared = {name: self._section(name, data[name]) for name in _SHARED if name in data}
        return Config.model_validate({**data, **shared})

    def _section(self, name: str, data: Any) -> Section:
        latest, section = self._latest.get(name, (None, None))
        if section is None or latest is not data:
            section = _SHARED[name].model_validate(data)
            self._latest[name] = data, section
        return section


# A permutation's choices, and the base config with them.
_Merged = tuple[tuple[Any, ...], dict[str, Any]]
_SHARED: dict[str, type[Section]] = {
    "environment": EnvironmentConfig,
    "model": ModelConfig,
    "evaluation": EvaluationConfig,
}


def nested(key_path: KeyPath, value: Any) -> dict[str, Any]:
    """Return a mapping that holds one value, at a path."""
    for key in reversed(key_path):
        value = {key: value}
    return value


def _key_errors(data: dict[str, Any]) -> list[tuple[KeyPath, str]]:
    """Return errors of single keys; those of combinations are found in permutations."""
    try:
        Config.model_validate(data)
    except ValidationError as error:
        return config_errors(error, combinations=False)
    return []


def problems_of(
    data: dict[str, Any], validate: Callable[[dict[str, Any]], Config] = Config.model_validate
) -> tuple[list[tuple[KeyPath, str]], Config | None]:
    """Return the errors of a merged config, and the config if it is valid by itself."""
    try:
        config = validate(data)
    except ValidationError:
        return _all_errors(data), None
    return runnable_problems(config), config


def _all_errors(data: dict[str, Any]) -> list[tuple[KeyPath, str]]:
    try:
        Config.model_validate(data)
    except ValidationError as error:
        return config_errors(error)
    raise AssertionError("a section is invalid that is valid within its config")


def _note_rising_schedules(
    trainer: TrainerConfig, index: int, rising: dict[str, list[int]]
) -> None:
    for name, found in rising.items():
        schedule: DecaySchedule = getattr(trainer, name)
        if schedule.final is not None and schedule.final > schedule.initial:
            found.append(index)


def _repeated_choices(axis: Axis) -> str:
    keys = [canonical(choice) for choice in axis.choices]
    counts = {key: keys.count(key) for key in keys}
    values = dict(zip(keys, axis.choices, strict=True))
    return " and ".join(
        f"{show(values[key])} {'twice' if count == 2 else f'{count} times'}"
        for key, count in counts.items()
        if count > 1
    )
