"""Episodes follow each other within a step, in this process and in worker processes."""

import copy

import numpy as np
import pytest

from environments import EnvironmentFailure, EpisodeState, make_environments
from environments.levels import ListedLevels, RandomLevels
from environments.vector import random_action
from schema.environment import EnvironmentConfig
from tests.environments import scripted


def build(identifier, levels, count, processes, worker_id=0, **keys):
    config = EnvironmentConfig(
        type="Gymnasium", name=scripted.name(identifier), processes=processes, **keys
    )
    return make_environments(config, levels, count, worker_id)


@pytest.fixture(params=[0, 2], ids=["in process", "two processes"])
def processes(request):
    return request.param


def listed(count):
    return ListedLevels(list(range(100, 120)), count)


def ones(environments):
    return np.ones((len(environments), environments.spaces.action_size), np.int64)


def record(environments, steps, generator):
    """Return copies of the steps of random actions."""
    found = []
    for _ in range(steps):
        actions = random_actions(environments.spaces, generator, len(environments))
        found.append(copy.deepcopy(environments.step(actions)))
    return found


def random_actions(spaces, generator, count):
    return np.stack([random_action(spaces, {}, generator) for _ in range(count)])


def assert_same_observations(found, expected):
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert array.dtype == expected[name].dtype
        np.testing.assert_array_equal(array, expected[name])


def assert_same_steps(found, expected):
    for step, other in zip(found, expected, strict=True):
        assert_same_observations(step.observations, other.observations)
        for name in ("rewards", "terminated", "truncated"):
            np.testing.assert_array_equal(getattr(step, name), getattr(other, name))
        assert step.episodes == other.episodes
        assert [i for i, _ in step.final_observations] == [i for i, _ in other.final_observations]
        for (_, final), (_, other_final) in zip(
            step.final_observations, other.final_observations, strict=True
        ):
            assert_same_observations(final, other_final)


def test_the_first_observation_is_that_of_the_first_level(processes):
    environments = build("ScriptTerminated", listed(3), 3, processes)
    assert len(environments) == 3
    observations = environments.reset()
    assert observations["vector"].tolist() == [[100, 0, -1], [101, 0, -1], [102, 0, -1]]
    environments.close()


def test_a_terminated_episode_is_followed_by_the_next(processes):
    environments = build("ScriptTerminated", listed(2), 2, processes)
    environments.reset()
    for _ in range(2):
        step = environments.step(ones(environments))
        assert not step.terminated.any()
        assert step.episodes == []
    step = environments.step(ones(environments))
    assert step.observations["vector"].tolist() == [[102, 0, -1], [103, 0, -1]]
    assert step.rewards.tolist() == [3, 3]
    assert step.terminated.tolist() == [True, True]
    assert step.truncated.tolist() == [False, False]
    assert step.final_observations == []
    environments.close()


def test_statistics_hold_every_number_that_was_reported(processes):
    environments = build("ScriptTerminated", listed(2), 2, processes)
    environments.reset()
    for _ in range(3):
        step = environments.step(ones(environments))
    expected = {"return": 6.0, "length": 3.0, "score": 0.5, "won": 1.0, "count": 7.0}
    assert step.episodes == [(0, expected), (1, expected)]
    assert all(type(value) is float for value in step.episodes[0][1].values())
    environments.close()


def test_a_truncated_episode_leaves_its_final_observation(processes):
    environments = build("ScriptTruncated", listed(2), 2, processes)
    environments.reset()
    for _ in range(3):
        step = environments.step(ones(environments))
    assert step.truncated.tolist() == [True, True]
    assert step.terminated.tolist() == [False, False]
    assert step.observations["vector"].tolist() == [[102, 0, -1], [103, 0, -1]]
    finals = [(index, final["vector"].tolist()) for index, final in step.final_observations]
    assert finals == [(0, [100, 3, 1]), (1, [101, 3, 1])]
    environments.close()


def test_the_time_limit_truncates(processes):
    environments = build("ScriptTimeLimit", listed(1), 1, processes)
    environments.reset()
    environments.step(ones(environments))
    step = environments.step(ones(environments))
    assert step.truncated.tolist() == [True]
    assert step.final_observations[0][1]["vector"].tolist() == [100, 2, 1]
    environments.close()


def test_an_episode_both_terminated_and_truncated_has_terminated(processes):
    environments = build("ScriptBoth", listed(1), 1, processes)
    environments.reset()
    for _ in range(3):
        step = environments.step(ones(environments))
    assert (step.terminated.tolist(), step.truncated.tolist()) == ([True], [False])
    assert step.final_observations == []
    environments.close()


def test_observations_are_those_of_the_wrapped_environment(processes):
    environments = build("ScriptTruncated", listed(1), 1, processes, last_reward_to_obs=True)
    environments.reset()
    step = environments.step(ones(environments))
    assert step.observations["vector"].tolist() == [[100, 1, 1, 1]]
    environments.step(ones(environments))
    step = environments.step(ones(environments))
    assert step.observations["vector"].tolist() == [[101, 0, -1, 0]]
    assert step.final_observations[0][1]["vector"].tolist() == [100, 3, 1, 3]
    environments.close()


def test_worker_ids_count_up_from_the_first(processes):
    environments = build("WorkerId", listed(5), 5, processes, worker_id=30)
    assert environments.reset()["vector"][:, 0].tolist() == [30, 31, 32, 33, 34]
    environments.close()


CONFIGS = [
    EnvironmentConfig(
        type="Gymnasium",
        name=scripted.name("Random"),
        obs_stacks=2,
        last_action_to_obs=True,
        last_reward_to_obs=True,
    ),
    EnvironmentConfig(type="CartPole", name="CartPole-v1"),
    EnvironmentConfig(name="MiniGrid-Dynamic-Obstacles-5x5-v0"),
    EnvironmentConfig(name="MiniGrid-Empty-5x5-v0", visual_observation=True, frame_skip=2),
    EnvironmentConfig(
        type="Gymnasium", name=scripted.name("ShortPendulum"), last_action_to_obs=True
    ),
    EnvironmentConfig(type="Gymnasium", name=scripted.name("ShortTaxi"), obs_stacks=2),
]
NAMED = pytest.mark.parametrize("config", CONFIGS, ids=[config.name for config in CONFIGS])


def of_config(config, processes, count=5):
    levels = RandomLevels(list(range(50, 50 + count)), 1000, 0)
    placed = config.model_copy(update={"backend": "gymnasium", "processes": processes})
    return make_environments(placed, levels, count, 0)


@NAMED
def test_processes_change_nothing(config):
    outcomes = []
    for processes in (0, 1, 3, None):
        environments = of_config(config, processes)
        first = copy.deepcopy(environments.reset())
        outcomes.append((first, record(environments, 120, np.random.default_rng(1))))
        environments.close()
    assert sum(len(step.episodes) for step in outcomes[0][1]) > 5
    for first, steps in outcomes[1:]:
        assert_same_observations(first, outcomes[0][0])
        assert_same_steps(steps, outcomes[0][1])


@NAMED
def test_an_environment_does_not_depend_on_its_neighbours(config):
    alone, among = of_config(config, 0, count=1), of_config(config, 0, count=4)
    alone.reset()
    among.reset()
    generator = np.random.default_rng(1)
    for _ in range(80):
        actions = random_actions(alone.spaces, generator, 4)
        step, other = alone.step(actions[:1]), among.step(actions)
        assert step.rewards[0] == other.rewards[0]
        for name, array in step.observations.items():
            np.testing.assert_array_equal(array[0], other.observations[name][0])


@NAMED
@pytest.mark.parametrize(("saver", "restorer"), [(0, 0), (2, 2), (0, 3), (3, 0)])
def test_a_restored_environment_continues_like_the_original(config, saver, restorer):
    original, restored = of_config(config, saver), of_config(config, restorer)
    original.reset()
    steps = record(original, 37, np.random.default_rng(1))
    states = original.states()
    assert_same_observations(restored.restore(states), steps[-1].observations)
    for state, again in zip(states, restored.states(), strict=True):
        assert state.episode == again.episode
        assert state.resume_data.dtype == again.resume_data.dtype == original.spaces.action_type
        np.testing.assert_array_equal(state.resume_data, again.resume_data)
    expected = record(original, 80, np.random.default_rng(2))
    assert_same_steps(record(restored, 80, np.random.default_rng(2)), expected)
    original.close()
    restored.close()


def test_states_hold_the_present_episode_only(processes):
    environments = build("Random", listed(2), 2, processes)
    environments.reset()
    fresh = environments.states()
    assert [(state.episode, state.resume_data.shape) for state in fresh] == [
        (0, (0, 2)),
        (0, (0, 2)),
    ]
    environments.close()
    environments = build("ScriptTerminated", listed(1), 1, processes)
    environments.reset()
    for action in (0, 1, 2, 3, 2):
        environments.step(np.array([[action]]))
    (state,) = environments.states()
    assert state.episode == 1
    assert state.resume_data.dtype == np.int64
    assert state.resume_data.tolist() == [[3], [2]]
    environments.close()


def test_states_hold_continuous_actions_exactly(processes):
    environments = build("Unbounded", listed(2), 2, processes)
    environments.reset()
    taken = random_actions(environments.spaces, np.random.default_rng(1), 2 * 3)
    taken = taken.reshape(3, 2, 3)
    for actions in taken:
        environments.step(actions)
    for index, state in enumerate(environments.states()):
        assert state.resume_data.dtype == np.float32
        np.testing.assert_array_equal(state.resume_data, taken[:, index])
    environments.close()


def test_an_episode_that_ends_during_its_replay_is_reported(processes):
    environments = build("ScriptTerminated", listed(1), 1, processes)
    impossible = EpisodeState(0, np.zeros((5, 1), np.int64))
    with pytest.raises(EnvironmentFailure, match="environment 0 can't be restored"):
        environments.restore([impossible])
    environments.close()
