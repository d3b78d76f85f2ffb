"""The config's wrappers do what their keys say, in the promised order."""

import cv2
import numpy as np

from environments import make_environment, probe_spaces
from schema.environment import EnvironmentConfig
from tests.environments import scripted


def build(identifier, **keys):
    name = scripted.name(identifier)
    return make_environment(EnvironmentConfig(type="Gymnasium", name=name, **keys))


def build_minigrid(**keys):
    return make_environment(EnvironmentConfig(visual_observation=True, **keys))


def vectors(environment, *actions):
    """Return the vector observations of a reset with seed 9 and of the steps after it."""
    found = [environment.reset(seed=9)[0]["vector"]]
    found += [environment.step(np.array([action]))[0]["vector"] for action in actions]
    return [vector.tolist() for vector in found]


def test_frame_skip_repeats_the_action_and_sums_the_rewards():
    environment = build("ScriptLong", frame_skip=4)
    environment.reset(seed=9)
    observation, reward, terminated, truncated, _ = environment.step(np.array([2]))
    assert observation["vector"].tolist() == [9, 4, 2]
    assert (reward, terminated, truncated) == (1 + 2 + 3 + 4, False, False)


def test_frame_skip_stops_at_the_end():
    environment = build("ScriptLong", frame_skip=4)
    environment.reset(seed=9)
    environment.step(np.array([2]))
    observation, reward, terminated, _, _ = environment.step(np.array([2]))
    assert observation["vector"].tolist() == [9, 6, 2]
    assert (reward, terminated) == (5 + 6, True)


def test_stacked_vectors_start_with_the_first_and_end_with_the_latest():
    assert vectors(build("ScriptLong", obs_stacks=3), 1, 2) == [
        [9, 0, -1, 9, 0, -1, 9, 0, -1],
        [9, 0, -1, 9, 0, -1, 9, 1, 1],
        [9, 0, -1, 9, 1, 1, 9, 2, 2],
    ]


def test_a_new_episode_has_no_observations_of_the_last():
    environment = build("ScriptLong", obs_stacks=2)
    vectors(environment, 1, 2)
    assert vectors(environment) == [[9, 0, -1, 9, 0, -1]]


def test_stacked_images_are_concatenated_along_their_channels():
    single, stacked = build_minigrid(), build_minigrid(obs_stacks=2)
    first = single.reset(seed=1)[0]["visual"]
    joined = stacked.reset(seed=1)[0]["visual"]
    np.testing.assert_array_equal(joined, np.concatenate([first, first], axis=2))
    second = single.step(np.array([0]))[0]["visual"]
    joined = stacked.step(np.array([0]))[0]["visual"]
    assert joined.shape == (84, 84, 6)
    np.testing.assert_array_equal(joined, np.concatenate([first, second], axis=2))


def test_grayscale_keeps_one_channel():
    image = build_minigrid().reset(seed=1)[0]["visual"]
    gray = build_minigrid(grayscale=True).reset(seed=1)[0]["visual"]
    assert gray.shape == (84, 84, 1)
    assert gray.dtype == np.uint8
    luminance = image @ np.array([0.299, 0.587, 0.114])
    assert np.abs(gray[:, :, 0] - luminance).max() <= 1


def test_resizing_takes_the_width_first():
    image = build_minigrid().reset(seed=1)[0]["visual"]
    resized = build_minigrid(resize_vis_obs=[42, 21]).reset(seed=1)[0]["visual"]
    assert resized.shape == (21, 42, 3)
    # Each pixel is the mean of the 4 x 2 pixels that it covers.
    mean = image.reshape(21, 4, 42, 2, 3).mean(axis=(1, 3))
    assert np.abs(resized - mean).max() <= 0.5


def test_images_are_gray_before_they_are_resized_and_stacked():
    image = build_minigrid().reset(seed=1)[0]["visual"]
    expected = cv2.resize(
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (40, 30), interpolation=cv2.INTER_AREA
    )
    keys = {"grayscale": True, "resize_vis_obs": [40, 30], "obs_stacks": 2}
    observed = build_minigrid(**keys).reset(seed=1)[0]["visual"]
    np.testing.assert_array_equal(observed, np.stack([expected, expected], axis=2))


def test_every_image_of_a_dictionary_is_transformed():
    config = EnvironmentConfig(
        type="Gymnasium",
        name=scripted.name("Random"),
        grayscale=True,
        resize_vis_obs=[3, 2],
        obs_stacks=2,
    )
    image = ((2, 3, 2), "uint8")
    assert probe_spaces(config).observations == {
        "camera": image,
        "map": image,
        "vector": ((10,), "float32"),
    }


def test_last_action_and_reward_follow_the_stacked_observation():
    environment = build(
        "ScriptLong", obs_stacks=2, last_action_to_obs=True, last_reward_to_obs=True
    )
    assert vectors(environment, 1, 3) == [
        [9, 0, -1, 9, 0, -1, 0, 0, 0, 0, 0],
        [9, 0, -1, 9, 1, 1, 0, 1, 0, 0, 1],
        [9, 1, 1, 9, 2, 3, 0, 0, 0, 1, 2],
    ]


def test_last_action_is_one_hot_for_each_branch():
    environment = build("Branches", last_action_to_obs=True)
    environment.reset(seed=0)
    observation = environment.step(np.array([1, 0, 2]))[0]["vector"]
    assert observation[2:].tolist() == [0, 1, 1, 0, 0, 0, 0, 1, 0]


def test_a_continuous_last_action_is_appended_unchanged():
    config = EnvironmentConfig(type="Gymnasium", name="Pendulum-v1", last_action_to_obs=True)
    environment = make_environment(config)
    assert probe_spaces(config).observations == {"vector": ((4,), "float32")}
    assert environment.reset(seed=0)[0]["vector"][3] == 0
    action = np.array([-1.3], np.float32)
    observation = environment.step(action)[0]["vector"]
    action[:] = 0
    assert observation[3] == np.float32(-1.3)
    assert observation.dtype == np.float32


def test_only_float_values_turn_a_one_hot_vector_into_floats():
    def observations(**keys):
        return probe_spaces(EnvironmentConfig(**keys)).observations

    assert observations(last_action_to_obs=True) == {"vector": ((987,), "uint8")}
    assert observations(last_reward_to_obs=True) == {"vector": ((981,), "float32")}
    pixels = {"visual": ((84, 84, 3), "uint8")}
    visual = {"visual_observation": True}
    assert observations(**visual, last_action_to_obs=True) == {**pixels, "vector": ((7,), "uint8")}
    assert observations(**visual, last_reward_to_obs=True) == {
        **pixels,
        "vector": ((1,), "float32"),
    }


def test_observations_have_the_promised_shapes_and_types():
    config = EnvironmentConfig(
        type="Gymnasium",
        name=scripted.name("Random"),
        frame_skip=2,
        grayscale=True,
        resize_vis_obs=[3, 2],
        obs_stacks=3,
        last_action_to_obs=True,
        last_reward_to_obs=True,
    )
    environment = make_environment(config)
    promised = probe_spaces(config).observations
    for observation in (environment.reset(seed=1)[0], environment.step(np.array([2, 1]))[0]):
        found = {name: (array.shape, array.dtype.name) for name, array in observation.items()}
        assert found == promised
