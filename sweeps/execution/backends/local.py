"""Trains populations in jobs, which are processes of this machine.

A process that dies or hangs loses only its own population, which is recorded as failed. For this reason,
even a single job is a process of its own.
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
from environments.safety.children import free_children
from environments.safety.output import outlive_readers
from environments.safety.watch import Heartbeat, watch
from sweeps.execution.backends.server import SHIELDED, server_context
from sweeps.execution.stop import Stop
from sweeps.execution.worker import WorkerOptions, part, record_failure, train_population
from sweeps.journal.runs import RunRecord, RunState
from sweeps.planning.populations import PlannedRun
from trainer import Progress

Population = Sequence[PlannedRun]
# A message from a job: its progress, the failure that makes it exit, or its population's records
# (None if each run has to be trained alone).
_Message = Progress | EnvironmentFailure | list[RunRecord] | None
_SECONDS_TO_END = 2.0


class Observer(Protocol):
    """Receives the events of a sweep; jobs are numbered from 0."""

    def started(self, job: int, population: Population) -> None:
        """Note that a job starts a population."""

    def progressed(self, job: int, progress: Progress) -> None:
        """Note that a job's population finished an update."""

    def ended(self, job: int, population: Population, results: list[RunRecord]) -> None:
        """Note that a job's population ended."""


# A sweep backend: trains populations as `run_in_processes` does, on any machine.
Backend = Callable[[Iterable[Population], Sequence[WorkerOptions], Observer, Stop], None]


def run_in_processes(
    populations: Iterable[Population],
    options: Sequence[WorkerOptions],
    observer: Observer,
    stop: Stop,
) -> None:
    """Train populations, in a process for each of the options, until done or stopped.

    No process outlives the call, even if it raises an exception.
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
    """The populations that wait for a job; runs of a population that failed come first, one by one.

    Args:
        populations: the populations, in the order in which they start.
        out: the output folder.
    """

    def __init__(self, populations: Iterable[Population], out: Path) -> None:
        self._populations = iter(populations)
        self._out = out
        self._alone: list[Population] = []

    def next(self) -> Population | None:
        """Return the next population; None if the queue is empty."""
        return self._alone.pop() if self._alone else next(self._populations, None)

    def part(self, population: Population) -> None:
        """Queue each run of a population alone, because any of them may have caused its failure."""
        self._alone += reversed(part(population, self._out))


class _Job:
    """A process that trains one population after another; it starts with the first.

    Attributes:
        population: the population in training; None while the job is idle.
        updates: number of updates that the population has finished.
        last_words: the failure that makes the process exit, or has it killed, if any.
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
        """Send a population to the process; start the process if it isn't running."""
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
        """Ask the process to save checkpoints and return its population, or kill it."""
        assert self._process is not None
        if kill:
            self._process.kill()
        elif not self._is_interrupted:
            self._process.terminate()
        self._is_interrupted = True

    def end_if_stopped(self) -> None:
        """Kill the process if its heartbeat has stopped."""
        if self._process is not None and self.last_words is None and self._heartbeat.stopped():
            self.last_words = self._heartbeat.failure("the process that trained it")
            self._process.kill()

    def bury(self) -> str:
        """Release what a dead process held, and return its signal or exit code."""
        assert self._process is not None
        self._process.join()
        code = self._process.exitcode or 0
        self._process = None
        self.connection.close()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def died(self) -> list[RunRecord]:
        """Release what a dead process held, and return its runs' records, as failed."""
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
        """Stop the process; an idle one may exit by itself."""
        if self._process is None:
            return
        self.connection.close()
        if self.population is None:
            # It waits for a population, and exits because the connection is closed.
            self._process.join(_SECONDS_TO_END)
        self._process.kill()
        self._process.join()


def _hand_out(queue: Queue, jobs: Iterable[_Job], observer: Observer) -> None:
    """Give each idle job a population, as long as the queue has any."""
    for job in jobs:
        if job.population is None and (population := queue.next()):
            observer.started(job.number, population)
            job.begin(population)


def _receive(job: _Job, observer: Observer, stop: Stop, queue: Queue) -> None:
    """Pass on a message from a job: its progress, or its population's records."""
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
    """Return the records of a dead job's runs; None if each has to be trained alone."""
    assert job.population is not None
    if stop.is_requested:
        job.bury()
        return [RunRecord(planned.run, RunState.INTERRUPTED) for planned in job.population]
    if len(job.population) > 1:
        job.bury()
        return None
    return job.died()


def _work(connection: Connection, options: WorkerOptions, heartbeat: Any) -> None:
    """Train populations until the connection closes: the main loop of a job's process."""
    stopped: list[int] = []
    outlive_readers()
    # Ctrl-C reaches the whole process group, but the main process interrupts its jobs itself. A cluster
    # may signal the whole group, too; a job then receives SIGTERM twice.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: stopped.append(received))
    # The fork server blocks them so that they don't kill it, and its children inherit that.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SHIELDED)
    free_children()
    # The job's environment threads inherit this. They and the training take turns, so that no job waits
    # for a core that another uses.
    if options.stays_on_cores:
        stay_on(options.placement.cores or ())

    def send(message: _Message) -> None:
        try:
            connection.send(message)
        except ConnectionError:
            # The main process has exited.
            sys.exit(1)

    watch.heartbeat = heartbeat
    # By then, the main thread hangs and sends nothing.
    watch.give_up = send
    watch.start()
    while True:
        try:
            population = connection.recv()
        except (EOFError, ConnectionError):
            return
        send(train_population(population, options, send, lambda: bool(stopped)))
