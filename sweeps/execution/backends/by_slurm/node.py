"""Trains the population of an array's element, in a job of Slurm: `python -m <this> <folder>`."""

from __future__ import annotations

import os
import platform
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from schema.os_errors import describe
from sweeps.execution.backends.by_slurm.array import MESSAGES, Element
from sweeps.execution.backends.by_slurm.queue import requeue
from sweeps.execution.backends.local import Population, run_in_processes
from sweeps.execution.backends.messages import Outbox, read_history
from sweeps.execution.backends.server import start_server
from sweeps.execution.stop import Stop
from sweeps.execution.versions import describe_difference, versions
from sweeps.execution.worker import WorkerOptions, clear, regroup
from sweeps.journal.runs import RunRecord, RunState
from trainer import Progress

_NOTHING = b"[]"
_SECONDS_PER_WRITE = 0.5
# Slurm kills a job 30 s after SIGTERM, if the cluster hasn't set another time.
_SECONDS_TO_SAVE = 20.0
# Part of the time before the limit that is for saving; the rest is for the end of the job.
_SHARE_OF_LEAD = 0.8


class NodeOutbox(Outbox):
    """An outbox that keeps interruptions of the job to itself, because the runs go on in the next one.

    Attributes:
        has_progressed: whether an update was finished.
    """

    has_progressed = False

    def progressed(self, job: int, progress: Progress) -> None:
        """Send that the runs finished an update."""
        self.has_progressed = True
        super().progressed(job, progress)

    def ended(self, job: int, population: Population, results: list[RunRecord]) -> None:
        """Send the records of runs, except those that only the job's end interrupted."""
        pairs = [
            (planned, result)
            for planned, result in zip(population, results, strict=True)
            if result.state != RunState.INTERRUPTED or result.error
        ]
        if pairs:
            super().ended(job, [planned for planned, _ in pairs], [result for _, result in pairs])


class _Signals:
    """Stops training at the signals of a job that ends.

    Args:
        stop: the stop flag to set.
        lead: seconds from SIGUSR1 to the time limit.

    Attributes:
        is_at_limit: whether SIGUSR1 has come, so that the job asks to run again.
    """

    def __init__(self, stop: Stop, lead: float) -> None:
        self.is_at_limit = False
        self._stop = stop
        self._lead = lead
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, self._receive)

    def _receive(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self.is_at_limit = True
            self._stop.request("the job nears its time limit", self._lead * _SHARE_OF_LEAD)
        else:
            self._stop.request("the job was cancelled", _SECONDS_TO_SAVE)


def train(element: Element) -> None:
    """Train the population of an element, or what earlier jobs have left of it."""
    stop, described = Stop(), element.array.read()
    signals = _Signals(stop, described["lead"])
    difference = describe_difference(described["versions"], versions())
    if difference and not described["allow_differences"]:
        _refuse(element, difference)
        return
    population, options = element.load()
    start_server()
    left = _left(element, population, options)
    outbox = NodeOutbox(population)
    with _sending(outbox, element, stop):
        run_in_processes(left, [options.among_others(_count_cores())], outbox, stop)
        if not stop.is_requested:
            outbox.over()
    # The rest has nothing to save, and Python's end would take the signal for a reason to fail.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    # A job that is too short for one update would run again forever.
    if signals.is_at_limit and outbox.has_progressed:
        requeue()


def _refuse(element: Element, difference: str) -> None:
    """Tell the driver why the population isn't trained here."""
    outbox = Outbox(())
    outbox.refuse(
        f"node {platform.node()}: {difference}; make them equal, or add --allow-different-versions"
    )
    with _sending(outbox, element, Stop()):
        pass


def _left(element: Element, population: Population, options: WorkerOptions) -> list[Population]:
    """Return the runs that earlier jobs of this element have left, in populations that fit."""
    lines = list(element.lines(0))
    # A job that was killed may have left half a line.
    os.truncate(element.folder / MESSAGES, lines[-1][1] if lines else 0)
    has_started, ended = read_history(line for line, _ in lines)
    left = [planned for index, planned in enumerate(population) if index not in ended]
    if not has_started:
        # A job that comes after this one trusts the checkpoints that are there.
        clear(left, options.out)
    return [*regroup(left, options.out, has_started)] if left else []


@contextmanager
def _sending(outbox: Outbox, element: Element, stop: Stop) -> Iterator[None]:
    """Append messages to the element's file while the block runs, and the last ones after it."""
    is_done = threading.Event()

    def send() -> None:
        try:
            with (element.folder / MESSAGES).open("ab", buffering=0) as file:
                while True:
                    was_done, line = is_done.is_set(), outbox.fetch()
                    if line != _NOTHING:
                        file.write(line + b"\n")
                    elif was_done:
                        return
                    is_done.wait(_SECONDS_PER_WRITE)
        except OSError as error:
            stop.request(describe(error))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        is_done.set()
        thread.join()


def _count_cores() -> int:
    """Return the number of CPUs that Slurm gives to this job."""
    return int(os.environ.get("SLURM_CPUS_PER_TASK") or os.environ.get("SLURM_CPUS_ON_NODE") or 1)


if __name__ == "__main__":
    train(Element(Path(sys.argv[1])))
