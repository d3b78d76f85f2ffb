"""Generates `configs/default.yaml` and `docs/configuration.md` from the schema: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from schema.config import Config
from schema.environment import TYPE_DEFAULTS, EnvironmentConfig
from schema.levels import TrainingSeeds
from schema.section import Section, subsection
from schema.unity import RESET_PARAMS
from schema.yaml_file import dump_yaml, replace_file

_ROOT = Path(__file__).resolve().parents[1]
DEFAULT_CONFIG = _ROOT / "configs" / "default.yaml"
REFERENCE = _ROOT / "docs" / "configuration.md"

_CONFIG_HEADER = """\
# Every key with its default. Copy this file and keep only the keys that you change: a key that is left
# out has the default shown here, unless its comment names another one for the environment's type.
# The environment is MiniGrid-Empty-Random-6x6, observed as symbols. With a learning rate that falls from
# 3.0e-3 to 1.0e-5, this config solves it (mean return above 0.9) within the 50 updates.
# Generated from the schema by `make docs`.
"""
_REFERENCE_HEADER = """\
# Configuration

Every key of a config; `make docs` generates this page from `schema/`. A key that is left out has its
default. An unknown key, a value of the wrong type and a value out of range are errors that name the
file, the line and the key.

Numbers may be written as `1e-3`, and whole numbers as `1e1`. Text is never read as a number, nor a
number as text, and only `true` and `false` are booleans. Duplicate keys, YAML tags and aliases are
errors.
"""
_COMMENT_COLUMN = 44
_RANGES = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def default_yaml() -> str:
    """Return the text of `configs/default.yaml`."""
    return _CONFIG_HEADER + "".join(f"{line}\n" for line in _yaml_lines(Config, Config(), 0))


def _yaml_lines(section: type[Section], values: Any, depth: int) -> Iterator[str]:
    for name, info in section.model_fields.items():
        key, value = info.alias or name, getattr(values, name)
        indent = "  " * depth
        if isinstance(value, Section):
            if depth == 0:
                yield ""
            yield f"{indent}{key}:".ljust(_COMMENT_COLUMN) + f"# {info.description}"
            yield from _yaml_lines(type(value), value, depth + 1)
        else:
            line = indent + dump_yaml({key: value}).strip()
            others = "".join(
                f" ({kind}: {own})" for kind, own in _own_defaults(section, key).items()
            )
            yield line.ljust(_COMMENT_COLUMN) + f"# {info.description}{others}"
            optional = subsection(section, key)
            if optional is not None:
                # Its keys follow as comments, to be uncommented.
                for below in _yaml_lines(optional, optional(), depth + 1):
                    yield f"{indent}#   {below.strip()}"


def reference() -> str:
    """Return the text of `docs/configuration.md`."""
    return _REFERENCE_HEADER + "".join(_tables(Config, ()))


def _tables(section: type[Section], path: tuple[str, ...]) -> Iterator[str]:
    plain = []
    inner = []
    for name, info in section.model_fields.items():
        key = info.alias or name
        below = subsection(section, key)
        if below is None or info.default is None:
            plain.append(_row(section, key, info))
        if below is not None:
            inner.append(((*path, key), below, info))
    if plain and path:
        yield "\n| key | default | range | meaning |\n| --- | --- | --- | --- |\n"
        yield from plain
    for below_path, below, info in inner:
        heading = f"\n{'#' * (len(below_path) + 1)} `{'.'.join(below_path)}`"
        yield f"{heading}\n\n{_sentence(info.description or '')}\n"
        yield from _tables(below, below_path)
        for kind, own in RESET_PARAMS.items() if below is TrainingSeeds else ():
            yield f"{heading} of type {kind}\n\n{(own.__doc__ or '').strip()}\n"
            yield from _tables(own, below_path)


def _row(section: type[Section], key: str, info: FieldInfo) -> str:
    own = [f"{kind}: `{default}`" for kind, default in _own_defaults(section, key).items()]
    defaults = "; ".join([f"`{_shown(info.default)}`", *own])
    bounds = [
        f"{word} {getattr(constraint, name)}"
        for constraint in info.metadata
        for name, word in _RANGES.items()
        if getattr(constraint, name, None) is not None
    ]
    return f"| `{key}` | {defaults} | {', '.join(bounds)} | {info.description} |\n"


def _own_defaults(section: type[Section], key: str) -> dict[str, str]:
    """Return a key's default for each type that has its own."""
    types = TYPE_DEFAULTS if section is EnvironmentConfig else {}
    return {kind: _shown(own[key]) for kind, own in types.items() if key in own}


def _shown(value: Any) -> str:
    """Return a value as YAML on one line."""
    return dump_yaml({"": value}).partition(": ")[2].strip()


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def main() -> None:
    """Write both files."""
    for path, text in ((DEFAULT_CONFIG, default_yaml()), (REFERENCE, reference())):
        with replace_file(path) as file:
            file.write(text)
        print(f"wrote {path.relative_to(_ROOT)}")


if __name__ == "__main__":
    main()
