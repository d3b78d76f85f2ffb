import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.distributions import Independent, Normal, kl_divergence

from buffer import MiniBatch
from networks.gaussians import DiagonalGaussian, SquashedGaussian
from ppo.by_torch.losses import Coefficients, ppo_losses

BOUNDS = ((-2.0, 2.0), (0.0, 1.0))


def drawn(seed=0, size=6):
    """Return parameters (size, 4) and actions (size, 2) of two dimensions, in float64."""
    random = np.random.default_rng(seed)
    mean, log_deviation = random.normal(size=(size, 2)), 0.5 * random.normal(size=(size, 2)) - 0.5
    parameters = torch.tensor(np.concatenate((mean, log_deviation), -1))
    return parameters, torch.tensor(mean + np.exp(log_deviation) * random.normal(size=(size, 2)))


def test_log_probability_and_entropy_equal_those_of_torch():
    parameters, actions = drawn()
    mean, log_deviation = parameters.chunk(2, -1)
    expected = Independent(Normal(mean, log_deviation.exp()), 1)
    distribution = DiagonalGaussian(BOUNDS)
    found = distribution.evaluate(parameters, actions)
    torch.testing.assert_close(found.log_probability, expected.log_prob(actions))
    torch.testing.assert_close(found.entropy, expected.entropy())
    assert torch.equal(distribution.log_probability(parameters, actions), found.log_probability)
    assert (distribution.num_outputs, distribution.free_parameters) == (2, 2)


def test_squashed_log_probability_equals_scipy_s_density_of_the_environment_s_action():
    parameters, actions = drawn()
    distribution = SquashedGaussian(BOUNDS)
    found = distribution.log_probability(parameters, actions)
    taken = distribution.for_environment(actions.float()).double().numpy()
    expected = np.zeros(len(taken))
    for dimension, (low, high) in enumerate(BOUNDS):
        scaled = 2 * (taken[:, dimension] - low) / (high - low) - 1
        mean, deviation = parameters[:, dimension], parameters[:, 2 + dimension].exp()
        slope = (1 - scaled**2) * (high - low) / 2
        expected += stats.norm.logpdf(np.arctanh(scaled), mean, deviation) - np.log(slope)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    torch.testing.assert_close(distribution.evaluate(parameters, actions).log_probability, found)


def test_squashed_entropy_equals_numerical_integration():
    parameters, actions = drawn(size=4)
    found = SquashedGaussian(BOUNDS).evaluate(parameters, actions).entropy
    for row, entropy in zip(parameters.numpy(), found, strict=True):
        expected = 0.0
        for dimension, (low, high) in enumerate(BOUNDS):
            normal = stats.norm(row[dimension], np.exp(row[2 + dimension]))

            def log_density(x, normal=normal, width=high - low):
                return normal.logpdf(x) - np.log((1 - np.tanh(x) ** 2) * width / 2)

            reach = (normal.mean() - 8 * normal.std(), normal.mean() + 8 * normal.std())
            expected -= integrate.quad(lambda x: normal.pdf(x) * log_density(x), *reach)[0]  # noqa: B023
        assert entropy.item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", [DiagonalGaussian, SquashedGaussian])
def test_the_environment_gets_actions_within_its_bounds(kind):
    far = torch.tensor([[50.0, 50.0], [-50.0, -50.0]])
    assert kind(BOUNDS).for_environment(far).tolist() == [[2.0, 1.0], [-2.0, 0.0]]
    middle = torch.zeros(1, 2)
    expected = [[0.0, 0.0]] if kind is DiagonalGaussian else [[0.0, 0.5]]
    assert kind(BOUNDS).for_environment(middle).tolist() == expected


def test_infinite_bounds_limit_nothing():
    free = DiagonalGaussian(((-np.inf, np.inf), (0.0, np.inf)))
    assert free.for_environment(torch.tensor([[-1e6, -1e6]])).tolist() == [[-1e6, 0.0]]


@pytest.mark.parametrize("kind", [DiagonalGaussian, SquashedGaussian])
def test_draws_have_the_mean_and_the_deviation_of_the_parameters(kind):
    parameters = torch.tensor([1.0, -3.0, np.log(0.5), np.log(2.0)]).expand(40_000, 4)
    distribution = kind(BOUNDS)
    noise = distribution.noise((40_000,), torch.Generator().manual_seed(5))
    actions = distribution.sample(parameters, noise)
    assert actions.mean(0).tolist() == pytest.approx([1.0, -3.0], abs=0.03)
    assert actions.std(0).tolist() == pytest.approx([0.5, 2.0], rel=0.02)
    assert distribution.mode(parameters[:1]).tolist() == [[1.0, -3.0]]


@pytest.mark.parametrize("kind", [DiagonalGaussian, SquashedGaussian])
def test_the_mean_divergence_equals_that_of_torch(kind):
    before = torch.tensor([0.0, 0.5, -0.3, 0.1], dtype=torch.float64).expand(60_000, 4)
    after = before + torch.tensor([0.2, -0.1, 0.1, 0.05], dtype=torch.float64)
    distribution = kind(BOUNDS)
    noise = distribution.noise((60_000,), torch.Generator().manual_seed(1)).double()
    actions = distribution.sample(before, noise)
    zeros = torch.zeros(60_000, dtype=torch.float64)
    batch = MiniBatch(
        {}, actions, distribution.log_probability(before, actions), zeros, zeros, zeros
    )
    one = torch.ones(1, dtype=torch.float64)
    losses = ppo_losses(after, zeros, batch, distribution, Coefficients(one, one, one, True))
    normals = [Normal(row[0, :2], row[0, 2:].exp()) for row in (before, after)]
    expected = kl_divergence(*normals).sum().item()
    assert losses.kl_divergence.item() == pytest.approx(expected, rel=0.03)


def test_a_number_with_equal_bounds_adds_nothing_to_the_density_of_squashed_actions():
    parameters, actions = drawn()
    fixed = SquashedGaussian((BOUNDS[0], (0.5, 0.5)))
    wide = SquashedGaussian((BOUNDS[0], (-1.0, 1.0)))  # half a width of 1
    assert set(fixed.for_environment(actions)[:, 1].tolist()) == {0.5}
    found, expected = fixed.evaluate(parameters, actions), wide.evaluate(parameters, actions)
    assert found.log_probability.isfinite().all() and found.entropy.isfinite().all()
    assert torch.equal(found.log_probability, expected.log_probability)
    assert torch.equal(found.entropy, expected.entropy)
