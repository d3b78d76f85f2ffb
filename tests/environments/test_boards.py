"""Bytes of two or more dimensions are images where convolutions can read them, else part of "vector"."""

import numpy as np
import pytest

from environments import make_environment, probe_spaces
from environments.interface import LEAST_IMAGE_SIZE
from environments.observations import arrange
from networks.sizes import convolved_sizes
from schema.environment import EnvironmentConfig
from schema.errors import UserError
from tests.environments import scripted

RGB = np.arange(40 * 50 * 3).reshape(40, 50, 3).astype(np.uint8)


def config(identifier, **keys):
    return EnvironmentConfig(type="Gymnasium", name=scripted.name(identifier), **keys)


def observed(identifier, **keys):
    return probe_spaces(config(identifier, **keys)).observations


def pair(identifier, **keys):
    """Return an observation as the environment gives it, and as it is converted."""
    environment = make_environment(config(identifier, **keys))
    environment.unwrapped.observation_space.seed(1)
    original = environment.unwrapped.observation_space.sample()
    environment.unwrapped.observation_space.seed(1)
    return original, environment.reset(seed=1)[0]


def test_small_boards_are_flattened_from_their_bounds_to_0_to_1():
    assert observed("Board") == {"vector": ((81,), "float32")}
    original, found = pair("Board")
    assert set(original.ravel()) == {0, 1}
    assert found["vector"].tolist() == original.ravel().tolist()
    original, found = pair("BoardOfTwenty")
    expected = (original.ravel().astype(np.float32) - 5) / np.float32(15)
    np.testing.assert_array_equal(found["vector"], expected)


def test_a_board_stands_between_the_other_parts_of_a_dictionary():
    original, found = pair("BoardInDict")
    choice = [float(original["a"] == number) for number in range(2)]
    expected = [*choice, *(original["board"].ravel() / np.float32(9))]
    np.testing.assert_array_equal(found["vector"], np.array(expected, np.float32))


def test_an_image_goes_from_its_bounds_to_0_to_255():
    original, found = pair("DarkImage")
    np.testing.assert_array_equal(found["visual"], original[..., np.newaxis] * 17)


def test_a_board_that_is_resized_is_an_image():
    original, found = pair("Board", resize_vis_obs=[36, 36])
    expected = np.kron(original * 255, np.ones((4, 4)))
    np.testing.assert_array_equal(found["visual"][..., 0], expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (RGB, RGB),
        (RGB[..., 0], RGB[..., :1]),
        (np.moveaxis(RGB, -1, 0), RGB),
        (np.stack([RGB, RGB + 1]), np.concatenate([RGB, RGB + 1], -1)),
        (np.moveaxis(np.stack([RGB, RGB + 1]), -1, 1), np.concatenate([RGB, RGB + 1], -1)),
        (RGB[:2], RGB[:2]),  # two rows of colours
    ],
)
def test_axes_become_height_width_channels(given, expected):
    np.testing.assert_array_equal(arrange(given), expected)


@pytest.mark.parametrize(
    ("identifier", "name", "channels"),
    [
        ("ChannelsFirst", "visual", 3),
        ("OneChannelFirst", "visual", 1),
        ("Frames", "visual", 12),
        ("FramesOfChannels", "visual", 12),
        ("ImageInDict", "camera/rgb", 3),
        ("ImageInTuple", "0", 3),
    ],
)
def test_images_are_found_in_every_place_and_order(identifier, name, channels):
    assert observed(identifier)[name] == ((40, 50, channels), "uint8")
    _, found = pair(identifier)
    assert found[name].shape == (40, 50, channels)
    assert found[name].flags.c_contiguous


def test_the_rest_of_a_nested_space_stays_a_vector():
    original, found = pair("ImageInDict")
    np.testing.assert_array_equal(found["camera/rgb"], original["camera"]["rgb"])
    assert found["vector"].tolist() == [float(original["x"] == number) for number in range(2)]


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("FramesLast", "observes 'visual' of shape (40, 50, 3, 4), in which no image can be told"),
        ("ChannelsInside", "observes 'visual' of shape (40, 3, 50), in which no image can be told"),
        ("TwoOfOneName", "has two images under the name 'a/b'"),
        ("Nothing", "observes nothing that a network could read"),
        ("NoNumbers", "observes nothing that a network could read"),
        ("NoPixels", "observes nothing that a network could read"),
        ("MaskedOnly", "observes nothing that a network could read"),
        ("NoActions", "has actions of no number"),
    ],
)
def test_what_can_t_be_read_is_one_line(identifier, message):
    with pytest.raises(UserError) as caught:
        observed(identifier)
    (line,) = caught.value.lines
    assert line.startswith(f"environment.name: {scripted.name(identifier)} {message}")


def test_nothing_but_the_last_action_is_something_to_read():
    assert observed("Nothing", last_action_to_obs=True) == {"vector": ((2,), "uint8")}


def test_an_image_under_the_name_of_the_vector_can_t_stand_beside_one():
    assert observed("ImageNamedVector") == {"vector": ((36, 36, 1), "uint8")}
    with pytest.raises(UserError, match="reserved name vector"):
        observed("ImageNamedVector", last_reward_to_obs=True)


def test_the_least_image_is_the_least_that_convolutions_can_read():
    sizes = [list(convolved_sizes((side, side, 3))) for side in (LEAST_IMAGE_SIZE, 35)]
    assert min(sizes[0]) > 0
    assert min(sizes[1]) == 0
