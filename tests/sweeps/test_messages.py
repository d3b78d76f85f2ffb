"""Messages between a node and the driver, without Ray."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ppo.placement import Placement
from ppo.run.returns import CURVE_POINTS
from schema.errors import UserError
from sweeps.execution.backends.messages import Inbox, Outbox, read_history
from sweeps.execution.worker import WorkerOptions
from sweeps.journal.runs import RunIdentity, RunRecord, RunState
from sweeps.planning.populations import PlannedRun
from trainer import Progress

OUT = Path("/driver")


def planned(number):
    return PlannedRun(None, RunIdentity("a", str(number), 0, 0, {"gamma": "0.9"}))


RECORD = RunRecord(planned(0).run, RunState.FINISHED)


class Events(list):
    def started(self, job, population):
        self.append(("started", job, list(population)))

    def progressed(self, job, progress):
        self.append(("progressed", job, progress))

    def ended(self, job, population, results):
        self.append(("ended", job, list(population), results))


@pytest.fixture
def ends():
    population = [planned(0), planned(1)]
    events = Events()
    return Outbox(population), Inbox(population, WorkerOptions(OUT, Placement(None, 0)), 5, events)


def test_the_driver_s_observer_sees_the_events_of_the_node(ends):
    outbox, inbox = ends
    first, second = inbox.population
    progress = Progress(1, 4, 128, 1e3, [None, 2.5])
    records = [
        RunRecord(
            *(first.run, RunState.FINISHED, 512, 0.1, 0.2, 0.3, 1.5, "", "c/1.pt", ((1, 2.0),)),
            {"policy/entropy": 0.5},
        ),
        RunRecord(second.run, RunState.DIVERGED, error="the loss isn't finite"),
    ]
    outbox.started(0, [first, second])
    outbox.progressed(0, progress)
    outbox.ended(0, [first, second], records)
    outbox.over()
    inbox.receive(outbox.fetch())
    assert inbox.observer == [
        ("started", 5, [first, second]),
        ("progressed", 5, progress),
        ("ended", 5, [first, second], records),
    ]
    assert inbox.is_over and not inbox.left and not inbox.error


def test_a_run_that_the_node_trains_alone_resumes_in_the_driver_s_folder(ends):
    outbox, inbox = ends
    second = replace(inbox.population[1], interrupted_at=Path("/node/update_000004.pt"))
    outbox.started(0, [second])
    outbox.ended(0, [second], [RunRecord(second.run, RunState.INTERRUPTED)])
    inbox.receive(outbox.fetch())
    [(_, _, [started]), _] = inbox.observer
    assert started.interrupted_at == OUT / "checkpoints/a/1_0/update_000004.pt"
    assert inbox.left == [inbox.population[0]] and not inbox.is_over


def test_progress_is_left_out_if_more_follows_unless_the_curve_needs_it(ends):
    outbox, inbox = ends
    updates = 10 * CURVE_POINTS
    outbox.started(0, inbox.population)
    for update in range(1, 26):
        outbox.progressed(0, Progress(update, updates, update, 1.0, [0.0, 0.0]))
    inbox.receive(outbox.fetch())
    seen = [progress.update for kind, _, progress in inbox.observer if kind == "progressed"]
    assert seen == [10, 20, 25]


def test_progress_waits_for_more_but_an_end_does_not(ends):
    outbox, inbox = ends
    outbox.progressed(0, Progress(1, 4, 1, 1.0, [0.0, 0.0]))
    end = threading.Timer(0.05, outbox.ended, (0, [inbox.population[0]], [RECORD]))
    end.start()
    inbox.receive(outbox.fetch(pause=3600))
    assert [kind for kind, *_ in inbox.observer] == ["progressed", "ended"]


def test_a_node_without_messages_answers_nothing(ends):
    assert json.loads(ends[0].fetch(pause=0.01, patience=0.01)) == []


def test_events_of_runs_that_the_driver_does_not_plan_are_ignored(ends):
    outbox, inbox = ends
    first, second = inbox.population
    events = Events()
    inbox = Inbox([None, second], inbox.options, 5, events)
    outbox.started(0, [first])
    outbox.progressed(0, Progress(1, 4, 128, 1e3, [2.5]))
    outbox.ended(0, [first], [RunRecord(first.run, RunState.FINISHED)])
    outbox.started(0, [second])
    outbox.ended(0, [second], [RunRecord(second.run, RunState.FINISHED)])
    messages = outbox.fetch()
    inbox.receive(messages)
    assert events == [
        ("started", 5, [second]),
        ("ended", 5, [second], [RunRecord(second.run, RunState.FINISHED)]),
    ]
    assert read_history([messages]) == (True, {0, 1})
    assert read_history([]) == (False, set())


def test_a_refusal_of_the_node_is_an_error_of_the_user(ends):
    outbox, inbox = ends
    outbox.refuse("node n: torch is 1 there and 2 here")
    with pytest.raises(UserError, match=r"^node n: torch is 1 there and 2 here$"):
        inbox.receive(outbox.fetch())


def test_an_error_of_the_node_arrives(ends):
    outbox, inbox = ends
    outbox.over("OSError: no processes left")
    inbox.receive(outbox.fetch())
    assert inbox.error == "OSError: no processes left"


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04K\x01.",  # a pickle
        b"{}",
        b'[["started"]]',
        json.dumps([["started", [[7, None]]]]).encode(),
        json.dumps([["progressed", {"update": 1}]]).encode(),
        json.dumps([["ended", [{"member": 0, "state": "finished"}]]]).encode(),
    ],
)
def test_other_bytes_are_an_error(ends, content):
    with pytest.raises(ValueError):
        ends[1].receive(content)
