"""The driver of Slurm's arrays, with a queue whose jobs follow a script in this process."""

import json
import types
from dataclasses import replace

import pytest

from ppo.placement import Placement
from schema.errors import UserError
from sweeps.execution import worker
from sweeps.execution.backends.by_slurm import driver, leftovers, queue
from sweeps.execution.backends.by_slurm.array import MESSAGES, NO_FOLDER, Element, find_arrays
from sweeps.execution.backends.by_slurm.node import NodeOutbox
from sweeps.execution.backends.by_slurm.options import SlurmOptions
from sweeps.execution.stop import Stop
from sweeps.execution.worker import WorkerOptions
from sweeps.journal.runs import RunIdentity, RunRecord, RunState
from sweeps.planning.populations import PlannedRun
from tests.sweeps.scene import make_grid
from tests.sweeps.test_messages import Events


class Script:
    """A queue: each element does at once what a script says, and leaves the queue unless it stays.

    Attributes:
        does: a function from the number of an attempt and an outbox to whether the job stays.
        submitted: the names of the runs of each element, array by array.
    """

    def __init__(self, does):
        self.does = does
        self.submitted = []
        self.staying = set()
        self.code = 0
        self.loses_answer = False
        self.attempts = 0

    def submit(self, name, elements, most, options, script):
        array = script.parent
        assert sorted(path.name for path in array.iterdir() if path.is_dir()) == sorted(
            map(str, range(elements))
        )
        self.submitted.append([])
        for number in range(elements):
            element = Element(array / str(number))
            population, _ = element.load()
            self.submitted[-1].append([planned.name for planned in population])
            outbox = NodeOutbox(population)
            if self.does(self.attempts, outbox, population):
                self.staying.add((name, number))
            self.deliver(element, outbox)
            self.attempts += 1
        if self.loses_answer:
            raise UserError("--slurm: sbatch refuses it: Socket timed out")
        return "17"

    def deliver(self, element, outbox):
        write(element, outbox)

    def queued(self, names):
        return {each for each in self.staying if each[0] in names}

    def cancel(self, names):
        self.staying = {each for each in self.staying if each[0] not in names}


def write(element, outbox):
    with (element.folder / MESSAGES).open("ab") as file:
        file.write(outbox.fetch() + b"\n")


def finish(_, outbox, population):
    outbox.started(0, population)
    outbox.ended(0, population, [RunRecord(each.run, RunState.FINISHED) for each in population])
    outbox.over()


@pytest.fixture
def train(monkeypatch, tmp_path):
    """A function that trains populations by a script, and returns what the observer saw."""
    monkeypatch.setattr(driver, "_SECONDS_PER_LOOK", 0)
    monkeypatch.setattr(driver, "_SECONDS_PER_FILE", 0)
    monkeypatch.setattr(driver, "_SECONDS_PER_QUEUE", 0)
    permutation = make_grid(tmp_path).permutation(0)
    out = tmp_path / "out"

    def trained(script, *populations, stop=None, until=None, slurm=None):
        for name in ("submit", "queued", "cancel"):
            monkeypatch.setattr(queue, name, getattr(script, name))
        monkeypatch.setattr(queue, "request_cancel", script.cancel)
        monkeypatch.setattr(queue, "exit_code", lambda *_: script.code)
        monkeypatch.setattr(queue, "most_elements", lambda: 3)
        planned = [
            [
                PlannedRun(permutation, RunIdentity("a", str(run), 0, 0, {}), until=until)
                for run in population
            ]
            for population in populations
        ]
        events, stop = Events(), stop or Stop()
        backend = driver.SlurmBackend(slurm or SlurmOptions(), leftovers.arrays_folder(out, "a"))
        backend(planned, [WorkerOptions(out, Placement(None, 0))], events, stop)
        ended = {run.name: run for kind, *rest in events if kind == "ended" for run in rest[-1]}
        return types.SimpleNamespace(events=events, ended=ended, stop=stop, out=out)

    return trained


def leave(train, script, *populations):
    """Train until the driver is interrupted, which its jobs survive."""
    stop = Stop()
    does, late = script.does, []

    def interrupted(*arguments):
        stop.request("interrupted", 6.0)
        does(*arguments)
        return True

    script.does, script.deliver = interrupted, lambda *sent: late.append(sent)
    done = train(script, *populations, stop=stop)
    assert not done.events
    script.does, script.deliver = does, write
    for sent in late:
        write(*sent)
    return done


def test_each_population_is_an_element_and_no_folder_is_left(train):
    script = Script(finish)
    done = train(script, [0, 1], [2], [3], [4])
    assert script.submitted == [[["0_0", "1_0"], ["2_0"], ["3_0"]], [["4_0"]]]
    assert sorted(done.ended) == ["0_0", "1_0", "2_0", "3_0", "4_0"]
    assert done.stop.reason is None and not (done.out / ".slurm").exists()


def test_runs_of_a_lost_job_are_submitted_again(train):
    script = Script(lambda attempt, *rest: attempt and finish(attempt, *rest))
    done = train(script, [0, 1])
    assert script.submitted == [[["0_0", "1_0"]], [["0_0", "1_0"]]]
    assert {run.state for run in done.ended.values()} == {RunState.FINISHED}


def test_a_lost_job_resumes_only_what_it_has_started(train, monkeypatch):
    monkeypatch.setattr(
        worker, "last_intact_checkpoint", lambda folder: folder / "update_000009.pt"
    )
    starts = []

    def dies(attempt, outbox, population):
        starts.append([planned.update for planned in population])
        if attempt == 1:
            outbox.started(0, population)
        elif attempt == 2:
            finish(attempt, outbox, population)

    done = train(Script(dies), [0])
    # The checkpoint is of an earlier training until the job has begun this one.
    assert starts == [[0], [0], [9]] and list(done.ended) == ["0_0"]


def test_only_the_run_that_kills_jobs_fails(train):
    def dies(attempt, outbox, population):
        if not any(planned.name == "1_0" for planned in population):
            finish(attempt, outbox, population)

    done = train(Script(dies), [0, 1, 2])
    assert {name: run.state for name, run in done.ended.items()} == {
        "0_0": RunState.FINISHED,
        "1_0": RunState.FAILED,
        "2_0": RunState.FINISHED,
    }
    assert done.ended["1_0"].error == "Slurm lost its job 3 times: it left the queue"


def test_a_lost_answer_of_sbatch_submits_nothing_twice(train):
    script = Script(lambda *arguments: finish(*arguments) or True)
    script.loses_answer = True
    done = train(script, [0], [1])
    assert len(script.submitted) == 1 and len(done.ended) == 2


def test_a_refused_array_leaves_nothing(train, tmp_path):
    script = Script(lambda *_: None)
    script.loses_answer = True
    with pytest.raises(UserError, match="sbatch refuses it"):
        train(script, [0])
    assert not (tmp_path / "out" / ".slurm").exists()


def test_jobs_of_an_interrupted_driver_are_found_again(train):
    script = Script(finish)
    before = leave(train, script, [0, 1], [2])
    assert len(find_arrays(before.out / ".slurm" / "a")) == 1
    # The next plan may group the runs otherwise, and have more of them.
    after = train(script, [2, 3], [0], [1])
    assert script.submitted == [[["0_0", "1_0"], ["2_0"]], [["3_0"]]]
    assert sorted(after.ended) == ["0_0", "1_0", "2_0", "3_0"]
    assert not (after.out / ".slurm").exists()


def test_what_the_journal_has_is_not_recorded_twice(train):
    def fails(_, outbox, population):
        first, _ = population
        outbox.started(0, [first])
        outbox.ended(0, [first], [RunRecord(first.run, RunState.FAILED, error="no luck")])

    script = Script(fails)
    before = leave(train, script, [0, 1])
    [array] = find_arrays(before.out / ".slurm" / "a")
    [element] = array.elements()
    [(_, end)] = element.lines(0)
    element.note_read(end)
    # The second run ends after the driver came back; the first one is retried.
    population, _ = element.load()
    outbox = NodeOutbox(population)
    finish(None, outbox, population[1:])
    write(element, outbox)
    script.does = finish
    after = train(script, [0], [1])
    assert script.submitted == [[["0_0", "1_0"]], [["0_0"]]]
    assert {run.state for run in after.ended.values()} == {RunState.FINISHED}
    assert [each for each in after.events if each[0] == "ended" and "no luck" in str(each)] == []


def test_jobs_that_train_to_another_update_are_replaced(train):
    script = Script(finish)
    leave(train, script, [0])
    script.does = finish
    after = train(script, [0], until=5)
    assert script.submitted == [[["0_0"]], [["0_0"]]] and list(after.ended) == ["0_0"]


def test_jobs_of_other_runs_are_left_alone(train):
    script = Script(finish)
    before = leave(train, script, [0])
    train(script, [7])
    assert script.submitted == [[["0_0"]], [["7_0"]]]
    assert len(find_arrays(before.out / ".slurm" / "a")) == 1


@pytest.mark.parametrize("is_allowed", [False, True])
def test_jobs_that_were_submitted_with_other_versions_are_refused(train, is_allowed):
    script = Script(finish)
    before = leave(train, script, [0])
    [array] = find_arrays(before.out / ".slurm" / "a")
    described = array.read()
    described["versions"]["torch"] = "0.1"
    (array.folder / "array.json").write_text(json.dumps(described))
    if is_allowed:
        assert train(script, [0], slurm=SlurmOptions(allow_differences=True)).ended
    else:
        with pytest.raises(
            UserError, match=r"other versions: torch is 0\.1 there and .*\(scancel "
        ):
            train(script, [0])


def test_half_written_arrays_are_removed(train, tmp_path):
    half = tmp_path / "out" / ".slurm" / "a" / "ppo-grid-123" / "0"
    half.mkdir(parents=True)
    script = Script(finish)
    done = train(script, [0])
    assert list(done.ended) == ["0_0"] and not (tmp_path / "out" / ".slurm").exists()


@pytest.mark.parametrize("line", [b"\x80\x04K\x01.\n", b'[["ended", [{"member": 5}]]]\n', b"{}\n"])
def test_messages_that_no_job_sends_stop_the_sweep(train, line, monkeypatch):
    def lies(*_):
        monkeypatch.setattr(NodeOutbox, "fetch", lambda self: line[:-1])
        return True

    done = train(Script(lies), [0])
    assert "has messages that no job sends" in done.stop.reason
    assert done.ended["0_0"].state == RunState.INTERRUPTED


def test_half_a_message_waits_for_the_rest(train, tmp_path):
    element = Element(tmp_path / "array" / "0")
    element.folder.mkdir(parents=True)
    (element.folder / MESSAGES).write_bytes(b"[]\n[[")
    assert list(element.lines(0)) == [(b"[]\n", 3)]
    assert list(element.lines(3)) == []


def test_a_refusal_stops_the_sweep_and_cancels_its_jobs(train):
    def refuses(attempt, outbox, _):
        if attempt == 0:
            outbox.refuse("node n1: torch is 0.1 there and 2 here")
        return True

    script = Script(refuses)
    done = train(script, [0], [1])
    assert done.stop.reason == "node n1: torch is 0.1 there and 2 here"
    assert not script.staying and not (done.out / ".slurm").exists()
    assert {run.state for run in done.ended.values()} == {RunState.INTERRUPTED}


def test_a_node_without_the_folder_stops_the_sweep(train):
    script = Script(lambda *_: None)
    script.code = NO_FOLDER
    done = train(script, [0])
    assert done.stop.reason == (
        f"a node doesn't see {done.out}; --out must be a folder that all nodes share"
    )
    assert not (done.out / ".slurm").exists()


def test_interruptions_of_the_job_are_no_end(tmp_path):
    permutation = make_grid(tmp_path).permutation(0)
    population = [PlannedRun(permutation, RunIdentity("a", str(run), 0, 0, {})) for run in (0, 1)]
    outbox = NodeOutbox(population)
    interrupted, failed = (RunRecord(each.run, RunState.INTERRUPTED) for each in population)
    outbox.ended(0, population, [interrupted, replace(failed, state=RunState.DIVERGED)])
    [(kind, [record])] = json.loads(outbox.fetch())
    assert (kind, record["member"], record["state"]) == ("ended", 1, "diverged")


@pytest.mark.parametrize("answer", [None, {("ppo-grid-1", 0)}, set()])
@pytest.mark.parametrize("overwrite", [False, True])
def test_no_other_command_trains_what_jobs_train(tmp_path, monkeypatch, answer, overwrite):
    folder = leftovers.arrays_folder(tmp_path, "a")
    leftovers.refuse_jobs(folder, overwrite)
    (folder / "ppo-grid-1").mkdir(parents=True)
    (folder / "ppo-grid-1" / "array.json").touch()
    cancelled = []
    monkeypatch.setattr(queue, "queued", lambda names: answer)
    monkeypatch.setattr(queue, "cancel", cancelled.extend)
    if answer is None or (answer and not overwrite):
        with pytest.raises(UserError, match="of Slurm "):
            leftovers.refuse_jobs(folder, overwrite)
        assert folder.exists() and not cancelled
    else:
        leftovers.refuse_jobs(folder, overwrite)
        assert not folder.exists() and cancelled == (["ppo-grid-1"] if answer else [])
