"""Merges mappings of configs, and finds values in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schema.config import Config
from schema.trainer import with_updates
from schema.yaml_file import KeyPath


def deep_merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Return the base with the override's values; mappings merge key by key, other values replace.

    The arguments aren't changed; the result shares the parts that only one of them has.
    """
    merged = dict(base)
    for key, value in override.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = deep_merge(below, value)
        else:
            merged[key] = value
    return merged


def value_at(data: Any, key_path: KeyPath) -> Any:
    """Return the value at a path of nested mappings; None if there is none."""
    for key in key_path:
        if not isinstance(data, dict) or key not in data:
            return None
        data = data[key]
    return data


def complete(base: dict[str, Any]) -> dict[str, Any]:
    """Return a base config with the defaults of the keys that it leaves out."""
    trainer = base.get("trainer")
    if isinstance(trainer, dict):
        base = {**base, "trainer": with_updates(trainer)}
    return deep_merge(Config().as_dict(), base)
