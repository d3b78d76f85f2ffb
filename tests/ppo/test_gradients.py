import shutil

import numpy as np
import pytest
import torch

from buffer import MiniBatch
from environments.interface import Spaces
from networks.columns import find_columns
from ppo.gradients import RecordedGradients, WrittenGradients
from ppo.losses import Coefficients
from tests.networks.test_columns import sparse_observations
from tests.networks.test_network import population

COEFFICIENTS = Coefficients(torch.tensor([0.2]), torch.tensor([0.05]), torch.tensor([0.7]), True)


def batch(observations, branches, size=30):
    random = np.random.default_rng(1)

    def draw():
        return torch.tensor(random.normal(size=size), dtype=torch.float32)

    actions = np.stack([random.integers(count, size=size) for count in branches], -1)
    return MiniBatch(
        observations, torch.tensor(actions), draw() * 0.3 - 1.2, draw(), draw(), draw()
    )


def both_ways(members, steps, columns=None):
    """Losses and gradients of one member, as torch records and as they are written out."""
    network, found = members.each[1], []
    for way in (RecordedGradients(network, compiled=False), WrittenGradients(network)):
        members.gradients.zero_()
        losses = way(steps, columns, COEFFICIENTS)
        found.append((losses, members.gradients[1].clone()))
        assert not members.gradients[0].any()
    return found


@pytest.mark.parametrize("activation", ["elu", "leaky_relu", "relu", "swish", "tanh", "gelu"])
@pytest.mark.parametrize("share_parameters", [True, False])
@pytest.mark.parametrize("branches", [(4,), (3, 2)])
def test_written_gradients_are_those_that_torch_records(activation, share_parameters, branches):
    spaces = Spaces({"vector": ((5,), "float32")}, branches)
    members = population(
        spaces, activation=activation, share_parameters=share_parameters, num_hidden_layers=3
    )
    # Larger weights than the initial ones, so that both sides of every kink are tried.
    members.weights.mul_(3.0).add_(0.05)
    observations = {"vector": torch.randn(30, 5, generator=torch.Generator().manual_seed(0))}
    steps = batch(observations, branches)
    logits = members.each[1](observations)[0].detach()
    now = members.stacked.distribution.log_probability(logits, steps.actions)
    steps.log_probabilities = now + 0.3 * torch.randn(
        30, generator=torch.Generator().manual_seed(1)
    )
    (expected, gradient), (found, written) = both_ways(members, steps)
    for name in vars(expected):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name))
    assert 0 < expected.clip_fraction < 1
    assert (gradient != 0).float().mean() > 0.5
    torch.testing.assert_close(written, gradient, rtol=1e-3, atol=1e-5)


def test_several_observations_are_joined():
    spaces = Spaces({"vector": ((5,), "float32"), "more": ((3,), "uint8")}, (4,))
    members = population(spaces, normalize_observations=True)
    observations = {
        "vector": torch.randn(30, 5, generator=torch.Generator().manual_seed(0)),
        "more": torch.arange(90, dtype=torch.uint8).view(30, 3),
    }
    (_, gradient), (_, written) = both_ways(members, batch(observations, (4,)))
    torch.testing.assert_close(written, gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("share_parameters", [True, False])
def test_a_part_of_the_places_gives_the_gradient_of_all(share_parameters):
    spaces = Spaces({"vector": ((40,), "uint8")}, (4,))
    members = population(spaces, share_parameters=share_parameters)
    whole = sparse_observations(1, 30)[0]
    columns = find_columns(whole)
    selected = batch({"vector": columns.select(whole)}, (4,))
    (_, recorded), (_, written) = both_ways(members, selected, columns)
    (_, expected), _ = both_ways(members, batch({"vector": whole}, (4,)))
    torch.testing.assert_close(recorded, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(written, expected, rtol=1e-4, atol=1e-6)


def test_only_fully_connected_networks_are_dense():
    visual = Spaces({"visual": ((84, 84, 3), "uint8")}, (3,))
    assert population().each[0].is_dense
    assert not population(visual).each[0].is_dense


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")
def test_compiled_losses_have_the_same_gradient():
    members = population(Spaces({"vector": ((5,), "float32")}, (4,)))
    network, found = members.each[1], []
    observations = {"vector": torch.randn(30, 5, generator=torch.Generator().manual_seed(0))}
    for compiled in (False, True):
        members.gradients.zero_()
        way = RecordedGradients(network, compiled)
        losses = way(batch(observations, (4,)), None, COEFFICIENTS)
        found.append((losses.total, members.gradients[1].clone()))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)
