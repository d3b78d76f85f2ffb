"""Each failure of an environment is one line, in this process and in worker processes."""

import copy
import re
import time
from pathlib import Path

import numpy as np
import pytest

from environments import EnvironmentFailure, make_environment, make_environments, probe
from environments.gymnasium import processes as gymnasium_processes
from environments.levels import ListedLevels
from environments.safety import endless, failures
from environments.safety.failures import keep_details, warn_once
from environments.safety.watch import watch
from environments.wrappers import checked
from schema.environment import EnvironmentConfig
from tests.environments import scripted

NAME = scripted.name("Faulty")
LEVELS = ListedLevels(list(range(100, 110)), 2)
SHORT = {"launch_timeout": 0.3, "step_timeout": 0.3}


@pytest.fixture(params=[0, 2], ids=["in process", "two processes"])
def processes(request):
    return request.param


def config(fault, **keys):
    kwargs = {"fault": fault} if isinstance(fault, str) else fault
    return EnvironmentConfig(type="Gymnasium", name=NAME, kwargs=kwargs, **keys)


def play(config, steps=5, count=2, workers=None):
    """Step environments, close them and return their steps."""
    built = make_environments(config, LEVELS, count, 0, workers=workers)
    try:
        built.reset()
        actions = np.zeros((count, built.spaces.action_size), built.spaces.action_type)
        return [copy.deepcopy(built.step(actions)) for _ in range(steps)]
    finally:
        built.close()


STEP = "(observation, reward, terminated, truncated, info)"
FAULTS = {
    "raises": "raised KeyError: 'motor'",
    "exits": "raised SystemExit",
    "four values": f"must return {STEP}, not 4 values (ndarray, float, bool, dict)",
    "None": f"must return {STEP}, not None",
    "shape": "gave an observation of shape (1,); its space's is (3,)",
    "type": "gave an observation of type complex128; its space's is float32",
    "nan observation": "gave an observation with nan at [1] of 'vector'",
    "infinite last observation": "gave an observation with inf at [2] of 'vector'",
    "nan reward": "gave the reward nan, which isn't a finite number",
    "infinite reward": "gave the reward inf, which isn't a finite number",
    "reward of None": "gave None as the reward; must be a number",
    "array of rewards": "gave an array of shape (1,) as the reward; must be a number",
    "end of None": "gave None as terminated; must be true or false",
    "info of None": "gave None as info; must be a dictionary",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_step_is_one_line(fault):
    with pytest.raises(EnvironmentFailure) as caught:
        play(config(fault, processes=0))
    assert str(caught.value) == f"{NAME}: step {FAULTS[fault]}"
    where = "environment 0, episode 0, which began with reset(seed=100), step 3"
    assert caught.value.details.startswith(where)


def test_a_failure_has_the_traceback_in_any_process(processes):
    with pytest.raises(EnvironmentFailure) as caught:
        play(config("raises", processes=processes))
    assert str(caught.value) == f"{NAME}: step raised KeyError: 'motor'"
    assert 'lambda: {}["motor"]' in caught.value.details


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("reset raises", "reset raised KeyError: 'map'"),
        ("observation only", "reset must return (observation, info), not an array of shape (3,)"),
        ("reset's shape", "reset gave an observation of shape (2,); its space's is (3,)"),
        ("constructor exits", "the constructor raised SystemExit: 0"),
        (
            "constructor hangs",
            "the constructor gave no answer for 0.3 s, environment.launch_timeout",
        ),
        ("reset hangs", "reset gave no answer for 0.3 s, environment.launch_timeout"),
    ],
)
def test_an_environment_that_cannot_start_is_one_line(fault, told):
    with pytest.raises(EnvironmentFailure) as caught:
        probe(config(fault, **SHORT))
    assert str(caught.value) == f"{NAME}: {told}"


@pytest.mark.parametrize(
    "fault", ["raises", "loops", "nan observation", "infinite last observation"]
)
def test_the_environments_of_other_members_continue(fault, processes):
    level = LEVELS(2, 0)
    faulty = config({"fault": fault, "level": level}, processes=processes, **SHORT)
    steps = play(faulty, count=6, workers=2)
    ((index, failure),) = steps[2].failures
    assert index == 2
    assert str(failure).startswith(f"{NAME}: step ")
    where = f"environment 2, episode 0, which began with reset(seed={level}), step 3"
    assert failure.details.startswith(where)
    assert not any(step.failures for step in (*steps[:2], *steps[3:]))
    assert steps[4].rewards[[0, 1, 2, 4, 5]].tolist() == [5.0, 5.0, 0.0, 5.0, 5.0]
    assert steps[4].observations["vector"][[0, 1, 2, 4, 5], 1].tolist() == [5, 5, 0, 5, 5]
    assert not steps[4].terminated.any() and not steps[4].truncated.any()


@pytest.mark.parametrize("fault", ["sleeps", "loops"])
def test_a_step_that_hangs_is_interrupted(fault, processes):
    with pytest.raises(EnvironmentFailure) as caught:
        play(config(fault, processes=processes, **SHORT))
    assert str(caught.value) == f"{NAME}: step gave no answer for 0.3 s, environment.step_timeout"
    assert "scripted.py" in caught.value.details


def test_a_worker_process_that_cannot_be_interrupted_exits():
    with pytest.raises(EnvironmentFailure) as caught:
        play(config("swallows", processes=2, **SHORT))
    assert str(caught.value) == f"{NAME}: step gave no answer for 0.3 s, environment.step_timeout"
    assert "_swallow" in caught.value.details


def test_a_worker_process_without_a_heartbeat_is_killed():
    with pytest.raises(EnvironmentFailure, match="environments 0 to 0 gave no sign of life for"):
        play(config("keeps the lock", processes=2, **SHORT))


@pytest.fixture
def fresh_warnings(monkeypatch):
    """Forget the warnings that this process has printed, and the environments that hung."""
    warn_once.cache_clear()
    monkeypatch.setattr(checked, "_unclosable", set())


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("close raises", "close raised KeyError: 'window'"),
        ("close exits", "close raised SystemExit"),
        ("close hangs", "close gave no answer for 0.3 s, environment.step_timeout"),
    ],
)
def test_a_close_that_fails_is_one_warning(fault, told, fresh_warnings, capfd):
    assert len(play(config(fault, processes=0, **SHORT), count=3)) == 5
    assert capfd.readouterr().err == f"warning: {NAME}: {told}; the results are kept\n"


def test_a_close_that_hung_is_not_waited_for_again(fresh_warnings, monkeypatch):
    environments = [make_environment(config("close hangs", **SHORT)) for _ in range(2)]
    environments[0].close()
    monkeypatch.setattr(scripted.Faulty, "close", lambda _: pytest.fail("closed"))
    environments[1].close()


def test_a_worker_process_that_does_not_close_is_killed(fresh_warnings, monkeypatch, capfd):
    monkeypatch.setattr(gymnasium_processes, "_SECONDS_TO_END", 0.3)
    probe(config("nothing"))
    play(config("close hangs", processes=1))
    told = "close gave no answer for 0.3 s in a worker process, which was killed"
    assert f"warning: {NAME}: {told}; the results are kept\n" in capfd.readouterr().err


def test_time_between_steps_does_not_count():
    built = make_environments(config("nothing", processes=0, **SHORT), LEVELS, 2, 0)
    built.reset()
    time.sleep(0.8)
    built.step(np.zeros((2, 1), np.int64))
    assert watch.call is None


def test_harmless_faults_are_no_failures(processes):
    harmless = EnvironmentConfig(
        type="Gymnasium", name=scripted.name("Harmless"), processes=processes
    )
    step = play(harmless)[-1]
    assert step.rewards.tolist() == [2.0, 2.0]
    assert step.observations["vector"].tolist() == [[102, 2, 0], [103, 2, 0]]


def test_null_timeouts_are_no_limits():
    play(config("nothing", processes=0, step_timeout=None, launch_timeout=None))


@pytest.mark.parametrize("key", ["launch_timeout", "step_timeout"])
def test_players_have_limits_of_their_own(key):
    with pytest.raises(ValueError, match=f"players have their own; set environment.unity.{key}"):
        EnvironmentConfig(type="Unity", name="x", **{key: 1.0})


def test_details_are_kept_in_one_file():
    first = keep_details(EnvironmentFailure("a: step raised x", "Traceback of a"))
    second = keep_details(EnvironmentFailure("b: step raised y", "Traceback of b"))
    assert keep_details(EnvironmentFailure("c")) == "c"
    path = first.removeprefix("a: step raised x (details in ").removesuffix(")")
    assert second == f"b: step raised y (details in {path})"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert "Traceback of a" in text and "Traceback of b" in text


def test_details_that_cannot_be_written_leave_one_line(monkeypatch):
    monkeypatch.setattr(failures, "_file_of_details", lambda: Path("/dev/full"))
    told = keep_details(EnvironmentFailure("a: step raised x", "Traceback of a"))
    assert told == "a: step raised x (details are lost: No space left on device)"


def test_an_environment_of_any_suite_is_checked_once():
    environment = make_environment(config("nothing"))
    assert str(environment).count("Checked") == 1
    environment.close()


def test_an_episode_that_never_ends_is_a_failure_once_it_is_too_long(monkeypatch):
    monkeypatch.setattr(endless, "MOST_STEPS", 3)
    watch = endless.EndlessEpisodes(config("nothing"), 2)
    for ended in ([], [1], [0], [0]):
        watch.step(ended)
    told = f"{NAME}: an episode didn't end within 3 steps; give it a limit: environment.max_episode"
    watch.step([0])
    with pytest.raises(EnvironmentFailure, match=re.escape(told)):
        watch.step([0])
    longer = endless.EndlessEpisodes(config("nothing", max_episode_steps=9), 1)
    for _ in range(9):
        longer.step([])
