"""EnvPool's environments follow the interface, and play like Gymnasium's."""

import copy

import gymnasium
import numpy as np
import pytest

from environments import EnvironmentFailure, EpisodeState, make_environments, probe_spaces
from environments.gymnasium.in_process import InProcessEnvironments
from environments.levels import ListedLevels, RandomLevels
from schema.environment import EnvironmentConfig
from tests.environments.playing import (
    assert_same_observations,
    assert_same_steps,
    random_actions,
    record,
)

pytest.importorskip("envpool")

from environments.envpool.vector import EnvPoolEnvironments

CARTPOLE = EnvironmentConfig(type="CartPole", name="CartPole-v1")
MASKED = EnvironmentConfig(type="CartPole", name="CartPole-v0", mask_velocities=True)
MOUNTAIN_CAR = EnvironmentConfig(type="Gymnasium", name="MountainCar-v0")
LAVA = EnvironmentConfig(name="MiniGrid-LavaGapS5-v0")
PIXELS = EnvironmentConfig(name="BabyAI-GoToLocalS5N2-v0", visual_observation=True)
CONFIGS = [CARTPOLE, MASKED, MOUNTAIN_CAR, LAVA, PIXELS]
NAMED = pytest.mark.parametrize("config", CONFIGS, ids=[config.name for config in CONFIGS])


def build(config, count=4, seeds=None):
    seeds = list(range(50, 50 + count)) if seeds is None else seeds
    demanded = config.model_copy(update={"backend": "envpool"})
    built = make_environments(demanded, RandomLevels(seeds, 1000, 0), len(seeds), 0)
    assert isinstance(built, EnvPoolEnvironments)
    return built


def assert_same_but_for_rounded_returns(step, expected):
    """Compare returns in float32, the precision of EnvPool's rewards."""
    for (_, statistics), (_, exact) in zip(step.episodes, expected.episodes, strict=True):
        assert statistics["return"] == pytest.approx(exact["return"], rel=1e-6)
        exact["return"] = statistics["return"]
    assert_same_steps([step], [expected])


@NAMED
def test_observations_have_the_promised_names_shapes_and_types(config):
    environments = build(config)
    assert environments.spaces == probe_spaces(config)
    assert environments.backend == "envpool"
    assert len(environments) == 4
    step_observations = []
    environments.reset()
    for step in record(environments, 250):
        step_observations.append(step.observations)
        assert step.rewards.dtype == np.float32
        assert step.terminated.dtype == step.truncated.dtype == bool
        for _, final in step.final_observations:
            found = {name: (array.shape, array.dtype.name) for name, array in final.items()}
            assert found == environments.spaces.observations
    for observations in step_observations:
        found = {name: (array.shape[1:], array.dtype.name) for name, array in observations.items()}
        assert found == environments.spaces.observations
        assert all(len(array) == 4 for array in observations.values())


@NAMED
def test_an_environment_depends_on_its_seed_alone(config):
    alone, among = build(config, seeds=[7]), build(config, seeds=[3, 4, 7, 7, 5])
    first, others = alone.reset(), among.reset()
    differs = False
    generator = np.random.default_rng(1)
    ends = 0
    for _ in range(300):
        for name, array in first.items():
            np.testing.assert_array_equal(array[0], others[name][2])
            np.testing.assert_array_equal(array[0], others[name][3])
            differs |= not np.array_equal(array[0], others[name][0])
        # The neighbours act differently, so their episodes end at other times.
        actions = random_actions(among, generator)
        actions[3] = actions[2]
        step, other = alone.step(actions[2:3]), among.step(actions)
        first, others = step.observations, other.observations
        assert step.rewards[0] == other.rewards[2] == other.rewards[3]
        ends += int(step.terminated[0] | step.truncated[0])
    assert differs
    assert ends > 0


@NAMED
def test_a_second_reset_starts_again(config):
    environments = build(config)
    first = copy.deepcopy(environments.reset())
    steps = record(environments, 60)
    assert_same_observations(environments.reset(), first)
    assert_same_steps(record(environments, 60), steps)


def test_an_end_is_followed_by_the_next_episode_within_the_step():
    environments = build(CARTPOLE, 6)
    environments.reset()
    lengths = np.zeros(6)
    ended = 0
    for _ in range(200):
        step = environments.step(np.ones((6, 1), np.int64))
        lengths += 1
        assert not step.truncated.any()
        assert [index for index, _ in step.episodes] == np.flatnonzero(step.terminated).tolist()
        for index, statistics in step.episodes:
            assert statistics == {"return": lengths[index], "length": lengths[index]}
            # CartPole starts within 0.05 of 0, and the pole falls at an angle above 0.2.
            assert np.abs(step.observations["vector"][index]).max() <= 0.05
            lengths[index] = 0
            ended += 1
        assert np.abs(step.observations["vector"][:, 2]).max() < 0.2096
        assert step.final_observations == []
    # Pushed to the right only, the pole falls in 8 to 10 steps. No step only resets.
    assert 6 * 200 // 11 <= ended <= 6 * 200 // 8


def test_truncation_leaves_the_final_observation():
    environments = build(MOUNTAIN_CAR, 3)
    before = environments.reset()["vector"].copy()
    car = gymnasium.make("MountainCar-v0").unwrapped
    car.reset(seed=0)
    for number in range(1, 401):
        # Without pushes, the car never arrives.
        step = environments.step(np.ones((3, 1), np.int64))
        assert not step.terminated.any()
        assert step.truncated.tolist() == [number % 200 == 0] * 3
        if number % 200:
            assert step.episodes == step.final_observations == []
        else:
            statistics = {"return": -200.0, "length": 200.0}
            assert step.episodes == [(index, statistics) for index in range(3)]
            assert [index for index, _ in step.final_observations] == [0, 1, 2]
            for index, final in step.final_observations:
                car.state = before[index].astype(np.float64)
                expected = car.step(1)[0]
                np.testing.assert_allclose(final["vector"], expected, atol=1e-6)
                first = step.observations["vector"][index]
                assert first[1] == 0
                assert -0.6 <= first[0] <= -0.4
        before = step.observations["vector"].copy()


def balance(observations):
    """Return actions that keep CartPole's pole upright for a long time."""
    _, _, angle, speed = observations["vector"].T
    return (angle + 0.5 * speed > 0).astype(np.int64)[:, np.newaxis]


def test_cartpole_is_truncated_at_its_own_limit():
    environments = build(CARTPOLE, 8)
    observations = environments.reset()
    lengths = []
    for _ in range(501):
        step = environments.step(balance(observations))
        observations = step.observations
        lengths += [
            statistics["length"] for index, statistics in step.episodes if step.truncated[index]
        ]
    assert set(lengths) == {500.0}


def test_an_end_at_the_time_limit_is_a_real_one():
    """Let the pole fall exactly at the limit."""
    # Balance, then let the pole fall at step 200 of CartPole-v0, its limit: a fall that
    # starts at step k ends some steps later, so one of several k meets the limit.
    found = []
    for begin in range(175, 198):
        environments = build(EnvironmentConfig(type="CartPole", name="CartPole-v0"), 8)
        observations = environments.reset()
        for number in range(200):
            actions = balance(observations) if number < begin else np.ones((8, 1), np.int64)
            step = environments.step(actions)
            observations = step.observations
        for index, statistics in step.episodes:
            assert statistics["length"] <= 200
            if statistics["length"] == 200:
                found.append(bool(step.terminated[index]))
                assert step.terminated[index] != step.truncated[index]
    assert True in found
    assert False in found


def test_a_goal_reached_with_the_last_step_is_a_real_end():
    environments = build(EnvironmentConfig(name="MiniGrid-Empty-5x5-v0"), 2)
    environments.reset()
    # 95 steps without effect (action 6 does nothing), then the first environment walks to the goal.
    for _ in range(95):
        environments.step(np.array([[6], [6]]))
    for action in [2, 2, 1, 2, 2]:
        step = environments.step(np.array([[action], [6]]))
    assert step.terminated.tolist() == [True, False]
    assert step.truncated.tolist() == [False, True]
    assert [index for index, _ in step.final_observations] == [1]
    np.testing.assert_allclose(step.rewards, [0.1, 0], rtol=1e-6)
    assert [statistics["success"] for _, statistics in step.episodes] == [1.0, 0.0]


@NAMED
def test_a_restored_environment_continues_like_the_original(config):
    original, restored = build(config, 5), build(config, 5)
    original.reset()
    steps = record(original, 320)
    assert sum(len(step.episodes) for step in steps) > 3
    states = original.states()
    assert_same_observations(restored.restore(states), steps[-1].observations)
    for state, again in zip(states, restored.states(), strict=True):
        assert (state.episode, again.episode) == (0, 0)
        assert state.resume_data.shape == (320, 1)
        assert state.resume_data.dtype == again.resume_data.dtype == np.uint8
        np.testing.assert_array_equal(state.resume_data, again.resume_data)
    assert_same_steps(record(restored, 320, seed=2), record(original, 320, seed=2))


@NAMED
def test_a_part_of_the_environments_can_be_restored_elsewhere(config):
    original = build(config, seeds=[1, 2, 3, 4])
    original.reset()
    last = record(original, 150)[-1].observations
    elsewhere = build(config, seeds=[9, 3]).restore
    with pytest.raises(AssertionError):
        elsewhere(original.states())
    part = build(config, seeds=[3, 2])
    states = original.states()
    restored = part.restore([states[2], states[1]])
    assert_same_observations(restored, {name: array[[2, 1]] for name, array in last.items()})


def test_fresh_environments_can_be_restored():
    original, restored = build(CARTPOLE), build(CARTPOLE)
    expected = copy.deepcopy(original.reset())
    assert [state.resume_data.shape for state in original.states()] == [(0, 1)] * 4
    assert_same_observations(restored.restore(original.states()), expected)


def test_later_steps_do_not_change_states():
    environments = build(CARTPOLE, 1)
    environments.reset()
    environments.step(np.array([[1]]))
    (state,) = environments.states()
    environments.reset()
    environments.step(np.array([[0]]))
    assert state.resume_data.tolist() == [[1]]


def test_states_of_unequal_length_are_refused():
    states = [EpisodeState(0, np.zeros((length, 1), np.uint8)) for length in (2, 3)]
    with pytest.raises(EnvironmentFailure, match="different numbers of steps"):
        build(CARTPOLE, 2).restore(states)


def test_closed_environments_cannot_be_stepped():
    environments = build(CARTPOLE, 2)
    environments.reset()
    environments.close()
    environments.close()
    with pytest.raises(EnvironmentFailure, match="closed"):
        environments.step(np.zeros((2, 1), np.int64))


def test_listed_levels_are_played_by_gymnasium():
    built = make_environments(LAVA, ListedLevels([0, 1], 2), 2, 0)
    assert built.backend == "gymnasium"
    assert built.backend == "gymnasium"


FIXED = [
    "MiniGrid-Empty-5x5-v0",
    "MiniGrid-Empty-6x6-v0",
    "MiniGrid-Empty-8x8-v0",
    "MiniGrid-Empty-16x16-v0",
    "MiniGrid-DistShift1-v0",
    "MiniGrid-DistShift2-v0",
]


@pytest.mark.parametrize("visual", [False, True], ids=["one-hot", "pixels"])
@pytest.mark.parametrize("name", FIXED)
def test_a_fixed_layout_is_the_same_step_by_step(name, visual):
    config = EnvironmentConfig(name=name, visual_observation=visual)
    envpool_environments = build(config, 3)
    original = InProcessEnvironments(config, RandomLevels([1, 2, 3]), 3, 0)
    assert_same_observations(envpool_environments.reset(), original.reset())
    generator = np.random.default_rng(4)
    ends = {"terminated": 0, "truncated": 0}
    limit = gymnasium.make(name).unwrapped.max_steps
    for number in range(2 * limit + 50):
        # Mostly forward, so that the agent gets somewhere; the third environment only turns.
        actions = generator.integers(7, size=(3, 1))
        actions[:2] = np.where(generator.random((2, 1)) < 0.5, 2, actions[:2])
        actions[2] = number % 2
        step, expected = envpool_environments.step(actions), original.step(actions)
        assert_same_but_for_rounded_returns(step, expected)
        ends["terminated"] += int(step.terminated.sum())
        ends["truncated"] += int(step.truncated.sum())
    assert min(ends.values()) > 0, ends


class SameLevels:
    """Levels for an original: those that a pool plays, recognised by their first observations.

    Args:
        config: an environment with few levels, each with a first observation of its own.
        count: the number of environments.
    """

    def __init__(self, config, count):
        self.levels = [[] for _ in range(count)]
        original = InProcessEnvironments(config, RandomLevels(range(64)), 64, 0)
        self._known = {
            first.tobytes(): RandomLevels(range(64))(index, 0)
            for index, first in enumerate(original.reset()["vector"])
        }

    def note(self, observations, begun):
        """Record the levels that the environments of these indices started."""
        for index in begun:
            first = observations["vector"][index].tobytes()
            self.levels[index].append(self._known[first])

    def __call__(self, environment, episode):
        return self.levels[environment][episode]


def test_levels_with_lava_are_the_same_step_by_step():
    """Include a death exactly at the limit, which no reward shows."""
    count = 24
    same = SameLevels(LAVA, count)
    envpool_environments = build(LAVA, count)
    first = envpool_environments.reset()
    same.note(first, range(count))
    original = InProcessEnvironments(LAVA, same, count, 0)
    assert_same_observations(first, original.reset())
    generator = np.random.default_rng(5)
    late = 0
    for number in range(1, 701):
        # The first half idles until the limit, and then walks forward.
        actions = generator.choice([0, 1, 2, 2], (count, 1))
        actions[: count // 2] = 2 if number % 100 == 0 else 6
        step = envpool_environments.step(actions)
        ended = step.terminated | step.truncated
        same.note(step.observations, np.flatnonzero(ended))
        late += sum(
            statistics["length"] == 100 and bool(step.terminated[index])
            for index, statistics in step.episodes
        )
        assert_same_but_for_rounded_returns(step, original.step(actions))
    assert late > 10


SEEN = {
    "MiniGrid-DoorKey-5x5-v0": True,
    "MiniGrid-DistShift1-v0": False,
    "MiniGrid-Fetch-5x5-N2-v0": False,
    "MiniGrid-MemoryS7-v0": False,
    "MiniGrid-Playground-v0": True,
    "BabyAI-PutNextLocal-v0": True,
    "BabyAI-UnlockLocal-v0": True,
}


@pytest.mark.parametrize(("name", "carries"), SEEN.items())
def test_pictures_equal_those_of_the_views(name, carries):
    """Draw everything that is seen or carried as the original draws it."""
    from environments.suites import minigrid_view
    from environments.suites.minigrid_suite import draw_many

    grid_world = gymnasium.make(name).unwrapped
    grid_world.reset(seed=0)
    generator = np.random.default_rng(0)
    views, expected, carried = [], [], 0
    for number in range(300):
        views.append(grid_world.gen_obs()["image"].copy())
        expected.append(minigrid_view.render(grid_world, 12))
        carried += grid_world.carrying is not None
        ended = grid_world.step(int(generator.choice([0, 1, 2, 2, 2, 3, 3, 5, 5])))[2:4]
        if any(ended):
            grid_world.reset(seed=number)
    images = np.empty((300, 84, 84, 3), np.uint8)
    draw_many(np.stack(views), images)
    np.testing.assert_array_equal(images, np.stack(expected))
    assert (carried > 0) == carries


def play(environments, steps, seed):
    """Return the episodes' returns and lengths, and each environment's mean observation."""
    generator = np.random.default_rng(seed)
    observations = environments.reset()
    total = np.zeros(observations["vector"].shape)
    episodes = []
    for _ in range(steps):
        total += observations["vector"]
        actions = random_actions(environments, generator)
        if environments.spaces.branches == (7,):
            actions = np.where(generator.random(actions.shape) < 0.4, 2, actions)
        step = environments.step(actions)
        observations = step.observations
        episodes += [
            (episode["return"], episode["length"], episode.get("success", 0.0))
            for _, episode in step.episodes
        ]
    return np.array(episodes), total / steps


def standard_errors(first, second):
    """Return the difference of the means of each column, in standard errors."""
    assert min(len(first), len(second)) > 1
    variance = first.var(0, ddof=1) / len(first) + second.var(0, ddof=1) / len(second)
    difference = np.abs(first.mean(0) - second.mean(0))
    # Constant columns must be equal.
    certain = np.where(difference < 1e-6, 0.0, np.inf)
    return np.where(variance > 1e-12, difference / np.sqrt(np.maximum(variance, 1e-12)), certain)


STATISTICS = [
    ("CartPole", "CartPole-v1", 300),
    pytest.param("Gymnasium", "Acrobot-v1", 520, marks=pytest.mark.long),
    pytest.param("Gymnasium", "MountainCar-v0", 250, marks=pytest.mark.long),
    ("Minigrid", "MiniGrid-Empty-Random-6x6-v0", 300),
    ("Minigrid", "MiniGrid-DoorKey-5x5-v0", 300),
    pytest.param("Minigrid", "MiniGrid-LavaGapS5-v0", 200, marks=pytest.mark.long),
    ("Minigrid", "MiniGrid-MemoryS7-v0", 300),
    ("Minigrid", "MiniGrid-FourRooms-v0", 150),
    ("Minigrid", "MiniGrid-Dynamic-Obstacles-5x5-v0", 150),
    pytest.param("Minigrid", "MiniGrid-Fetch-5x5-N2-v0", 150, marks=pytest.mark.long),
    pytest.param("Minigrid", "BabyAI-GoToRedBallGrey-v0", 150, marks=pytest.mark.long),
    ("Minigrid", "BabyAI-PickupLoc-v0", 150),
]


@pytest.mark.parametrize(("suite", "name", "steps"), STATISTICS)
def test_random_play_has_the_same_statistics(suite, name, steps):
    config = EnvironmentConfig(type=suite, name=name)
    count = 48
    envpool_environments = build(config, count)
    levels = RandomLevels(list(range(1000, 1000 + count)), 1000, 0)
    original = InProcessEnvironments(config, levels, count, 0)
    assert envpool_environments.spaces == original.spaces
    episodes, means = play(envpool_environments, steps, 1)
    expected_episodes, expected_means = play(original, steps, 2)
    if len(expected_episodes) > 20:
        assert standard_errors(episodes, expected_episodes).max() < 4
    # The largest of up to 980 values exceeds 4 now and then.
    assert standard_errors(means, expected_means).max() < 5.5


@pytest.mark.parametrize(
    ("name", "state_of"),
    [
        ("CartPole-v1", lambda observed: observed),
        ("MountainCar-v0", lambda observed: observed),
        (
            "Acrobot-v1",
            lambda observed: np.array(
                [
                    np.arctan2(observed[1], observed[0]),
                    np.arctan2(observed[3], observed[2]),
                    *observed[4:],
                ]
            ),
        ),
    ],
)
def test_classics_have_the_same_dynamics(name, state_of):
    environments = build(EnvironmentConfig(type="Gymnasium", name=name), 4)
    original = gymnasium.make(name).unwrapped
    original.reset(seed=0)
    generator = np.random.default_rng(0)
    observed = environments.reset()["vector"].copy()
    for _ in range(150):
        actions = random_actions(environments, generator)
        step = environments.step(actions)
        for index in range(4):
            original.state = state_of(observed[index].astype(np.float64))
            original.steps_beyond_terminated = None  # CartPole's
            expected = original.step(int(actions[index, 0]))
            assert step.rewards[index] == expected[1]
            assert step.terminated[index] == expected[2]
            if not step.terminated[index] and not step.truncated[index]:
                found = step.observations["vector"][index]
                np.testing.assert_allclose(found, expected[0], atol=2e-6)
        observed = step.observations["vector"].copy()


def test_masked_cartpole_hides_the_velocities_of_the_same_episode():
    whole, masked = build(CARTPOLE, seeds=[1, 2]), build(MASKED, seeds=[1, 2])
    all_values, positions = whole.reset(), masked.reset()
    generator = np.random.default_rng(0)
    for _ in range(60):
        np.testing.assert_array_equal(all_values["vector"][:, [0, 2]], positions["vector"])
        actions = random_actions(whole, generator)
        all_values = whole.step(actions).observations
        positions = masked.step(actions).observations
