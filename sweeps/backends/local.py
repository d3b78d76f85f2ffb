"""Trains populations one after another in this process, or several at a time in processes.

A process that dies takes its population with it, which is recorded; the others go on.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from typing import Protocol

from environments.cores import stay_on
from sweeps.plan import PlannedRun
from sweeps.results import Result
from sweeps.task import Placement, train_population
from trainer import Progress

Population = Sequence[PlannedRun]


class Observer(Protocol):
    """Is told what happens to populations; `job` counts from 0."""

    def started(self, job: int, population: Population) -> None:
        """A job begins with a population."""

    def progressed(self, job: int, progress: Progress) -> None:
        """A job's population did an update."""

    def ended(self, job: int, population: Population, results: list[Result]) -> None:
        """A job is through with its population."""


def run_here(populations: Sequence[Population], placement: Placement, observer: Observer) -> None:
    """Trains populations one after another in this process."""
    for population in populations:
        observer.started(0, population)
        results = train_population(
            population, placement, lambda progress: observer.progressed(0, progress)
        )
        observer.ended(0, population, results)


def run_in_processes(
    populations: Sequence[Population], placements: Sequence[Placement], observer: Observer
) -> None:
    """Trains populations in as many processes as there are placements.

    However this ends, no process is left behind.
    """
    waiting = list(reversed(populations))
    context = multiprocessing.get_context("forkserver")
    # Imported once, in the process from which all others are forked.
    context.set_forkserver_preload(["sweeps.task"])
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
            for connection in wait(list(busy)):
                _receive(busy[connection], observer)  # type: ignore[index]
    finally:
        for job in jobs:
            job.close()


class _Job:
    """A process that trains one population after another, begun when it is first needed.

    Attributes:
        population: what it trains at present; None while it has nothing to do.
    """

    def __init__(self, number: int, placement: Placement, context: ForkServerContext) -> None:
        self.number = number
        self.population: Population | None = None
        self.connection: Connection
        self._placement = placement
        self._context = context
        self._process: multiprocessing.process.BaseProcess | None = None

    def begin(self, population: Population) -> None:
        """Gives the process a population to train."""
        if self._process is None:
            self.connection, theirs = self._context.Pipe()
            self._process = self._context.Process(target=_work, args=(theirs, self._placement))
            self._process.start()
            theirs.close()
        self.population = population
        self.connection.send(population)

    def died(self) -> str:
        """Cleans up after a process that died, and says what it died of."""
        assert self._process is not None
        self._process.join()
        code = self._process.exitcode or 0
        self._process = None
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"failed: the process that trained it died ({cause})"

    def close(self) -> None:
        """Ends the process, whatever it does."""
        if self._process is not None:
            self._process.terminate()
            self._process.join()
            self.connection.close()


def _receive(job: _Job, observer: Observer) -> None:
    """Passes on what a job sends: a progress, or the results of its population."""
    population = job.population
    assert population is not None
    try:
        message: Progress | list[Result] = job.connection.recv()
    except (EOFError, ConnectionError):
        status = job.died()
        message = [replace(planned.result, status=status) for planned in population]
    if isinstance(message, Progress):
        observer.progressed(job.number, message)
    else:
        job.population = None
        observer.ended(job.number, population, message)


def _work(connection: Connection, placement: Placement) -> None:
    """The life of a job's process."""
    # Ctrl-C reaches the whole group of processes; the one that the user began ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Together with the threads of its environments: they take turns, so that neither waits for a core
    # that another job is on.
    stay_on(placement.cores)

    def send(message: Progress | list[Result]) -> None:
        try:
            connection.send(message)
        except ConnectionError:
            # The process that gave the work is gone, however that came about.
            sys.exit(1)

    while True:
        try:
            population = connection.recv()
        except (EOFError, ConnectionError):
            return
        send(train_population(population, placement, send))
