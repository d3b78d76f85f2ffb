"""Shows and compares choices, the listed values of tuned keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def canonical(choice: Any) -> str:
    """Return a text that is equal for equal values, such as 1 and 1.0 (but not 1 and true)."""

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
    """Return a choice as a config spells it, on one line."""
    if isinstance(choice, str) and choice.isprintable():
        return choice
    return json.dumps(choice)


def number_or_text(shown: str) -> float | str:
    """Return a shown choice as a number if it is one, else as it is."""
    try:
        return float(shown)
    except ValueError:
        return shown


def show_choices(choices: Mapping[str, Any]) -> str:
    """Return choices on one line: `worker_steps=64, num_workers=8`."""
    return ", ".join(f"{label}={show(choice)}" for label, choice in choices.items())
