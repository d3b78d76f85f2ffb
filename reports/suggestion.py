"""Suggests the next grid: finer around the best, wider at an edge, without keys that hardly matter."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from reports.answer import Answer
from reports.words import describe, show_limit
from schema.config import Config
from schema.errors import UserError
from schema.yaml_file import dump_yaml
from sweeps.search_space.keys import resolve_key, schedule_names
from sweeps.search_space.merging import deep_merge

_SECTION = "hyperparameters"
# Choices further apart than this ratio are taken for factors of each other.
_FACTOR = 1.9
_TWO = 2
_NEGLIGIBLE = 0.05  # share of the variance; a key that has no more is fixed at its best choice
_WIDEST = 3.0  # largest factor of a step beyond a list, however coarse the list is


def suggest(answer: Answer) -> str:
    """Return a tuning config, with a comment for each key.

    Raises:
        UserError: no permutation has a score yet.
    """
    if answer.leader is None:
        raise UserError(
            "--suggest: no run has finished an episode yet, so nothing can be suggested"
        )
    sections: dict[str, list[str]] = {}
    for label in answer.outcome.labels:
        choices, why = _next_choices(answer, label)
        section, key = _place(label)
        line = f"  {key}: {_written(choices)}  # {why}"
        sections.setdefault(section, []).append(line)
    best = (
        f"# After permutation {answer.leader.permutation.name} ({describe(answer, answer.leader)})."
    )
    lines = [line for name, keys in sections.items() for line in (f"{name}:", *keys)]
    return "\n".join([best, *lines]) + "\n"


def _written(choices: Any) -> str:
    """Return a list of choices or a range on one line of YAML."""
    if isinstance(choices, dict):
        return f"{{{', '.join(f'{key}: {json.dumps(each)}' for key, each in choices.items())}}}"
    return dump_yaml(choices).strip()


def _place(label: str) -> tuple[str, str]:
    """Return the section of a tuning config that has a key, and the key's name there."""
    section, point, key = label.partition(".")
    return (section, key) if point and section in schedule_names() else (_SECTION, label)


def _next_choices(answer: Answer, label: str) -> tuple[Any, str]:
    """Return the next choices of a key, or its next range, and why."""
    assert answer.leader is not None
    outcome = answer.outcome
    texts = outcome.choices_of(label)
    best_text = answer.leader.permutation.choices[outcome.labels.index(label)]
    best = _value(best_text)
    if len(texts) == 1:
        return [best], "unchanged"
    choices = [_value(text) for text in texts]
    if answer.matters(label) is False:
        limit = answer.limit(label)
        if limit is not None and limit <= _NEGLIGIBLE:
            return [best], f"at most {show_limit(limit)} of the variance"
        kept = _range_of(answer, label) if label in outcome.ranges else choices
        return kept, "kept: an effect isn't shown, and isn't excluded either"
    if not all(
        isinstance(choice, (int, float)) and not isinstance(choice, bool) for choice in choices
    ):
        kept = _of_contenders(answer, label)
        return [_value(text) for text in kept], "choices of the permutations that could be the best"
    if label in outcome.ranges:
        return _narrowed(answer, label, choices)
    found = _around(sorted(set(choices)), best)
    allowed = [choice for choice in found if _is_allowed(answer, label, choice)]
    edge = answer.edges.get(label)
    if len(choices) == _TWO:
        why = "between the two and beyond the better one"
    else:
        why = "finer around the best" if edge is None else f"the best was the {edge} in its list"
    return allowed, why


def _narrowed(answer: Answer, label: str, values: list[Any]) -> tuple[Any, str]:
    """Return the range of the values of the contenders, and why."""
    kept = sorted(map(_value, _of_contenders(answer, label)))
    why = "the range of the permutations that could be the best"
    if kept[0] == kept[-1]:
        place = sorted(set(values)).index(kept[0])
        kept, why = sorted(set(values))[max(place - 1, 0) : place + 2], "around the best"
    return _range_of(answer, label) | {"low": kept[0], "high": kept[-1]}, why


def _range_of(answer: Answer, label: str) -> dict[str, Any]:
    """Return a key's range as a tuning config spells it."""
    assert answer.outcome.search is not None
    found = answer.outcome.search["space"][label]
    written = {"low": found["low"], "high": found["high"]}
    if found["log"]:
        return {**written, "log": True}
    return written if found["step"] in (None, 1) else {**written, "step": found["step"]}


def _of_contenders(answer: Answer, label: str) -> list[str]:
    place = answer.outcome.labels.index(label)
    rows = answer.contenders or list(answer.scores[:1])
    return list(dict.fromkeys(score.permutation.choices[place] for score in rows))


def _value(text: str) -> Any:
    """Return a choice as a config's value."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _around(choices: Sequence[float], best: float) -> list[float]:
    """Return the best choice with points halfway to its neighbours, or beyond an end of the list."""
    place = choices.index(best)
    found = [best]
    for neighbour, opposite in ((place - 1, place + 1), (place + 1, place - 1)):
        if 0 <= neighbour < len(choices):
            found.append(_between(choices[neighbour], best))
        elif 0 <= opposite < len(choices):
            found += _beyond(best, choices[opposite])
    rounded = [round(each) if _is_whole(choices) else float(f"{each:.3g}") for each in found]
    return sorted({best, *(each for each in rounded if each not in choices)})


def _is_whole(choices: Sequence[float]) -> bool:
    return all(isinstance(choice, int) for choice in choices)


def _by_factor(first: float, second: float) -> bool:
    """Return whether two choices differ by a factor rather than by a difference."""
    if first * second <= 0:
        return False
    ratio = first / second
    return max(ratio, 1 / ratio) > _FACTOR


def _between(first: float, second: float) -> float:
    if _by_factor(first, second):
        return math.copysign(math.sqrt(first * second), first)
    return (first + second) / 2


def _beyond(best: float, neighbour: float) -> list[float]:
    """Return the points one and two steps beyond the best; a step leads from its neighbour to it.

    Where choices differ by a factor, a step is limited to `_WIDEST`.
    """
    if _by_factor(best, neighbour):
        ratio = best / neighbour
        factor = min(ratio, _WIDEST) if ratio > 1 else max(ratio, 1 / _WIDEST)
        return [best * factor, best * factor**2]
    return [best + (best - neighbour), best + 2 * (best - neighbour)]


def _is_allowed(answer: Answer, label: str, choice: float) -> bool:
    """Return whether a config with that choice is valid."""
    section, key = _place(label)
    path = resolve_key(label) if section == _SECTION else ("trainer", section, key)
    nested: Any = choice
    for key in reversed(path):
        nested = {key: nested}
    try:
        Config.model_validate(deep_merge(answer.outcome.base, nested))
    except ValueError:
        return False
    return True
