"""Constructors get `environment.kwargs`, and episodes end at `environment.max_episode_steps`."""

import gymnasium
import numpy as np
import pytest

from environments import make_environment, make_environments, probe_spaces
from environments.choosing import choose_backend, envpool_installed
from environments.levels import ListedLevels, RandomLevels
from schema.environment import EnvironmentConfig
from schema.errors import UserError
from tests.environments import scripted


def config(name, type_="Gymnasium", **keys):
    return EnvironmentConfig(type=type_, name=name, **keys)


def one_line(*arguments, **keys):
    with pytest.raises(UserError) as caught:
        probe_spaces(config(*arguments, **keys))
    (line,) = caught.value.lines
    return line


def test_the_constructor_gets_the_arguments():
    for slippery in (True, False):
        built = make_environment(config("FrozenLake-v1", kwargs={"is_slippery": slippery}))
        chances = {chance for chance, *_ in built.unwrapped.P[0][1]}
        assert (chances == {1.0}) is not slippery
    minigrid = make_environment(
        config("MiniGrid-Empty-5x5-v0", "Minigrid", kwargs={"max_steps": 7, "size": 9})
    )
    assert (minigrid.unwrapped.max_steps, minigrid.unwrapped.width) == (7, 9)
    cartpole = config("CartPole-v1", "CartPole", kwargs={"sutton_barto_reward": True})
    built = make_environment(cartpole)
    built.reset(seed=0)
    assert built.step(np.array([0]))[1] == 0.0


def test_registered_arguments_stay_unless_replaced():
    name = scripted.name("ScriptTruncated")
    built = make_environment(config(name, kwargs={"length": 5})).unwrapped
    assert (built.length, built.end) == (5, "truncated")
    assert gymnasium.spec(name.partition(":")[2]).kwargs == {"end": "truncated"}


@pytest.mark.parametrize("processes", [0, 1])
def test_arguments_reach_worker_processes(processes):
    name = scripted.name("ScriptTerminated")
    built = make_environments(
        config(name, kwargs={"length": 1}, processes=processes), ListedLevels([1], 1), 1, 0
    )
    built.reset()
    assert built.step(np.zeros((1, 1), np.int64)).terminated.tolist() == [True]
    built.close()


def test_a_wrong_argument_is_one_line_that_names_the_right_one():
    line = one_line("FrozenLake-v1", kwargs={"is_slipery": False})
    assert line == (
        "environment.kwargs: the constructor of FrozenLake-v1 takes no is_slipery; "
        "did you mean is_slippery?"
    )
    line = one_line(scripted.name("Random"), kwargs={"speed": 1})
    assert line.endswith("takes no speed; it takes none")
    # Only a parent class's constructor rejects these.
    line = one_line("MiniGrid-Empty-5x5-v0", "Minigrid", kwargs={"no_such": 1})
    assert line.startswith(
        'environment.kwargs: MiniGrid-Empty-5x5-v0 can\'t be created with {"no_such": 1}: TypeError'
    )
    assert "creator" not in line
    line = one_line(scripted.name("WorkerId"), kwargs={"worker_id": 1})
    assert line == "environment.kwargs: worker_id is chosen by the commands; leave it out"


def test_lists_become_tuples_where_the_constructor_refuses_lists():
    kwargs = {"size": [4, 7], "options": {"goal": [1, 2]}}
    environment = make_environment(config(scripted.name("Tuples"), kwargs=kwargs))
    assert environment.reset(seed=0)[0]["vector"].tolist() == [7, 7, 7]
    line = one_line(scripted.name("Tuples"), kwargs={"size": [4], "options": {"goal": 3}})
    assert line.endswith('{"size": [4], "options": {"goal": 3}}: TypeError: must be tuples')


def test_a_wrong_value_is_one_line():
    line = one_line("FrozenLake-v1", kwargs={"map_name": "9x9"})
    assert line.startswith("environment.kwargs: FrozenLake-v1 can't be created with ")
    assert line.endswith("KeyError: '9x9'")


def play(config, limit, levels=None):
    """Return ends and final observations of a few steps of action 0 in one environment."""
    built = make_environments(config, levels or ListedLevels([1], 1), 1, 0)
    built.reset()
    ends = []
    for _ in range(limit):
        step = built.step(np.zeros((1, 1), np.int64))
        ends.append((bool(step.terminated[0]), bool(step.truncated[0])))
        assert len(step.final_observations) == step.truncated[0]
    built.close()
    return ends, step


GOES_ON, CUT_OFF, OVER = (False, False), (False, True), (True, False)


@pytest.mark.parametrize(
    "limited",
    [
        config("CliffWalking-v1", max_episode_steps=3),  # which has no limit
        config("Acrobot-v1", max_episode_steps=3),
        config("CartPole-v1", "CartPole", max_episode_steps=3),
        config("MiniGrid-Empty-5x5-v0", "Minigrid", max_episode_steps=3),
        config("BabyAI-GoToLocal-v0", "Minigrid", max_episode_steps=3),
        config(scripted.name("ScriptTimeLimit"), kwargs={"length": 99}, max_episode_steps=3),
    ],
    ids=lambda config: config.name,
)
def test_an_episode_is_cut_off_at_the_limit(limited):
    ends, step = play(limited, 6)
    assert ends == [GOES_ON, GOES_ON, CUT_OFF] * 2
    assert step.episodes[0][1]["length"] == 3


def test_a_real_end_at_the_limit_is_no_truncation():
    ends, _ = play(config(scripted.name("ScriptTerminated"), max_episode_steps=3), 3)
    assert ends == [GOES_ON, GOES_ON, OVER]


def test_the_limit_counts_steps_of_the_environment():
    ends, _ = play(config("CliffWalking-v1", max_episode_steps=4, frame_skip=2), 2)
    assert ends == [GOES_ON, CUT_OFF]


def test_a_limit_beyond_minigrids_own_names_the_key_to_change():
    line = one_line("MiniGrid-Empty-5x5-v0", "Minigrid", max_episode_steps=500)
    assert line.startswith("environment.max_episode_steps: MiniGrid-Empty-5x5-v0 ends its episodes")
    assert "after 100 steps" in line and "environment.kwargs to {max_steps: 500}" in line


@pytest.mark.skipif(not envpool_installed(), reason="EnvPool isn't installed")
@pytest.mark.parametrize(
    ("type_", "name", "limit"),
    [
        ("CartPole", "CartPole-v1", 5),
        ("Gymnasium", "Acrobot-v1", 5),
        ("Gymnasium", "MountainCar-v0", 300),  # beyond its own limit of 200
        ("Minigrid", "MiniGrid-Empty-5x5-v0", 5),
        ("Minigrid", "BabyAI-GoToLocal-v0", 5),
    ],
)
def test_envpool_ends_episodes_at_the_same_steps(type_, name, limit):
    limited = config(name, type_, max_episode_steps=limit)
    levels = RandomLevels([1], 0, 0)
    envpools, gymnasiums = (
        play(limited.model_copy(update={"backend": backend}), 2 * limit + 1, levels)
        for backend in ("envpool", "gymnasium")
    )
    assert envpools[0] == gymnasiums[0] == [*[GOES_ON] * (limit - 1), CUT_OFF] * 2 + [GOES_ON]


def test_envpool_takes_no_arguments_of_constructors():
    lake = config("CartPole-v1", kwargs={"sutton_barto_reward": True})
    choice = choose_backend(lake, ["envpool"])
    assert choice.backend == "gymnasium"
    assert "it has no environment.kwargs for CartPole-v1" in choice.obstacle
