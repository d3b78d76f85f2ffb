"""The losses of PPO (Schulman et al., 2017, Proximal policy optimization algorithms)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from buffer import MiniBatch
from distributions import MultiCategorical


@dataclass
class Losses:
    """The parts of PPO's objective and what describes an update, each of shape ([M]).

    Attributes:
        total: what is minimised, the only one with a gradient.
        policy: negative clipped surrogate (equation 7).
        value: mean of the greater of the squared errors of the value and of the clipped value.
        entropy: mean entropy of the policy in nats.
        kl_divergence: estimate of the divergence of the new policy from the old one, in nats
            (Schulman, 2020, Approximating KL divergence, the estimator k3).
        clip_fraction: share of steps whose probability ratio was clipped.
    """

    total: Tensor
    policy: Tensor
    value: Tensor
    entropy: Tensor
    kl_divergence: Tensor
    clip_fraction: Tensor


@dataclass
class Coefficients:
    """What weighs and limits the losses in an update, each of shape ([M,] 1).

    Attributes:
        clip_range: of the probability ratio and of the change in value.
        beta: coefficient of the entropy bonus.
        value_coefficient: weight of the value loss.
    """

    clip_range: Tensor
    beta: Tensor
    value_coefficient: Tensor


def ppo_losses(
    parameters: Tensor,
    values: Tensor,
    batch: MiniBatch,
    distribution: MultiCategorical,
    coefficients: Coefficients,
) -> Losses:
    """PPO's losses on a mini-batch.

    Args:
        parameters: ([M,] B, parameters) of the distributions, from the network that is trained.
        values: ([M,] B), from the same.
        batch: the mini-batch; its advantages are used as they are.
        distribution: turns parameters into probabilities.
        coefficients: of the members.
    """
    clip_range = coefficients.clip_range
    log_probabilities, entropy = distribution.log_probability_and_entropy(parameters, batch.actions)
    log_ratio = log_probabilities - batch.log_probabilities
    ratio = log_ratio.exp()
    clipped = torch.clamp(ratio, 1 - clip_range, 1 + clip_range)
    surrogate = torch.min(ratio * batch.advantages, clipped * batch.advantages)
    value = clipped_value_loss(values, batch.values, batch.returns, clip_range)
    steps = coefficients.value_coefficient * value - surrogate - coefficients.beta * entropy
    total = steps.mean(-1)
    with torch.no_grad():
        divergence = ratio - 1 - log_ratio
        clips = (ratio != clipped).float()
        parts = [-surrogate, value, entropy, divergence, clips]
        return Losses(total, *(part.mean(-1) for part in parts))


def clipped_value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, clip_range: Tensor
) -> Tensor:
    """Squared errors of values that gain nothing by moving further than the clip range.

    Args:
        values: ([M,] B), from the network that is trained.
        old_values: ([M,] B), as estimated when acting.
        returns: ([M,] B), the targets.
        clip_range: ([M,] 1), how far a value may move.
    """
    clipped = old_values + torch.clamp(values - old_values, -clip_range, clip_range)
    return torch.max((values - returns).square(), (clipped - returns).square())


def explained_variance(values: Tensor, returns: Tensor) -> Tensor:
    """1 - Var(returns - values) / Var(returns) of (M, B) each, of shape (M,); 0 for constant returns."""
    variance = returns.var(-1, unbiased=False)
    unexplained = (returns - values).var(-1, unbiased=False)
    return torch.where(variance > 0, 1 - unexplained / variance.clamp(min=1e-12), 0.0)
