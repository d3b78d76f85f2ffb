"""Steps environments in worker processes, each of which owns a block of neighbours.

Observations, rewards, ends and actions lie in memory that all processes share. Commands and what
cannot lie there travel over one pipe for each worker. A worker ends when its pipe does, so none
outlives the process that started it, however that one ended. It watches its environments itself; only
where nothing of it runs any more, as its heartbeat shows, the process that waits for it ends it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from ctypes import c_byte
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from typing import Any

import numpy as np

from environments.building import SUITE_MODULES, probe_spaces
from environments.gymnasium.episodes import EpisodeBlock, EpisodeEnds
from environments.gymnasium.shared_arrays import SharedArrays
from environments.interface import (
    EnvironmentFailure,
    EpisodeState,
    Levels,
    Observations,
    Spaces,
    Step,
)
from environments.safety.failures import failure_of
from environments.safety.watch import Heartbeat, watch
from schema.environment import EnvironmentConfig

_SECONDS_TO_END = 5.0


@dataclass(frozen=True)
class _BlockOfWorkers:
    """What a worker needs to build its block of environments."""

    config: EnvironmentConfig
    levels: Levels
    worker_id: int
    indices: range
    spaces: Spaces
    num_environments: int
    workers: int | None


class ProcessEnvironments:
    """A `VectorEnvironment` over worker processes: best where a step costs much.

    Args:
        config: which environment.
        levels: the level of each environment and episode; it must be picklable.
        num_environments: how many environments.
        worker_id: worker id of the first environment; the others count up from it.
        processes: how many processes; at most one for each environment is started.
        workers: how many neighbours belong to one agent, as for `EpisodeBlock`.
    """

    backend = "gymnasium"

    def __init__(
        self,
        config: EnvironmentConfig,
        levels: Levels,
        num_environments: int,
        worker_id: int,
        processes: int,
        workers: int | None = None,
    ) -> None:
        self.spaces = probe_spaces(config, worker_id)
        self._count = num_environments
        context = _context(config)
        # Nameless where the system can do that, so that nothing is left behind, come what may.
        memory = context.RawArray(c_byte, SharedArrays.size(self.spaces, num_environments))
        self._shared = SharedArrays(self.spaces, num_environments, memory)
        self._workers: list[_WorkerProcess] = []
        try:
            for indices in split(num_environments, processes):
                assigned = _BlockOfWorkers(
                    *(config, levels, worker_id, indices, self.spaces, num_environments, workers)
                )
                self._workers.append(_WorkerProcess(context, assigned, memory))
            self._gather()  # each worker reports that its environments are built
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return self._count

    def reset(self) -> Observations:
        """Begins the first episode of each environment and returns (E, ...) observations."""
        self._command("reset")
        return self._shared.observations

    def step(self, actions: np.ndarray) -> Step:
        """Takes one step with actions (E, action_size) of the spaces' action type."""
        shared = self._shared
        shared.actions[...] = actions
        ends: list[EpisodeEnds] = self._command("step")
        return Step(
            shared.observations,
            shared.rewards,
            shared.terminated,
            shared.truncated,
            [final for end in ends for final in end.final_observations],
            [episode for end in ends for episode in end.episodes],
            failures=[failure for end in ends for failure in end.failures],
        )

    def renew(self) -> None:
        """Goes on: no more than the present episodes is played again."""

    def states(self) -> list[EpisodeState]:
        """Where each environment is, for a checkpoint."""
        return [state for states in self._command("states") for state in states]

    def restore(self, states: Sequence[EpisodeState]) -> Observations:
        """Brings each environment to where it was and returns (E, ...) observations."""
        assert len(states) == self._count, f"{len(states)} states for {self._count} environments"
        with self._closed_on_error():
            for worker in self._workers:
                worker.send("restore", [states[index] for index in worker.indices])
            self._gather()
        return self._shared.observations

    def close(self) -> None:
        """Ends every process; calling it again does nothing."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.hang_up()
        for worker in workers:
            worker.join()

    def _command(self, name: str) -> list[Any]:
        """Has every worker's block do something at the same time; returns their results."""
        if not self._workers:
            raise EnvironmentFailure("the environments are closed")
        with self._closed_on_error():
            for worker in self._workers:
                worker.send(name)
            return self._gather()

    def _gather(self) -> list[Any]:
        return [worker.receive() for worker in self._workers]

    @contextlib.contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        """Ends all workers on an error, after which they would no longer be in step."""
        try:
            yield
        except BaseException:
            self.close()
            raise


class _WorkerProcess:
    """The parent's side of a worker process."""

    def __init__(self, context: BaseContext, assigned: _BlockOfWorkers, memory: Any) -> None:
        self.indices = assigned.indices
        self._connection, theirs = context.Pipe()
        self._heartbeat = Heartbeat(context.RawArray(c_byte, 1))
        self._heartbeat.begin(assigned.config)
        name = f"environments {assigned.indices.start} to {assigned.indices.stop - 1}"
        self._process = context.Process(  # type: ignore[attr-defined]
            target=_work,
            args=(theirs, assigned, memory, self._heartbeat.memory),
            name=name,
            daemon=True,
        )
        try:
            with _interrupts_held_back():
                self._process.start()
        finally:
            # With this end open here, the death of the worker would go unnoticed.
            theirs.close()

    def send(self, name: str, *arguments: Any) -> None:
        try:
            self._connection.send((name, arguments))
        except OSError as error:
            raise self._death() from error

    def receive(self) -> Any:
        try:
            while not self._connection.poll(self._heartbeat.pause):
                if self._heartbeat.stopped():
                    self._process.kill()
                    raise self._heartbeat.failure(f"the process of {self._process.name}")
            result, failure = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        if failure is not None:
            raise failure
        return result

    def hang_up(self) -> None:
        self._connection.close()

    def join(self) -> None:
        self._process.join(_SECONDS_TO_END)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def _death(self) -> EnvironmentFailure:
        self._process.join(_SECONDS_TO_END)
        return EnvironmentFailure(
            f"the process of {self._process.name} died (exit code {self._process.exitcode})"
        )


def split(count: int, parts: int) -> list[range]:
    """Splits indices into at most so many neighbouring ranges of nearly equal length."""
    parts = min(parts, count)
    bounds = [count * part // parts for part in range(parts + 1)]
    return [range(begin, end) for begin, end in pairwise(bounds)]


def _context(config: EnvironmentConfig) -> BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # The server may be unable to import this repository's modules, as it needn't know the path that
    # this process imports from; then Gymnasium at least is there already when a worker begins.
    context.set_forkserver_preload(["gymnasium", __name__, SUITE_MODULES[config.type]])
    return context


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Keeps Ctrl-C from processes that start meanwhile: it is the parent's to handle."""
    if sys.platform == "win32":
        yield
        return
    from multiprocessing import resource_tracker  # absent on Windows

    # It would let interrupts through again if it were started below.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, assigned: _BlockOfWorkers, memory: Any, heartbeat: Any) -> None:
    """Runs in a worker: builds its environments, then obeys until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch.heartbeat = heartbeat
    # The main thread sends nothing any more when that happens.
    watch.give_up = lambda failure: connection.send((None, failure))
    watch.start()
    with contextlib.suppress(_HungUp):
        _serve(connection, assigned, memory)


class _HungUp(Exception):  # noqa: N818  # not an error
    """The parent closed its end of the pipe, or died."""


def _serve(connection: Connection, assigned: _BlockOfWorkers, memory: Any) -> None:
    shared = SharedArrays(assigned.spaces, assigned.num_environments, memory)
    block: EpisodeBlock | None = None

    def build() -> None:
        nonlocal block
        block = EpisodeBlock(
            assigned.config,
            assigned.levels,
            assigned.worker_id,
            assigned.indices,
            shared,
            assigned.workers,
        )

    _report(connection, build)
    try:
        while True:
            name, arguments = _receive(connection)
            method = getattr(block, name)
            _report(connection, lambda: method(*arguments))  # noqa: B023  # called at once
    finally:
        if block is not None:
            block.close()


def _receive(connection: Connection) -> tuple[str, tuple[Any, ...]]:
    try:
        return connection.recv()
    except (EOFError, OSError):
        raise _HungUp from None


def _report(connection: Connection, act: Callable[[], Any]) -> None:
    """Sends the parent what a call returns, or how it failed."""
    message: tuple[Any, EnvironmentFailure | None]
    try:
        message = (act(), None)
    except EnvironmentFailure as failure:
        message = (None, failure)
    except Exception as error:
        process = multiprocessing.current_process().name
        message = (None, failure_of(f"the process of {process}", error))
    try:
        connection.send(message)
    except OSError:
        raise _HungUp from None
