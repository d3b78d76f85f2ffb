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

from schema.errors import UserError
from schema.folders import START
from sweeps.execution.backends.by_ray.cluster import RayOptions
from sweeps.execution.backends.by_ray.messages import Inbox
from sweeps.execution.backends.by_ray.node import Node
from sweeps.execution.backends.local import Observer, Population, Queue
from sweeps.execution.stop import Stop
from sweeps.execution.versions import describe_difference, versions
from sweeps.execution.worker import WorkerOptions, part, record_failure
from sweeps.journal.runs import RunRecord, RunState

_MOST_OPENING = 16  # places asked for at a time, so that a cluster that grows sees what is wanted
_MOST_DEATHS = 3  # deaths of nodes that a population may cause, or of places that don't open
_SECONDS_OF_GRACE = 1.0  # for a node to say that it has killed its job
_SECONDS_PER_LOOK = 0.5


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

    def answer(self, place: int) -> Path:
        """Return the path of a place's copy."""
        return self.path.with_name(f"{self.path.name}-{place}")

    def is_seen(self, place: int) -> bool:
        """Return whether a place has copied the token."""
        try:
            return self.answer(place).read_bytes() == self._secret
        except OSError:
            return False


class _Place:
    """An actor that trains one population after another.

    Attributes:
        number: the job's number.
        pending: the answer that the driver waits for: the greeting, then messages.
        inbox: receives the messages of the population in training; None until there is one.
        told_at: the deadline of which the node knows; empty before it knows of a stop.
    """

    def __init__(self, number: int, options: RayOptions, token: _Token) -> None:
        import ray

        actor = ray.remote(
            num_cpus=options.cpus, num_gpus=options.gpus, max_restarts=0, max_concurrency=4
        )(Node)
        self.number = number
        self._actor = actor.remote(START, options.cpus)
        self.pending = self._actor.greet.remote(token.path, token.answer(number))
        self.inbox: Inbox | None = None
        self.told_at: list[float | None] = []

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

    def begin(self, inbox: Inbox) -> None:
        """Send a population."""
        import ray

        self.inbox = inbox
        ray.get(self._actor.begin.remote(inbox.population))
        self._actor.train.remote(inbox.population, inbox.options)
        self.listen()

    def listen(self) -> None:
        """Ask for the next messages."""
        self.pending = self._actor.fetch.remote()

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
        self._unopened = 0  # places in a row that died before they were open

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
            ready, _ = ray.wait(
                list(answers), num_returns=len(answers), timeout=0, fetch_local=False
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
            self._places.append(_Place(number, self._cluster, self._token))

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
                place.inbox.receive(content)
                self._go_on(place)
        except UserError as error:
            self._stop.request(error.lines[0])
        except (ray.exceptions.RayError, ValueError) as error:
            self._lose(place, error)

    def _welcome(self, place: _Place, greeting: dict[str, Any]) -> None:
        """Check a new place and give it a population.

        Raises:
            UserError: the node has other versions, or doesn't see the output folder.
        """
        difference = describe_difference(self._versions, greeting["versions"])
        if difference and not self._cluster.allow_differences:
            raise UserError(
                f"node {greeting['node']}: {difference}; make them equal, or add "
                "--allow-different-versions"
            )
        if not self._token.is_seen(place.number):
            raise UserError(f"node {greeting['node']} doesn't see {self._options.out}")
        self._unopened = 0
        self._hand_out(place)

    def _hand_out(self, place: _Place) -> None:
        """Give a place the next population, or give the place back if there is none."""
        if self._waiting and not self._stop.is_requested:
            population = self._waiting.popleft()
            # Requeued by `_lose` if the place dies meanwhile.
            place.begin(Inbox(population, self._options, place.number, self._observer))
        else:
            self._drop(place)

    def _go_on(self, place: _Place) -> None:
        """Wait for more messages of a place, or give it the next population."""
        assert place.inbox is not None
        if place.inbox.error:
            raise ValueError(place.inbox.error)
        if place.inbox.is_over:
            self._fill()
            self._hand_out(place)
        else:
            place.listen()

    def _lose(self, place: _Place, error: Exception) -> None:
        """Let other places continue the runs of a place that has died."""
        self._drop(place)
        if place.inbox is None:
            self._unopened += 1
            if self._unopened == _MOST_DEATHS:
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
