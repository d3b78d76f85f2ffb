"""Compiled environments step as Gymnasium's do from the same states."""

import copy

import gymnasium
import numpy as np
import pytest

from environments import make_environments
from environments.levels import RandomLevels
from schema.environment import EnvironmentConfig
from tests.environments.playing import assert_same_steps, random_actions, record

pytest.importorskip("numba")

from environments.compiled.vector import CompiledEnvironments
from numerics.compiler import entry
from numerics.random import uniform

CARTPOLE = EnvironmentConfig(type="CartPole", name="CartPole-v1")
POSITIONS = EnvironmentConfig(type="CartPole", name="CartPole-v0", mask_velocities=True)
OTHERS = ("MountainCar-v0", "MountainCarContinuous-v0", "Acrobot-v1", "Pendulum-v1")
# For each task, a state from which every action leads to an end.
LAST = {
    "CartPole-v0": (2.39, 3.0, 0.0, 0.0),
    "CartPole-v1": (0.0, 0.0, -0.2, -3.0),
    "MountainCar-v0": (0.49, 0.05),
    "MountainCarContinuous-v0": (0.44, 0.06),
    "Acrobot-v1": (3.0, 0.1, 0.0, 0.0),
}
CONFIGS = [CARTPOLE, POSITIONS, *(EnvironmentConfig(type="Gymnasium", name=n) for n in OTHERS)]
NAMED = pytest.mark.parametrize("config", CONFIGS, ids=[config.name for config in CONFIGS])


def build(config, count=4, seeds=None):
    seeds = list(range(50, 50 + count)) if seeds is None else seeds
    built = make_environments(config, RandomLevels(seeds), len(seeds), 0)
    assert isinstance(built, CompiledEnvironments)
    return built


@NAMED
def test_every_step_equals_gymnasium_s(config):
    environments = build(config, 3)
    observed = environments.reset()["vector"].copy()
    generator, limit = np.random.default_rng(0), environments.worlds.limit
    single = gymnasium.make(config.name).unwrapped
    single.reset(seed=0)
    lengths, totals, ends = np.zeros(3), np.zeros(3), 0
    for number in range(520):
        if number == 5 and config.name in LAST:
            environments.worlds.states[0] = LAST[config.name]
        states = environments.worlds.states.copy()
        actions = random_actions(environments, generator)
        step = environments.step(actions)
        lengths += 1
        for index in range(3):
            single.state = states[index]
            # Gymnasium's environment remembers that it has ended.
            single.steps_beyond_terminated = None
            action = actions[index, 0] if environments.spaces.branches else actions[index]
            observation, reward, terminated, _, _ = single.step(action)
            if config.mask_velocities:
                observation = observation[::2]
            totals[index] += reward
            assert step.rewards[index] == pytest.approx(reward, rel=1e-6)
            assert step.terminated[index] == terminated
            cut_off = not terminated and lengths[index] == limit
            assert step.truncated[index] == cut_off
            seen = step.observations["vector"][index]
            if cut_off:
                seen = dict(step.final_observations)[index]["vector"]
            if cut_off or not terminated:
                np.testing.assert_allclose(seen, observation, rtol=1e-5, atol=1e-6)
            if cut_off or terminated:
                statistics = dict(step.episodes)[index]
                assert statistics["length"] == lengths[index]
                assert statistics["return"] == pytest.approx(totals[index], rel=1e-6)
                lengths[index] = totals[index] = 0
                ends += 1
            else:
                assert index not in dict(step.episodes)
        observed = step.observations["vector"]
        if number == 5:
            assert step.terminated[0] == (config.name in LAST)
    assert ends > 0
    assert observed.shape == (3, *environments.spaces.observations["vector"][0])


@NAMED
def test_initial_states_are_distributed_as_gymnasium_s(config):
    """Compare the least, greatest and mean initial states with those of many resets."""
    environments = build(config, 2000)
    environments.reset()
    single = gymnasium.make(config.name).unwrapped
    expected = np.array([(single.reset(seed=seed), single.state)[1] for seed in range(2000)])
    found = environments.worlds.states
    width = np.ptp(expected, axis=0)
    for summary in (np.min, np.max, np.mean, np.std):
        difference = np.abs(summary(found, 0) - summary(expected, 0))
        assert (difference <= 0.05 * width + 1e-12).all()
    # No two environments or episodes share an initial state.
    assert len(np.unique(found[:, 0])) == 2000


def test_an_environment_depends_on_its_seed_alone():
    alone, among = build(CARTPOLE, seeds=[7]), build(CARTPOLE, seeds=[3, 7, 2**62])
    assert (alone.reset()["vector"][0] == among.reset()["vector"][1]).all()
    generator = np.random.default_rng(2)
    for _ in range(100):
        actions = random_actions(among, generator)
        step, other = alone.step(actions[1:2]), among.step(actions)
        np.testing.assert_array_equal(
            step.observations["vector"][0], other.observations["vector"][1]
        )
        assert step.terminated[0] == other.terminated[1]
    assert len(set(other.observations["vector"][:, 0].tolist())) == 3


@NAMED
def test_a_state_leads_to_the_same_steps(config):
    first = build(config)
    first.reset()
    record(first, 230)
    states = copy.deepcopy(first.states())
    second = build(config)
    observed = second.restore(states)["vector"].copy()
    np.testing.assert_array_equal(observed, first.observations["vector"])
    assert_same_steps(record(second, 250), record(first, 250))


def test_the_config_s_step_limit_applies():
    environments = build(CARTPOLE.model_copy(update={"max_episode_steps": 3}))
    environments.reset()
    steps = record(environments, 6)
    assert [step.truncated.all() for step in steps] == [False, False, True] * 2
    assert all(len(final["vector"]) == 4 for _, final in steps[2].final_observations)
    assert [index for index, _ in steps[5].final_observations] == [0, 1, 2, 3]


def splitmix(seed):
    """Return SplitMix64's numbers for a seed, computed with Python's integers."""
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) % 2**64
        bits = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) % 2**64
        yield bits ^ (bits >> 31)


def test_random_numbers_equal_splitmix64():
    @entry
    def numbers(seed, count):
        return [uniform(seed, number, -1.0, 3.0) for number in range(count)]

    for seed in (0, 1, 2**63 - 1):
        expected = [
            -1 + 4 * (bits >> 11) / 2**53
            for bits, _ in zip(splitmix(seed), range(50), strict=False)
        ]
        assert numbers(np.uint64(seed), 50) == pytest.approx(expected, rel=1e-15)
    # Numbers published with the reference implementation.
    generator = splitmix(1234567)
    assert next(generator) == 6457827717110365317
