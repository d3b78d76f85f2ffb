"""The learning curve of a permutation."""

import numpy as np
import pytest

from reports.outcome import PermutationRuns
from reports.statistics.bounds import Bounds
from reports.statistics.curves import mean_curves
from sweeps.journal.runs import RunIdentity, RunRecord, RunState


def permutation(*curves, states=None):
    states = states or [RunState.FINISHED] * len(curves)
    runs = tuple(
        RunRecord(RunIdentity("run", "0", number, number, {}), state, curve=curve)
        for number, (curve, state) in enumerate(zip(curves, states, strict=True))
    )
    return PermutationRuns("0", (), runs)


def test_a_curve_averages_the_repetitions_over_their_common_steps():
    first, second = ((0, 0.0), (100, 10.0)), ((20, 4.0), (80, 16.0), (120, 16.0))
    (curve,) = mean_curves([permutation(first, second)], points=5)
    assert curve.steps == pytest.approx([20, 40, 60, 80, 100])
    assert curve.runs == pytest.approx(np.array([[2, 4, 6, 8, 10], [4, 8, 12, 16, 16]]))
    assert curve.mean == pytest.approx([3, 6, 9, 12, 13])
    assert (curve.low < curve.mean).all()
    assert (curve.mean < curve.high).all()


def test_a_curve_of_one_repetition_has_no_interval():
    (curve,) = mean_curves([permutation(((0, 0.0), (100, 10.0)))])
    assert np.isnan(curve.low).all()
    assert np.isnan(curve.high).all()


def test_an_interval_stays_within_the_possible_returns():
    curves = ((0, 0.0), (100, 100.0)), ((0, 50.0), (100, 90.0))
    (free,) = mean_curves([permutation(*curves)])
    (curve,) = mean_curves([permutation(*curves)], bounds=Bounds(0.0, 100.0))
    assert free.low.min() < 0 and free.high.max() > 100
    assert curve.low.min() == 0 and curve.high.max() == 100


def test_an_interval_does_not_vanish_where_curves_cross():
    rising, falling = ((0, 0.0), (100, 100.0)), ((0, 100.0), (100, 0.0))
    (curve,) = mean_curves([permutation(rising, falling)], points=61)
    width = curve.high - curve.low
    assert width[30] > 0.05 * width.max()
    assert (width[:25] > width[30]).all() and np.isfinite(width).all()


def test_runs_that_broke_down_are_left_out():
    whole, broken = ((0, 0.0), (100, 10.0)), ((0, 0.0), (10, -99.0))
    (curve,) = mean_curves(
        [permutation(whole, broken, states=[RunState.FINISHED, RunState.DIVERGED])]
    )
    assert curve.steps[-1] == 100
    assert len(curve.runs) == 1


def test_before_any_run_finishes_a_curve_averages_the_running_ones():
    curves = ((0, 0.0), (40, 4.0)), ((0, 0.0), (100, 10.0))
    (running,) = mean_curves([permutation(*curves, states=["running", "running"])])
    assert running.steps[-1] == 40
    (finished,) = mean_curves([permutation(*curves, states=[RunState.RUNNING, RunState.FINISHED])])
    assert finished.steps[-1] == 100


@pytest.mark.parametrize("curve", [(), ((10, 1.0),)])
def test_a_curve_needs_two_points(curve):
    assert mean_curves([permutation(curve)]) == [None]
    whole = permutation(((0, 0.0), (100, 10.0)))
    assert mean_curves([permutation(curve), whole])[0] is None


def test_no_permutations_have_no_curves():
    assert mean_curves([]) == []
