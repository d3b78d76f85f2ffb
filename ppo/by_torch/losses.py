"""The losses of PPO (Schulman et al., 2017, Proximal policy optimization algorithms)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from buffer import MiniBatch
from networks.distributions import Distribution


@dataclass
class Losses:
    """The parts of PPO's objective and what describes an update, each of shape ([M]).

    Attributes:
        total: what is minimised, the only one with a gradient.
        policy: negative clipped surrogate (equation 7).
        value: mean squared error of the values; or, clipped, the mean of the greater of the squared
            errors of the value and of the clipped value, which gains nothing by moving further than
            the clip range from its estimate when acting (Engstrom et al., 2020, Implementation
            matters in deep policy gradients).
        entropy: mean entropy of the policy in nats.
        kl_divergence: estimate of the divergence of the new policy from the old one, in nats, over
            all branches (Schulman, 2020, Approximating KL divergence, the estimator k3).
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
    """What weighs and limits the losses in an update, each number of shape ([M,] 1).

    Attributes:
        clip_range: of the probability ratio and of the change in value.
        beta: coefficient of the entropy bonus.
        value_coefficient: weight of the value loss.
        clip_value: whether the value loss is clipped.
        least_ratio, greatest_ratio: limits of the probability ratio.
        least_change: of the value; the greatest is the clip range.
    """

    clip_range: Tensor
    beta: Tensor
    value_coefficient: Tensor
    clip_value: bool

    def __post_init__(self) -> None:
        # Once for all mini-batches of an update.
        self.least_ratio, self.greatest_ratio = 1 - self.clip_range, 1 + self.clip_range
        self.least_change = -self.clip_range


def ppo_losses(
    parameters: Tensor,
    values: Tensor,
    batch: MiniBatch,
    distribution: Distribution,
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
    policy = distribution.evaluate(parameters, batch.actions)
    total, *others = _Objective.apply(
        policy.log_probability, policy.entropy, values, batch, coefficients
    )
    return Losses(total, *others)


@dataclass
class Slopes:
    """The gradient of the total loss: ([branches,] [M,] B), ([M,] B) and ([M,] B)."""

    log_probability: Tensor
    entropy: Tensor
    value: Tensor


def objective(
    log_probabilities: Tensor,
    entropy: Tensor,
    values: Tensor,
    batch: MiniBatch,
    coefficients: Coefficients,
) -> tuple[Losses, Slopes]:
    """PPO's losses from log-probabilities, entropies and values ([M,] B), and their gradient.

    Where each branch of an action has a probability ratio of its own, log-probabilities are
    (branches, [M,] B), and the mean over branches counts.

    The gradient is written out, which takes a third of the time that recording every operation does.
    """
    steps = values.shape[-1]
    log_ratio = log_probabilities - batch.log_probabilities
    ratio = log_ratio.exp()
    clipped = torch.clamp(ratio, coefficients.least_ratio, coefficients.greatest_ratio)
    gain, clipped_gain = ratio * batch.advantages, clipped * batch.advantages
    ratios = log_probabilities.numel() // values.numel()
    # Where the clipped gain is the smaller one it is constant.
    by_log_probability = gain * (gain <= clipped_gain) / (-steps * ratios)
    policy_parts = [
        torch.min(gain, clipped_gain).neg_(),
        ratio - 1 - log_ratio,
        (ratio != clipped).to(ratio.dtype),
    ]
    if ratios > 1:
        policy_parts = [part.mean(0) for part in policy_parts]

    value_part, by_value = _value_loss(values, batch, coefficients)
    # One mean of all parts takes less time than five: 5 x [M x] B -> 5 x [M]
    parts = (*policy_parts, value_part, entropy)
    policy, divergence, clips, value, mean_entropy = torch.stack(parts).mean(-1)
    total = (
        policy
        + coefficients.value_coefficient.squeeze(-1) * value
        - coefficients.beta.squeeze(-1) * mean_entropy
    )
    by_entropy = (coefficients.beta / -steps).expand_as(entropy)
    return (
        Losses(total, policy, value, mean_entropy, divergence * ratios, clips),
        Slopes(by_log_probability, by_entropy, by_value),
    )


def _value_loss(
    values: Tensor, batch: MiniBatch, coefficients: Coefficients
) -> tuple[Tensor, Tensor]:
    """Squared errors ([M,] B), and the slope of their weighted mean by the values."""
    error = values - batch.returns
    square = error.square()
    slope = error * (2 * coefficients.value_coefficient / values.shape[-1])
    if not coefficients.clip_value:
        return square, slope
    change = values - batch.values
    moved = torch.clamp(change, coefficients.least_change, coefficients.clip_range)
    clipped_square = (batch.values + moved - batch.returns).square()
    # Where the clipped error is the greater one it is constant. Where nothing is clipped the two differ
    # by rounding only.
    counts = (square >= clipped_square) | (moved == change)
    return torch.max(square, clipped_square), slope * counts


class _Objective(torch.autograd.Function):
    """`objective` as a part of what torch records."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, ...]:
        """The losses, in their order."""
        losses, slopes = objective(*arguments)
        ctx.save_for_backward(slopes.log_probability, slopes.entropy, slopes.value)
        total, *others = (getattr(losses, field.name) for field in fields(losses))
        ctx.mark_non_differentiable(*others)
        return total, *others

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the total loss."""
        outer = gradients[0].unsqueeze(-1)
        return *(outer * inner for inner in ctx.saved_tensors), None, None


def explained_variance(values: Tensor, returns: Tensor) -> list[float]:
    """1 - Var(returns - values) / Var(returns) of (M, B), for each member; 0 for constant returns."""
    # By NumPy, whose calls take a third of the time of torch's.
    wanted = returns.cpu().numpy()
    variances, unexplained = wanted.var(-1), (wanted - values.cpu().numpy()).var(-1)
    return [
        float(1 - left / max(variance, 1e-12)) if variance > 0 else 0.0
        for variance, left in zip(variances, unexplained, strict=True)
    ]
