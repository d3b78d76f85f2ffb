"""Error messages for an invalid config, each naming the key and a valid value."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schema.section import COMBINATION, Section, keys_of, section_at
from schema.suggestions import OPTIONS, is_misspelt, key_elsewhere
from schema.yaml_file import KeyPath


def section_errors(
    error: ValidationError, root: type[Section], combinations: bool = True
) -> list[tuple[KeyPath, str]]:
    """Return the key and the message of each validation error.

    Args:
        error: the error that pydantic raised.
        root: the section that was validated.
        combinations: whether to include errors of keys that are valid by themselves but not together.
    """
    return [
        _describe(details, root)
        for details in error.errors()
        if combinations or details["type"] != COMBINATION
    ]


def _describe(details: ErrorDetails, root: type[Section]) -> tuple[KeyPath, str]:
    key_path = tuple(str(part) for part in details["loc"])
    context = details.get("ctx", {})
    kind, value = details["type"], details["input"]
    if kind == COMBINATION:
        return (*key_path, context["key"]), details["msg"]
    if kind == "extra_forbidden":
        return key_path, "unknown key" + _key_hint(key_path, root)
    if kind == "literal_error":
        expected = context["expected"].replace("True", "true").replace("False", "false")
        return key_path, f"{_show(value)} isn't one of {expected}"
    if kind in _BOUNDS:
        bound = next(iter(context.values()))
        return key_path, f"{_show(value)} is out of range; must be {_BOUNDS[kind]} {bound}"
    if kind in ("too_short", "too_long"):
        needed = context.get("min_length") or context.get("max_length")
        return key_path, f"has {context['actual_length']} values; must have {needed}"
    if kind in _EXPECTED:
        return key_path, f"must be {_EXPECTED[kind]}, not {_show(value)}"
    return key_path, f"{_show(value)}: {details['msg']}"


def _key_hint(key_path: KeyPath, root: type[Section]) -> str:
    above, name = key_path[:-1], key_path[-1]
    own = keys_of(section_at(root, above))
    is_option = name in OPTIONS
    # Deeper in the config, `seed` means a level rather than the option --seed.
    if is_misspelt(name, own) or (is_option and len(above) > 1):
        return nearest(name, own)
    if is_option:
        return f"; did you mean the option --{name.replace('_', '-')} of the command?"
    meant = key_elsewhere(name, root)
    if meant is None:
        return nearest(name, own)
    return f"; did you mean {meant[-1] if meant[:-1] == above else '.'.join(meant)}?"


_BOUNDS = {
    "greater_than": "more than",
    "greater_than_equal": "at least",
    "less_than": "less than",
    "less_than_equal": "at most",
}
_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "string_too_short": "a name",
    "list_type": "a list",
    "dict_type": "a mapping of names to values",
    "model_type": "a section of keys and values",
    "model_attributes_type": "a section of keys and values",
}


def _show(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text '{value}'" if value.isprintable() else f"the text {value!r}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(name: str, names: list[str]) -> str:
    """Return a hint at the closest name, "; did you mean x?", or at all names if none is close."""
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; must be one of {', '.join(names)}"
