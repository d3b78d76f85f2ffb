"""Plays environments with random actions, and compares the results."""

import copy

import numpy as np


def random_actions(environments, generator):
    """Return random actions (E, action_size), uniform in each branch or within bounds."""
    spaces, count = environments.spaces, len(environments)
    if spaces.branches:
        return generator.integers(spaces.branches, size=(count, len(spaces.branches)))
    low, high = np.array(spaces.bounds).T
    return generator.uniform(low, high, (count, len(low))).astype(np.float32)


def record(environments, steps, seed=1):
    """Return copies of the steps of random actions."""
    generator = np.random.default_rng(seed)
    return [
        copy.deepcopy(environments.step(random_actions(environments, generator)))
        for _ in range(steps)
    ]


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
        assert len(step.final_observations) == len(other.final_observations)
        for (index, final), (other_index, other_final) in zip(
            step.final_observations, other.final_observations, strict=True
        ):
            assert index == other_index
            assert_same_observations(final, other_final)
