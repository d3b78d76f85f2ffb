"""Tests that training learns to copy an observation, the simplest of all tasks."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from ppo.run.member import Run
from tests.examples import ON_CPU, tiny_config
from trainer import PPOTrainer

LENGTH = 16


class Identity(gymnasium.Env):
    """Observations are one number per branch, one-hot; copying all of them earns 1 a step."""

    def __init__(self, branches):
        self.branches = branches
        self.observation_space = spaces.Box(0, 1, (sum(branches),), np.float32)
        discrete = len(branches) == 1
        self.action_space = (
            spaces.Discrete(branches[0]) if discrete else spaces.MultiDiscrete(branches)
        )

    def _observe(self):
        self.numbers = [int(self.np_random.integers(count)) for count in self.branches]
        parts = [
            np.eye(count, dtype=np.float32)[number]
            for count, number in zip(self.branches, self.numbers, strict=True)
        ]
        return np.concatenate(parts)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._observe(), {}

    def step(self, action):
        copied = np.atleast_1d(action) == np.array(self.numbers)
        return self._observe(), float(copied.mean()), False, False, {}


@pytest.fixture
def identity():
    """Registers the environment for one test."""
    names = []

    def register(branches):
        name = f"Identity{'x'.join(map(str, branches))}-v0"
        gymnasium.register(name, Identity, kwargs={"branches": branches}, max_episode_steps=LENGTH)
        names.append(name)
        return name

    yield register
    for name in names:
        del gymnasium.registry[name]


@pytest.mark.parametrize("share_parameters", [True, False])
@pytest.mark.parametrize("branches", [[4], [3, 2]])
def test_copying_observations_is_learned(identity, branches, share_parameters):
    config = tiny_config(
        environment={"type": "Gymnasium", "name": identity(branches)},
        model={"share_parameters": share_parameters},
        evaluation={"evaluate": True, "interval": 100, "seeds": {"num-seeds": 10}},
        trainer={
            "updates": 12,
            "num_workers": 8,
            "worker_steps": 32,
            "epochs": 4,
            "gamma": 0.5,
            "learning_rate_schedule": {"initial": 1e-2, "final": 1e-3},
        },
    )
    first = []
    with PPOTrainer([Run(config, 3)], ON_CPU) as trainer:
        trainer.run(lambda progress: first.append(progress.returns[0]))
        history = trainer.return_histories[0]
    chance = LENGTH * sum(1 / count for count in branches) / len(branches)
    assert first[0] < chance + 3, "an untrained policy knows nothing yet"
    assert history.final >= 0.99 * LENGTH
