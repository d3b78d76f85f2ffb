from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, gumbel_r, kstest
from torch.distributions import Categorical

from networks.distributions import MultiCategorical, sum_all

BRANCHES = [(4,), (2,), (3, 2), (2, 5, 3)]


def logits_and_actions(branches, shape=(2, 7)):
    generator = torch.Generator().manual_seed(len(branches))
    logits = 3 * torch.randn((*shape, sum(branches)), generator=generator)
    actions = [torch.randint(count, shape, generator=generator) for count in branches]
    return logits, torch.stack(actions, -1)


@pytest.mark.parametrize("branches", BRANCHES)
def test_log_probability_and_entropy_equal_those_of_torch(branches):
    distribution = MultiCategorical(branches)
    logits, actions = logits_and_actions(branches)
    parts = [Categorical(logits=part.double()) for part in logits.split(branches, -1)]
    expected = sum(part.log_prob(actions[..., i]) for i, part in enumerate(parts))
    entropy = sum(part.entropy() for part in parts)
    evaluation = distribution.evaluate(logits, actions)
    found, found_entropy = evaluation.log_probability, evaluation.entropy
    assert distribution.num_outputs == sum(branches)
    assert found.shape == found_entropy.shape == (2, 7)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found_entropy.double(), entropy, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(distribution.log_probability(logits, actions), found)


@pytest.mark.parametrize("branches", BRANCHES)
def test_the_mode_is_the_most_probable_choice_of_each_branch(branches):
    logits, _ = logits_and_actions(branches)
    offsets = np.cumsum([0, *branches])
    expected = [logits.numpy()[..., a:b].argmax(-1) for a, b in pairwise(offsets)]
    found = MultiCategorical(branches).mode(logits)
    np.testing.assert_array_equal(found.numpy(), np.stack(expected, -1))


def test_choices_are_drawn_according_to_their_probabilities():
    branches, count = (3, 4), 20_000
    probabilities = [np.array([0.2, 0.5, 0.3]), np.array([0.05, 0.6, 0.25, 0.1])]
    # A constant added to a branch's logits changes nothing, as they aren't normalised.
    logits = torch.tensor(np.concatenate([np.log(probabilities[0]) + 3, np.log(probabilities[1])]))
    distribution = MultiCategorical(branches)
    noise = distribution.noise((count,), torch.Generator().manual_seed(0))
    actions = distribution.sample(logits.float().expand(count, -1), noise)
    assert actions.dtype == torch.int64
    for branch, expected in enumerate(probabilities):
        counts = np.bincount(actions[:, branch].numpy(), minlength=len(expected))
        assert chisquare(counts, expected * count).pvalue > 1e-3
    joint = np.bincount(actions[:, 0].numpy() * 4 + actions[:, 1].numpy(), minlength=12)
    assert chisquare(joint, np.outer(*probabilities).ravel() * count).pvalue > 1e-3


def test_a_draw_is_the_greatest_of_the_noisy_logits_of_each_branch():
    logits = torch.tensor([1.0, 0.0, 0.0, 2.0, 2.5])
    noise = torch.tensor([0.0, 0.5, 1.1, 0.7, 0.1])
    # Noisy logits: 1, 0.5, 1.1 and 2.7, 2.6
    assert MultiCategorical((3, 2)).sample(logits, noise).tolist() == [2, 0]


def test_noise_has_the_gumbel_distribution():
    noise = MultiCategorical((3, 2)).noise((400, 5), torch.Generator().manual_seed(3))
    assert noise.shape == (400, 5, 5)
    assert kstest(noise.flatten().numpy(), gumbel_r.cdf).pvalue > 1e-3


def test_an_impossible_choice_is_never_drawn():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn((20_000, 6), generator=generator)
    logits[:, [0, 5]] = -torch.inf
    distribution = MultiCategorical((6,))
    actions = distribution.sample(logits, distribution.noise((20_000,), generator))
    assert actions.min() >= 1
    assert actions.max() <= 4


def test_extreme_logits_give_finite_probabilities():
    logits = torch.tensor([[1e4, -1e4], [0.0, -1e30]])
    found = MultiCategorical((2,)).evaluate(logits, torch.zeros(2, 1, dtype=torch.int64))
    assert found.log_probability.tolist() == [0, 0]
    assert found.entropy.tolist() == [0, 0]


def test_tensors_are_summed():
    assert sum_all([torch.tensor(1.0)]).item() == 1
    assert sum_all([torch.tensor(1.0), torch.tensor(2.0), torch.tensor(4.0)]).item() == 7
