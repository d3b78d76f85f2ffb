"""The fast view of MiniGrid equals the view that MiniGrid computes itself."""

import gymnasium
import numpy as np
import pytest
from minigrid.wrappers import OneHotPartialObsWrapper, RGBImgPartialObsWrapper

from environments import make_environment
from schema.environment import EnvironmentConfig

# Doors, keys, boxes, lava, moving balls, carried objects, and levels with see-through walls.
NAMES = [
    "MiniGrid-Empty-Random-6x6-v0",
    "MiniGrid-Empty-5x5-v0",
    "MiniGrid-DoorKey-8x8-v0",
    "MiniGrid-ObstructedMaze-2Dlhb-v0",
    "MiniGrid-LavaCrossingS9N3-v0",
    "MiniGrid-Dynamic-Obstacles-8x8-v0",
    "MiniGrid-MultiRoom-N4-S5-v0",
    "MiniGrid-MemoryS13-v0",
    "MiniGrid-KeyCorridorS3R3-v0",
    "BabyAI-GoToRedBall-v0",
    "BabyAI-UnlockPickup-v0",
    "BabyAI-BossLevel-v0",
]


def outcomes(environment, choose, steps=150):
    """Return observations, rewards and ends of fixed random actions that favour moving."""
    generator = np.random.default_rng(1)
    number = environment.unwrapped.action_space.n
    found = [environment.reset(seed=0)[0]]
    for step in range(steps):
        action = generator.choice([2, 2, int(generator.integers(number))])
        observation, reward, terminated, truncated, _ = environment.step(choose(action))
        if terminated or truncated:
            observation, _ = environment.reset(seed=step)
        found.append((observation, reward, terminated, truncated))
    return found


def same(name, visual, wrapper, key):
    config = EnvironmentConfig(type="Minigrid", name=name, visual_observation=visual)
    ours = outcomes(make_environment(config), lambda action: np.array([action]))
    theirs = outcomes(wrapper(gymnasium.make(name)), int)
    first, other = ours[0], theirs[0]
    np.testing.assert_array_equal(first[key], other["image"].reshape(first[key].shape))
    for step, other_step in zip(ours[1:], theirs[1:], strict=True):
        assert step[1:] == other_step[1:]
        observation, image = step[0][key], other_step[0]["image"]
        np.testing.assert_array_equal(observation, image.reshape(observation.shape))
        assert observation.dtype == np.uint8


@pytest.mark.parametrize("name", NAMES)
def test_one_hot_equals_minigrids_own_encoding(name):
    same(name, False, OneHotPartialObsWrapper, "vector")


@pytest.mark.parametrize("name", NAMES)
def test_pixels_equal_minigrids_own(name):
    same(name, True, lambda inner: RGBImgPartialObsWrapper(inner, tile_size=12), "visual")


def test_one_hot_worked_out_by_hand():
    environment = make_environment(EnvironmentConfig(name="MiniGrid-Empty-5x5-v0"))
    observation, _ = environment.reset(seed=0)
    view = observation["vector"].reshape(7, 7, 20)
    # The agent stands in the top left corner of the 3 x 3 floor and looks right. Its own cell is
    # empty; on its left is a wall (object 2, colour 5, state 0); two ahead and two to the right is
    # the goal (object 8, colour 1, state 0).
    wall, empty, goal = np.zeros((3, 20))
    wall[[2, 11 + 5, 17]] = empty[[1, 11, 17]] = goal[[8, 11 + 1, 17]] = 1
    np.testing.assert_array_equal(view[3, 6], empty)
    np.testing.assert_array_equal(view[2, 6], wall)
    np.testing.assert_array_equal(view[5, 4], goal)


def test_the_goal_is_a_success():
    environment = make_environment(EnvironmentConfig(name="MiniGrid-Empty-5x5-v0"))
    environment.reset(seed=0)
    infos = [environment.step(np.array([action]))[4] for action in [2, 2, 1, 2, 2]]
    assert infos[-1] == {"success": 1.0}
    assert infos[:-1] == [{}] * 4


@pytest.mark.parametrize("name", ["MiniGrid-Empty-5x5-v0", "MiniGrid-LavaGapS5-v0"])
def test_running_out_of_time_is_no_success(name):
    environment = make_environment(EnvironmentConfig(name=name))
    environment.reset(seed=0)
    truncated = False
    while not truncated:
        _, _, _, truncated, info = environment.step(np.array([0]))
    assert info == {"success": 0.0}


def test_an_environment_with_a_view_of_its_own_keeps_it():
    from minigrid.envs import EmptyEnv

    class Blind(EmptyEnv):
        def gen_obs(self):
            observation = super().gen_obs()
            observation["image"][:] = 0
            return observation

    gymnasium.register("MiniGrid-Blind-v0", Blind)
    try:
        environment = make_environment(EnvironmentConfig(name="MiniGrid-Blind-v0"))
        view = environment.reset(seed=0)[0]["vector"].reshape(49, 20)
        assert view[:, [0, 11, 17]].all()
        assert view.sum() == 3 * 49
    finally:
        del gymnasium.registry["MiniGrid-Blind-v0"]
