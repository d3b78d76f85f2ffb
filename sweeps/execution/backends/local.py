"""Trains populations in processes, one or several at a time.

A process that dies, or that an environment keeps from running, takes its population with it, which is
recorded; the others go on. That is why there is a process even where there is one at a time only.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from ctypes import c_byte
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Protocol

from environments.cores import stay_on
from environments.interface import EnvironmentFailure
from environments.safety.watch import Heartbeat, watch
from sweeps.execution.backends.server import SHIELDED, server_context
from sweeps.execution.stop import Stop
from sweeps.execution.worker import WorkerOptions, part, record_failure, train_population
from sweeps.journal.runs import RunRecord, RunState
from sweeps.planning.populations import PlannedRun
from trainer import Progress

Population = Sequence[PlannedRun]
# What a job sends: how far it is, why it ends itself, or what became of its population (None where
# each run of it is to go on alone).
_Message = Progress | EnvironmentFailure | list[RunRecord] | None
_SECONDS_TO_END = 2.0


class Observer(Protocol):
    """Is told what happens to populations; `job` counts from 0."""

    def started(self, job: int, population: Population) -> None:
        """A job begins with a population."""

    def progressed(self, job: int, progress: Progress) -> None:
        """A job's population did an update."""

    def ended(self, job: int, population: Population, results: list[RunRecord]) -> None:
        """A job is through with its population."""


# What trains populations as `run_in_processes` does, wherever that may be.
Backend = Callable[[Iterable[Population], Sequence[WorkerOptions], Observer, Stop], None]


def run_in_processes(
    populations: Iterable[Population],
    options: Sequence[WorkerOptions],
    observer: Observer,
    stop: Stop,
) -> None:
    """Trains populations in one process for each of the options, until `stop` is requested.

    However this ends, no process is left behind.
    """
    queue = Queue(populations, options[0].out)
    context = server_context()
    jobs = [_Job(number, each, context) for number, each in enumerate(options)]
    try:
        while True:
            if not stop.is_requested:
                _hand_out(queue, jobs, observer)
            busy = {job.connection: job for job in jobs if job.population is not None}
            if not busy:
                return
            if stop.is_requested:
                for job in busy.values():
                    job.interrupt(kill=stop.is_overdue)
            for connection in wait(list(busy), Heartbeat.pause):
                _receive(busy[connection], observer, stop, queue)  # type: ignore[index]
            for job in busy.values():
                job.end_if_stopped()
    finally:
        for job in jobs:
            job.close()


class Queue:
    """Populations that wait, before them the runs of those that could not be trained together.

    Args:
        populations: in the order in which they begin.
        out: folder of everything that is written.
    """

    def __init__(self, populations: Iterable[Population], out: Path) -> None:
        self._populations = iter(populations)
        self._out = out
        self._alone: list[Population] = []

    def next(self) -> Population | None:
        """What begins next; None where nothing is left."""
        return self._alone.pop() if self._alone else next(self._populations, None)

    def part(self, population: Population) -> None:
        """Has each run of a population go on alone, as any of them may have stopped all of them."""
        self._alone += reversed(part(population, self._out))


class _Job:
    """A process that trains one population after another, begun when it is first needed.

    Attributes:
        population: what it trains at present; None while it has nothing to do.
        updates: how many of it are done.
        last_words: why the process ends itself, where it does.
    """

    def __init__(self, number: int, options: WorkerOptions, context: ForkServerContext) -> None:
        self.number = number
        self.population: Population | None = None
        self.updates = 0
        self.last_words: EnvironmentFailure | None = None
        self.connection: Connection
        self._heartbeat = Heartbeat(context.RawArray(c_byte, 1))
        self._options = options
        self._context = context
        self._process: multiprocessing.process.BaseProcess | None = None
        self._is_interrupted = False

    def begin(self, population: Population) -> None:
        """Gives the process a population to train."""
        if self._process is None:
            self.connection, theirs = self._context.Pipe()
            self._process = self._context.Process(
                target=_work, args=(theirs, self._options, self._heartbeat.memory)
            )
            self._process.start()
            theirs.close()
        self.population = population
        self.updates = population[0].update
        self.last_words = None
        self._heartbeat.begin(population[0].permutation.config.environment)
        self.connection.send(population)

    def interrupt(self, kill: bool) -> None:
        """Has the process save its state and give back its population; or kills it."""
        assert self._process is not None
        if kill:
            self._process.kill()
        elif not self._is_interrupted:
            self._process.terminate()
        self._is_interrupted = True

    def end_if_stopped(self) -> None:
        """Kills the process where nothing of it runs any more, so that it counts as dead."""
        if self._process is not None and self.last_words is None and self._heartbeat.stopped():
            self.last_words = self._heartbeat.failure("the process that trained it")
            self._process.kill()

    def bury(self) -> str:
        """Cleans up after a process that died, and says how it did."""
        assert self._process is not None
        self._process.join()
        code = self._process.exitcode or 0
        self._process = None
        self.connection.close()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def died(self) -> list[RunRecord]:
        """Cleans up after a process that died, and records that as its runs' failure."""
        assert self.population is not None
        cause = self.bury()
        error, details = f"the process that trained it died ({cause})", ""
        if self.last_words is not None:
            error, details = str(self.last_words), self.last_words.details
        out = self._options.out
        return [
            record_failure(planned, out, RunState.FAILED, error, self.updates, details)
            for planned in self.population
        ]

    def close(self) -> None:
        """Ends the process, whatever it does."""
        if self._process is None:
            return
        self.connection.close()
        if self.population is None:
            # It waits for more to do, and ends when there is nobody to give it.
            self._process.join(_SECONDS_TO_END)
        self._process.kill()
        self._process.join()


def _hand_out(queue: Queue, jobs: Iterable[_Job], observer: Observer) -> None:
    """Gives all jobs that have nothing to do something, as far as there is something."""
    for job in jobs:
        if job.population is None and (population := queue.next()):
            observer.started(job.number, population)
            job.begin(population)


def _receive(job: _Job, observer: Observer, stop: Stop, queue: Queue) -> None:
    """Passes on what a job sends: how far it is, or what became of its population."""
    population = job.population
    assert population is not None
    try:
        message: _Message = job.connection.recv()
    except (EOFError, ConnectionError):
        message = _after_death(job, stop)
    if isinstance(message, Progress):
        job.updates = message.update
        observer.progressed(job.number, message)
    elif isinstance(message, EnvironmentFailure):
        job.last_words = message
    else:
        job.population = None
        if message is None:
            queue.part(population)
        else:
            observer.ended(job.number, population, message)


def _after_death(job: _Job, stop: Stop) -> list[RunRecord] | None:
    """What became of runs whose process died; None where each is to go on alone."""
    assert job.population is not None
    if stop.is_requested:
        job.bury()
        return [RunRecord(planned.run, RunState.INTERRUPTED) for planned in job.population]
    if len(job.population) > 1:
        job.bury()
        return None
    return job.died()


def _work(connection: Connection, options: WorkerOptions, heartbeat: Any) -> None:
    """The life of a job's process."""
    stopped: list[int] = []
    # Ctrl-C reaches the whole group of processes; the one that the user began ends the others. So it
    # may be with what clusters send, which then says twice what is to be done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: stopped.append(received))
    # The server kept them back, so as not to end itself.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SHIELDED)
    # Together with the threads of its environments: they take turns, so that neither waits for a core
    # that another job is on.
    stay_on(options.placement.cores or ())

    def send(message: _Message) -> None:
        try:
            connection.send(message)
        except ConnectionError:
            # The process that gave the work is gone, however that came about.
            sys.exit(1)

    watch.heartbeat = heartbeat
    # The main thread sends nothing any more when that happens.
    watch.give_up = send
    watch.start()
    while True:
        try:
            population = connection.recv()
        except (EOFError, ConnectionError):
            return
        send(train_population(population, options, send, lambda: bool(stopped)))
