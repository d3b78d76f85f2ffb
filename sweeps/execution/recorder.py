"""Records the events of a sweep: in the journal at once, in `results.csv` now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ppo.run.returns import is_drawn
from schema.os_errors import describe
from sweeps.execution.events import SweepDisplay
from sweeps.execution.stop import Stop
from sweeps.journal.journal import Journal
from sweeps.journal.runs import FAILURES, RunRecord, RunState
from sweeps.planning.populations import PlannedRun
from trainer import Progress

_SECONDS_BETWEEN_LOOKS = 3.0
# Maximum share of the time for writing the table, which takes a while for a large sweep.
_SHARE_OF_TABLES = 0.02
_ALIKE = 3  # number of first runs; if as many fail with the same error, the sweep stops


class Recorder:
    """An observer that writes the journal and `results.csv`, and updates the display.

    Args:
        journal: the sweep's journal.
        write_table: writes `results.csv`.
        display: shows the events.
        stop: the stop flag, set when failures or a full disk stop the sweep.
        fail_fast: whether the first failure stops the sweep.
        shortage: returns a message if the disk is nearly full, else None.
        is_first: whether these are the session's first runs, which stop it if they all fail alike.
    """

    def __init__(
        self,
        journal: Journal,
        write_table: Callable[[], None],
        display: SweepDisplay,
        stop: Stop,
        fail_fast: bool,
        shortage: Callable[[], str | None],
        is_first: bool = True,
    ) -> None:
        self._journal = journal
        self._write_table = write_table
        self._display = display
        self._stop = stop
        self._fail_fast = fail_fast
        self._shortage = shortage
        self._may_all_fail = is_first
        self._looked_at = time.monotonic()
        self._under_way: dict[int, _UnderWay] = {}
        self._jobs: dict[str, int] = {}  # of the runs in training, by name
        self._next_table = 0.0
        self._first_ends: list[RunRecord] = []

    def started(self, job: int, population: Sequence[PlannedRun]) -> None:
        """Record that a job starts a population, perhaps one that another job has lost."""
        for planned in population:
            # The other job's progress would replace the results that these runs will have.
            self._forget(self._jobs.get(planned.name))
        self._forget(job)
        self._under_way[job] = _UnderWay(population, [[] for _ in population])
        self._jobs |= {planned.name: job for planned in population}
        self._journal.begin(planned.run for planned in population)
        names, first = [run.name for run in population], population[0]
        updates = first.until or first.permutation.config.trainer.updates
        self._display.show_start(job, names, updates)

    def _forget(self, job: int | None) -> None:
        """Forget the population that a job trains, if any."""
        if job in self._under_way:
            for planned in self._under_way.pop(job).population:
                del self._jobs[planned.name]

    def progressed(self, job: int, progress: Progress) -> None:
        """Record that a job's population finished an update."""
        under_way = self._under_way[job]
        under_way.steps = progress.steps
        if is_drawn(progress.update, progress.updates):
            for curve, value in zip(under_way.curves, progress.returns, strict=True):
                if value is not None:
                    curve.append((progress.steps, value))
        if time.monotonic() - self._looked_at > _SECONDS_BETWEEN_LOOKS:
            self._show_curves()
            self._looked_at = time.monotonic()
        self._watch_the_disk()
        self._display.show_progress(job, progress)

    def _show_curves(self) -> None:
        """Write the progress of running populations to the journal, for its readers."""
        with self._journal.transaction():
            for under_way in self._under_way.values():
                for planned, curve in zip(under_way.population, under_way.curves, strict=True):
                    self._journal.show(planned.run, under_way.steps, curve)

    def _watch_the_disk(self) -> None:
        shortage = self._shortage()
        if shortage is not None:
            self._stop.request(shortage)

    def ended(self, job: int, population: Sequence[PlannedRun], results: list[RunRecord]) -> None:
        """Record the results of a job's population."""
        self._forget(job)
        batch_size = population[0].permutation.config.trainer.batch_size
        with self._journal.transaction():
            for result in results:
                self._journal.record(result, result.steps // batch_size)
        if time.monotonic() > self._next_table:
            self.write_table()
        for result in results:
            self._watch(result)
        if self._may_all_fail:
            self._compare_first_ends(results)
        names = [run.name for run in population]
        self._display.show_end(job, names, results, sum(run.steps for run in population))

    def write_table(self) -> None:
        """Write `results.csv`, and set when it may be written next; stop the sweep if that fails."""
        start = time.monotonic()
        try:
            self._write_table()
        except OSError as error:
            self._stop.request(describe(error))
        seconds = time.monotonic() - start
        self._next_table = start + seconds / _SHARE_OF_TABLES

    def _watch(self, result: RunRecord) -> None:
        """Stop the sweep if a run couldn't go on, or after a failure if `fail_fast` is set."""
        if result.state == RunState.INTERRUPTED and result.error:
            self._stop.request(result.error)
        elif self._fail_fast and result.state in FAILURES:
            self._stop.request(f"{result.name} {result.status}")

    def _compare_first_ends(self, results: Sequence[RunRecord]) -> None:
        """Stop the sweep if its first runs failed alike and no other has got further."""
        self._first_ends += [end for end in results if end.state != RunState.INTERRUPTED]
        errors = {end.error for end in self._first_ends}
        self._may_all_fail = len(errors) < 2 and "" not in errors
        furthest = max((end.steps for end in self._first_ends), default=0)
        got_further = any(each.steps > furthest for each in self._under_way.values())
        if self._may_all_fail and len(self._first_ends) >= _ALIKE and not got_further:
            count, status = len(self._first_ends), self._first_ends[-1].status
            self._stop.request(
                f"the first {count} runs had the same error ({status}), so others would, too"
            )


@dataclass
class _UnderWay:
    """A population in training: its runs, their learning curves and their steps so far."""

    population: Sequence[PlannedRun]
    curves: list[list[tuple[int, float]]]
    steps: int = 0
