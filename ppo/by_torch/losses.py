"""Computes the losses of PPO (Schulman et al., 2017, Proximal policy optimization algorithms)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from buffer import MiniBatch
from networks.distributions import Distribution


@dataclass
class Losses:
    """PPO's losses and diagnostics of a mini-batch, each of shape ([M]).

    Attributes:
        total: the loss to minimise, the only one with a gradient.
        policy: negative clipped surrogate (equation 7).
        value: mean squared error of the values. With clipping, the mean of the greater of two squared
            errors: that of the value, and that of the value clipped to within the clip range of its
            estimate when acting (Engstrom et al., 2020, Implementation matters in deep policy
            gradients).
        entropy: mean entropy of the policy in nats.
        kl_divergence: estimated KL divergence of the new policy from the old one in nats, summed over
            branches (Schulman, 2020, Approximating KL divergence, estimator k3).
        clip_fraction: share of probability ratios that were clipped.
    """

    total: Tensor
    policy: Tensor
    value: Tensor
    entropy: Tensor
    kl_divergence: Tensor
    clip_fraction: Tensor


@dataclass
class Coefficients:
    """The weights and limits of the losses in an update, each tensor of shape ([M,] 1).

    Attributes:
        clip_range: greatest change of the probability ratio and of the value.
        beta: coefficient of the entropy bonus.
        value_coefficient: weight of the value loss.
        clip_value: whether the value loss is clipped.
        least_ratio, greatest_ratio: limits of the probability ratio.
        least_change: limit of the value's decrease; that of its increase is the clip range.
    """

    clip_range: Tensor
    beta: Tensor
    value_coefficient: Tensor
    clip_value: bool

    def __post_init__(self) -> None:
        # Computed once for all mini-batches of an update.
        self.least_ratio, self.greatest_ratio = 1 - self.clip_range, 1 + self.clip_range
        self.least_change = -self.clip_range


def ppo_losses(
    parameters: Tensor,
    values: Tensor,
    batch: MiniBatch,
    distribution: Distribution,
    coefficients: Coefficients,
) -> Losses:
    """Return PPO's losses on a mini-batch.

    Args:
        parameters: ([M,] B, parameters), the distributions' parameters from the network in training.
        values: ([M,] B), values from the same network.
        batch: the mini-batch; its advantages aren't normalised here.
        distribution: turns parameters into probabilities.
        coefficients: the members' coefficients.
    """
    policy = distribution.evaluate(parameters, batch.actions)
    total, *others = _Objective.apply(
        policy.log_probability, policy.entropy, values, batch, coefficients
    )
    return Losses(total, *others)


@dataclass
class Slopes:
    """The gradient of the total loss.

    Attributes:
        log_probability: ([branches,] [M,] B), its derivative by each log-probability.
        entropy: ([M,] B), its derivative by each entropy.
        value: ([M,] B), its derivative by each value.
    """

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
    """Return PPO's losses and the gradient of the total loss.

    The gradient is written out, which takes a third of autograd's time.

    Args:
        log_probabilities: ([M,] B), or (branches, [M,] B) where each branch of an action has its own
            probability ratio; losses are means over branches then.
        entropy: ([M,] B).
        values: ([M,] B).
        batch: the mini-batch.
        coefficients: the members' coefficients.
    """
    steps = values.shape[-1]
    log_ratio = log_probabilities - batch.log_probabilities
    ratio = log_ratio.exp()
    clipped = torch.clamp(ratio, coefficients.least_ratio, coefficients.greatest_ratio)
    gain, clipped_gain = ratio * batch.advantages, clipped * batch.advantages
    ratios = log_probabilities.numel() // values.numel()
    # Where the clipped gain is smaller, the surrogate is constant.
    by_log_probability = gain * (gain <= clipped_gain) / (-steps * ratios)
    policy_parts = [
        torch.min(gain, clipped_gain).neg_(),
        ratio - 1 - log_ratio,
        (ratio != clipped).to(ratio.dtype),
    ]
    if ratios > 1:
        policy_parts = [part.mean(0) for part in policy_parts]

    value_part, by_value = _value_loss(values, batch, coefficients)
    # 5 x [M x] B -> 5 x [M]; one mean of all parts takes less time than five means.
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
    """Return squared errors ([M,] B), and the derivative of their weighted mean by each value."""
    error = values - batch.returns
    square = error.square()
    slope = error * (2 * coefficients.value_coefficient / values.shape[-1])
    if not coefficients.clip_value:
        return square, slope
    change = values - batch.values
    moved = torch.clamp(change, coefficients.least_change, coefficients.clip_range)
    clipped_square = (batch.values + moved - batch.returns).square()
    # Where the clipped error is greater, the loss is constant. Where the change isn't clipped, the two
    # errors differ by rounding only.
    counts = (square >= clipped_square) | (moved == change)
    return torch.max(square, clipped_square), slope * counts


class _Objective(torch.autograd.Function):
    """`objective` as an operation of torch's autograd."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, ...]:
        """Return the losses in the order of the fields of `Losses`."""
        losses, slopes = objective(*arguments)
        ctx.save_for_backward(slopes.log_probability, slopes.entropy, slopes.value)
        total, *others = (getattr(losses, field.name) for field in fields(losses))
        ctx.mark_non_differentiable(*others)
        return total, *others

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of the total loss; the other losses have none."""
        outer = gradients[0].unsqueeze(-1)
        return *(outer * inner for inner in ctx.saved_tensors), None, None


def explained_variance(values: Tensor, returns: Tensor) -> list[float]:
    """Return 1 - Var(returns - values) / Var(returns) of (M, B) per member; 0 for constant returns."""
    # NumPy's calls take a third of the time of torch's.
    wanted = returns.cpu().numpy()
    variances, unexplained = wanted.var(-1), (wanted - values.cpu().numpy()).var(-1)
    return [
        float(1 - left / max(variance, 1e-12)) if variance > 0 else 0.0
        for variance, left in zip(variances, unexplained, strict=True)
    ]
