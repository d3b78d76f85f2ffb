"""Tests of initial weights and of the initial standard deviation of continuous actions."""

import math

import pytest
import torch
from torch.distributions import Normal

from environments.interface import Spaces
from model import Population
from schema.config import Config
from schema.model import ModelConfig
from tests.examples import CPU

CONTINUOUS = Spaces({"vector": ((5,), "float32")}, (), ((-2.0, 2.0), (-1.0, 3.0)))


def network(spaces=CONTINUOUS, seed=0, **model):
    """Return the initialised network of a single member, and its weights by name."""
    members = Population(spaces, Config(model=ModelConfig(**model)), 1, CPU)
    members.initialise(0, torch.Generator().manual_seed(seed))
    return members.each[0], members.member_weights(0)


@pytest.mark.parametrize("log_std_init", [0.0, -2.0, 0.5])
def test_the_first_actions_have_the_initial_deviation(log_std_init):
    actor_critic, weights = network(log_std_init=log_std_init)
    assert weights["free_parameters.values"].tolist() == [log_std_init] * 2
    observed = {"vector": torch.randn(6, 5, generator=torch.Generator().manual_seed(1))}
    actions = torch.randn(6, 2, generator=torch.Generator().manual_seed(2))
    parameters, _ = actor_critic(observed)
    mean = parameters[:, :2]
    expected = Normal(mean, math.exp(log_std_init)).log_prob(actions).sum(-1)
    found = actor_critic.distribution.log_probability(parameters, actions)
    torch.testing.assert_close(found, expected)
    # d log N(a | m, s) / d log s = ((a - m) / s)^2 - 1
    found.sum().backward()
    standardised = (actions - mean.detach()) / math.exp(log_std_init)
    expected_gradient = (standardised.square() - 1).sum(0)
    torch.testing.assert_close(
        actor_critic.free_parameters.values.grad, expected_gradient, rtol=1e-4, atol=1e-4
    )


def test_the_initial_deviation_changes_no_other_weight():
    (_, usual), (_, narrow) = network(), network(log_std_init=-1.0)
    differing = [name for name in usual if not torch.equal(usual[name], narrow[name])]
    assert differing == ["free_parameters.values"]


IMAGES = Spaces({"visual": ((84, 84, 3), "uint8")}, (3,))


def uniform_deviation(inputs):
    """Return the standard deviation of uniform numbers up to 1 / sqrt(inputs)."""
    return 1 / math.sqrt(3 * inputs)


@pytest.mark.parametrize(
    ("spaces", "model", "module"),
    [
        (CONTINUOUS, {"share_parameters": False}, lambda: torch.nn.Linear(5, 64)),
        (IMAGES, {}, lambda: torch.nn.Conv2d(3, 32, 8, 4)),
        (CONTINUOUS, {"recurrence": {"hidden_state_size": 64}}, lambda: torch.nn.GRU(5, 64)),
        (
            CONTINUOUS,
            {"recurrence": {"layer_type": "lstm", "hidden_state_size": 64}},
            lambda: torch.nn.LSTM(5, 64),
        ),
    ],
    ids=["linear", "convolution", "gru", "lstm"],
)
def test_torch_s_initial_weights_are_distributed_as_those_of_its_own_layers(spaces, model, module):
    _, weights = network(spaces, initialization="torch", hidden_layer_size=64, **model)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # torch's layers draw from the global generator
        by_torch = dict(module().named_parameters())
    first = [name for name in weights if name.startswith("trunk")][:2]
    for name, expected in zip(first, list(by_torch.values())[:: len(by_torch) // 2], strict=True):
        found = weights[name]
        limit = expected.abs().max().item()
        assert found.abs().max().item() == pytest.approx(limit, rel=0.15)
        assert found.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.2)
        assert abs(found.mean().item()) < 0.3 * limit


def test_heads_are_drawn_like_the_other_layers_and_differ_between_seeds():
    _, weights = network(initialization="torch", hidden_layer_size=300)
    for head in ("policy_head", "value_head"):
        found = weights[f"{head}.weight"]
        assert found.std().item() == pytest.approx(uniform_deviation(300), rel=0.15)
        assert 0 < weights[f"{head}.bias"].abs().max() <= 1 / math.sqrt(300)
    _, again = network(initialization="torch", hidden_layer_size=300)
    _, other = network(initialization="torch", hidden_layer_size=300, seed=1)
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    assert not torch.equal(weights["policy_head.weight"], other["policy_head.weight"])
    assert not weights["free_parameters.values"].any()


def test_orthogonal_is_the_default_and_columns_are_orthogonal():
    _, weights = network(hidden_layer_size=16)
    _, named = network(hidden_layer_size=16, initialization="orthogonal")
    assert all(torch.equal(weights[name], named[name]) for name in weights)
    inner = weights["trunk.layers.1.weight"]
    torch.testing.assert_close(inner.T @ inner, 2 * torch.eye(16), atol=1e-5, rtol=0)
