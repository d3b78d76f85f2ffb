"""A sweep backend that scores runs instead of training them, and may be killed."""

import contextlib
import itertools
import random

from commands.tuning import train_all
from commands.turns import turn_title
from sweeps.journal.journal import read_journal
from sweeps.journal.runs import RunRecord, RunState
from sweeps.sweep import Sweep
from tests.sweeps.scene import Display, options_for

STEPS = 64  # of an update
UPDATES = 6


class KilledError(Exception):
    """Stands for the death of the process."""


def return_of(name, update):
    """Return the return of a run after an update, a function of its name."""
    return random.Random(f"{name} {update}").random()


def never(*_):
    """Return False."""
    return False


def finish(attempt, moments):
    """Repeat something until it isn't killed, and return its result.

    Args:
        attempt: called with a function that returns whether the process dies now.
        moments: for each death, how often that function is called before.
    """
    for moment in moments:
        calls = itertools.count(1)
        with contextlib.suppress(KilledError):
            attempt(lambda: next(calls) == moment)  # noqa: B023
    return attempt(never)


def scoring(fails=never, killed=never, shuffled=None, return_of=return_of):
    """Return the backend.

    Args:
        fails: maps a planned run to whether it fails.
        killed: returns whether the process dies now.
        shuffled: the random generator of the order in which populations end; None keeps the order.
        return_of: maps a run's name and an update to its return.
    """

    def backend(populations, placements, recorder, stop):
        waiting = list(populations)
        if shuffled is not None:
            shuffled.shuffle(waiting)
        for population in waiting:
            recorder.started(0, population)
            if killed():
                raise KilledError
            results = [_result(planned, fails, return_of) for planned in population]
            recorder.ended(0, population, results)
            if killed():
                raise KilledError

    return backend


def _result(planned, fails, return_of):
    if fails(planned):
        return RunRecord(planned.run, RunState.FAILED, STEPS, error=f"error of {planned.name}")
    updates = planned.until or UPDATES
    values = [return_of(planned.name, update) for update in range(1, updates + 1)]
    curve = tuple((STEPS * update, value) for update, value in enumerate(values, start=1))
    state = RunState.PAUSED if planned.until else RunState.FINISHED
    return RunRecord(planned.run, state, STEPS * updates, values[-1], 1.0, max(values), curve=curve)


def simulate(grid, out, backend, lines=None, search=None, titles=None, **options):
    """Run a sweep as `tune.py` does, and return the records of all its runs.

    Args:
        grid: the permutations.
        out: the output folder.
        backend: the sweep backend.
        lines: receives the lines that are printed.
        search: the search that adds permutations; None without one.
        titles: receives the title of each agenda that is trained.
        options: options of the sweep.
    """
    options = options_for(out, **{"together": 2, "retries": 3, **options})
    with Sweep(grid, options, overwrite=False) as sweep, sweep.session():

        def train():
            if titles is not None:
                titles.append(turn_title(sweep, options))
            sweep.train(Display(), backend=backend)

        say = [].append if lines is None else lines.append
        train_all(sweep, options, None, search, train, say)
        return list(sweep.records())


def decided(out, rungs=(2, 4)):
    """Return everything that must be the same however often a sweep was interrupted."""
    with read_journal(out, "a") as journal:
        rows = [(row.run.name, row.run.choices, row.state) for row in journal.runs("a", 99)]
        returns = [record.final_return for record in journal.records("a")]
        return rows, returns, [journal.rungs.judged(rung) for rung in rungs], journal.looks
