"""Choices of tuned keys: how they are shown, and which of them mean the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def canonical(choice: Any) -> str:
    """Equal for values that mean the same, such as 1 and 1.0 (but not 1 and true)."""

    def normal(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: normal(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [normal(inner) for inner in value]
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return value

    return json.dumps(normal(choice), sort_keys=True)


def show(choice: Any) -> str:
    """A choice as a config would have it, on one line."""
    if isinstance(choice, str) and choice.isprintable():
        return choice
    return json.dumps(choice)


def number_or_text(shown: str) -> float | str:
    """A choice that was shown, as a number where it is one."""
    try:
        return float(shown)
    except ValueError:
        return shown


def show_choices(choices: Mapping[str, Any]) -> str:
    """Choices on one line: `worker_steps=64, num_workers=8`."""
    return ", ".join(f"{label}={show(choice)}" for label, choice in choices.items())
