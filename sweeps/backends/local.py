"""Trains populations one after another in this process, or several at a time in processes.

A process that dies takes its population with it, which is recorded; the others go on.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Protocol

from environments.cores import stay_on
from sweeps.plan import PlannedRun
from sweeps.results import FAILED, INTERRUPTED, Result
from sweeps.stopping import Stop
from sweeps.task import Placement, part, train_population
from trainer import Progress

Population = Sequence[PlannedRun]
_SECONDS_TO_END = 2.0


class Observer(Protocol):
    """Is told what happens to populations; `job` counts from 0."""

    def started(self, job: int, population: Population) -> None:
        """A job begins with a population."""

    def progressed(self, job: int, progress: Progress) -> None:
        """A job's population did an update."""

    def ended(self, job: int, population: Population, results: list[Result]) -> None:
        """A job is through with its population."""


def run_locally(
    populations: Iterable[Population],
    placements: Sequence[Placement],
    observer: Observer,
    stop: Stop,
) -> None:
    """Trains populations, until all are or `stop` is requested."""
    if len(placements) == 1:
        run_here(populations, placements[0], observer, stop)
    else:
        run_in_processes(populations, placements, observer, stop)


# What trains populations as `run_locally` does, wherever it may be.
Backend = Callable[[Iterable[Population], Sequence[Placement], Observer, Stop], None]


def run_here(
    populations: Iterable[Population], placement: Placement, observer: Observer, stop: Stop
) -> None:
    """Trains populations one after another in this process, until all are or `stop` is requested."""
    queue = _Queue(populations, placement.out)
    while not stop.is_requested and (population := queue.next()):
        observer.started(0, population)
        results = train_population(
            population,
            placement,
            lambda progress: observer.progressed(0, progress),
            lambda: stop.is_requested,
        )
        if results is None:
            queue.part(population)
        else:
            observer.ended(0, population, results)


def run_in_processes(
    populations: Iterable[Population],
    placements: Sequence[Placement],
    observer: Observer,
    stop: Stop,
) -> None:
    """Trains populations in as many processes as there are placements, until `stop` is requested.

    However this ends, no process is left behind.
    """
    queue = _Queue(populations, placements[0].out)
    context = multiprocessing.get_context("forkserver")
    # Imported once, in the process from which all others are forked.
    context.set_forkserver_preload(["sweeps.task"])
    jobs = [_Job(number, placement, context) for number, placement in enumerate(placements)]
    try:
        while True:
            for job in jobs:
                if job.population is not None or stop.is_requested:
                    continue
                if population := queue.next():
                    observer.started(job.number, population)
                    job.begin(population)
            busy = {job.connection: job for job in jobs if job.population is not None}
            if not busy:
                return
            if stop.is_requested:
                for job in busy.values():
                    job.interrupt(kill=stop.is_overdue)
            # Not for ever, as there may be a wish to stop meanwhile.
            for connection in wait(list(busy), timeout=0.5):
                _receive(busy[connection], observer, stop, queue)  # type: ignore[index]
    finally:
        for job in jobs:
            job.close()


class _Queue:
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
    """

    def __init__(self, number: int, placement: Placement, context: ForkServerContext) -> None:
        self.number = number
        self.population: Population | None = None
        self.connection: Connection
        self._placement = placement
        self._context = context
        self._process: multiprocessing.process.BaseProcess | None = None
        self._is_interrupted = False

    def begin(self, population: Population) -> None:
        """Gives the process a population to train."""
        if self._process is None:
            self.connection, theirs = self._context.Pipe()
            self._process = self._context.Process(target=_work, args=(theirs, self._placement))
            self._process.start()
            theirs.close()
        self.population = population
        self.connection.send(population)

    def interrupt(self, kill: bool) -> None:
        """Has the process save its state and give back its population; or kills it."""
        assert self._process is not None
        if kill:
            self._process.kill()
        elif not self._is_interrupted:
            self._process.terminate()
        self._is_interrupted = True

    def died(self) -> str:
        """Cleans up after a process that died, and says what it died of."""
        assert self._process is not None
        self._process.join()
        code = self._process.exitcode or 0
        self._process = None
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"the process that trained it died ({cause})"

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


def _receive(job: _Job, observer: Observer, stop: Stop, queue: _Queue) -> None:
    """Passes on what a job sends: a progress, or what became of its population."""
    population = job.population
    assert population is not None
    try:
        message: Progress | list[Result] | None = job.connection.recv()
    except (EOFError, ConnectionError):
        message = _results_of_death(population, job.died(), stop)
    if isinstance(message, Progress):
        observer.progressed(job.number, message)
        return
    job.population = None
    if message is None:
        queue.part(population)
    else:
        observer.ended(job.number, population, message)


def _results_of_death(population: Population, cause: str, stop: Stop) -> list[Result] | None:
    """What became of runs whose process died; None where each is to go on alone."""
    if stop.is_requested:
        return [replace(run.result, state=INTERRUPTED) for run in population]
    if len(population) > 1:
        return None
    return [replace(run.result, state=FAILED, error=cause) for run in population]


def _work(connection: Connection, placement: Placement) -> None:
    """The life of a job's process."""
    stopped: list[int] = []
    # Ctrl-C reaches the whole group of processes; the one that the user began ends the others. So it
    # may be with what clusters send, which then says twice what is to be done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: stopped.append(received))
    # Together with the threads of its environments: they take turns, so that neither waits for a core
    # that another job is on.
    stay_on(placement.cores)

    def send(message: Progress | list[Result] | None) -> None:
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
        send(train_population(population, placement, send, lambda: bool(stopped)))
