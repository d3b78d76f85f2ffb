"""Messages of a cluster's node: JSON, so that the driver decodes plain values and never code."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any

from ppo.run.checkpoint import checkpoint_path
from ppo.run.returns import is_drawn
from schema.errors import UserError
from sweeps.execution.backends.local import Observer, Population
from sweeps.execution.worker import CHECKPOINTS, WorkerOptions, run_folder
from sweeps.journal.runs import RunRecord, RunState
from sweeps.planning.populations import PlannedRun
from trainer import Progress

_SECONDS_PER_LOOK = 0.5
_STARTED, _PROGRESSED, _ENDED, _OVER = "started", "progressed", "ended", "over"
_REFUSED = "refused"


class Outbox:
    """An observer that queues its events as messages, until the driver fetches them.

    Args:
        population: the population that the driver sent; messages name its runs by their index.
    """

    def __init__(self, population: Population) -> None:
        self._index = {planned.name: index for index, planned in enumerate(population)}
        self._queue: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()

    def started(self, _: int, population: Population) -> None:
        """Send that runs start, with the updates that they have done."""
        starts = [
            (self._index[planned.name], None if planned.interrupted_at is None else planned.update)
            for planned in population
        ]
        self._queue.put([_STARTED, starts])

    def progressed(self, _: int, progress: Progress) -> None:
        """Send that the runs finished an update."""
        self._queue.put([_PROGRESSED, _values(progress)])

    def ended(self, _: int, population: Population, results: list[RunRecord]) -> None:
        """Send the records of runs."""
        records = [
            {**_values(record, "run"), "member": self._index[planned.name]}
            for planned, record in zip(population, results, strict=True)
        ]
        self._queue.put([_ENDED, records])

    def over(self, error: str = "") -> None:
        """Send that the node is done with the population, or the error that keeps it from training."""
        self._queue.put([_OVER, error])

    def refuse(self, why: str) -> None:
        """Send why the node doesn't train for this driver."""
        self._queue.put([_REFUSED, why])

    def fetch(self, pause: float = 0.0, patience: float = _SECONDS_PER_LOOK) -> bytes:
        """Return the queued messages; wait for one if there are none.

        Args:
            pause: seconds for which progress waits for more of it; other messages don't wait.
            patience: seconds after these in which an answer without messages comes.
        """
        until = time.monotonic() + pause
        messages: list[list[Any]] = []
        with suppress(queue.Empty):
            messages.append(self._queue.get(timeout=pause + patience))
            while True:
                waits = all(kind == _PROGRESSED for kind, _ in messages)
                left = max(0.0, until - time.monotonic()) if waits else 0.0
                messages.append(self._queue.get(timeout=left))
        return json.dumps(_without_outdated(messages)).encode()


def _without_outdated(messages: Sequence[list[Any]]) -> list[list[Any]]:
    """Leave out progress that more progress follows, unless it is a point of the learning curve."""
    followers = [*(kind for kind, _ in messages), _OVER][1:]
    return [
        [kind, content]
        for (kind, content), following in zip(messages, followers, strict=True)
        if not kind == following == _PROGRESSED or is_drawn(content["update"], content["updates"])
    ]


def _values(instance: Any, *left_out: str) -> dict[str, Any]:
    """Return a dataclass's attributes by name."""
    names = (field.name for field in fields(instance) if field.name not in left_out)
    return {name: getattr(instance, name) for name in names}


@dataclass
class Inbox:
    """Turns a node's messages into the observer's events.

    Attributes:
        population: the population that the node trains; None stands for a run whose events are ignored.
        options: the options of its job, with the driver's output folder.
        job: the job's number.
        observer: receives the events.
        left: the runs that haven't ended.
        has_started: whether the node has started any of them.
        is_over: whether the node is done with the population.
        error: why the node couldn't train it; empty if it could.
    """

    population: Sequence[PlannedRun | None]
    options: WorkerOptions
    job: int
    observer: Observer
    has_started: bool = False
    is_over: bool = False
    error: str = ""

    def __post_init__(self) -> None:
        self.left = [planned for planned in self.population if planned]
        self._current: Population = self.left

    def receive(self, messages: bytes) -> None:
        """Pass on messages.

        Raises:
            ValueError: the messages aren't a node's.
            UserError: the node refuses to train.
        """
        for kind, content in read_messages(messages):
            try:
                self._pass_on(kind, content)
            except (KeyError, IndexError, TypeError) as error:
                raise ValueError(f"{kind}: {error!r}") from None

    def _pass_on(self, kind: str, content: Any) -> None:
        if kind == _STARTED:
            starts = [self._start(int(index), update) for index, update in content]
            known = [planned for planned in starts if planned]
            # The observer gets the progress of all runs that train together, or of none.
            self._current = known if len(known) == len(starts) else []
            self.has_started = True
            if self._current:
                self.observer.started(self.job, self._current)
        elif kind == _PROGRESSED:
            if self._current:
                self.observer.progressed(self.job, Progress(**content))
        elif kind == _ENDED:
            self._end(content)
        elif kind == _OVER:
            self.is_over, self.error = True, str(content)
        elif kind == _REFUSED:
            raise UserError(str(content))

    def _end(self, content: Any) -> None:
        """Pass on the records of runs."""
        current = {planned.run: planned for planned in self._current}
        population, results = [], []
        for values in content:
            planned = self.population[int(values["member"])]
            if planned is not None:
                population.append(current.get(planned.run, planned))
                results.append(read_record(planned.run, values))
        if results:
            ended = {result.run for result in results}
            self.left = [planned for planned in self.left if planned.run not in ended]
            self.observer.ended(self.job, population, results)

    def _start(self, index: int, update: int | None) -> PlannedRun | None:
        """Return a run as the node starts or resumes it; None if its events are ignored."""
        planned = self.population[index]
        if planned is None:
            return None
        folder = run_folder(planned, self.options.out / CHECKPOINTS)
        checkpoint = None if update is None else checkpoint_path(folder, int(update))
        return replace(planned, interrupted_at=checkpoint)


def read_messages(content: bytes) -> list[tuple[str, Any]]:
    """Return the kind and the content of each message.

    Raises:
        ValueError: the bytes aren't a node's messages.
    """
    messages = json.loads(content)
    if not (isinstance(messages, list) and all(_is_pair(each) for each in messages)):
        raise ValueError("not a list of messages")
    return [(str(kind), values) for kind, values in messages]


def _is_pair(message: Any) -> bool:
    return isinstance(message, Sequence) and len(message) == 2


def tells_an_end(content: bytes) -> bool:
    """Return whether some of the messages say that runs ended.

    Raises:
        ValueError: the bytes aren't a node's messages.
    """
    return any(kind == _ENDED for kind, _ in read_messages(content))


def read_history(lines: Iterable[bytes]) -> tuple[bool, set[int]]:
    """Return whether messages say that any run started, and the indices of the runs that ended.

    Raises:
        ValueError: the bytes aren't a node's messages.
    """
    has_started = False
    ended: set[int] = set()
    for line in lines:
        for kind, content in read_messages(line):
            has_started = has_started or kind == _STARTED
            if kind == _ENDED:
                ended.update(int(values["member"]) for values in content)
    return has_started, ended


def read_record(run: Any, values: dict[str, Any]) -> RunRecord:
    """Return a run's record from its values in a message; any wrong value raises an error."""
    final, deviation, best = (
        None if values[name] is None else float(values[name])
        for name in ("final_return", "return_deviation", "best_return")
    )
    return RunRecord(
        run,
        RunState(values["state"]),
        steps=int(values["steps"]),
        final_return=final,
        return_deviation=deviation,
        best_return=best,
        wall_time_seconds=float(values["wall_time_seconds"]),
        error=str(values["error"]),
        checkpoint=str(values["checkpoint"]),
        curve=tuple((int(steps), float(value)) for steps, value in values["curve"]),
        diagnostics={str(tag): float(value) for tag, value in values["diagnostics"].items()},
    )
