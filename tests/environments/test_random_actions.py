"""Random actions for measurements are valid actions."""

import numpy as np

from environments.interface import Spaces
from environments.vector import random_action


def many(spaces, count=2000):
    generator = np.random.default_rng(0)
    return np.stack([random_action(spaces, {}, generator) for _ in range(count)])


def test_discrete_actions_cover_every_branch():
    actions = many(Spaces({}, branches=(3, 2)))
    assert actions.dtype == np.int64
    assert np.unique(actions, axis=0).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 1]]


def test_continuous_actions_are_uniform_within_their_bounds():
    actions = many(Spaces({}, bounds=((-2.0, 2.0), (5.0, 6.0))))
    assert actions.dtype == np.float32
    np.testing.assert_allclose(actions.min(0), [-2, 5], atol=0.02)
    np.testing.assert_allclose(actions.max(0), [2, 6], atol=0.02)
    np.testing.assert_allclose(actions.std(0), np.array([4, 1]) / np.sqrt(12), rtol=0.05)


def test_actions_without_bounds_are_normal_and_clipped_to_a_single_bound():
    infinite = float("inf")
    actions = many(Spaces({}, bounds=((-infinite, infinite), (0.5, infinite))))
    np.testing.assert_allclose(actions[:, 0].mean(), 0, atol=0.1)
    np.testing.assert_allclose(actions[:, 0].std(), 1, rtol=0.05)
    assert actions[:, 1].min() == 0.5
    assert actions[:, 1].max() > 2
