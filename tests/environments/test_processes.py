"""Worker processes stop when they should, and report their failures."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import environments
from environments import EnvironmentFailure, make_environments
from environments.gymnasium.in_process import InProcessEnvironments
from environments.gymnasium.processes import ProcessEnvironments, split
from environments.levels import ListedLevels
from schema.environment import EnvironmentConfig
from tests.environments import scripted

ROOT = Path(environments.__file__).parents[1]
LEVELS = ListedLevels(list(range(10)), 4)


def build(identifier, processes=2, count=4, cores=None):
    config = EnvironmentConfig(
        type="Gymnasium", name=scripted.name(identifier), processes=processes
    )
    return make_environments(config, LEVELS, count, 0, cores)


def step_with(action):
    """Step environments; the third one takes this action."""
    broken = build("Broken")
    broken.reset()
    broken.step(np.zeros((4, 1), np.int64))
    broken.step(np.array([[0], [0], [action], [0]]))


def test_environments_are_split_into_even_blocks():
    assert split(5, 2) == [range(2), range(2, 5)]
    assert split(2, 8) == [range(1), range(1, 2)]


def test_there_are_no_more_processes_than_environments():
    built = build("ScriptTerminated", processes=8, count=2)
    assert len(multiprocessing.active_children()) == 2
    built.close()


def shared_memory_of_this_process():
    """Return the named segments of shared memory that multiprocessing made for this process."""
    return list(Path("/dev/shm").glob(f"*{os.getpid()}-*"))


def test_closing_leaves_no_process_and_no_shared_memory():
    built = build("ScriptTerminated")
    built.reset()
    assert len(multiprocessing.active_children()) == 2
    assert shared_memory_of_this_process() == []  # without a name from the start
    built.close()
    built.close()
    assert multiprocessing.active_children() == []


def test_closed_environments_say_so():
    built = build("ScriptTerminated")
    built.close()
    with pytest.raises(EnvironmentFailure, match="closed"):
        built.reset()


def test_an_exception_arrives_with_its_traceback():
    with pytest.raises(EnvironmentFailure) as caught:
        step_with(1)
    assert (
        str(caught.value)
        == f"{scripted.name('Broken')}: step raised ValueError: the motor is stuck"
    )
    assert 'raise ValueError("the motor is stuck")' in caught.value.details
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(("action", "code"), [(2, -signal.SIGKILL), (3, 3)])
def test_the_death_of_a_process_is_noticed(action, code):
    with pytest.raises(EnvironmentFailure) as caught:
        step_with(action)
    expected = f"the process of environments 2 to 3 died (exit code {int(code)})"
    assert str(caught.value) == expected
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_group_leaves_environments_to_their_parent(number):
    built = build("ScriptTerminated")
    built.reset()
    for child in multiprocessing.active_children():
        os.kill(child.pid, number)
    time.sleep(0.1)
    built.step(np.zeros((4, 1), np.int64))
    built.close()
    assert multiprocessing.active_children() == []


def test_an_environment_that_cannot_be_built_in_a_process_is_reported():
    with pytest.raises(EnvironmentFailure, match="no display in here"):
        build("BrokenFromTheStart")
    assert multiprocessing.active_children() == []


SCRIPT = """
import sys, time
sys.path.insert(0, {root!r})
from schema.environment import EnvironmentConfig
from environments import make_environments
from environments.levels import ListedLevels

if __name__ == "__main__":
    import multiprocessing
    config = EnvironmentConfig(type="CartPole", name="CartPole-v1", processes=2)
    built = make_environments(config, ListedLevels([1, 2], 2), 2, 0)
    built.reset()
    try:
        print(*[child.pid for child in multiprocessing.active_children()], flush=True)
        while True:  # a signal just before a single long sleep would go unnoticed until its end
            time.sleep(0.05)
    except KeyboardInterrupt:
        built.close()
        print("closed", "torch" in sys.modules, flush=True)
"""


@pytest.fixture
def script(tmp_path):
    """Start a script with two worker processes in another working directory."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(root=str(ROOT)))
    process = subprocess.Popen(
        [sys.executable, path],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    yield process
    process.kill()
    process.communicate()


def is_alive(pid):
    try:
        os.kill(pid, 0)
        # An orphan without a waiting parent stays in the table as a zombie.
        if Path("/proc/self/stat").exists():
            status = Path(f"/proc/{pid}/stat").read_text()
            return status.rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):  # it may vanish between the two calls
        return False
    return True


def wait_for_the_end(pids):
    deadline = time.monotonic() + 10
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return [pid for pid in pids if is_alive(pid)]


def test_processes_end_when_their_parent_is_killed(script):
    pids = [int(pid) for pid in script.stdout.readline().split()]
    assert len(pids) == 2
    assert all(map(is_alive, pids))
    script.kill()
    script.wait()
    assert wait_for_the_end(pids) == []


def test_an_interrupt_in_the_terminal_is_left_to_the_parent(script):
    pids = [int(pid) for pid in script.stdout.readline().split()]
    os.killpg(script.pid, signal.SIGINT)  # what Ctrl-C does: every process of the group gets it
    output, errors = script.communicate(timeout=20)
    assert output == "closed False\n"
    assert errors == ""
    assert wait_for_the_end(pids) == []


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """Makes each step of `scripted.Crawling` take 1 ms more."""
    monkeypatch.chdir(tmp_path)
    Path("crawl").touch()


def chosen(cores, count):
    built = build("Crawling", processes=None, count=count, cores=cores)
    built.close()
    return type(built)


def test_fast_steps_are_taken_in_this_process():
    assert chosen(cores=2, count=2) is InProcessEnvironments


def test_slow_steps_are_spread_over_processes(slow):
    assert chosen(cores=4, count=4) is ProcessEnvironments


def test_one_core_or_one_environment_needs_no_worker_process(slow):
    assert chosen(cores=1, count=4) is InProcessEnvironments
    assert chosen(cores=4, count=1) is InProcessEnvironments


def test_a_step_is_measured_within_a_tenth_of_a_second():
    build("Crawling", processes=0, count=2).close()  # probes the spaces
    start = time.perf_counter()
    assert chosen(cores=2, count=2) is InProcessEnvironments
    assert time.perf_counter() - start < 0.5  # a tenth, with room for a busy machine


def test_building_environments_leaves_global_random_numbers_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002  # what must stay untouched
    built = build("Random", processes=None)
    built.reset()
    built.close()
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
