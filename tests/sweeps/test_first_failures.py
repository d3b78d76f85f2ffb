"""A sweep stops if its first runs fail alike, unless others show that not all do."""

import pytest

from sweeps.journal.runs import RunRecord, RunState
from sweeps.sweep import Sweep
from tests.sweeps.scene import Display, make_grid, options_for
from tests.sweeps.simulated import STEPS
from trainer import Progress

SPACE = "hyperparameters: {gamma: [0.9, 0.92, 0.94, 0.96, 0.98]}\n"
LINE = "the first 3 runs had the same error (failed: it broke), so others would, too"


def ended(planned, error="", updates=2):
    state = RunState.FAILED if error else RunState.FINISHED
    return RunRecord(planned.run, state, STEPS * updates, 1.0, error=error)


@pytest.fixture
def reason(tmp_path):
    """Run a sweep on a backend; return why it was stopped, or None."""

    def run(backend, together=1):
        grid = make_grid(tmp_path, SPACE)
        with Sweep(grid, options_for(tmp_path / "out", together=together), False) as sweep:
            sweep.run(Display(), backend=backend)
            return sweep.stop.reason

    return run


def fail_each(populations, recorder, errors, job=0):
    """End populations of one run with these errors."""
    for error in errors:
        population = next(populations)
        recorder.started(job, population)
        recorder.ended(job, population, [ended(population[0], error)])


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        (["it broke"] * 3, LINE),
        (["it broke", "it broke", "it melted"], None),
        (["", "it broke", "it broke", "it broke"], None),
        (["it broke", "it broke"], None),
    ],
)
def test_three_first_failures_alike_stop_a_sweep(reason, errors, expected):
    def backend(populations, placements, recorder, stop):
        fail_each(iter(populations), recorder, errors)

    assert reason(backend) == expected


@pytest.mark.parametrize(("update", "expected"), [(1, LINE), (2, LINE), (3, None)])
def test_a_run_that_got_further_shows_that_not_all_fail(reason, update, expected):
    def backend(populations, placements, recorder, stop):
        populations = iter(populations)
        recorder.started(1, next(populations))
        recorder.progressed(1, Progress(update, 6, STEPS * update, 9.0, [None]))
        fail_each(populations, recorder, ["it broke"] * 3)

    assert reason(backend) == expected


def test_it_stops_once_that_run_fails_alike(reason):
    reasons = []

    def backend(populations, placements, recorder, stop):
        populations = iter(populations)
        further = next(populations)
        recorder.started(1, further)
        recorder.progressed(1, Progress(3, 6, STEPS * 3, 9.0, [None]))
        fail_each(populations, recorder, ["it broke"] * 3)
        reasons.append(stop.reason)
        recorder.ended(1, further, [ended(further[0], "it broke", 3)])

    assert reason(backend) == LINE.replace("3", "4") and reasons == [None]


def test_members_of_a_population_are_judged_together(reason):
    def backend(populations, placements, recorder, stop):
        (population,) = populations
        recorder.started(0, population)
        errors = ["it broke"] * 4 + [""]
        results = [ended(*each) for each in zip(population, errors, strict=True)]
        recorder.ended(0, population, results)

    assert reason(backend, together=5) is None
