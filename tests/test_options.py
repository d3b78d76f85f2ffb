"""Tests that each option of the trainer has its effect, and no other."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from environments.interface import ACTION_MASK, Spaces
from model import Population
from networks.distributions import FORBIDDEN, MultiCategorical
from networks.normaliser import RewardNormaliser
from ppo.by_torch.losses import ppo_losses
from ppo.run.checkpoint import checkpoint_path
from ppo.run.member import Run
from ppo.validation import runnable_problems
from schema.config import Config
from tests.examples import CPU, ON_CPU, same, tiny_config, train
from tests.ppo.test_losses import BRANCHES, MiniBatch, coefficients, example
from trainer import PPOTrainer
from utils import Stream, make_generator

PENDULUM = {"type": "Gymnasium", "name": "Pendulum-v1", "processes": 0}


def test_each_branch_s_ratio_is_clipped_alone():
    arrays = {name: torch.tensor(array) for name, array in example(0).items()}
    logits = (arrays["features"] @ arrays["policy"]).requires_grad_()
    distribution = MultiCategorical(BRANCHES, ratio_of_each_branch=True)
    old = distribution.log_probability(logits.detach() + 0.4, arrays["actions"]) * 1.1
    zeros = torch.zeros_like(arrays["returns"])
    batch = MiniBatch({}, arrays["actions"], old, zeros, arrays["advantages"], zeros)
    found = ppo_losses(logits, zeros, batch, distribution, coefficients(0.2, 0.0, 0.5))
    # Each branch alone is a discrete action; the loss is the mean over both.
    expected, divergence = 0.0, 0.0
    for branch, part in enumerate(logits.split(BRANCHES, -1)):
        own = arrays["actions"][:, branch : branch + 1]
        alone = MiniBatch({}, own, old[branch], zeros, arrays["advantages"], zeros)
        one = MultiCategorical((BRANCHES[branch],))
        losses = ppo_losses(part, zeros, alone, one, coefficients(0.2, 0.0, 0.5))
        expected, divergence = expected + losses.policy / 2, divergence + losses.kl_divergence
    torch.testing.assert_close(found.policy, expected)
    torch.testing.assert_close(found.kl_divergence, divergence)
    found.total.backward()
    assert logits.grad.abs().max() > 1e-4


def test_a_plain_value_loss_is_the_mean_squared_error():
    arrays = {name: torch.tensor(array) for name, array in example(2).items()}
    logits, values = arrays["features"] @ arrays["policy"], arrays["features"] @ arrays["value"]
    values.requires_grad_()
    batch = MiniBatch(
        {},
        arrays["actions"],
        arrays["old_logs"],
        arrays["old_values"],
        arrays["advantages"],
        arrays["returns"],
    )
    limits = coefficients(0.2, 0.0, 1.0, clip_value=False)
    found = ppo_losses(logits, values, batch, MultiCategorical(BRANCHES), limits)
    found.total.backward()
    expected = torch.nn.functional.mse_loss(values, arrays["returns"])
    torch.testing.assert_close(found.value, expected.detach())
    torch.testing.assert_close(values.grad, 2 * (values.detach() - arrays["returns"]) / 40)


def test_a_target_divergence_stops_an_update_early():
    trainer = {"epochs": 10, "learning_rate_schedule": {"initial": 0.05, "final": None}}
    counts = {}
    for target in (1e-6, 1e6, None):
        config = tiny_config(trainer={**trainer, "target_kl": target, "updates": 1})
        with PPOTrainer([Run(config, 3)], ON_CPU) as trained:
            before = trained.parts.population.weights.clone()
            trained.run()
            counts[target] = trained.parts.members[0].scalars["policy/mini_batches"]
            assert not torch.equal(before, trained.parts.population.weights)
    # Only at the first mini-batch does the policy equal the one that acted.
    assert counts == {1e-6: 2, 1e6: 20, None: 20}


def test_a_masked_action_is_never_chosen_and_gets_no_gradient():
    space = Spaces({"vector": ((4,), "float32"), ACTION_MASK: ((5,), "uint8")}, (3, 2))
    population = Population(space, Config(), 1, CPU)
    population.initialise(0, make_generator(0, Stream.INITIALISATION))
    network = population.each[0]
    mask = torch.tensor([[0, 1, 1, 1, 0], [1, 0, 0, 0, 1]], dtype=torch.uint8).repeat(500, 1)
    vector = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
    parameters, _ = network({"vector": vector, ACTION_MASK: mask})
    parameters = parameters.detach().requires_grad_()
    assert (parameters[mask == 0] == FORBIDDEN).all()
    distribution = network.distribution
    actions = distribution.sample(
        parameters, distribution.noise((1000,), torch.Generator().manual_seed(1))
    )
    assert set(actions[0::2, 0].tolist()) == {1, 2}
    assert set(map(tuple, actions[1::2].tolist())) == {(0, 1)}
    evaluation = distribution.evaluate(parameters, actions)
    assert torch.isfinite(evaluation.log_probability).all()
    # With a single permitted action, entropy and log-probability are 0.
    assert evaluation.entropy[1::2].abs().max() == 0
    assert evaluation.log_probability[1::2].abs().max() == 0
    (evaluation.log_probability + evaluation.entropy).sum().backward()
    gradient = parameters.grad
    assert (gradient[mask == 0] == 0).all()
    assert gradient[0::2].abs().max() > 0
    assert network.trunk.linear_layers[0].weight.shape[0] == 4, "the network doesn't see the mask"


def test_rewards_are_divided_by_the_deviation_of_discounted_returns():
    random = np.random.default_rng(0)
    normaliser = RewardNormaliser(2, 3, CPU)
    gamma = [0.9, 0.5]
    seen, running = [[], []], np.zeros((2, 3))
    for _ in range(3):
        rewards, ends = random.normal(1, 5, (2, 6, 3)), random.random((2, 6, 3)) < 0.2
        found = torch.tensor(rewards, dtype=torch.float32)
        normaliser(found, torch.tensor(ends), torch.tensor(gamma).unsqueeze(1))
        for member in range(2):
            for step in range(6):
                running[member] = gamma[member] * running[member] + rewards[member, step]
                seen[member] += running[member].tolist()
                running[member][ends[member, step]] = 0
            expected = np.clip(rewards[member] / np.std(seen[member]), -10, 10)
            np.testing.assert_allclose(found[member], expected, rtol=1e-4)


def test_normalised_rewards_leave_the_reported_returns_alone_and_survive_resumption(tmp_path):
    sections = {"trainer": {"normalize_rewards": True, "updates": 4}}
    model = {"checkpoint_interval": 2}
    whole = train(tiny_config(**sections, model=model), 3, tmp_path / "whole")
    path = checkpoint_path(tmp_path / "whole" / "0" / "checkpoints", 2)
    model |= {"load_model": True, "model_path": str(path)}
    resumed = train(tiny_config(**sections, model=model), 3, tmp_path / "resumed")
    for part in ("weights", "rewards", "return_history"):
        assert same(getattr(whole, part), getattr(resumed, part)), part
    # The first rollout doesn't depend on the normalisation.
    plain = train(tiny_config(trainer={"updates": 1}), 3, tmp_path / "plain")
    sections = {"trainer": {"normalize_rewards": True, "updates": 1}}
    normalised = train(tiny_config(**sections), 3, tmp_path / "normalised")
    assert same(normalised.return_history, plain.return_history)
    assert not same(normalised.weights, plain.weights)


def test_without_bootstrapping_a_time_limit_counts_as_an_end():
    found = []
    for bootstraps in (True, False):
        trainer = {"worker_steps": 210, "num_workers": 2, "bootstrap_truncated": bootstraps}
        config = tiny_config(environment=PENDULUM, trainer=trainer)
        with PPOTrainer([Run(config, 1)], ON_CPU) as trained:
            trained.sampler.sample(0)
            found.append(trained.parts.buffer.final_values[0].abs().amax(1))
            assert trained.parts.buffer.ends[0, 199].all(), "Pendulum's limit is 200 steps"
    assert found[0][199] > 0
    assert found[0].count_nonzero() == 1
    assert not found[1].any()


@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize("share_parameters", [False, True])
def test_actions_within_bounds_reach_a_continuous_environment(squash, share_parameters):
    model = {"squash_actions": squash, "share_parameters": share_parameters}
    config = tiny_config(environment=PENDULUM, model=model)
    with PPOTrainer([Run(config, 1), Run(config, 2)], ON_CPU) as trainer:
        taken, original = [], trainer.environments.step
        trainer.environments.step = lambda actions: (taken.append(actions), original(actions))[1]
        trainer.run()
        actions = np.stack(taken)
        assert actions.shape == (3 * 32, 8, 1)
        assert actions.dtype == np.float32
        assert np.abs(actions).max() <= 2
        assert actions.std() > 0.3
        free = trainer.parts.population.each[0].free_parameters.values
        assert free.abs().max() > 1e-4, "the deviation is trained"


class Target(gymnasium.Env):
    """Observations are two numbers; the nearer an action is to them, the greater is its reward."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Box(-1.5, 1.5, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._aim = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self._aim, {}

    def step(self, action):
        assert self.action_space.contains(action)
        reward = 1 - float(np.abs(action - self._aim).mean())
        self._aim = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self._aim, reward, False, False, {}


@pytest.mark.parametrize("squash", [False, True])
def test_a_continuous_target_is_learned(squash):
    gymnasium.register("Target-v0", Target, max_episode_steps=16)
    try:
        config = tiny_config(
            environment={"type": "Gymnasium", "name": "Target-v0", "processes": 0},
            model={"squash_actions": squash},
            trainer={
                "updates": 60,
                "num_workers": 8,
                "epochs": 4,
                "gamma": 0.5,
                "beta_schedule": {"initial": 0.0},
                "learning_rate_schedule": {"initial": 1e-2, "final": 1e-3},
            },
        )
        with PPOTrainer([Run(config, 3)], ON_CPU) as trainer:
            trainer.run()
            # The greatest return is 16; a random policy reaches about 4.
            assert trainer.return_histories[0].final > 12
    finally:
        del gymnasium.registry["Target-v0"]


@pytest.mark.parametrize(
    ("name", "value", "default"),
    [("squash_actions", True, "false"), ("log_std_init", -1.0, "0"), ("use_sde", True, "false")],
)
def test_some_keys_need_continuous_actions(name, value, default):
    ((key, message),) = runnable_problems(tiny_config(model={name: value}))
    assert key == ("model", name)
    assert message.endswith(f"the environment's are discrete; must be {default}")
    assert not runnable_problems(tiny_config(environment=PENDULUM, model={name: value}))
