"""Steps environments in worker processes, each with a block of consecutive environments.

Observations, rewards, ends and actions are in memory that all processes share. Commands and everything
else travel through one pipe per worker process. A worker process exits when its pipe closes, so it can't
outlive its parent, however that one ended. It stops environments that hang by itself; if its heartbeat
stops, the parent kills it.
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
from environments.safety.children import free_children
from environments.safety.failures import failure_of, warn_once
from environments.safety.output import outlive_readers
from environments.safety.watch import Heartbeat, watch
from schema.environment import EnvironmentConfig

_SECONDS_TO_END = 5.0


@dataclass(frozen=True)
class _BlockPlan:
    """The arguments with which a worker process builds its block of environments."""

    config: EnvironmentConfig
    levels: Levels
    worker_id: int
    indices: range
    spaces: Spaces
    num_environments: int
    workers: int | None


class ProcessEnvironments:
    """A `VectorEnvironment` over worker processes: best for environments with slow steps.

    Args:
        config: the environment's config.
        levels: returns the level of each environment and episode; it must be picklable.
        num_environments: the number E of environments.
        worker_id: worker id of the first environment; the others count up from it.
        processes: the number of worker processes; at most one per environment starts.
        workers: the number of workers per member, as for `EpisodeBlock`.
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
        self._name = config.name
        self._count = num_environments
        context = _context(config)
        # Without a name where the system allows it, so that no crash leaves it behind.
        memory = context.RawArray(c_byte, SharedArrays.size(self.spaces, num_environments))
        self._shared = SharedArrays(self.spaces, num_environments, memory)
        self._processes: list[_WorkerProcess] = []
        try:
            for indices in split(num_environments, processes):
                plan = _BlockPlan(
                    *(config, levels, worker_id, indices, self.spaces, num_environments, workers)
                )
                self._processes.append(_WorkerProcess(context, plan, memory))
            self._gather()  # each worker process reports that its environments are built
        except BaseException:
            self._stop()
            raise

    def __len__(self) -> int:
        return self._count

    def reset(self) -> Observations:
        """Start the first episode of each environment; return observations (E, ...)."""
        self._command("reset")
        return self._shared.observations

    def step(self, actions: np.ndarray) -> Step:
        """Take one step with actions (E, action_size) of the spaces' action type."""
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
        """Do nothing: restoring replays the present episodes only."""

    def states(self) -> list[EpisodeState]:
        """Return the state of each environment, for a checkpoint."""
        return [state for states in self._command("states") for state in states]

    def restore(self, states: Sequence[EpisodeState]) -> Observations:
        """Restore the state of each environment; return observations (E, ...)."""
        assert len(states) == self._count, f"{len(states)} states for {self._count} environments"
        with self._closed_on_error():
            for process in self._processes:
                process.send("restore", [states[index] for index in process.indices])
            self._gather()
        return self._shared.observations

    def close(self) -> None:
        """Stop every worker process; calling it again does nothing."""
        if self._stop():
            warn_once(
                f"{self._name}: close gave no answer for {_SECONDS_TO_END:g} s in a worker process, "
                "which was killed; the results are kept"
            )

    def _stop(self) -> bool:
        """Stop every worker process, and return whether any had to be killed."""
        processes, self._processes = self._processes, []
        for process in processes:
            process.hang_up()
        killed = [process.join() for process in processes]
        return any(killed)

    def _command(self, name: str) -> list[Any]:
        """Call a method of every block at the same time; return their results."""
        if not self._processes:
            raise EnvironmentFailure("the environments are closed")
        with self._closed_on_error():
            for process in self._processes:
                process.send(name)
            return self._gather()

    def _gather(self) -> list[Any]:
        return [process.receive() for process in self._processes]

    @contextlib.contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        """Stop all worker processes on an error: the others may have stepped already."""
        try:
            yield
        except BaseException:
            self._stop()
            raise


class _WorkerProcess:
    """The parent's side of a worker process."""

    def __init__(self, context: BaseContext, plan: _BlockPlan, memory: Any) -> None:
        self.indices = plan.indices
        self._connection, theirs = context.Pipe()
        self._heartbeat = Heartbeat(context.RawArray(c_byte, 1))
        self._heartbeat.begin(plan.config)
        name = f"environments {plan.indices.start} to {plan.indices.stop - 1}"
        self._process = context.Process(  # type: ignore[attr-defined]
            target=_work,
            args=(theirs, plan, memory, self._heartbeat.memory),
            name=name,
            daemon=True,
        )
        try:
            with _signals_held_back():
                self._process.start()
        finally:
            # With this end open, the parent wouldn't notice the death of the worker process.
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

    def join(self) -> bool:
        """Wait until the process exits, and return whether it had to be killed."""
        self._process.join(_SECONDS_TO_END)
        hangs = self._process.is_alive()
        if hangs:
            self._process.kill()
            self._process.join()
        self._process.close()
        return hangs

    def _death(self) -> EnvironmentFailure:
        self._process.join(_SECONDS_TO_END)
        return EnvironmentFailure(
            f"the process of {self._process.name} died (exit code {self._process.exitcode})"
        )


def split(count: int, parts: int) -> list[range]:
    """Split `count` indices into at most `parts` consecutive ranges of nearly equal length."""
    parts = min(parts, count)
    bounds = [count * part // parts for part in range(parts + 1)]
    return [range(begin, end) for begin, end in pairwise(bounds)]


def _context(config: EnvironmentConfig) -> BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # The server may not know the path of this repository's modules. Then it preloads Gymnasium alone,
    # which still shortens the start of a worker process.
    context.set_forkserver_preload(["gymnasium", __name__, SUITE_MODULES[config.type]])
    return context


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """Block Ctrl-C and the like in processes that start meanwhile: the parent handles them.

    Terminals send them to all processes, and so do clusters.
    """
    if sys.platform == "win32":
        yield
        return
    from multiprocessing import resource_tracker  # absent on Windows

    # If it started below, it would unblock interrupts again.
    resource_tracker.ensure_running()
    blocked = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, plan: _BlockPlan, memory: Any, heartbeat: Any) -> None:
    """Run a worker process: build its environments, then serve commands until the pipe closes."""
    outlive_readers()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _survive_ends_of_the_group()
    free_children()
    # Python forbids daemons to have children, which environments may need. The parent still treats this
    # process as its daemon.
    multiprocessing.current_process().daemon = False
    watch.heartbeat = heartbeat
    # Safe in another thread: by then the main thread hangs, and sends nothing itself.
    watch.give_up = lambda failure: connection.send((None, failure))
    watch.start()
    with contextlib.suppress(_HungUp):
        _serve(connection, plan, memory)


def _survive_ends_of_the_group() -> None:
    """Let this process go on at signals after which its parent still wants to save checkpoints."""
    if sys.platform == "win32":
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Not SIG_IGN, which programs that environments start would inherit.
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGHUP})


class _HungUp(Exception):  # noqa: N818  # not an error
    """The parent closed its end of the pipe, or died."""


def _serve(connection: Connection, plan: _BlockPlan, memory: Any) -> None:
    shared = SharedArrays(plan.spaces, plan.num_environments, memory)
    block: EpisodeBlock | None = None

    def build() -> None:
        nonlocal block
        block = EpisodeBlock(
            plan.config,
            plan.levels,
            plan.worker_id,
            plan.indices,
            shared,
            plan.workers,
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
    """Send the parent a call's result, or its failure."""
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
