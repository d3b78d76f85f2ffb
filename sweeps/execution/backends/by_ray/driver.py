"""Hands populations to the nodes of a Ray cluster, as nodes come and go."""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ppo.sinks import TENSORBOARD
from schema.errors import UserError
from schema.folders import START
from schema.os_errors import describe
from sweeps.execution.backends.by_ray.cluster import RayOptions
from sweeps.execution.backends.by_ray.files import RunFiles
from sweeps.execution.backends.by_ray.messages import Inbox, tells_an_end
from sweeps.execution.backends.by_ray.node import Node
from sweeps.execution.backends.local import Observer, Population, Queue
from sweeps.execution.stop import Stop
from sweeps.execution.versions import describe_difference, versions
from sweeps.execution.worker import (
    CHECKPOINTS,
    SUMMARIES,
    WorkerOptions,
    part,
    record_failure,
    remove_folder,
    run_folder,
)
from sweeps.journal.runs import RunRecord, RunState

_MOST_OPENING = 16  # places asked for at a time, so that a cluster that grows sees what is wanted
_MOST_DEATHS = 3  # deaths of nodes that a population may cause, or attempts to open places
_SECONDS_OF_GRACE = 1.0  # for a node to say that it has killed its job
_SECONDS_PER_LOOK = 0.5
# With many places, progress and answers wait for others, so that the driver's core keeps up.
_MOST_PROGRESS = 100  # answers a second that tell nothing but progress
_SECONDS_PER_PLACE = 5e-5  # for which the driver gathers answers
_SECONDS_TO_ANSWER = 60.0  # after which a node counts as dead


class RayBackend:
    """A sweep backend that trains each population in a place, a Ray actor with CPUs and GPUs of its own.

    Args:
        options: the cluster and what each job needs; `connect` has connected to it.
        most: the maximum number of populations at a time; None takes what the cluster has.
    """

    def __init__(self, options: RayOptions, most: int | None = None) -> None:
        self._options = options
        self._most = most

    def __call__(
        self,
        populations: Iterable[Population],
        options: Sequence[WorkerOptions],
        observer: Observer,
        stop: Stop,
    ) -> None:
        """Train populations until done or stopped; no place outlives the call."""
        with _Token(options[0].out) as token:
            session = _Session(self._options, populations, options[0], observer, stop, token)
            try:
                session.run(self._most)
            finally:
                session.close()


class _Token:
    """A file with random bytes, which tells whether a node sees the output folder.

    Args:
        out: the output folder.
    """

    def __init__(self, out: Path) -> None:
        self._secret = secrets.token_bytes(16)
        self.path = out / f".ray-{secrets.token_hex(8)}"

    def __enter__(self) -> _Token:
        self.path.write_bytes(self._secret)
        return self

    def __exit__(self, *_: object) -> None:
        for path in self.path.parent.glob(f"{self.path.name}*"):
            path.unlink(missing_ok=True)

    def new_answer(self) -> Path:
        """Return the path to which a place copies the token; none is used twice."""
        return self.path.with_name(f"{self.path.name}-{secrets.token_hex(8)}")

    def is_copied(self, answer: Path) -> bool:
        """Return whether a place has copied the token to this path."""
        try:
            return answer.read_bytes() == self._secret
        except OSError:
            return False


class _Place:
    """An actor that trains one population after another.

    Attributes:
        number: the job's number.
        attempt: number of attempts before it, one after the other, to open places.
        answer_path: the file to which the node copies the token.
        pending: the answer that the driver waits for: the greeting, then messages.
        inbox: receives the messages of the population in training; None until there is one.
        told_at: the deadline that the node knows; empty before it knows of a stop.
        files: the population's files, which the node sends; None if it sees the output folder.
        copied_at: time (of `time.monotonic`) of the last copy of these files.
    """

    def __init__(self, number: int, attempt: int, options: RayOptions, token: _Token) -> None:
        import ray

        actor = ray.remote(
            num_cpus=options.cpus, num_gpus=options.gpus, max_restarts=0, max_concurrency=4
        )(Node)
        self.number = number
        self.attempt = attempt
        self._actor = actor.remote(START, options.cpus)
        self.answer_path = token.new_answer()
        self.pending = self._actor.greet.remote(token.path, self.answer_path)
        self.inbox: Inbox | None = None
        self.told_at: list[float | None] = []
        self.files: RunFiles | None = None
        self.copied_at = 0.0

    def answer(self) -> bytes:
        """Return the answer that has come.

        Raises:
            RayError: the actor, its process or its node has died.
            ValueError: the answer isn't a node's.
        """
        import ray

        content = ray.get(self.pending)
        if not isinstance(content, bytes):
            raise ValueError("not bytes")
        return content

    def begin(self, inbox: Inbox, is_shared: bool, pause: float) -> None:
        """Send a population, with its files unless the node sees them, and listen.

        Raises:
            RayError: the actor, its process or its node has died.
            OSError: an earlier training's files can't be removed.
        """
        self.inbox, files = inbox, None
        if not is_shared:
            for planned in inbox.population:
                if planned.interrupted_at is None:
                    for kind in (CHECKPOINTS, SUMMARIES):
                        remove_folder(run_folder(planned, inbox.options.out / kind))
            self.files = RunFiles(inbox.options.out, inbox.population)
            self.copied_at = time.monotonic()
            files = self.files.changes()
        self._ask(self._actor.begin, inbox.population, inbox.options, files)
        self._actor.train.remote()
        self.listen(pause)

    def _ask(self, method: Any, *arguments: Any) -> Any:
        """Return a method's answer, which doesn't wait for training."""
        import ray

        return ray.get(method.remote(*arguments), timeout=_SECONDS_TO_ANSWER)

    def copy(self) -> None:
        """Copy the files that the node has changed.

        Raises:
            RayError: the actor, its process or its node has died.
            ValueError: the answer isn't a node's.
            OSError: a file can't be written.
        """
        assert self.files
        self.files.apply(self._ask(self._actor.files))
        self.copied_at = time.monotonic()

    def leave(self) -> None:
        """Let the node remove the files that a population has left there."""
        if self.files is not None:
            self._ask(self._actor.leave)
        self.inbox = self.files = None

    def listen(self, pause: float) -> None:
        """Ask for the next messages; progress waits for more of it, in seconds."""
        self.pending = self._actor.fetch.remote(pause)

    def interrupt(self, stop: Stop) -> None:
        """Tell the node to save checkpoints and stop, unless it knows."""
        if self.told_at != [stop.deadline]:
            seconds = None if stop.deadline is None else max(0, stop.deadline - time.monotonic())
            self._actor.stop.remote(stop.reason, seconds)
            self.told_at = [stop.deadline]

    def close(self) -> None:
        """Give the place back, with whatever still runs there."""
        import ray

        with suppress(ray.exceptions.RayError):
            ray.kill(self._actor)


class _Session:
    """One agenda: the populations that wait, and the places that are opening or busy."""

    def __init__(
        self,
        cluster: RayOptions,
        populations: Iterable[Population],
        options: WorkerOptions,
        observer: Observer,
        stop: Stop,
        token: _Token,
    ) -> None:
        self._cluster = cluster
        self._versions = versions()
        self._queue = Queue(populations, options.out)
        self._options = options
        self._observer = observer
        self._stop = stop
        self._token = token
        self._waiting: deque[Population] = deque()
        self._places: list[_Place] = []
        self._deaths: Counter[tuple[str, ...]] = Counter()
        self._attempts = 0  # failed ones in a row to open places

    def run(self, most: int | None) -> None:
        """Train until done or stopped."""
        import ray

        while True:
            if self._stop.is_requested:
                self._interrupt()
            else:
                self._fill()
                self._open(most)
            if not self._places:
                return
            answers = {place.pending: place for place in self._places}
            gathering = len(answers) * _SECONDS_PER_PLACE
            ready, _ = ray.wait(
                list(answers), num_returns=len(answers), timeout=gathering, fetch_local=False
            )
            if not ready:
                ready, _ = ray.wait(list(answers), timeout=_SECONDS_PER_LOOK, fetch_local=False)
            for answer in ready:
                self._receive(answers[answer])

    def close(self) -> None:
        """Give back all places."""
        for place in self._places:
            place.close()
        self._places.clear()

    def _fill(self) -> None:
        """Take populations from the queue, one for each place that may open."""
        while len(self._waiting) < _MOST_OPENING and (population := self._queue.next()):
            self._waiting.append(population)

    def _open(self, most: int | None) -> None:
        """Ask for a place for each population that waits, or give back places that nobody needs."""
        opening = [place for place in self._places if place.inbox is None]
        wanted = len(self._waiting)
        if most is not None:
            wanted = min(wanted, most - (len(self._places) - len(opening)))
        for place in opening[wanted:]:
            self._drop(place)
        for _ in range(wanted - len(opening)):
            taken = {place.number for place in self._places}
            number = next(number for number in range(len(taken) + 1) if number not in taken)
            self._places.append(_Place(number, self._attempts, self._cluster, self._token))

    def _drop(self, place: _Place) -> None:
        place.close()
        self._places.remove(place)

    def _receive(self, place: _Place) -> None:
        """Pass on an answer of a place, or hand its runs to others if it has died."""
        import ray

        try:
            content = place.answer()
            if place.inbox is None:
                self._welcome(place, json.loads(content))
            else:
                self._copy(place, content)
                place.inbox.receive(content)
                self._go_on(place)
        except UserError as error:
            self._stop.request(error.lines[0])
        except OSError as error:
            self._stop.request(describe(error))
            self._lose(place, error)
        except (ray.exceptions.RayError, ValueError) as error:
            self._lose(place, error)

    def _welcome(self, place: _Place, greeting: dict[str, Any]) -> None:
        """Check a new place and give it a population.

        Raises:
            UserError: the node has other versions, or can't keep what a service logs.
        """
        difference = describe_difference(self._versions, greeting["versions"])
        if difference and not self._cluster.allow_differences:
            raise UserError(
                f"node {greeting['node']}: {difference}; make them equal, or add "
                "--allow-different-versions"
            )
        if not self._sees_out(place) and set(self._options.sinks) != {TENSORBOARD}:
            raise UserError(
                f"node {greeting['node']} doesn't see {self._options.out}; log to {TENSORBOARD} only"
            )
        self._attempts = 0
        self._hand_out(place)

    def _hand_out(self, place: _Place) -> None:
        """Give a place the next population, or give the place back if there is none."""
        if self._waiting and not self._stop.is_requested:
            population = self._waiting.popleft()
            inbox = Inbox(population, self._options, place.number, self._observer)
            place.begin(inbox, self._sees_out(place), self._pause)
        else:
            self._drop(place)

    @property
    def _pause(self) -> float:
        """Seconds for which progress waits for more of it."""
        return len(self._places) / _MOST_PROGRESS

    def _sees_out(self, place: _Place) -> bool:
        return self._token.is_copied(place.answer_path)

    def _copy(self, place: _Place, messages: bytes) -> None:
        """Copy a place's files if it is time, or before an end is recorded."""
        if place.files is not None:
            waited = time.monotonic() - place.copied_at
            if waited >= self._cluster.sync or tells_an_end(messages):
                place.copy()

    def _go_on(self, place: _Place) -> None:
        """Wait for more messages of a place, or give it the next population."""
        assert place.inbox is not None
        if place.inbox.error:
            raise ValueError(place.inbox.error)
        if place.inbox.is_over:
            place.leave()
            self._fill()
            self._hand_out(place)
        else:
            place.listen(self._pause)

    def _lose(self, place: _Place, error: Exception) -> None:
        """Let other places continue the runs of a place that has died."""
        self._drop(place)
        if place.inbox is None:
            # A node that dies takes all places that waited for it along: that is one attempt.
            self._attempts += place.attempt == self._attempts
            if self._attempts == _MOST_DEATHS:
                self._stop.request(f"Ray can't start jobs: {_last_line(error)}")
        elif self._stop.is_requested:
            self._abandon(place.inbox)
        elif place.inbox.left:
            self._requeue(place.inbox, error)

    def _requeue(self, inbox: Inbox, cause: Exception) -> None:
        """Queue the runs of a dead place from their last checkpoints, at the front."""
        names = tuple(planned.name for planned in inbox.left)
        self._deaths[names] += 1
        often = self._deaths[names] == _MOST_DEATHS
        alone = part(inbox.left, self._options.out)
        if often and len(alone) == 1:
            error = f"Ray lost its job {_MOST_DEATHS} times: {_last_line(cause)}"
            [planned] = alone[0]
            result = record_failure(
                planned, self._options.out, RunState.FAILED, error, planned.update
            )
            self._observer.ended(inbox.job, alone[0], [result])
        elif often or len({planned.update for [planned] in alone}) > 1:
            self._waiting.extendleft(reversed(alone))
        else:
            self._waiting.appendleft([planned for [planned] in alone])

    def _interrupt(self) -> None:
        """Stop all places; those that don't answer in time are given up."""
        deadline = self._stop.deadline
        is_over = deadline is not None and time.monotonic() > deadline + _SECONDS_OF_GRACE
        for place in list(self._places):
            if place.inbox is None:
                self._drop(place)
            elif is_over:
                self._drop(place)
                self._abandon(place.inbox)
            else:
                place.interrupt(self._stop)

    def _abandon(self, inbox: Inbox) -> None:
        """Record runs as interrupted: they resume from their last checkpoints."""
        records = [RunRecord(planned.run, RunState.INTERRUPTED) for planned in inbox.left]
        if records:
            self._observer.ended(inbox.job, inbox.left, records)


def _last_line(error: Exception) -> str:
    """Return the line of an error that names its cause; Ray puts a traceback before it."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
