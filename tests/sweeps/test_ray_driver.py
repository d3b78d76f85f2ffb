"""The driver of Ray jobs, with a Ray that calls scripted nodes in this process."""

import json
import sys
import types
from dataclasses import dataclass, field

import pytest

from ppo.placement import Placement
from sweeps.execution.backends.by_ray import driver
from sweeps.execution.backends.by_ray.cluster import RayOptions, count_places
from sweeps.execution.backends.by_ray.messages import Outbox
from sweeps.execution.stop import Stop
from sweeps.execution.versions import versions
from sweeps.execution.worker import WorkerOptions
from sweeps.journal.runs import RunIdentity, RunRecord, RunState
from sweeps.planning.populations import PlannedRun
from tests.sweeps.scene import make_grid
from tests.sweeps.test_ray_messages import Events


class RayError(Exception):
    pass


class FakeRay(types.ModuleType):
    """Calls an actor's methods at once, and keeps what they return or raise as the answer."""

    exceptions = types.SimpleNamespace(RayError=RayError)

    def __init__(self):
        super().__init__("ray")
        self.actors = []

    def remote(self, **needs):
        def of(kind):
            return types.SimpleNamespace(remote=lambda *arguments: self._actor(kind, needs))

        return of

    def _actor(self, kind, needs):
        node = kind(len(self.actors))
        self.actors.append(node)
        node.needs = needs

        def method(name):
            def call(*arguments):
                try:
                    return Answer(getattr(node, name)(*arguments))
                except RayError as error:
                    return Answer(error)

            return types.SimpleNamespace(remote=call)

        names = ("greet", "begin", "train", "fetch", "stop", "files", "leave")
        return types.SimpleNamespace(**{name: method(name) for name in names}, node=node)

    def get(self, answer, timeout=None):
        if isinstance(answer.value, Exception):
            raise answer.value
        return answer.value

    def wait(self, answers, num_returns=1, timeout=None, fetch_local=True):
        return answers, []

    def kill(self, actor):
        actor.node.is_killed = True


@dataclass(eq=False)
class Answer:
    value: object


@dataclass
class ScriptedNode:
    """Finishes each run, unless it dies before; a subclass changes what it answers."""

    number: int
    is_killed: bool = False
    trained: list = field(default_factory=list)
    pauses: list = field(default_factory=list)

    def greet(self, token, answer):
        answer.write_bytes(token.read_bytes())
        return json.dumps({"node": f"n{self.number}", "versions": versions()}).encode()

    def begin(self, population, options, files):
        self.population, self.outbox = population, Outbox(population)
        assert files is None
        return b""

    def train(self):
        self.trained.append([planned.name for planned in self.population])
        self.outbox.started(0, self.population)
        records = [RunRecord(each.run, RunState.FINISHED) for each in self.population]
        self.outbox.ended(0, self.population, records)
        self.outbox.over()
        return b""

    def fetch(self, pause):
        self.pauses.append(pause)
        return self.outbox.fetch()

    def stop(self, reason, seconds):
        return b""

    def leave(self):
        return b""


@pytest.fixture
def train(monkeypatch, tmp_path):
    """A function that trains populations on nodes of a class, and returns what the observer saw."""
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)

    def trained(node, *populations, most=None, cluster=None):
        monkeypatch.setattr(driver, "Node", node)
        permutation = make_grid(tmp_path).permutation(0)
        planned = [
            [
                PlannedRun(permutation, RunIdentity("a", str(number), 0, 0, {}))
                for number in population
            ]
            for population in populations
        ]
        events, stop = Events(), Stop()
        backend = driver.RayBackend(cluster or RayOptions(), most)
        backend(planned, [WorkerOptions(tmp_path, Placement(None, 0))], events, stop)
        assert not list(tmp_path.glob(".ray*"))
        assert all(actor.is_killed for actor in ray.actors)
        ended = {run.name: run for kind, *rest in events if kind == "ended" for run in rest[-1]}
        return types.SimpleNamespace(actors=ray.actors, events=events, ended=ended, stop=stop)

    return trained


def test_each_run_ends_once_and_places_declare_what_they_need(train):
    done = train(ScriptedNode, [0, 1], [2], [3], cluster=RayOptions(cpus=3, gpus=0.5))
    assert sorted(done.ended) == ["0_0", "1_0", "2_0", "3_0"]
    assert sum(len(actor.trained) for actor in done.actors) == 3
    assert all((each.needs["num_cpus"], each.needs["num_gpus"]) == (3, 0.5) for each in done.actors)
    assert done.stop.reason is None


def test_no_more_places_than_the_user_allows(train):
    done = train(ScriptedNode, [0], [1], [2], most=1)
    assert [actor.trained for actor in done.actors] == [[["0_0"], ["1_0"], ["2_0"]]]


def test_progress_waits_longer_on_a_cluster_of_many_places(train):
    """The driver gets as many answers a second from a thousand places as from a hundred."""

    def longest(*populations):
        actors = train(ScriptedNode, *populations).actors
        return max(pause for actor in actors for pause in actor.pauses)

    few = longest([0])
    many = longest(*([number] for number in range(16)))
    assert many == pytest.approx(16 * few)


def test_another_node_continues_when_one_dies(train):
    class Dying(ScriptedNode):
        def train(self):
            if self.number == 0:
                raise RayError("the node died")
            return super().train()

        def fetch(self, pause):
            if self.number == 0:
                raise RayError("the node died")
            return super().fetch(pause)

    done = train(Dying, [0, 1], most=1)
    assert [actor.trained for actor in done.actors] == [[], [["0_0", "1_0"]]]
    assert {run.state for run in done.ended.values()} == {RunState.FINISHED}


def test_places_that_waited_for_a_node_that_died_are_opened_again(train):
    class Waiting(ScriptedNode):
        def greet(self, token, answer):
            if self.number < 5:
                raise RayError("The actor never ran - it was cancelled before it started running.")
            return super().greet(token, answer)

    done = train(Waiting, *([number] for number in range(5)))
    assert done.stop.reason is None
    assert [run.state for run in done.ended.values()] == [RunState.FINISHED] * 5


def test_only_the_run_that_kills_nodes_fails(train):
    class Victim(ScriptedNode):
        def fetch(self, pause):
            if any(planned.name == "1_0" for planned in self.population):
                raise RayError("traceback\nthe node died")
            return super().fetch(pause)

    done = train(Victim, [0, 1, 2], most=1)
    assert {name: run.state for name, run in done.ended.items()} == {
        "0_0": RunState.FINISHED,
        "1_0": RunState.FAILED,
        "2_0": RunState.FINISHED,
    }
    assert done.ended["1_0"].error == "Ray lost its job 3 times: the node died"


def test_a_place_that_follows_one_with_the_folder_may_be_without(train):
    class Apart(ScriptedNode):
        def greet(self, token, answer):
            if self.number == 0:
                return super().greet(token, answer)
            return json.dumps({"node": "n", "versions": versions()}).encode()

        def begin(self, population, options, files):
            if self.number == 0:
                raise RayError("the node died")
            assert files is not None
            return super().begin(population, options, None)

        def files(self):
            header = b'{"files": [], "gone": []}'
            return len(header).to_bytes(8, "big") + header

    done = train(Apart, [0], most=1)
    assert [actor.trained for actor in done.actors] == [[], [["0_0"]]]
    assert done.ended["0_0"].state == RunState.FINISHED


@pytest.mark.parametrize("name", ["Python", "torch", "Numba", "the project's code"])
@pytest.mark.parametrize("is_allowed", [False, True])
def test_a_node_with_other_versions_doesn_t_train(train, name, is_allowed):
    class Different(ScriptedNode):
        def greet(self, token, answer):
            greeting = json.loads(super().greet(token, answer))
            greeting["versions"][name] = "0.1"
            return json.dumps(greeting).encode()

    done = train(Different, [0], cluster=RayOptions(allow_differences=is_allowed))
    assert list(done.ended) == (["0_0"] if is_allowed else [])
    if not is_allowed:
        assert done.stop.reason.startswith(f"node n0: {name} is 0.1 there and {versions()[name]} ")


def test_a_cluster_that_starts_no_job_stops_the_sweep(train):
    class Broken(ScriptedNode):
        def greet(self, token, answer):
            raise RayError("traceback\nModuleNotFoundError: No module named 'sweeps'")

    done = train(Broken, [0])
    assert not done.ended
    assert done.stop.reason == (
        "Ray can't start jobs: ModuleNotFoundError: No module named 'sweeps'"
    )


def test_answers_that_no_node_sends_change_nothing(train):
    class Lying(ScriptedNode):
        def fetch(self, pause):
            return b'[["ended", [{"member": 5}]]]' if self.number == 0 else super().fetch(pause)

    done = train(Lying, [0], most=1)
    assert [run.state for run in done.ended.values()] == [RunState.FINISHED]


@pytest.mark.parametrize(
    ("options", "places"), [((1, 0), 9), ((4, 0), 2), ((1, 0.5), 4), ((16, 0), 1)]
)
def test_places_are_counted_node_by_node(monkeypatch, options, places):
    ray = FakeRay()
    ray.nodes = lambda: [
        {"Alive": True, "Resources": {"CPU": 6.0, "GPU": 2.0}},
        {"Alive": True, "Resources": {"CPU": 3.0 + (options[0] == 4)}},
        {"Alive": False, "Resources": {"CPU": 99.0}},
    ]
    monkeypatch.setitem(sys.modules, "ray", ray)
    assert count_places(RayOptions(None, *options)) == places
