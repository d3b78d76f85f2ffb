"""Reads the `exclude` rules of a tuning config, and tells which permutations they leave out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schema.errors import UserError
from schema.messages import nearest
from schema.yaml_file import Document
from sweeps.search_space.choices import canonical, show
from sweeps.search_space.keys import Axis

EXCLUDE = "exclude"

# The positions of the choices that a rule matches, by the number of their key.
_Rule = dict[int, frozenset[int]]


class Exclusions:
    """The combinations of choices that a tuning config leaves out.

    Args:
        tune: the tuning config's document.
        axes: the tuned keys.

    Attributes:
        warnings: a line for each value that is none of its key's choices.

    Raises:
        UserError: a rule is malformed, or names a key that isn't tuned; a line for each error.
    """

    def __init__(self, tune: Document, axes: Sequence[Axis]) -> None:
        self._tune = tune
        self._axes = axes
        self.warnings: list[str] = []
        self._errors: list[str] = []
        rules = [self._rule(number, entry) for number, entry in enumerate(self._entries())]
        if self._errors:
            raise UserError(self._errors)
        # A rule with a key that has none of its values matches nothing.
        self._rules = [list(rule.items()) for rule in rules if all(rule.values())]

    def __bool__(self) -> bool:
        """Return whether a rule matches anything."""
        return bool(self._rules)

    def match(self, positions: Sequence[int]) -> bool:
        """Return whether a rule leaves out the permutation with these positions of its choices."""
        return any(
            all(positions[axis] in matched for axis, matched in rule) for rule in self._rules
        )

    def _entries(self) -> list[Any]:
        if EXCLUDE not in self._tune.data:
            return []
        entries = self._tune.data[EXCLUDE]
        if isinstance(entries, list) and entries:
            return entries
        example = f"- {{{self._axes[0].label}: {show(self._axes[0].first)}}}"
        self._errors.append(
            f"{self._tune.where((EXCLUDE,))}: {EXCLUDE}: must be a list of combinations, "
            f"such as `{example}`"
        )
        return []

    def _rule(self, number: int, entry: Any) -> _Rule:
        """Return a rule; note its errors and warnings."""
        if not isinstance(entry, dict) or not entry:
            self._errors.append(
                f"{self._tune.where((EXCLUDE,))}: {EXCLUDE}: rule {number + 1} must hold tuned keys "
                "with values, such as "
                f"`{self._axes[0].label}: {show(self._axes[0].first)}`"
            )
            return {}
        labels = [axis.label for axis in self._axes]
        rule: _Rule = {}
        for key, values in entry.items():
            where = f"{self._tune.where((EXCLUDE, str(number), key))}: {EXCLUDE}: rule {number + 1}"
            if key not in labels:
                self._errors.append(f"{where}: {key}: isn't tuned here{nearest(key, labels)}")
            elif values == []:
                self._errors.append(f"{where}: {key}: an empty list; write at least one value")
            elif self._axes[labels.index(key)].range is not None:
                self._errors.append(f"{where}: {key}: has a range here; rules name listed choices")
            else:
                place = labels.index(key)
                rule[place] = self._matched(where, self._axes[place], values)
        return rule

    def _matched(self, where: str, axis: Axis, values: Any) -> frozenset[int]:
        """Return the positions of the choices that a rule lists for a key."""
        listed = values if isinstance(values, list) else [values]
        choices = list(map(canonical, axis.choices))
        wanted = set(map(canonical, listed))
        matched = frozenset(place for place, choice in enumerate(choices) if choice in wanted)
        unknown = [show(value) for value in listed if canonical(value) not in choices]
        if unknown:
            are = "is" if len(unknown) == 1 else "are"
            nothing = "" if matched else "; the rule matches nothing"
            self.warnings.append(
                f"{where}: {axis.label}: {', '.join(unknown)} {are} {axis.described}{nothing}"
            )
        return matched
