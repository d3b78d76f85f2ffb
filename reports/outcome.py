"""Reads the results of a sweep from its journal, also while the sweep runs."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any, overload

import numpy as np

from reports.statistics.averages import Array
from schema.errors import UserError
from sweeps.journal.journal import RunKey, read_journal
from sweeps.journal.runs import RunRecord, RunState

# The name of a run's score. Greater is better, except for the metrics in `LESS_IS_BETTER`.
Metric = str
METRICS = ("final", "best", "area", "steps", "time")
LESS_IS_BETTER = ("steps", "time")
_PARTS = 3  # of a range
_FEW_VALUES = 5  # most values of a range that stay apart
_TITLES = {
    "final": "return",
    "best": "best return",
    "area": "mean return while training",
    "steps": "steps until the threshold",
    "time": "wall time, s",
}


@dataclass(frozen=True)
class PermutationRuns:
    """One permutation with its runs.

    Attributes:
        name: name of the permutation, a number.
        choices: choices as text, in the order of the tuned keys.
        runs: one run for each repetition, in any state.
    """

    name: str
    choices: tuple[str, ...]
    runs: tuple[RunRecord, ...]


@dataclass(frozen=True)
class Outcome:
    """The results of a sweep.

    Attributes:
        run_id: tag of the training session.
        out: the sweep's output folder.
        labels: the tuned keys.
        permutations: the permutations with their runs, in the grid's order.
        base: the base config with all its defaults.
        sessions: start and end of each session (seconds since 1970), and its description.
        looks: number of times that the results were judged, the last one included: the sweep got more
            repetitions in between.
        is_race: whether a race decided which permutations got more repetitions.
        search: the sampler, the space (choices or range of each key, by label) and the trials of a
            search; None for a grid.
        ended: the runs that ended, in the order in which they did.
        pruned: names of the permutations pruned at each rung, by the rung's updates.
    """

    run_id: str
    out: Path
    labels: tuple[str, ...]
    permutations: tuple[PermutationRuns, ...]
    base: dict[str, Any]
    sessions: tuple[tuple[float, float | None, dict[str, Any]], ...]
    looks: int = 1
    is_race: bool = False
    search: dict[str, Any] | None = None
    ended: tuple[RunKey, ...] = ()
    pruned: dict[int, tuple[str, ...]] = field(default_factory=dict)

    @property
    def repetitions(self) -> int:
        """The greatest number of runs that a permutation has."""
        return max((len(each.runs) for each in self.permutations), default=0)

    @property
    def runs(self) -> list[RunRecord]:
        """All runs, permutation by permutation."""
        return [run for each in self.permutations for run in each.runs]

    def choices_of(self, label: str) -> list[str]:
        """Return the choices of a key that occur, in the order of the tuning config."""
        place = self.labels.index(label)
        return list(dict.fromkeys(each.choices[place] for each in self.permutations))

    def ordered(self, label: str) -> list[str]:
        """Return the choices of a key, numbers by size and others in the order of the tuning config."""
        choices = self.choices_of(label)
        try:
            return sorted(choices, key=_first_number)
        except ValueError:
            return choices

    @property
    def ranges(self) -> list[str]:
        """The tuned keys with values drawn from a range."""
        space = {} if self.search is None else self.search["space"]
        return [label for label in self.labels if isinstance(space.get(label), dict)]

    def in_parts(self) -> Outcome:
        """Return the sweep with the many values of each range summed up in few parts.

        A part is named as `0.001 to 0.003`; about as many permutations lie in each.
        """
        named = [self._parts(label) for label in self.labels]
        permutations = tuple(
            replace(
                each,
                choices=tuple(
                    parts.get(choice, choice)
                    for parts, choice in zip(named, each.choices, strict=True)
                ),
            )
            for each in self.permutations
        )
        return replace(self, permutations=permutations)

    def _parts(self, label: str) -> dict[str, str]:
        """Return the part of each value of a range; nothing for other keys, and for few values."""
        if label not in self.ranges or len(self.choices_of(label)) <= _FEW_VALUES:
            return {}
        place = self.labels.index(label)
        values = [float(each.choices[place]) for each in self.permutations]
        ends = np.quantile(values, np.arange(1, _PARTS) / _PARTS)
        members: dict[int, list[str]] = {}
        for choice in self.ordered(label):
            members.setdefault(int(np.searchsorted(ends, float(choice))), []).append(choice)
        names = [_name_of_part(part, "{:.3g}") for part in members.values()]
        if len(set(names)) < len(names):
            names = [_name_of_part(part, "{}") for part in members.values()]
        return {
            choice: name
            for name, part in zip(names, members.values(), strict=True)
            for choice in part
        }

    @property
    def varied(self) -> list[str]:
        """The tuned keys with more than one choice."""
        return [label for label in self.labels if len(self.choices_of(label)) > 1]

    @property
    def return_bounds(self) -> tuple[float, float]:
        """The least and greatest return that the base config states; infinite where it doesn't."""
        low, high = self.base.get("evaluation", {}).get("score_bounds") or (None, None)
        return -np.inf if low is None else low, np.inf if high is None else high

    def where(self, conditions: Sequence[str]) -> Outcome:
        """Return the part of the sweep that meets conditions such as `gamma=0.9`.

        Raises:
            UserError: a condition names no tuned key, or none of its choices.
        """
        kept = self.permutations
        for condition in conditions:
            label, _, choice = condition.partition("=")
            place = self.labels.index(self._label(label, condition))
            self._refuse_unknown(self.labels[place], choice, condition)
            kept = tuple(each for each in kept if _equal(each.choices[place], choice))
        if not kept:
            raise UserError(f"--where: no permutation has {' and '.join(conditions)}")
        return replace(self, permutations=kept)

    def _label(self, name: str, condition: str) -> str:
        """Return the tuned key with that name or with that last part."""
        found = [label for label in self.labels if label == name or label.endswith(f".{name}")]
        if len(found) != 1:
            raise UserError(
                f"--where={condition}: must be one of {', '.join(self.labels)}, = and a choice"
            )
        return found[0]

    def _refuse_unknown(self, label: str, choice: str, condition: str) -> None:
        choices = self.choices_of(label)
        if not any(_equal(each, choice) for each in choices):
            raise UserError(f"--where={condition}: {label} has the choices {', '.join(choices)}")

    def scores(self, metric: Metric = "final", threshold: float | None = None) -> Array:
        """Return the score of each run, (permutations, repetitions); NaN where it has none.

        Args:
            metric: the score by which runs are judged, one of `METRICS`.
            threshold: the return that the metric `steps` waits for.
        """
        scores = np.full((len(self.permutations), self.repetitions), np.nan)
        value = _value_of(metric, threshold)
        for place, permutation in enumerate(self.permutations):
            for record in permutation.runs:
                reached = value(record) if record.state == RunState.FINISHED else None
                if reached is not None:
                    scores[place, record.run.repetition] = reached
        return scores


def metric_title(metric: Metric) -> str:
    """Return the title of a metric."""
    return _TITLES[metric]


def mean_title(metric: Metric) -> str:
    """Return the title of a metric's mean over repetitions, without a second "mean"."""
    title = metric_title(metric)
    return title if title.startswith("mean ") else f"mean {title}"


def _value_of(metric: Metric, threshold: float | None) -> Callable[[RunRecord], float | None]:
    values: dict[Metric, Callable[[RunRecord], float | None]] = {
        "final": lambda run: run.final_return,
        "best": lambda run: run.best_return,
        "area": lambda run: area(run.curve),
        "steps": lambda run: steps_until(run.curve, threshold),
        "time": lambda run: run.wall_time_seconds,
    }
    return values[metric]


def area(curve: Sequence[tuple[int, float]]) -> float | None:
    """Return a learning curve's mean return over its steps, by trapezoids; None below two points."""
    if len(curve) < 2:
        return None
    parts = [
        (steps - before) * (value + earlier) / 2
        for (before, earlier), (steps, value) in pairwise(curve)
    ]
    return sum(parts) / (curve[-1][0] - curve[0][0])


def steps_until(curve: Sequence[tuple[int, float]], threshold: float | None) -> float | None:
    """Return the steps after which a learning curve first reaches a threshold; None if it never does."""
    if threshold is None:
        return None
    return next((float(steps) for steps, value in curve if value >= threshold), None)


def _name_of_part(choices: Sequence[str], form: str) -> str:
    """Return the name of the part of a range with these values, in the form of its numbers."""
    low, high = (form.format(float(choice)) for choice in (choices[0], choices[-1]))
    return low if low == high else f"{low} to {high}"


def _first_number(choice: str) -> float:
    """Return a choice as a number, and a part of a range as its lower end."""
    return float(choice.partition(" to ")[0])


def _equal(choice: str, asked: str) -> bool:
    """Return whether two texts are the same choice, also if one is `1e-3` and the other `0.001`."""
    try:
        return float(choice) == float(asked)
    except ValueError:
        return choice == asked.strip()


class _PackedCurve(Sequence[tuple[int, float]]):
    """A learning curve in two arrays, which need about a tenth of the memory of tuples.

    The curves of 100,000 runs would take gigabytes otherwise.
    """

    __slots__ = ("_returns", "_steps")

    def __init__(self, points: Sequence[tuple[int, float]]) -> None:
        self._steps = array("q", [steps for steps, _ in points])
        self._returns = array("d", [value for _, value in points])

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return zip(self._steps, self._returns, strict=True)

    @overload
    def __getitem__(self, place: int) -> tuple[int, float]: ...
    @overload
    def __getitem__(self, place: slice) -> list[tuple[int, float]]: ...
    def __getitem__(self, place: int | slice) -> tuple[int, float] | list[tuple[int, float]]:
        if isinstance(place, slice):
            return list(zip(self._steps[place], self._returns[place], strict=True))
        return self._steps[place], self._returns[place]


def _packed(result: RunRecord) -> RunRecord:
    return replace(result, curve=_PackedCurve(result.curve))  # type: ignore[arg-type]


def read_outcome(out: Path, run_id: str) -> Outcome:
    """Read the results of a sweep, which may be running.

    Raises:
        UserError: there is no such sweep, or its journal can't be read.
    """
    with read_journal(out, run_id) as journal:
        records = map(_packed, journal.records(run_id, by_permutation=True))
        labels = tuple(journal.labels)
        grouped = [
            (name, tuple(group)) for name, group in groupby(records, attrgetter("run.permutation"))
        ]
        permutations = tuple(
            PermutationRuns(name, tuple(runs[0].run.choices[label] for label in labels), runs)
            for name, runs in grouped
        )
        base = journal["base"] or {}
        sessions = tuple(journal.sessions())
        return Outcome(
            run_id,
            out,
            labels,
            permutations,
            base,
            sessions,
            journal.looks,
            journal.is_race,
            journal["search"],
            tuple(journal.ended()),
            journal.rungs.pruned_at(),
        )
