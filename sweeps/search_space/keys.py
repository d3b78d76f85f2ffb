"""Resolves the keys of a tuning config: finds each in the config, with its choices or its range."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from schema.config import Config
from schema.errors import UserError
from schema.messages import nearest
from schema.schedules import DecaySchedule
from schema.section import key_paths, keys_of, subsection, whole_numbers_only
from schema.suggestions import OPTIONS, is_misspelt, is_similar, key_elsewhere
from schema.trainer import TrainerConfig
from schema.yaml_file import Document, KeyPath
from sweeps.search_space.choices import canonical, show
from sweeps.search_space.ranges import Range, is_range, parse_range

# Sections that take any key.
_FREE: tuple[KeyPath, ...] = (("environment", "kwargs"),)
# Parts of a tuning config that list combinations of its keys.
_LISTS = ("exclude", "try")


@dataclass(frozen=True)
class Axis:
    """One tuned key and its choices.

    Attributes:
        key_path: path of the key from the config's root.
        label: name of the key in the tuning config, with the schedule's name for a schedule's key.
        choices: the values, in the order of the file; none if the key has a range.
        line_path: path of the key in the tuning config.
        range: the key's range; None if it has choices.
    """

    key_path: KeyPath
    label: str
    choices: tuple[Any, ...]
    line_path: KeyPath
    range: Range | None = None

    @property
    def count(self) -> float:
        """Number of values; infinite for a range without a step."""
        return len(self.choices) if self.range is None else self.range.count

    @property
    def first(self) -> Any:
        """The first choice, or the range's lower end."""
        return self.choices[0] if self.range is None else self.range.low

    @property
    def described(self) -> str:
        """The values in words, for errors: `none of its choices 0.9, 0.99`."""
        if self.range is not None:
            return f"outside its range {self.range}"
        return f"none of its choices {', '.join(dict.fromkeys(map(show, self.choices)))}"

    def position(self, value: Any) -> int | None:
        """Return the position of the first choice that equals a value; None if none does."""
        choices = list(map(canonical, self.choices))
        wanted = canonical(value)
        return choices.index(wanted) if wanted in choices else None

    def holds(self, value: Any) -> bool:
        """Return whether a value is one of the choices, or lies in the range."""
        return self.range.holds(value) if self.range else self.position(value) is not None

    def unique(self) -> Axis:
        """Return the axis without repeated choices."""
        first = {canonical(choice): choice for choice in reversed(self.choices)}
        ordered = dict.fromkeys(map(canonical, self.choices))
        return replace(self, choices=tuple(first[key] for key in ordered))


def resolve_axes(tune: Document) -> list[Axis]:
    """Return the tuned keys of a tuning config, in its order.

    Raises:
        UserError: a key doesn't exist, has no choices or is tuned twice; a line for each.
    """
    axes, errors = _resolve_axes(tune)
    errors += _conflicts(axes, tune)
    if errors:
        raise UserError(errors)
    return axes


def _resolve_axes(tune: Document) -> tuple[list[Axis], list[str]]:
    axes: list[Axis] = []
    errors: list[str] = []
    sections = ["hyperparameters", *schedule_names()]
    for name, keys in tune.data.items():
        if name in _LISTS:
            continue  # other modules read them, once the keys are known
        if name not in sections:
            hint = _section_hint(name, [*sections, *_LISTS])
            errors.append(f"{tune.where((name,))}: {name}: unknown section{hint}")
        elif not isinstance(keys, dict) or not keys:
            errors.append(f"{tune.where((name,))}: {name}: {_lack_of_keys(name, keys)}")
        else:
            for key, choices in keys.items():
                try:
                    axes.append(_axis(name, key, choices))
                except UserError as error:
                    where = tune.where((name, key))
                    errors += [f"{where}: {name}.{key}: {line}" for line in error.lines]
    return axes, errors


def _lack_of_keys(section: str, found: Any) -> str:
    """Return the error of a section that has no keys."""
    if not found:
        return "holds no keys; list some or remove it"
    example = "gamma: [0.9, 0.99]" if section == "hyperparameters" else f"initial: {show(found)}"
    return f"needs keys with choices below it, such as `{example}`"


def _axis(section: str, key: str, choices: Any) -> Axis:
    in_schedule = section != "hyperparameters"
    path = _resolve_in_schedule(section, key) if in_schedule else resolve_key(key)
    label = f"{section}.{key}" if in_schedule else key
    if is_range(choices) and path not in _FREE:
        found = parse_range(choices, whole_numbers_only(Config, path))
        return Axis(path, label, (), (section, key), found)
    values = tuple(choices) if isinstance(choices, list) else (choices,)
    if not values:
        raise UserError("an empty list; write at least one choice")
    return Axis(path, label, values, (section, key))


def _resolve_in_schedule(section: str, key: str) -> KeyPath:
    schedule = subsection(TrainerConfig, section)
    assert schedule is not None
    if key not in keys_of(schedule):
        raise UserError(f"unknown key{nearest(key, keys_of(schedule))}")
    return ("trainer", section, key)


def resolve_key(key: str) -> KeyPath:
    """Return the path of the config's key that a name under `hyperparameters` means.

    A dotted path from the root names exactly one key. Any other name is looked up in the trainer's
    section first, then in all others.

    Raises:
        UserError: no key has that name, or several sections have one.
    """
    parts = tuple(key.split("."))
    paths = list(key_paths(Config))
    for section in _FREE:
        # The environment checks the keys of these sections, so any name is accepted.
        for written in (section, section[-1:]):
            if parts[: len(written)] == written and len(parts) > len(written):
                return (*section, *parts[len(written) :])
    for exact in (parts, ("trainer", *parts)):
        if exact in paths:
            return exact
    found = [path for path in paths if path[-len(parts) :] == parts]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError("several sections have it; write " + " or ".join(map(".".join, found)))
    raise UserError("unknown key" + _key_hint(key, paths))


def _section_hint(name: str, sections: list[str]) -> str:
    """Return a hint for a section that a tuning config can't have."""
    if name in keys_of(Config):
        return "; list its keys under hyperparameters"
    if name in OPTIONS:
        return _option_hint(name)
    meant = None if is_misspelt(name, sections) else key_elsewhere(name, Config)
    if meant is None:
        return nearest(name, sections)
    key = _show_schedule_key(meant) or f"the key {_show_key(meant)} under hyperparameters"
    return f"; did you mean {key}?"


def _key_hint(key: str, paths: list[KeyPath]) -> str:
    """Return a hint for a key under `hyperparameters` that doesn't exist."""
    if key in OPTIONS:
        return _option_hint(key)
    dotted = "." in key
    names = [".".join(path) if dotted else path[-1] for path in paths]
    meant = None
    if dotted or not is_misspelt(key, names):
        meant = key_elsewhere(key.rpartition(".")[2], Config)
    if meant is not None:
        shown = ".".join(meant) if dotted else _show_schedule_key(meant) or _show_key(meant)
        return f"; did you mean {shown}?"
    if not dotted and not is_similar(key, names):
        return (
            "; docs/configuration.md lists all keys, and an argument of the environment's "
            f"constructor is written environment.kwargs.{key}"
        )
    hint = nearest(key, names)
    return hint if hint.startswith("; did") else "; docs/configuration.md lists all keys"


def _option_hint(name: str) -> str:
    if name == "seed":
        return "; use --num-repetitions=<n>, which trains with n seeds from --seed on"
    return f"; did you mean the option --{name.replace('_', '-')} of tune.py?"


def _show_schedule_key(path: KeyPath) -> str | None:
    """Return how a tuning config spells a schedule's key; None for any other key."""
    if len(path) == 3 and path[1] in schedule_names():
        return f"the section {path[1]} with the key {path[2]}"
    return None


def _show_key(path: KeyPath) -> str:
    """Return how a key is spelt under `hyperparameters`."""
    return path[-1] if path[0] == "trainer" else ".".join(path)


def schedule_names() -> list[str]:
    """Return the names of the decay schedules; each may be a section of the tuning config."""
    inner = {key: subsection(TrainerConfig, key) for key in keys_of(TrainerConfig)}
    return [key for key, section in inner.items() if section and issubclass(section, DecaySchedule)]


def _conflicts(axes: list[Axis], tune: Document) -> list[str]:
    """Return errors of keys tuned twice: under two names, or as a section and one of its keys."""
    errors = []
    for position, later in enumerate(axes):
        for earlier in axes[:position]:
            length = min(len(earlier.key_path), len(later.key_path))
            if earlier.key_path[:length] == later.key_path[:length]:
                errors.append(
                    f"{tune.where(later.line_path)}: {'.'.join(later.line_path)}: tunes what "
                    f"{'.'.join(earlier.line_path)} tunes already; remove one of them"
                )
    return errors
