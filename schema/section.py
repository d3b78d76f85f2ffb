"""The base class of all sections of a config, and functions that find a section by its path."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from schema.yaml_file import KeyPath

COMBINATION: Final = "combination"  # type of the errors about several keys together


class Section(BaseModel):
    """A section of the config: unknown keys are errors, and text is never read as a number.

    Whole numbers may be written as floats: 1e1 and 10.0 are 10.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        validate_by_alias=True,
        validate_by_name=False,
        protected_namespaces=(),
    )

    @field_validator("*", mode="before")
    @classmethod
    def _whole_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        assert info.field_name is not None
        if isinstance(value, (float, list)) and _takes_whole_numbers(cls, info.field_name):
            return as_whole(value)
        return value


def whole_numbers_only(root: type[Section], key_path: KeyPath) -> bool | None:
    """Return whether a key takes whole numbers, but no others; None if the schema lacks the key."""
    sections = [root]
    for key in key_path[:-1]:
        sections = [inner for section in sections for inner in subsections(section, key)]
    found = [
        _takes_whole_numbers(section, name)
        for section in sections
        for name, info in section.model_fields.items()
        if (info.alias or name) == key_path[-1]
    ]
    return all(found) if found else None


@cache
def _takes_whole_numbers(section: type[Section], name: str) -> bool:
    types = set(_types_in(section.model_fields[name].annotation))
    return int in types and float not in types


def _types_in(annotation: Any) -> list[Any]:
    """Return the types that make up an annotation such as `list[int] | None`."""
    inner = [each for part in get_args(annotation) for each in _types_in(part)]
    return inner or [annotation]


def as_whole(value: Any) -> Any:
    """Return whole floats, also within lists, as integers, and any other value unchanged."""
    if isinstance(value, list):
        return [as_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def key_error(key: str, message: str) -> PydanticCustomError:
    """Return an error about several keys together that names the key at fault."""
    return PydanticCustomError(COMBINATION, "{message}", {"message": message, "key": key})


def section_at(root: type[Section], key_path: KeyPath) -> type[Section]:
    """Return the class of the section at a path below `root`, such as ("trainer", "beta_schedule")."""
    section = root
    for key in key_path:
        inner = subsection(section, key)
        assert inner is not None, f"{key_path} is no section"
        section = inner
    return section


def subsection(section: type[Section], key: str) -> type[Section] | None:
    """Return the class of the section under `key`, or None if the key holds a plain value."""
    return next(iter(subsections(section, key)), None)


def subsections(section: type[Section], key: str) -> list[type[Section]]:
    """Return the classes of the section under `key`; several if it depends on the environment's type."""
    for name, info in section.model_fields.items():
        if (info.alias or name) == key:
            candidates = (info.annotation, *getattr(info.annotation, "__args__", ()))
            return [
                candidate
                for candidate in candidates
                if isinstance(candidate, type) and issubclass(candidate, Section)
            ]
    return []


def keys_of(section: type[Section]) -> list[str]:
    """Return the keys of a section in their order, as they are written in YAML."""
    return [info.alias or name for name, info in section.model_fields.items()]


def key_paths(section: type[Section], prefix: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of every section and key below a section, as they are written in YAML."""
    for key in keys_of(section):
        yield (*prefix, key)
        inner = [key_paths(each, (*prefix, key)) for each in subsections(section, key)]
        yield from dict.fromkeys(path for paths in inner for path in paths)
