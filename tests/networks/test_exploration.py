"""Tests of exploration by noise that depends on the state."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal, TanhTransform, TransformedDistribution

from environments.interface import Spaces
from model import Population
from networks.exploration import draw_functions
from ppo.by_numba import can_train
from ppo.run.evaluator import Policy
from ppo.run.member import Run
from schema.config import Config
from tests.examples import CPU, ON_CPU, same, tiny_config
from trainer import PPOTrainer

SPACES = Spaces({"vector": ((5,), "float32")}, (), ((-1.0, 1.0), (-1.0, 1.0)))
PENDULUM = {"type": "Gymnasium", "name": "Pendulum-v1"}


def network(members=1, **model):
    config = Config.model_validate(
        {"model": {"use_sde": True, "hidden_layer_size": 8, "log_std_init": -1.0} | model}
    )
    found = Population(SPACES, config, members, CPU)
    for member in range(members):
        found.initialise(member, torch.Generator().manual_seed(member))
    found.weights += 0.3 * torch.randn(
        found.weights.shape, generator=torch.Generator().manual_seed(9)
    )
    return found


def normal_of(weights, observed):
    """Return the Gaussian of the policy, computed from its weights by PyTorch's own functions."""
    features = observed
    for layer in range(2):
        name = f"trunk.layers.{layer}"
        features = (features @ weights[f"{name}.weight"] + weights[f"{name}.bias"]).tanh()
    mean = features @ weights["policy_head.weight"] + weights["policy_head.bias"]
    deviations = weights["free_parameters.values"].view(8, 2).exp()
    variance = features.detach().square() @ deviations.square()
    return Normal(mean, (variance + 1e-6).sqrt())


@pytest.mark.parametrize("squash", [False, True])
def test_log_probability_and_gradients_equal_those_of_torch(squash):
    members = network(squash_actions=squash)
    actor_critic = members.each[0]
    weights = {
        name: weight.clone().requires_grad_() for name, weight in members.member_weights(0).items()
    }
    random = torch.Generator().manual_seed(3)
    observed, actions = torch.randn(6, 5, generator=random), torch.randn(6, 2, generator=random)
    parameters, _ = actor_critic({"vector": observed})
    found = actor_critic.distribution.evaluate(parameters, actions).log_probability
    expected = normal_of(weights, observed)
    if squash:
        # Bounds of -1 and 1 scale nothing.
        squashed = TransformedDistribution(expected, TanhTransform())
        log_probability = squashed.log_prob(actions.tanh()).sum(-1)
    else:
        log_probability = expected.log_prob(actions).sum(-1)
    torch.testing.assert_close(found, log_probability, rtol=1e-4, atol=1e-4)
    found.sum().backward()
    log_probability.sum().backward()
    for name, parameter in actor_critic.named_parameters():
        if not name.startswith("value"):
            torch.testing.assert_close(
                parameter.grad, weights[name].grad, rtol=1e-3, atol=1e-3, msg=name
            )
    assert actor_critic.free_parameters.values.grad.abs().min() > 0


def test_drawn_noise_has_the_policy_s_deviation_and_is_correlated_in_time():
    members = network()
    acted = members.each[0].act({"vector": torch.ones(1, 5)})
    features = acted.policy_features
    log_deviations = members.each[0].free_parameters.values
    functions = draw_functions(log_deviations, 8, 20_000, torch.Generator().manual_seed(0))
    noise = torch.einsum("h,nha->na", features[0], functions)
    expected = acted.parameters[0, 2:].exp()
    np.testing.assert_allclose(noise.std(0).detach(), expected.detach(), rtol=0.03)
    assert noise.mean(0).abs().max() < 0.03


def test_features_of_zero_keep_the_probability_finite():
    members = network(activation="relu")
    members.weights.zero_()
    parameters, _ = members.each[0]({"vector": torch.ones(3, 5)})
    evaluated = members.each[0].distribution.evaluate(parameters, torch.zeros(3, 2))
    assert evaluated.log_probability.isfinite().all()
    evaluated.log_probability.sum().backward()
    assert members.gradients.isfinite().all()


def noise_of(trainer):
    """Return each step's noise divided by the features, of networks with a single feature: (T, N)."""
    trainer.sampler.sample(0)
    buffer, actor_critic = trainer.parts.buffer, trainer.parts.population.each[0]
    acted = actor_critic.act(buffer.batch_observations(0))
    mean, _ = acted.parameters.chunk(2, -1)
    noise = buffer.actions[0].flatten(0, 1) - mean
    return (noise / acted.policy_features).detach().view(buffer.steps, buffer.workers)


@pytest.mark.parametrize(
    ("interval", "begins"), [(-1, [0]), (12, [0, 12, 24]), (1, list(range(32)))]
)
def test_a_worker_keeps_its_function_for_an_interval(interval, begins):
    model = {"use_sde": True, "sde_sample_freq": interval, "hidden_layer_size": 1}
    config = tiny_config(environment=PENDULUM, model=model)
    with PPOTrainer([Run(config, 0)], ON_CPU) as trainer:
        functions = noise_of(trainer)
        changed = (functions[1:] - functions[:-1]).abs() > 1e-2 * functions[:-1].abs()
        found = [0, *(1 + changed.all(-1).nonzero().flatten()).tolist()]
        assert found == begins
        assert changed.all(-1).equal(changed.any(-1))
        assert len(functions[0].unique()) == 4, "each worker has its own"
        assert (noise_of(trainer)[0] - functions[0]).abs().min() > 1e-4, "each rollout has its own"


def test_numba_leaves_it_to_torch():
    assert not can_train(network())


def test_evaluation_takes_the_mean():
    members = network()
    policy = Policy(members.each[0], CPU, torch.Generator())
    observed = np.ones((2, 5), np.float32)
    mean = members.each[0].act({"vector": torch.ones(2, 5)}).parameters[:, :2]
    assert policy.act({"vector": observed}).tolist() == mean.clamp(-1, 1).tolist()


@pytest.mark.parametrize("squash", [False, True])
def test_a_training_resumes_to_the_same_weights(tmp_path, squash):
    model = {"use_sde": True, "sde_sample_freq": 8, "squash_actions": squash}
    config = tiny_config(environment=PENDULUM, model=model | {"checkpoint_interval": 1})
    with PPOTrainer([Run(config, 1, checkpoints=tmp_path)], ON_CPU) as trainer:
        before = trainer.parts.population.member_weights(0)
        trainer.run()
        assert trainer.failures == [None]
        whole = trainer.parts.population.member_weights(0)
    resumed = Run(config, 1, interrupted_at=tmp_path / "update_000002.pt")
    with PPOTrainer([resumed], ON_CPU) as trainer:
        trainer.run()
        assert same(trainer.parts.population.member_weights(0), whole)
    assert not torch.equal(before["free_parameters.values"], whole["free_parameters.values"])
