"""Wrapped tasks match their originals after an independent conversion."""

import math

import cv2
import gymnasium
import numpy as np
import pytest

from environments import make_environment, make_environments, probe_spaces
from environments.levels import ListedLevels
from schema.environment import EnvironmentConfig

RIGHT = np.array([1])
# A walk that turns, so that consecutive views differ.
WALK = [1, 2, 2, 0, 2, 1, 1, 2]


def cartpole(**keys):
    return EnvironmentConfig(type="CartPole", name="CartPole-v1", **keys)


def pendulum(**keys):
    return EnvironmentConfig(type="Gymnasium", name="Pendulum-v1", **keys)


def pixels(**keys):
    return EnvironmentConfig(name="MiniGrid-DoorKey-5x5-v0", visual_observation=True, **keys)


def torques(count):
    return np.random.default_rng(0).uniform(-2, 2, (count, 1)).astype(np.float32)


def play_original(name, seed, actions):
    """Return observations (of the reset, too), rewards and ends of an episode in Gymnasium."""
    original = gymnasium.make(name)
    observations, rewards, ends = [original.reset(seed=seed)[0]], [], []
    for action in actions:
        observation, reward, terminated, truncated, _ = original.step(action)
        observations.append(observation)
        rewards.append(float(reward))
        ends.append((terminated, truncated))
        if terminated or truncated:
            break
    return observations, rewards, ends


def vectors(config, seed, actions):
    """Return the vector observations of a reset and of the steps after it."""
    environment = make_environment(config)
    found = [environment.reset(seed=seed)[0]["vector"]]
    return found + [environment.step(action)[0]["vector"] for action in actions]


def views(config, seed=1):
    """Return the visual observations of a reset and of a walk."""
    environment = make_environment(config)
    found = [environment.reset(seed=seed)[0]["visual"]]
    return found + [environment.step(np.array([action]))[0]["visual"] for action in WALK]


def test_skipped_frames_of_cartpole_stop_where_the_pole_falls():
    observations, rewards, ends = play_original("CartPole-v1", 3, [1] * 50)
    length = len(rewards)
    assert length % 4  # the episode ends within skipped frames
    assert ends[-1] == (True, False)
    environment = make_environment(cartpole(frame_skip=4))
    environment.reset(seed=3)
    for begin in range(0, length, 4):
        end = min(begin + 4, length)
        observation, reward, terminated, truncated, _ = environment.step(RIGHT)
        np.testing.assert_array_equal(observation["vector"], observations[end])
        assert reward == sum(rewards[begin:end])
        assert (terminated, truncated) == (end == length, False)


def test_skipped_frames_of_pendulum_stop_at_its_time_limit():
    torque = torques(29)
    observations, rewards, ends = play_original("Pendulum-v1", 3, np.repeat(torque, 7, axis=0))
    assert len(rewards) == 200  # 28 * 7 + 4
    assert ends[-1] == (False, True)
    environment = make_environment(pendulum(frame_skip=7))
    environment.reset(seed=3)
    for number, action in enumerate(torque):
        observation, reward, terminated, truncated, _ = environment.step(action)
        begin, end = 7 * number, min(7 * number + 7, 200)
        np.testing.assert_array_equal(observation["vector"], observations[end])
        assert math.isclose(reward, sum(rewards[begin:end]), rel_tol=1e-12)
        assert (terminated, truncated) == (False, number == 28)


@pytest.mark.parametrize("processes", [0, 1])
def test_wrappers_restart_after_an_end_within_skipped_frames(processes):
    keys = {"obs_stacks": 2, "last_action_to_obs": True, "last_reward_to_obs": True}
    config = cartpole(frame_skip=4, positional_encoding=True, processes=processes, **keys)
    environments = make_environments(config, ListedLevels([3, 4], 1), 1, 0)
    environments.reset()
    _, rewards, _ = play_original("CartPole-v1", 3, [1] * 50)
    decisions = -(-len(rewards) // 4)
    for _ in range(decisions):
        step = environments.step(RIGHT[np.newaxis])
    assert step.terminated.tolist() == [True]
    assert step.rewards.tolist() == [len(rewards) % 4]
    statistics = {"return": float(len(rewards)), "length": float(decisions)}
    assert step.episodes == [(0, statistics)]
    first = gymnasium.make("CartPole-v1").reset(seed=4)[0]
    begin = [0, 1] * 8
    expected = np.concatenate([first, first, [0, 0], [0], begin])
    np.testing.assert_array_equal(step.observations["vector"][0], expected.astype(np.float32))
    environments.close()


def test_pendulum_is_stacked_oldest_first():
    actions = torques(6)
    observations, _, _ = play_original("Pendulum-v1", 5, actions)
    padded = [observations[0]] * 2 + observations
    for number, found in enumerate(vectors(pendulum(obs_stacks=3), 5, actions)):
        np.testing.assert_array_equal(found, np.concatenate(padded[number : number + 3]))


def test_cartpole_sees_its_last_action_one_hot():
    actions = [np.array([choice]) for choice in (0, 1, 1, 0)]
    observations, _, _ = play_original("CartPole-v1", 5, [0, 1, 1, 0])
    encoded = [[0, 0], [1, 0], [0, 1], [0, 1], [1, 0]]
    found = vectors(cartpole(last_action_to_obs=True), 5, actions)
    np.testing.assert_array_equal(found, np.concatenate([observations, encoded], axis=1))


def test_pendulum_sees_its_last_torque_and_reward():
    actions = torques(6)
    observations, rewards, _ = play_original("Pendulum-v1", 5, actions)
    found = vectors(pendulum(last_action_to_obs=True, last_reward_to_obs=True), 5, actions)
    taken = np.concatenate([[[0]], actions])
    received = np.array([0, *rewards], np.float32)[:, np.newaxis]
    np.testing.assert_array_equal(found, np.concatenate([observations, taken, received], axis=1))


def encoding(step):
    """Return the encoding by the paper's formula, number by number."""
    angles = [step / 10_000 ** (2 * pair / 16) for pair in range(8)]
    return [function(angle) for angle in angles for function in (math.sin, math.cos)]


@pytest.mark.parametrize(
    ("config", "action"), [(cartpole(), RIGHT), (pendulum(), np.zeros(1, np.float32))]
)
def test_the_step_of_the_episode_is_encoded(config, action):
    plain = vectors(config, 5, [action] * 6)
    encoded = config.model_copy(update={"positional_encoding": True})
    found = vectors(encoded, 5, [action] * 6)
    for step, (vector, original) in enumerate(zip(found, plain, strict=True)):
        np.testing.assert_array_equal(vector[:-16], original)
        np.testing.assert_allclose(vector[-16:], encoding(step), rtol=0, atol=1e-6)
        assert vector.dtype == np.float32


def test_a_new_episode_is_encoded_from_its_start():
    environment = make_environment(pixels(positional_encoding=True))
    for seed in (1, 2):
        observation, _ = environment.reset(seed=seed)
        assert observation["visual"].shape == (84, 84, 3)
        assert observation["vector"].tolist() == [0, 1] * 8
        environment.step(RIGHT)


def test_the_encoding_counts_decisions_rather_than_skipped_frames():
    found = vectors(pendulum(frame_skip=5, positional_encoding=True), 5, torques(3))
    np.testing.assert_allclose(found[3][-16:], encoding(3), rtol=0, atol=1e-6)


def test_the_encoding_comes_last_and_turns_symbols_into_floats():
    keys = {"last_action_to_obs": True, "last_reward_to_obs": True, "positional_encoding": True}
    config = EnvironmentConfig(obs_stacks=2, **keys)
    expected = {"vector": ((2 * 980 + 7 + 1 + 16,), "float32")}
    assert probe_spaces(config).observations == expected
    found = vectors(config, 5, [RIGHT])
    np.testing.assert_array_equal(found[0][-16 - 1 - 7 :], [0] * 8 + [0, 1] * 8)
    assert found[1][-16 - 1 - 7 : -16].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(found[1][-16:], encoding(1), rtol=0, atol=1e-6)


def test_minigrid_is_gray_then_small_then_stacked():
    small = [
        cv2.resize(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), (48, 36), interpolation=cv2.INTER_AREA)
        for view in views(pixels())
    ]
    assert len({view.tobytes() for view in small}) > 3
    padded = [small[0]] * 2 + small
    keys = {"grayscale": True, "resize_vis_obs": [48, 36], "obs_stacks": 3}
    for number, found in enumerate(views(pixels(**keys))):
        expected = np.stack(padded[number : number + 3], axis=2)
        assert found.shape == (36, 48, 3)
        np.testing.assert_array_equal(found, expected)


def test_skipped_frames_of_minigrid_are_not_stacked():
    environment = make_environment(pixels(frame_skip=2, obs_stacks=2))
    original = make_environment(pixels())
    first = original.reset(seed=1)[0]["visual"]
    environment.reset(seed=1)
    for _ in range(2):
        latest = original.step(RIGHT)[0]["visual"]
    stacked = environment.step(RIGHT)[0]["visual"]
    np.testing.assert_array_equal(stacked, np.concatenate([first, latest], axis=2))


@pytest.mark.parametrize("size", [[84, 84], [30, 60]])
def test_a_gray_minigrid_of_any_size_is_near_to_its_luminance(size):
    width, height = size
    view = views(pixels())[2]
    luminance = view @ np.array([0.299, 0.587, 0.114])
    # Pixels are repeated up to a common multiple of both sizes, and averaged over each new one.
    repeated = luminance.repeat(height, axis=0).repeat(width, axis=1)
    expected = repeated.reshape(height, 84, width, 84).mean(axis=(1, 3))
    found = views(pixels(grayscale=True, resize_vis_obs=size))[2]
    assert np.abs(found[:, :, 0] - expected).max() <= 1.5


@pytest.mark.parametrize("name", ["LunarLander-v3", "LunarLanderContinuous-v3"])
def test_the_lunar_lander_flies(name):
    pytest.importorskip("Box2D")
    config = EnvironmentConfig(type="Gymnasium", name=name, backend="gymnasium", processes=0)
    spaces = probe_spaces(config)
    assert spaces.observations == {"vector": ((8,), "float32")}
    if name == "LunarLander-v3":
        assert spaces.branches == (4,)
        actions, originals = [np.array([2])] * 5, [2] * 5
    else:
        assert spaces.bounds == ((-1, 1), (-1, 1))
        actions = originals = [np.array([0.8, -0.9], np.float32)] * 5
    observations, _, _ = play_original(name, 7, originals)
    np.testing.assert_array_equal(vectors(config, 7, actions), observations)
