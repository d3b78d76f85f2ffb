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
