"""A Ray that calls simulated nodes in this process, on a clock that skips what the driver waits.

The clock adds the driver's CPU time, the waits, and the CPU time that Ray itself would need. So a
simulation of minutes takes seconds, and a driver that is too slow falls behind as on a cluster.
"""

from __future__ import annotations

import functools
import json
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ppo.run.returns import is_drawn
from sweeps.execution.backends import messages
from sweeps.execution.backends.by_ray.node import SECONDS_OF_PATIENCE
from sweeps.execution.backends.messages import Outbox
from sweeps.execution.versions import versions
from sweeps.journal.runs import RunRecord, RunState
from trainer import Progress

_ROUND_TRIP = 1e-3  # seconds, on a local network


class Clock:
    """Seconds of the simulation; `outside` wraps functions whose CPU time isn't the driver's.

    Attributes:
        waited: seconds that were skipped.
        of_ray: seconds of CPU time that Ray would have needed.
    """

    def __init__(self) -> None:
        self._outside = time.process_time()
        self._stands_at: float | None = None
        self.waited = 0.0
        self.of_ray = 0.0

    @property
    def own(self) -> float:
        """CPU time of the driver's Python so far."""
        return time.process_time() - self._outside if self._stands_at is None else self._stands_at

    def __call__(self) -> float:
        """Return the time."""
        return self.own + self.waited + self.of_ray

    def wait_until(self, moment: float) -> None:
        """Skip the time until a moment, unless it has passed."""
        self.waited += max(0.0, moment - self())

    def outside(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose CPU time the clock leaves out."""

        def called(*arguments: Any, **named: Any) -> Any:
            if self._stands_at is not None:
                return function(*arguments, **named)
            self._stands_at = self.own
            try:
                return function(*arguments, **named)
            finally:
                self._outside = time.process_time() - self._stands_at
                self._stands_at = None

        return called


@dataclass(frozen=True)
class Scenario:
    """The work of each node, and the costs of Ray.

    Attributes:
        seconds: duration of a run; a node's first one is shorter, as in the middle of a sweep.
        updates: number of updates of a run, each with a message.
        call: seconds of CPU time that Ray needs for a call and its answer.
        wait: seconds of CPU time that `ray.wait` needs for each answer that it waits for.
    """

    seconds: float
    updates: int
    call: float
    wait: float

    @property
    def update(self) -> float:
        """Seconds of an update."""
        return self.seconds / self.updates


@dataclass
class Measured:
    """The numbers of a simulation.

    Attributes:
        answers: number of answers that bring messages.
        updates: number of updates in these messages.
        begun: number of runs that have begun.
        ends: number of runs that have ended.
        gaps: seconds from the end of each run until its worker got the next one.
    """

    answers: int = 0
    updates: int = 0
    begun: int = 0
    ends: int = 0
    gaps: list[float] = field(default_factory=list)


@dataclass(eq=False)
class Answer:
    """An answer that comes at a moment; `content` makes it then."""

    moment: float
    content: Callable[[], Any]


class SimulatedNode:
    """Trains as long as the scenario says, and answers as `Node` does.

    Args:
        clock: the time.
        scenario: the work.
        measured: the numbers to add to.
        left: share of the first run that is left.
    """

    def __init__(self, clock: Clock, scenario: Scenario, measured: Measured, left: float) -> None:
        self._clock = clock
        self._scenario = scenario
        self._measured = measured
        self._left = left
        self._events: Iterator[tuple[float, list[Any]]] = iter(())
        self._next: tuple[float, list[Any]] | None = None
        self._end: float | None = None

    def greet(self, token: Any, answer: Any) -> Answer:
        """Answer with the driver's versions, and copy its token."""
        answer.write_bytes(token.read_bytes())
        content = json.dumps({"node": "simulated", "versions": _versions()}).encode()
        return self._at_once(content)

    def begin(self, population: Any, options: Any, files: Any) -> Answer:
        """Plan the events of a population."""
        now = self._clock()
        if self._end is not None:
            self._measured.gaps.append(now - self._end)
        self._measured.begun += 1
        done = self._scenario.updates - max(1, round(self._scenario.updates * self._left))
        self._end = now + (self._scenario.updates - done) * self._scenario.update
        self._left = 1.0
        self._events = self._plan(population, now, done)
        self._next = next(self._events)
        return self._at_once(b"")

    def _plan(self, population: Any, now: float, done: int) -> Iterator[tuple[float, list[Any]]]:
        """Yield the moment of each message, and the message."""
        outbox, updates = Outbox(population), self._scenario.updates
        batch = population[0].permutation.config.trainer.batch_size

        def made() -> list[Any]:
            message: list[Any] = outbox._queue.get()
            return message

        outbox.started(0, population)
        yield now, made()
        for update in range(done + 1, updates + 1):
            returns: list[float | None] = [float(update)] * len(population)
            outbox.progressed(0, Progress(update, updates, update * batch, 1e3, returns))
            yield now + (update - done) * self._scenario.update, made()
        drawn = range(1, updates + 1)
        curve = tuple((each * batch, float(each)) for each in drawn if is_drawn(each, updates))
        values = (updates * batch, 1.0, 0.5, 2.0, 1.0, "", "", curve)
        ended = [RunRecord(each.run, RunState.FINISHED, *values) for each in population]
        outbox.ended(0, population, ended)
        yield now + (updates - done) * self._scenario.update, made()
        outbox.over()
        yield now + (updates - done) * self._scenario.update, made()

    def train(self) -> Answer:
        """Answer at once, as `begin` has planned the events."""
        return self._at_once(b"")

    def leave(self) -> Answer:
        """Answer at once."""
        return self._at_once(b"")

    def stop(self, reason: str, seconds: float | None) -> Answer:
        """Send no more messages."""
        self._next = None
        return self._at_once(b"")

    def fetch(self, pause: float) -> Answer:
        """Answer with the messages when `Outbox.fetch` would."""
        asked = self._clock()
        moment = idle = asked + pause + SECONDS_OF_PATIENCE
        if self._next is not None:
            moment, (kind, _) = self._next
            if kind == messages._PROGRESSED:
                assert self._end is not None
                moment = max(moment, min(asked + pause, self._end))
        return Answer(min(max(asked, moment), idle) + _ROUND_TRIP, self._messages)

    def _messages(self) -> bytes:
        now, found = self._clock(), []
        self._measured.answers += 1
        while self._next is not None and self._next[0] <= now:
            kind, content = self._next[1]
            self._measured.updates += kind == messages._PROGRESSED
            self._measured.ends += kind == messages._ENDED
            found.append([kind, content])
            self._next = next(self._events, None)
        return json.dumps(messages._without_outdated(found)).encode()

    def _at_once(self, content: bytes) -> Answer:
        return Answer(self._clock() + _ROUND_TRIP, lambda: content)


@functools.cache
def _versions() -> dict[str, str]:
    return versions()


class SimulatedRay(types.ModuleType):
    """The part of Ray's interface that the driver uses.

    Args:
        clock: the time.
        scenario: the work of the nodes.
        on_wait: called with each wait of the driver.

    Attributes:
        measured: the numbers so far.
    """

    exceptions = types.SimpleNamespace(RayError=RuntimeError)

    def __init__(self, clock: Clock, scenario: Scenario, on_wait: Callable[[], None]) -> None:
        super().__init__("ray")
        self._clock = clock
        self._scenario = scenario
        self._on_wait = on_wait
        self._random = Random(0)
        self.measured = Measured()
        self.get = clock.outside(self._get)
        self.wait = clock.outside(self._wait)

    def remote(self, **_: Any) -> Callable[[type], Any]:
        """Return what makes actors."""
        return lambda _: types.SimpleNamespace(remote=self._clock.outside(self._actor))

    def _actor(self, *_: Any) -> Any:
        left = self._random.random()
        node = SimulatedNode(self._clock, self._scenario, self.measured, left)
        names = ("greet", "begin", "train", "fetch", "stop", "leave")
        methods = {name: self._clock.outside(getattr(node, name)) for name in names}
        return types.SimpleNamespace(
            **{name: types.SimpleNamespace(remote=method) for name, method in methods.items()}
        )

    def kill(self, _: Any) -> None:
        """Do nothing."""

    def _get(self, answer: Answer, timeout: float | None = None) -> Any:
        self._clock.of_ray += self._scenario.call
        self._clock.wait_until(answer.moment)
        return answer.content()

    def _wait(
        self,
        answers: list[Answer],
        num_returns: int = 1,
        timeout: float = 0.0,
        fetch_local: bool = True,
    ) -> tuple[list[Answer], list[Answer]]:
        self._clock.of_ray += self._scenario.wait * len(answers)
        first = sorted(answer.moment for answer in answers)[num_returns - 1]
        self._clock.wait_until(min(first, self._clock() + timeout))
        self._on_wait()
        now = self._clock()
        ready = [answer for answer in answers if answer.moment <= now][:num_returns]
        return ready, [answer for answer in answers if answer not in set(ready)]
