"""Trains populations in processes, one or several at a time.

A process that dies, or that an environment keeps from running, takes its population with it, which is
recorded; the others go on. That is why there is a process even where there is one at a time only.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Sequence
from ctypes import c_byte
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from typing import Any, Protocol

from environments.cores import stay_on
from environments.interface import EnvironmentFailure
from environments.watch import Heartbeat, watch
from sweeps.backends.server import server_context
from sweeps.plan import PlannedRun
from sweeps.results import Result
from sweeps.task import Placement, record_failure, train_population
from trainer import Progress

Population = Sequence[PlannedRun]
# What a job sends: how far it is, why it ends itself, or what became of its population.
_Message = Progress | EnvironmentFailure | list[Result]


class Observer(Protocol):
    """Is told what happens to populations; `job` counts from 0."""

    def started(self, job: int, population: Population) -> None:
        """A job begins with a population."""

    def progressed(self, job: int, progress: Progress) -> None:
        """A job's population did an update."""

    def ended(self, job: int, population: Population, results: list[Result]) -> None:
        """A job is through with its population."""


def run_in_processes(
    populations: Sequence[Population], placements: Sequence[Placement], observer: Observer
) -> None:
    """Trains populations in as many processes as there are placements.

    However this ends, no process is left behind.
    """
    waiting = list(reversed(populations))
    context = server_context()
    jobs = [_Job(number, placement, context) for number, placement in enumerate(placements)]
    try:
        while True:
            for job in jobs:
                if waiting and job.population is None:
                    observer.started(job.number, waiting[-1])
                    job.begin(waiting.pop())
            busy = {job.connection: job for job in jobs if job.population is not None}
            if not busy:
                return
            for connection in wait(list(busy), Heartbeat.pause):
                waiting += _receive(busy[connection], observer)  # type: ignore[index]
            for job in busy.values():
                job.end_if_stopped()
    finally:
        for job in jobs:
            job.close()


class _Job:
    """A process that trains one population after another, begun when it is first needed.

    Attributes:
        population: what it trains at present; None while it has nothing to do.
        updates: how many of it are done.
        last_words: why the process ends itself, where it does.
    """

    def __init__(self, number: int, placement: Placement, context: ForkServerContext) -> None:
        self.number = number
        self.population: Population | None = None
        self.updates = 0
        self.last_words: EnvironmentFailure | None = None
        self.connection: Connection
        self._heartbeat = Heartbeat(context.RawArray(c_byte, 1))
        self._placement = placement
        self._context = context
        self._process: multiprocessing.process.BaseProcess | None = None

    def begin(self, population: Population) -> None:
        """Gives the process a population to train."""
        if self._process is None:
            self.connection, theirs = self._context.Pipe()
            self._process = self._context.Process(
                target=_work, args=(theirs, self._placement, self._heartbeat.memory)
            )
            self._process.start()
            theirs.close()
        self.population = population
        self.updates = 0
        self.last_words = None
        self._heartbeat.begin(population[0].permutation.config.environment)
        self.connection.send(population)

    def end_if_stopped(self) -> None:
        """Kills the process where nothing of it runs any more, so that it counts as dead."""
        if self._process is not None and self.last_words is None and self._heartbeat.stopped():
            self.last_words = self._heartbeat.failure("the process that trained it")
            self._process.kill()

    def died(self) -> list[Result]:
        """Cleans up after a process that died, and records that as its runs' failure."""
        assert self._process is not None and self.population is not None
        self._process.join()
        code = self._process.exitcode or 0
        self._process = None
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        reason, details = f"the process that trained it died ({cause})", ""
        if self.last_words is not None:
            reason, details = str(self.last_words), self.last_words.details
        out = self._placement.out
        return [
            record_failure(planned, out, reason, self.updates, details)
            for planned in self.population
        ]

    def close(self) -> None:
        """Ends the process, whatever it does."""
        if self._process is not None:
            self._process.terminate()
            self._process.join()
            self.connection.close()


def _receive(job: _Job, observer: Observer) -> list[Population]:
    """Passes on what a job sends: a progress, or the results of its population.

    Returns:
        The runs of a population with which the process died, one by one: they are trained again, so
        that the one alone fails whose fault it is.
    """
    population = job.population
    assert population is not None
    try:
        message: _Message = job.connection.recv()
    except (EOFError, ConnectionError):
        message = job.died()
        if len(population) > 1:
            job.population = None
            return [[planned] for planned in reversed(population)]
    if isinstance(message, Progress):
        job.updates = message.update
        observer.progressed(job.number, message)
    elif isinstance(message, EnvironmentFailure):
        job.last_words = message
    else:
        job.population = None
        observer.ended(job.number, population, message)
    return []


def _work(connection: Connection, placement: Placement, heartbeat: Any) -> None:
    """The life of a job's process."""
    # Ctrl-C reaches the whole group of processes; the one that the user began ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Together with the threads of its environments: they take turns, so that neither waits for a core
    # that another job is on.
    stay_on(placement.cores)

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
        send(train_population(population, placement, send))
