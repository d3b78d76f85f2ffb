"""Each suite has the promised observations and actions."""

import gymnasium
import numpy as np
import pytest

from environments import EnvironmentFailure, Spaces, make_environment, probe_spaces
from schema.environment import EnvironmentConfig
from tests.environments import scripted


def spaces(type_, name, **keys):
    found = probe_spaces(EnvironmentConfig(type=type_, name=name, **keys))
    return found.observations, found.branches


def scripted_environment(identifier, **keys):
    config = EnvironmentConfig(type="Gymnasium", name=scripted.name(identifier), **keys)
    return make_environment(config)


@pytest.mark.parametrize("name", ["CartPole-v0", "CartPole-v1"])
def test_cartpole(name):
    assert spaces("CartPole", name) == ({"vector": ((4,), "float32")}, (2,))
    masked = spaces("CartPole", name, mask_velocities=True)
    assert masked == ({"vector": ((2,), "float32")}, (2,))


@pytest.mark.parametrize("name", ["MiniGrid-Empty-Random-6x6-v0", "BabyAI-GoToRedBall-v0"])
def test_minigrid(name):
    assert spaces("Minigrid", name) == ({"vector": ((980,), "uint8")}, (7,))
    pixels = spaces("Minigrid", name, visual_observation=True)
    assert pixels == ({"visual": ((84, 84, 3), "uint8")}, (7,))


@pytest.mark.parametrize(
    ("name", "length", "actions"),
    [
        ("CartPole-v1", 4, 2),
        ("Acrobot-v1", 6, 3),
        ("FrozenLake-v1", 16, 4),
        ("Blackjack-v1", 32 + 11 + 2, 2),
    ],
)
def test_gymnasium_vectors(name, length, actions):
    assert spaces("Gymnasium", name) == ({"vector": ((length,), "float32")}, (actions,))


def test_a_dictionary_keeps_its_images_and_flattens_the_rest():
    assert spaces("Gymnasium", scripted.name("Random")) == (
        {
            "camera": ((40, 36, 3), "uint8"),
            "map": ((36, 37, 1), "uint8"),
            "vector": ((3 + 2,), "float32"),
        },
        (3, 2),
    )
    observation, _ = scripted_environment("Random").reset(seed=3)
    original, _ = scripted.Random().reset(seed=3)
    np.testing.assert_array_equal(observation["camera"], original["camera"])
    np.testing.assert_array_equal(observation["map"][:, :, 0], original["map"])
    place = [float(original["place"] == number) for number in range(3)]
    expected = np.array([*place, *original["speed"]], np.float32)
    np.testing.assert_array_equal(observation["vector"], expected)
    assert observation["vector"].dtype == np.float32


def test_a_gray_image_gets_a_channel():
    assert spaces("Gymnasium", scripted.name("Image"))[0] == {"visual": ((36, 39, 1), "uint8")}


def test_nested_spaces_are_flattened():
    length = 3 + 2 + (2 + 3)
    found = spaces("Gymnasium", scripted.name("Nested"))[0]
    assert found == {"vector": ((length,), "float32")}


def test_discrete_actions_may_start_anywhere():
    environment = scripted_environment("Shifted")
    environment.reset(seed=0)
    received = [environment.step(np.array([choice]))[4]["action"] for choice in range(3)]
    assert received == [-1, 0, 1]


@pytest.mark.parametrize(
    ("identifier", "action", "expected"),
    [("Branches", [1, 2, 3], [1, 2, 3]), ("ShiftedBranches", [1, 0], [6, -1])],
)
def test_every_branch_of_an_action_arrives(identifier, action, expected):
    environment = scripted_environment(identifier)
    environment.reset(seed=0)
    assert environment.step(np.array(action))[4]["action"].tolist() == expected


def test_continuous_actions_have_bounds():
    found = probe_spaces(EnvironmentConfig(type="Gymnasium", name="Pendulum-v1"))
    assert found == Spaces({"vector": ((3,), "float32")}, bounds=((-2.0, 2.0),))
    assert (found.action_size, found.action_type) == (1, "float32")
    bounds = probe_spaces(
        EnvironmentConfig(type="Gymnasium", name=scripted.name("Unbounded"))
    ).bounds
    assert bounds == ((-np.inf, np.inf), (-np.inf, np.inf), (-np.inf, 0.25))


def test_bounds_beyond_float32_s_precision_are_rounded_inwards():
    bounds = probe_spaces(EnvironmentConfig(type="Gymnasium", name=scripted.name("Square"))).bounds
    assert bounds[:3] == ((-1, 1), (-2, 2), (0, 3))
    (low, high) = bounds[3]
    assert 0.1 <= low < 0.1 + 1e-8
    assert 0.7 - 1e-7 < high <= 0.7
    assert (np.float32(low), np.float32(high)) == (low, high)


def test_a_continuous_action_arrives_in_its_own_shape_and_type():
    environment = scripted_environment("Square")
    assert environment.action_space.shape == (4,)
    assert environment.action_space.dtype == np.float32
    environment.reset(seed=0)
    given = np.array([0.5, -1.5, 2.25, 0.25], np.float32)
    received = environment.step(given)[4]["action"]
    assert received.tolist() == [[0.5, -1.5], [2.25, 0.25]]
    assert received.dtype == np.float64
    given[:] = 0  # memory that is reused
    assert received[0, 0] == 0.5


def test_a_number_that_can_t_be_chosen_is_played():
    space = scripted.ACTED["Fixed"]
    fixed = EnvironmentConfig(type="Gymnasium", name=scripted.name("Fixed"))
    nearest = float(np.float32(0.1))
    assert probe_spaces(fixed).bounds == ((nearest, nearest), (-1, 1))
    environment = make_environment(fixed)
    environment.reset(seed=0)
    received = environment.step(np.array([nearest, 0.5], np.float32))[4]["action"]
    assert received.tolist() == [0.1, 0.5]
    assert space.contains(received)


def test_choices_are_python_s_integers_unless_a_step_needs_numpy_s():
    environment = scripted_environment("Item")
    for episode in range(2):
        environment.reset(seed=episode)
        found = [environment.step(np.array([choice]))[0]["vector"].tolist() for choice in (2, 1)]
        assert found == [[episode, 1, 2], [episode, 2, 1]]
    environment = scripted_environment("Shifted")
    environment.reset(seed=0)
    assert type(environment.step(np.array([2]))[4]["action"]) is int


def test_another_error_of_a_step_is_a_failure():
    environment = scripted_environment("Faulty", kwargs={"fault": "lacks", "at": 1})
    environment.reset(seed=0)
    with pytest.raises(EnvironmentFailure, match="'int' object has no attribute 'speed'"):
        environment.step(np.array([2]))


def test_whole_numbers_are_rounded():
    environment = scripted_environment("Whole")
    environment.reset(seed=0)
    received = environment.step(np.array([2.6, 0.4], np.float32))[4]["action"]
    assert received.tolist() == [3, 0]
    assert received.dtype == np.int32


def test_masked_cartpole_observes_the_positions_of_the_original():
    original = gymnasium.make("CartPole-v1")
    config = EnvironmentConfig(type="CartPole", name="CartPole-v1", mask_velocities=True)
    masked = make_environment(config)
    expected, _ = original.reset(seed=5)
    observation, _ = masked.reset(seed=5)
    for action in [0, 1, 1, 0, 0, 1, 0]:
        np.testing.assert_array_equal(observation["vector"], expected[[0, 2]])
        expected = original.step(action)[0]
        observation = masked.step(np.array([action]))[0]


def test_the_time_limit_is_kept():
    assert (
        make_environment(EnvironmentConfig(type="CartPole", name="CartPole-v0")).get_wrapper_attr(
            "_max_episode_steps"
        )
        == 200
    )


@pytest.mark.parametrize("type_", ["CartPole", "Gymnasium"])
def test_rendering_is_passed_on(type_):
    environment = make_environment(
        EnvironmentConfig(type=type_, name="CartPole-v1"), render_mode="rgb_array"
    )
    environment.reset(seed=0)
    assert environment.render().shape == (400, 600, 3)
    environment.close()
