"""The fastest environment backend with the same task is chosen; otherwise a notice says why not."""

import subprocess
import sys

import pytest

from environments import (
    backend_notice,
    choosing,
    make_environment,
    make_environments,
    probe_spaces,
)
from environments.choosing import choose_backend, envpool_installed
from environments.gymnasium.in_process import InProcessEnvironments
from environments.levels import RandomLevels
from schema.environment import EnvironmentConfig
from schema.errors import UserError
from schema.levels import TrainingSeeds

NOTICE = "the environments are stepped by Gymnasium, not by the faster EnvPool: "


@pytest.fixture
def without_envpool(monkeypatch):
    """Makes EnvPool appear not to be installed."""
    monkeypatch.setitem(sys.modules, "envpool", None)
    monkeypatch.delitem(sys.modules, "environments.envpool.suites", raising=False)
    envpool_installed.cache_clear()
    yield
    envpool_installed.cache_clear()


@pytest.fixture
def with_envpool(monkeypatch):
    monkeypatch.setattr(choosing, "envpool_installed", lambda: True)


@pytest.fixture
def without_numba(monkeypatch):
    monkeypatch.setattr("numerics.is_installed", lambda: False)


BOTH = ("compiled", "envpool")
# Tasks that both have.
CLASSICS = [
    ("CartPole", "CartPole-v0"),
    ("CartPole", "CartPole-v1"),
    ("Gymnasium", "CartPole-v1"),
    ("Gymnasium", "Acrobot-v1"),
    ("Gymnasium", "MountainCar-v0"),
]


def seeds(start, count):
    return TrainingSeeds.model_validate({"start-seed": start, "num-seeds": count})


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        *CLASSICS,
        ("Minigrid", "MiniGrid-DoorKey-8x8-v0"),
        ("Minigrid", "BabyAI-GoToLocal-v0"),
        ("Procgen", "CoinrunEasy-v0"),
        ("Atari", "Pong-v5"),
    ],
)
def test_the_same_task_goes_to_envpool(type_, name):
    choice = choose_backend(EnvironmentConfig(type=type_, name=name), ["envpool"])
    assert (choice.backend, choice.obstacle) == ("envpool", None)
    demanded = EnvironmentConfig(type=type_, name=name, backend="envpool")
    assert choose_backend(demanded, BOTH).backend == "envpool"


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        *CLASSICS,
        ("Gymnasium", "MountainCarContinuous-v0"),
        ("Gymnasium", "Pendulum-v1"),
    ],
)
def test_classic_control_is_compiled(type_, name):
    config = EnvironmentConfig(type=type_, name=name)
    choice = choose_backend(config, BOTH)
    assert (choice.backend, choice.obstacle) == ("compiled", None)
    stacked = config.model_copy(update={"obs_stacks": 2})
    assert choose_backend(stacked, BOTH).backend == "gymnasium"


def test_compiled_code_cannot_be_demanded_for_other_tasks():
    with pytest.raises(UserError) as caught:
        probe_spaces(EnvironmentConfig(backend="compiled"))
    name = EnvironmentConfig().name
    assert caught.value.lines == [
        f"environment.backend: compiled can't be used: compiled code doesn't have {name}, or plays it "
        "differently"
    ]


def test_without_numba_pendulum_says_what_is_missing(without_numba):
    config = EnvironmentConfig(type="Gymnasium", name="Pendulum-v1")
    assert backend_notice(config) == (
        "the environments are stepped by Gymnasium, not by the faster compiled code: "
        "Numba isn't installed (pip install -r requirements-fast.txt)"
    )


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        # EnvPool's task differs, or EnvPool has none.
        ("Minigrid", "MiniGrid-ObstructedMaze-2Dlhb-v0"),
        ("Minigrid", "MiniGrid-MultiRoom-N4-S5-v0"),
        ("Minigrid", "BabyAI-ActionObjDoor-v0"),
        ("Minigrid", "BabyAI-PutNextS5N2Carrying-v0"),
        ("Gymnasium", "FrozenLake-v1"),
        ("Gymnasium", "Taxi-v3"),
        ("Gymnasium", "some.module:CartPole-v1"),
        ("CartPole", "Acrobot-v1"),
    ],
)
def test_another_task_goes_to_gymnasium_without_a_notice(type_, name):
    config = EnvironmentConfig(type=type_, name=name)
    choice = choose_backend(config, BOTH)
    assert choice.backend == "gymnasium"
    assert choice.obstacle == f"EnvPool doesn't have {name}, or plays it differently"
    for keys in ({}, {"frame_skip": 2}, {"reset_params": seeds(1000, 20)}):
        assert backend_notice(config.model_copy(update=keys)) is None


OBSTACLES = [
    ({"frame_skip": 2}, "it has no environment.frame_skip for "),
    ({"obs_stacks": 2, "last_reward_to_obs": True}, "last_reward_to_obs and no environment.obs_st"),
    ({"last_action_to_obs": True}, "environment.last_action_to_obs"),
    ({"positional_encoding": True}, "environment.positional_encoding"),
    ({"visual_observation": True, "grayscale": True}, "environment.grayscale"),
    ({"visual_observation": True, "resize_vis_obs": [42, 42]}, "environment.resize_vis_obs"),
    ({"reset_params": seeds(1000, 20)}, "set environment.reset_params.num-seeds to 0"),
    ({"reset_params": seeds(2**31 - 5, 0)}, "it can't be told which levels"),
    ({"processes": 0}, "environment.processes is for Gymnasium's environments; set it to null"),
]


@pytest.mark.parametrize(("keys", "reason"), OBSTACLES)
def test_keys_that_envpool_lacks_go_to_gymnasium(keys, reason, with_envpool):
    config = EnvironmentConfig(**keys)
    assert choose_backend(config, BOTH).backend == "gymnasium"
    notice = backend_notice(config)
    if "processes" in keys:
        assert notice is None
    else:
        assert notice.startswith(NOTICE)
        assert reason in notice
    demanded = config.model_copy(update={"backend": "envpool"})
    with pytest.raises(UserError) as caught:
        probe_spaces(demanded)
    (line,) = caught.value.lines
    assert line.startswith("environment.backend: envpool can't be used: ")
    assert reason in line


def test_a_start_seed_alone_is_no_obstacle(with_envpool):
    assert backend_notice(EnvironmentConfig(reset_params=seeds(0, 0))) is None
    assert backend_notice(EnvironmentConfig(reset_params=seeds(123456, 0))) is None


def test_procgen_takes_a_range_of_levels_and_atari_the_image_keys(with_envpool):
    procgen = EnvironmentConfig(type="Procgen", name="MazeEasy-v0", reset_params=seeds(0, 200))
    atari = EnvironmentConfig(
        type="Atari", name="Pong-v5", frame_skip=4, obs_stacks=4, grayscale=True
    )
    assert backend_notice(procgen) is None
    assert backend_notice(atari) is None
    assert "num-seeds" in backend_notice(atari.model_copy(update={"reset_params": seeds(0, 200)}))
    assert "frame_skip" in backend_notice(procgen.model_copy(update={"frame_skip": 2}))


def test_gymnasium_can_be_chosen_without_a_notice():
    config = EnvironmentConfig(backend="gymnasium")
    assert choose_backend(config, BOTH).backend == "gymnasium"
    assert backend_notice(config) is None
    levels = RandomLevels([1, 2], 1000, 0)
    built = make_environments(config.model_copy(update={"processes": 0}), levels, 2, 0)
    assert isinstance(built, InProcessEnvironments)


def test_without_envpool_gymnasium_is_used(without_envpool, without_numba):
    config = EnvironmentConfig(type="CartPole", name="CartPole-v1")
    notice = backend_notice(config)
    assert notice == (
        "the environments are stepped by Gymnasium, not by the faster compiled code: "
        "Numba isn't installed (pip install -r requirements-fast.txt)"
    )
    built = make_environments(config, RandomLevels([1, 2], 1000, 0), 2, 0)
    assert isinstance(built, InProcessEnvironments)
    assert built.reset()["vector"].shape == (2, 4)


def test_without_envpool_it_cannot_be_demanded(without_envpool):
    with pytest.raises(UserError, match=r"^environment\.backend: .*isn't installed.*fast\.txt"):
        probe_spaces(EnvironmentConfig(backend="envpool"))


@pytest.mark.parametrize(("type_", "name"), [("Procgen", "MazeEasy-v0"), ("Atari", "Pong-v5")])
def test_without_envpool_its_own_suites_say_what_to_install(type_, name, without_envpool):
    with pytest.raises(UserError) as caught:
        make_environment(EnvironmentConfig(type=type_, name=name))
    (line,) = caught.value.lines
    assert line.startswith(f"environment.type: {type_} needs a package that isn't installed")
    assert "requirements-fast.txt" in line


def test_the_backend_changes_no_spaces(with_envpool):
    config = EnvironmentConfig(name="MiniGrid-Empty-8x8-v0")
    for backend in ("gymnasium", "envpool"):
        assert probe_spaces(config.model_copy(update={"backend": backend})) is probe_spaces(config)


SCRIPT = """
import sys
from schema.environment import EnvironmentConfig
from environments import backend_notice, make_environments
from environments.levels import ListedLevels, RandomLevels

for keys in ({"backend": "gymnasium"}, {"frame_skip": 2}, {"processes": 0}):
    config = EnvironmentConfig(**keys)
    backend_notice(config)
    built = make_environments(config, RandomLevels([1], 1000, 0), 1, 0)
    built.reset()
    built.close()
built = make_environments(EnvironmentConfig(), ListedLevels([1], 1), 1, 0)
print("envpool" in sys.modules)
"""


def test_envpool_is_not_imported_where_it_is_not_used():
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "False\n"
