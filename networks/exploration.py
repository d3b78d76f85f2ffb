"""State-dependent exploration (Raffin, Kober and Stulp, 2022, Smooth exploration for robotic
reinforcement learning): noise that is a random linear function of the policy's last features.

With deviations exp(`log_deviations`) of a function's entries, the noise for given features is Gaussian.
So the distributions in `gaussians.py` have its log-probability and entropy.

Features H, dimensions A of an action, workers N; `[M,]` marks an axis that only stacked networks have.
"""

from __future__ import annotations

import torch
from torch import Tensor

from networks.layers import affine

# Added to the noise's variance, which is 0 where all features are (as in Stable-Baselines3).
_LEAST_VARIANCE = 1e-6


def noise_log_deviation(features: Tensor, log_deviations: Tensor) -> Tensor:
    """Return the log standard deviation ([M,] B, A) of the noise for features ([M,] B, H).

    Features get no gradient through it, so that exploration doesn't decide what the network learns to
    see.

    Args:
        features: inputs of the policy's last layer.
        log_deviations: ([M,] H * A), of the entries of the random functions.
    """
    squares = features.detach().square()
    # [M x] (H * A) -> [M x] H x A
    variances = log_deviations.unflatten(-1, (features.shape[-1], -1)).mul(2).exp()
    if variances.dim() == 2:
        least = variances.new_full(variances.shape[-1:], _LEAST_VARIANCE)
        return affine(least, squares, variances).log().mul(0.5)
    return (squares @ variances).add(_LEAST_VARIANCE).log().mul(0.5)


def draw_functions(
    log_deviations: Tensor, features: int, workers: int, generator: torch.Generator
) -> Tensor:
    """Draw a random linear function for each worker of a member: (N, H, A).

    Args:
        log_deviations: (H * A), of the functions' entries.
        features: H.
        workers: N.
        generator: the member's, on the CPU.
    """
    # H * A -> H x A
    deviations = log_deviations.unflatten(-1, (features, -1)).exp()
    noise = torch.randn(workers, *deviations.shape, generator=generator)
    return deviations * noise.to(deviations.device)
