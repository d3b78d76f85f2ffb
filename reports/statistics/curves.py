"""Averages the learning curves of each permutation's repetitions, with an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reports.outcome import PermutationRuns
from reports.statistics.averages import Array
from reports.statistics.bounds import Bounds
from reports.statistics.intervals import estimate
from sweeps.journal.runs import RunRecord, RunState

_NEIGHBOURS = 4  # points on either side over which the widths of intervals are averaged

_Points = list[tuple[int, float]]


@dataclass(frozen=True)
class Curve:
    """The mean learning curve of a permutation at evenly spaced points; each array is (points,).

    Attributes:
        steps: environment steps.
        mean: return at that time, averaged over the repetitions.
        low: lower end of the 95 % interval at that point; NaN if unknown.
        high: upper end of the interval.
        runs: the curve of each repetition, (repetitions, points).
    """

    steps: Array
    mean: Array
    low: Array
    high: Array
    runs: Array


def mean_curves(
    permutations: Sequence[PermutationRuns], points: int = 60, bounds: Bounds | None = None
) -> list[Curve | None]:
    """Return the mean learning curve of each permutation.

    Failed runs are left out, because a mean would jump where they stop. Before any run of a permutation
    has finished, its curve averages the running ones, up to the shortest of them.

    Args:
        permutations: permutations of a sweep. The variances of their intervals borrow from each other,
            so more permutations give narrower intervals.
        points: number of points of each curve.
        bounds: the range of possible returns, which no interval leaves; None if it is unknown.

    Returns:
        A curve for each permutation; None if no run has two points.
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
    bounds = bounds or Bounds()
    low = np.maximum(mean - _smooth(mean - low), bounds.low)
    high = np.minimum(mean + _smooth(high - mean), bounds.high)
    return [
        Curve(steps[place], mean[place], low[place], high[place], values[place, : len(runs)])
        if runs
        else None
        for place, runs in enumerate(drawn)
    ]


def _smooth(widths: Array) -> Array:
    """Return the root mean square of neighbouring widths, (permutations, points).

    The curves of a few repetitions cross somewhere. There the interval of a single point would pinch to
    nothing, though the mean is no more certain than at the points beside it.
    """
    reach = np.pad(widths**2, ((0, 0), (_NEIGHBOURS, _NEIGHBOURS)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(reach, 2 * _NEIGHBOURS + 1, axis=1)
    known = (~np.isnan(windows)).sum(axis=2)
    total = np.nansum(windows, axis=2)
    smooth: Array = np.sqrt(np.where(known > 0, total / np.maximum(known, 1), np.nan))
    return smooth


def _drawn(permutation: PermutationRuns) -> list[_Points]:
    """Return the curves to average, without points that aren't finite."""
    curves = [(run.state, _finite(run)) for run in permutation.runs]
    long = [(state, points) for state, points in curves if len(points) > 1]
    finished = [points for state, points in long if state == RunState.FINISHED]
    return finished or [points for state, points in long if state == RunState.RUNNING]


def _finite(run: RunRecord) -> _Points:
    return [(steps, value) for steps, value in run.curve if math.isfinite(value)]


def _common_steps(curves: Sequence[_Points], points: int) -> Array:
    """Return steps in the range that all curves share; without one, the end of the shortest."""
    last = min(curve[-1][0] for curve in curves)
    first = min(max(curve[0][0] for curve in curves), last)
    steps: Array = np.linspace(first, last, points)
    return steps
