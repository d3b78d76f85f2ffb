"""Trains populations on a node of a Ray cluster, with the local sweep backend."""

from __future__ import annotations

import json
import os
import platform
import queue
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing import process
from pathlib import Path
from tempfile import TemporaryDirectory

from environments.cores import core_numbers
from sweeps.execution.backends.by_ray.files import RunFiles
from sweeps.execution.backends.by_ray.messages import Outbox
from sweeps.execution.backends.local import Population, run_in_processes
from sweeps.execution.backends.server import start_server
from sweeps.execution.stop import Stop
from sweeps.execution.versions import versions
from sweeps.execution.worker import CHECKPOINTS, SUMMARIES, WorkerOptions, remove_folder
from sweeps.journal.runs import RunRecord
from trainer import Progress

# Until a node without messages answers: each answer costs the driver half a millisecond.
SECONDS_OF_PATIENCE = 10.0


class Node:
    """A Ray actor that trains populations in a process of its node; its methods run in threads.

    The process stays for the next population, because starting one takes seconds. Ray's own process
    only supervises: a crash or a hang of an environment is handled as on the driver's machine. All
    answers are bytes, because Ray would unpickle anything else.

    Args:
        folder: the driver's working folder, which relative paths in configs belong to.
        cores: the number of cores that a job may use.
    """

    def __init__(self, folder: Path, cores: int) -> None:
        if folder.is_dir():
            os.chdir(folder)
            # Where multiprocessing starts the jobs.
            process.ORIGINAL_DIR = str(folder)  # type: ignore[attr-defined]
        self._cores = tuple(core_numbers()[:cores])
        self._stop = Stop()
        self._waiting: queue.SimpleQueue[Population] = queue.SimpleQueue()
        self._is_training = False
        self._outbox = Outbox(())
        self._files: RunFiles | None = None
        self._folder: TemporaryDirectory[str] | None = None
        start_server()

    def greet(self, token: Path, answer: Path) -> bytes:
        """Return the node's name and versions, and copy the driver's token if it can be read."""
        with suppress(OSError):
            answer.write_bytes(token.read_bytes())
        return json.dumps({"node": platform.node(), "versions": versions()}).encode()

    def begin(self, population: Population, options: WorkerOptions, files: bytes | None) -> bytes:
        """Prepare for a population, before `train` and `fetch` are called.

        Args:
            population: the runs.
            options: the driver's options.
            files: the runs' files so far if this node doesn't see the driver's folder; None if it does.
        """
        if files is not None:
            population, options = self._bring(population, options, files)
        # Other jobs of the node may use the same cores, so the system places this one.
        placement = replace(options.placement, cores=self._cores)
        self._options = replace(options, placement=placement, stays_on_cores=False)
        self._outbox = Outbox(population)
        self._waiting.put(population)
        return b""

    def _bring(
        self, population: Population, options: WorkerOptions, files: bytes
    ) -> tuple[Population, WorkerOptions]:
        """Write a population's files into a folder of this node, and return what trains there."""
        self._folder = self._folder or TemporaryDirectory(prefix="ppo-grid-")
        out = Path(self._folder.name)
        self._files = RunFiles(out, population)
        self._files.apply(files)
        self._files.changes()  # the driver has them
        here = [
            replace(planned, interrupted_at=out / planned.interrupted_at.relative_to(options.out))
            if planned.interrupted_at
            else planned
            for planned in population
        ]
        return here, replace(options, out=out)

    def train(self) -> bytes:
        """Train populations until stopped, unless this is done already; `fetch` tells what happens."""
        if self._is_training:
            return b""
        self._is_training, error = True, ""
        try:
            run_in_processes(self._populations(), [self._options], self, self._stop)
        except Exception as caught:
            error = f"{type(caught).__name__}: {caught}"
        self._outbox.over(error)
        return b""

    def _populations(self) -> Iterator[Population]:
        """Yield populations as `begin` brings them, and tell when each is over."""
        while True:
            yield self._waiting.get()
            self._outbox.over()

    def started(self, job: int, population: Population) -> None:
        """Queue a message for the driver."""
        self._outbox.started(job, population)

    def progressed(self, job: int, progress: Progress) -> None:
        """Queue a message for the driver."""
        self._outbox.progressed(job, progress)

    def ended(self, job: int, population: Population, results: list[RunRecord]) -> None:
        """Queue a message for the driver."""
        self._outbox.ended(job, population, results)

    def files(self) -> bytes:
        """Return what has changed in the runs' files since the last call."""
        assert self._files
        return self._files.changes()

    def leave(self) -> bytes:
        """Remove what the population has left on this node."""
        if self._folder:
            for kind in (CHECKPOINTS, SUMMARIES):
                remove_folder(Path(self._folder.name) / kind)
        return b""

    def fetch(self, pause: float) -> bytes:
        """Return the messages since the last call; progress may wait for more of it, in seconds."""
        return self._outbox.fetch(pause, SECONDS_OF_PATIENCE)

    def stop(self, reason: str, seconds: float | None) -> bytes:
        """Save checkpoints and stop; kill the job after that many seconds."""
        self._stop.request(reason, seconds)
        return b""
