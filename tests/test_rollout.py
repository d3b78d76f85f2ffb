import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from networks.distributions import MultiCategorical
from ppo.run.member import Run
from tests.examples import ON_CPU, tiny_config
from tests.test_gae import naive_advantages
from trainer import PPOTrainer

LENGTH = 5


class Counting(gymnasium.Env):
    """Observes [kind, time]; its kind says whether it terminates or is truncated after five steps."""

    observation_space = spaces.Box(-1, 10, (2,), np.float32)
    action_space = spaces.MultiDiscrete([3, 2])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.kind, self.time = seed % 2, 0
        return np.array([self.kind, 0], np.float32), {}

    def step(self, action):
        self.time += 1
        ended = self.time == LENGTH
        observation = np.array([self.kind, self.time], np.float32)
        reward = float(self.time + action[0] - action[1])
        return observation, reward, ended and self.kind == 0, ended and self.kind == 1, {}


@pytest.fixture
def sampled():
    """Yield a trainer of two members with one sampled rollout and its estimated advantages."""
    gymnasium.register("Counting-v0", Counting)
    environment = {"type": "Gymnasium", "name": "Counting-v0"}
    configs = [
        tiny_config(environment=environment, trainer={"gamma": gamma, "lamda": 0.8})
        for gamma in (0.9, 0.5)
    ]
    with PPOTrainer([Run(config, seed) for seed, config in enumerate(configs)], ON_CPU) as it:
        it.sampler.sample(0)
        it.estimate_advantages()
        yield it
    del gymnasium.registry["Counting-v0"]


def value_of(trainer, member, kind, time):
    observed = torch.tensor([[kind, time]], dtype=torch.float32)
    return trainer.parts.population.each[member]({"vector": observed})[1].item()


def test_a_rollout_records_policy_and_environment(sampled):
    buffer = sampled.parts.buffer
    observed = buffer.observations["vector"].numpy()
    times = np.arange(buffer.steps) % LENGTH
    assert (observed[..., 1] == times[None, :, None]).all()
    assert (buffer.ends.numpy() == (times == LENGTH - 1)[None, :, None]).all()
    actions = buffer.actions.numpy()
    rewards = times[None, :, None] + 1 + actions[..., 0] - actions[..., 1]
    assert (buffer.rewards.numpy() == rewards).all()
    distribution = MultiCategorical((3, 2))
    for member, network in enumerate(sampled.parts.population.each):
        flat = {"vector": buffer.observations["vector"][member].flatten(0, 1)}
        logits, values = network(flat)
        logs = distribution.log_probability(logits, buffer.actions[member].flatten(0, 1))
        torch.testing.assert_close(buffer.values[member].flatten(), values)
        torch.testing.assert_close(buffer.log_probabilities[member].flatten(), logs)


def test_each_step_worker_and_branch_draws_its_own_action(sampled):
    actions = sampled.parts.buffer.actions
    assert not (actions[:, 1:] == actions[:, :1]).all(-1).all(1).any(), "the same in all steps"
    assert not torch.equal(actions[:, :, 0], actions[:, :, 1])
    assert not torch.equal(actions[0], actions[1])
    assert {tuple(pair) for pair in actions.flatten(0, 2).tolist()} == {
        (first, second) for first in range(3) for second in range(2)
    }


def test_only_truncated_episodes_have_the_value_of_their_last_observation(sampled):
    buffer = sampled.parts.buffer
    kinds = set()
    for member, step, worker in buffer.ends.nonzero().tolist():
        kind = int(buffer.observations["vector"][member, step, worker, 0])
        expected = value_of(sampled, member, 1, LENGTH) if kind else 0.0
        found = buffer.final_values[member, step, worker].item()
        assert found == pytest.approx(expected, abs=1e-5)
        assert abs(expected) > 1e-3 or not kind
        kinds.add((member, kind))
    assert len(kinds) == 4
    assert not buffer.final_values[~buffer.ends].any()


def test_advantages_of_a_rollout_equal_those_of_each_trajectory_alone(sampled):
    buffer = sampled.parts.buffer
    following = sampled.sampler.observations["vector"].reshape(2, buffer.workers, 2)
    for member, gamma in enumerate((0.9, 0.5)):
        for worker in range(buffer.workers):
            expected = naive_advantages(
                *(
                    array[member, :, worker].double().numpy()
                    for array in (buffer.rewards, buffer.values, buffer.ends, buffer.final_values)
                ),
                value_of(sampled, member, *following[member, worker]),
                gamma,
                0.8,
            )
            found = buffer.advantages[member, :, worker].numpy()
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_episodes_are_recorded_by_the_member_that_played_them(sampled):
    buffer = sampled.parts.buffer
    for member, record in enumerate(sampled.return_histories):
        rewards = buffer.rewards[member].numpy()
        ended = buffer.steps // LENGTH * LENGTH
        returns = rewards[:ended].reshape(-1, LENGTH, buffer.workers).sum(1)
        assert sorted(record.state()["episodes"]) == sorted(returns.ravel().tolist())
