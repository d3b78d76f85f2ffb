"""Follows a sweep over time: its leader after each run that ended, and the runs that were lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from reports.outcome import Metric, Outcome
from reports.ranking import as_of
from sweeps.journal.journal import RunKey
from sweeps.journal.runs import FAILURES, RunState

_runs = attrgetter("runs")
_MOST = 200  # moments, which keeps the history of a large sweep fast


@dataclass(frozen=True)
class Time:
    """A point of time in a sweep.

    Attributes:
        runs: number of runs that had ended.
        steps: environment steps of those runs.
    """

    runs: int
    steps: int


@dataclass(frozen=True)
class Moment:
    """The leader at some time.

    Attributes:
        time: the time.
        permutation: name of the permutation that led.
        score: its mean score then.
    """

    time: Time
    permutation: str
    score: float


@dataclass(frozen=True)
class Cut:
    """The time at which permutations were left behind.

    Attributes:
        time: the time.
        kind: "rung" if permutations were pruned, "round" if a race left them out.
        at: the rung's updates, or the number of repetitions after the round.
        left_behind: number of those permutations.
    """

    time: Time
    kind: str
    at: int
    left_behind: int


@dataclass(frozen=True)
class History:
    """The course of a sweep.

    Attributes:
        moments: the leader after each run that ended, or after some of them, from the first score on.
        ended: when each permutation ended, by its name; those with runs left are missing.
        lost: when runs were pruned, failed or diverged.
        cuts: rungs at which permutations were pruned, and rounds of a race that left some out, by time.
    """

    moments: tuple[Moment, ...]
    ended: dict[str, Time]
    lost: dict[RunKey, Time]
    cuts: tuple[Cut, ...]


def history(outcome: Outcome, metric: Metric = "final", threshold: float | None = None) -> History:
    """Follow a sweep through the runs that ended, in the order in which they did.

    Args:
        outcome: the sweep.
        metric: the score by which runs are judged.
        threshold: the return that the metric `steps` waits for.
    """
    runs = {
        (each.name, run.run.repetition): run for each in outcome.permutations for run in each.runs
    }
    order = [key for key in outcome.ended if key in runs]
    steps = np.cumsum([runs[key].steps for key in order], dtype=np.int64)
    times = {key: Time(place + 1, int(steps[place])) for place, key in enumerate(order)}
    lost = (RunState.PRUNED, *FAILURES)
    cuts = _rungs(outcome, times) + (_rounds(outcome, times) if outcome.is_race else ())
    return History(
        _moments(outcome, order, times, metric, threshold),
        _ends(outcome, times),
        {key: time for key, time in times.items() if runs[key].state in lost},
        tuple(sorted(cuts, key=attrgetter("time.runs"))),
    )


def _moments(
    outcome: Outcome,
    order: list[RunKey],
    times: Mapping[RunKey, Time],
    metric: Metric,
    threshold: float | None,
) -> tuple[Moment, ...]:
    places = {each.name: place for place, each in enumerate(outcome.permutations)}
    number = np.full((len(outcome.permutations), outcome.repetitions), np.inf)
    for key, time in times.items():
        number[places[key[0]], key[1]] = time.runs
    counted = np.unique(np.linspace(1, len(order), min(len(order), _MOST)).astype(int))
    moments = []
    for count, leader in zip(
        counted,
        as_of(outcome, [number <= each for each in counted], metric, threshold),
        strict=True,
    ):
        if leader is not None:
            place, score = leader
            name = outcome.permutations[place].name
            moments.append(Moment(times[order[count - 1]], name, score))
    return tuple(moments)


def _ends(outcome: Outcome, times: Mapping[RunKey, Time]) -> dict[str, Time]:
    ends = {}
    for permutation in outcome.permutations:
        own = [times.get((permutation.name, run.run.repetition)) for run in permutation.runs]
        known = [time for time in own if time is not None]
        if known and len(known) == len(own):
            ends[permutation.name] = max(known, key=_runs)
    return ends


def _rungs(outcome: Outcome, times: Mapping[RunKey, Time]) -> tuple[Cut, ...]:
    """Return the rungs at which permutations were pruned, at the times of their last runs there."""
    cuts = []
    for updates, names in sorted(outcome.pruned.items()):
        own = {name: time for (name, _), time in times.items() if name in names}
        if own:
            cuts.append(Cut(max(own.values(), key=_runs), "rung", updates, len(own)))
    return tuple(cuts)


def _rounds(outcome: Outcome, times: Mapping[RunKey, Time]) -> tuple[Cut, ...]:
    """Return the rounds after which a race left permutations out: those with fewer runs than others."""
    pruned = {name for names in outcome.pruned.values() for name in names}
    sizes = [len(each.runs) for each in outcome.permutations if each.name not in pruned]
    cuts = []
    for size in sorted(set(sizes))[:-1]:
        own = [time for (_, repetition), time in times.items() if repetition < size]
        if own:
            cuts.append(Cut(max(own, key=_runs), "round", size, sizes.count(size)))
    return tuple(cuts)
