"""The learning curve of each permutation: the mean of its repetitions, with an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reports.outcome import PermutationRuns
from reports.statistics.averages import Array
from reports.statistics.intervals import estimate
from sweeps.journal.runs import RunRecord, RunState

_Points = list[tuple[int, float]]


@dataclass(frozen=True)
class Curve:
    """How a permutation learnt; each array is (points,), its points evenly spaced.

    Attributes:
        steps: environment steps.
        mean: return at that time, averaged over the repetitions.
        low: lower end of its 95 % interval at that point; NaN where it isn't known.
        high: its upper end.
        runs: the repetitions by themselves, (repetitions, points).
    """

    steps: Array
    mean: Array
    low: Array
    high: Array
    runs: Array


def mean_curves(permutations: Sequence[PermutationRuns], points: int = 60) -> list[Curve | None]:
    """The learning curves of permutations.

    Runs that failed aren't part of a mean: it would jump where they end. While nothing of a permutation
    has finished, its curve is that of the runs that are under way, as far as all of them are.

    Args:
        permutations: those of a sweep. The variances of intervals borrow from each other, so all of it
            has narrower ones than a part.
        points: of each curve.

    Returns:
        One for each permutation; None where no run has two points.
    """
    drawn = [_drawn(permutation) for permutation in permutations]
    most = max(map(len, drawn), default=0)
    if most == 0:
        return [None] * len(drawn)
    steps = np.full((len(drawn), points), np.nan)
    values = np.full((len(drawn), most, points), np.nan)
    for place, runs in enumerate(drawn):
        if runs:
            steps[place] = _common_steps(runs, points)
            for number, curve in enumerate(runs):
                own, returns = zip(*curve, strict=True)
                values[place, number] = np.interp(steps[place], own, returns)
    found = [estimate(values[:, :, point]) for point in range(points)]
    mean, low, high = (
        np.stack([getattr(each, name) for each in found], axis=1)
        for name in ("mean", "low", "high")
    )
    return [
        Curve(steps[place], mean[place], low[place], high[place], values[place, : len(runs)])
        if runs
        else None
        for place, runs in enumerate(drawn)
    ]


def _drawn(permutation: PermutationRuns) -> list[_Points]:
    """The curves that a permutation's is made of, without points at which a return isn't finite."""
    curves = [(run.state, _finite(run)) for run in permutation.runs]
    long = [(state, points) for state, points in curves if len(points) > 1]
    finished = [points for state, points in long if state == RunState.FINISHED]
    return finished or [points for state, points in long if state == RunState.RUNNING]


def _finite(run: RunRecord) -> _Points:
    return [(steps, value) for steps, value in run.curve if math.isfinite(value)]


def _common_steps(curves: Sequence[_Points], points: int) -> Array:
    """The stretch that all curves have; where two don't overlap, the end of the shortest."""
    last = min(curve[-1][0] for curve in curves)
    first = min(max(curve[0][0] for curve in curves), last)
    steps: Array = np.linspace(first, last, points)
    return steps
