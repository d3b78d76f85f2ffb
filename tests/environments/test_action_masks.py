"""Action masks are observed, in whatever form an environment offers them; wrappers keep them."""

import numpy as np
import pytest

from environments import EnvironmentFailure, make_environment, make_environments, probe_spaces
from environments.interface import ACTION_MASK
from environments.levels import ListedLevels
from environments.vector import random_action
from schema.environment import EnvironmentConfig
from schema.errors import UserError
from tests.environments import scripted

FORMS = ["Info", "InfoOfBranches", "Method", "Observed"]
# The masks of `scripted.Masked`, worked out by hand for the times 0, 1 and 2.
EXPECTED = [[1, 0, 0, 1, 1], [0, 1, 1, 0, 1], [1, 0, 1, 1, 0]]
ACTION = np.array([0, 1])


def masked(form, **keys):
    return EnvironmentConfig(type="Gymnasium", name=scripted.name(f"Masked{form}"), **keys)


def taxi(**keys):
    return EnvironmentConfig(type="Gymnasium", name=scripted.name("AnyTaxi"), **keys)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_the_same_observation(form):
    found = probe_spaces(masked(form))
    assert found.observations == {"vector": ((2,), "float32"), ACTION_MASK: ((5,), "uint8")}
    assert found.branches == (2, 3)
    environment = make_environment(masked(form))
    observation, _ = environment.reset(seed=4)
    for time, expected in enumerate(EXPECTED):
        assert observation["vector"].tolist() == [4, time]
        assert observation[ACTION_MASK].tolist() == expected
        assert observation[ACTION_MASK].dtype == np.uint8
        observation = environment.step(ACTION)[0]


def test_everything_is_allowed_after_the_end():
    environment = make_environment(masked("UntilTheEnd"))
    environment.reset(seed=0)
    outcomes = [environment.step(ACTION) for _ in range(3)]
    assert [outcome[2] for outcome in outcomes] == [False, False, True]
    assert outcomes[-1][0][ACTION_MASK].tolist() == [1, 1, 1, 1, 1]


def test_taxi_shows_the_mask_of_its_state():
    environment = make_environment(taxi())
    assert probe_spaces(taxi()).observations == {
        "vector": ((500,), "float32"),
        ACTION_MASK: ((6,), "uint8"),
    }
    spaces, generator = probe_spaces(taxi()), np.random.default_rng(0)
    observation, _ = environment.reset(seed=3)
    seen = set()
    for _ in range(150):
        state = int(observation["vector"].argmax())
        assert observation["vector"].sum() == 1
        expected = environment.unwrapped.action_mask(state)
        np.testing.assert_array_equal(observation[ACTION_MASK], expected)
        seen.add(tuple(expected))
        observation = environment.step(random_action(spaces, observation, generator))[0]
    assert len(seen) > 5


@pytest.mark.parametrize(
    "type_and_name", [("CartPole", "CartPole-v1"), ("Gymnasium", "Acrobot-v1")]
)
def test_an_environment_that_offers_no_mask_has_none(type_and_name):
    type_, name = type_and_name
    assert list(probe_spaces(EnvironmentConfig(type=type_, name=name)).observations) == ["vector"]


def test_continuous_actions_have_no_mask():
    found = probe_spaces(masked("Continuous"))
    assert list(found.observations) == ["vector"]
    assert found.bounds == ((0, 1),)


@pytest.mark.parametrize("processes", [0, 1])
def test_a_mask_that_allows_nothing_is_a_failure(processes):
    config = masked("ClosedAtTwo", processes=processes)
    environments = make_environments(config, ListedLevels([1, 2], 2), 2, 0)
    environments.reset()
    environments.step(np.array([ACTION, ACTION]))
    with pytest.raises(EnvironmentFailure) as caught:
        environments.step(np.array([ACTION, ACTION]))
    line = str(caught.value).partition("\n")[0]
    assert line.endswith(
        f"{config.name} gave an action mask that allows no choice of action branch 2 of 2"
    )
    environments.close()


def test_a_mask_that_is_missing_later_is_a_failure():
    environment = make_environment(masked("Forgetful"))
    environment.reset(seed=0)
    with pytest.raises(EnvironmentFailure, match="gave an action mask of 0 numbers for 5 choices"):
        environment.step(ACTION)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("Short", "offers an action mask of 4 numbers for 5 choices"),
        ("Reserved", "observes something named action_mask that isn't a mask of its actions"),
        ("ReservedImage", "observes something named action_mask that isn't a mask of its actions"),
    ],
)
def test_an_observation_that_is_no_mask_is_refused(form, message):
    config = masked(form)
    with pytest.raises(UserError) as caught:
        probe_spaces(config)
    assert caught.value.lines == [f"environment.name: {config.name} {message}"]


def test_a_mask_of_none_allows_everything():
    environment = make_environment(masked("ByNone"))
    masks = [environment.reset(seed=0)[0][ACTION_MASK].tolist()]
    masks += [environment.step(ACTION)[0][ACTION_MASK].tolist() for _ in range(2)]
    assert masks == [[1] * 5, EXPECTED[1], [1] * 5]


def test_a_mask_that_only_steps_bring_is_used_where_the_config_asks_for_it():
    assert list(probe_spaces(masked("OnSteps")).observations) == ["vector"]
    environment = make_environment(masked("OnSteps", use_action_mask=True))
    for _ in range(2):
        masks = [environment.reset(seed=0)[0][ACTION_MASK].tolist()]
        masks += [environment.step(ACTION)[0][ACTION_MASK].tolist() for _ in range(2)]
        assert masks == [[1] * 5, *EXPECTED[1:]]


@pytest.mark.parametrize("form", [*FORMS, "Forgetful", "Short", "ByNone"])
def test_masks_can_be_ignored(form):
    ignoring = masked(form, use_action_mask=False)
    assert probe_spaces(ignoring).observations == {"vector": ((2,), "float32")}
    environment = make_environment(ignoring)
    assert list(environment.reset(seed=0)[0]) == ["vector"]
    assert list(environment.step(ACTION)[0]) == ["vector"]


def test_an_observation_that_is_no_mask_is_an_ordinary_one_where_masks_are_ignored():
    found = probe_spaces(masked("Reserved", use_action_mask=False)).observations
    assert found == {"vector": ((5 + 2,), "float32")}


@pytest.mark.parametrize("form", FORMS)
def test_a_demanded_mask_is_the_same(form):
    demanding = make_environment(masked(form, use_action_mask=True))
    assert demanding.reset(seed=4)[0][ACTION_MASK].tolist() == EXPECTED[0]
    assert demanding.step(ACTION)[0][ACTION_MASK].tolist() == EXPECTED[1]


@pytest.mark.parametrize(
    "keys",
    [
        {"type": "CartPole", "name": "CartPole-v1"},
        {"type": "Gymnasium", "name": "Acrobot-v1"},
        {"type": "Gymnasium", "name": scripted.name("MaskedContinuous")},
        {"type": "Minigrid", "name": "MiniGrid-Empty-5x5-v0"},
    ],
    ids=lambda keys: keys["name"],
)
def test_a_demanded_mask_that_isn_t_there_is_one_line(keys):
    with pytest.raises(UserError) as caught:
        probe_spaces(EnvironmentConfig(**keys, use_action_mask=True))
    assert caught.value.lines == [
        f"environment.use_action_mask: {keys['name']} offers no action mask; must be auto or false"
    ]


def test_wrappers_leave_the_mask_alone():
    keys = {"obs_stacks": 2, "last_action_to_obs": True, "last_reward_to_obs": True}
    config = masked("Info", **keys)
    assert probe_spaces(config).observations == {
        "vector": ((2 * 2 + 5 + 1,), "float32"),
        ACTION_MASK: ((5,), "uint8"),
    }
    environment = make_environment(config)
    masks = [environment.reset(seed=0)[0][ACTION_MASK].tolist()]
    masks += [environment.step(ACTION)[0][ACTION_MASK].tolist() for _ in range(2)]
    assert masks == EXPECTED


def test_after_skipped_frames_the_latest_mask_counts():
    environment = make_environment(masked("Info", frame_skip=2))
    assert environment.reset(seed=0)[0][ACTION_MASK].tolist() == EXPECTED[0]
    assert environment.step(ACTION)[0][ACTION_MASK].tolist() == EXPECTED[2]


def test_random_actions_respect_the_mask():
    spaces, generator = probe_spaces(masked("Info")), np.random.default_rng(0)
    observation = {ACTION_MASK: np.array(EXPECTED[1], np.uint8)}
    actions = [random_action(spaces, observation, generator).tolist() for _ in range(100)]
    assert {tuple(action) for action in actions} == {(1, 0), (1, 2)}


def test_a_truncated_episode_leaves_a_mask_as_well():
    config = EnvironmentConfig(type="Gymnasium", name=scripted.name("ShortTaxi"), processes=0)
    environments = make_environments(config, ListedLevels([5], 1), 1, 0)
    environments.reset()
    for _ in range(20):
        step = environments.step(np.array([[0]]))
    ((index, final),) = step.final_observations
    assert index == 0
    assert final[ACTION_MASK].tolist() == [1] * 6
    first = make_environment(config).reset(seed=5)[0]
    np.testing.assert_array_equal(step.observations[ACTION_MASK][0], first[ACTION_MASK])
