"""Distributions over continuous actions: Gaussian in each dimension, independent of each other.

A distribution's parameters are the means and the logarithms of the standard deviations, (..., 2 A). The
latter don't depend on what is observed (Andrychowicz et al., 2021, What matters for on-policy deep
actor-critic methods, compare both).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from networks.distributions import Evaluation

_LOG_ROOT_TWO_PI = 0.5 * math.log(2 * math.pi)


class DiagonalGaussian:
    """Gaussians whose draws are clipped to the bounds for the environment, and only for it.

    Args:
        bounds: least and greatest value of each dimension of an action.

    Attributes:
        low, high: (A,), the same.
    """

    ratios = 1

    def __init__(self, bounds: Sequence[tuple[float, float]]) -> None:
        self.num_outputs = self.free_parameters = len(bounds)
        self.low, self.high = torch.tensor(bounds, dtype=torch.float32).unbind(-1)

    def noise(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Standard normal numbers (*shape, A) for `sample`, on the CPU."""
        return torch.randn(*shape, self.num_outputs, generator=generator)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Draws actions (..., A) float32, not clipped."""
        mean, log_deviation = parameters.chunk(2, -1)
        return torch.addcmul(mean, log_deviation.exp(), noise)

    def mode(self, parameters: Tensor) -> Tensor:
        """The mean (..., A)."""
        return parameters.chunk(2, -1)[0]

    def for_environment(self, actions: Tensor) -> Tensor:
        """Actions (..., A) clipped to the bounds."""
        low, high = self.low.to(actions.device), self.high.to(actions.device)
        return actions.clamp(low, high)

    def log_probability(self, parameters: Tensor, actions: Tensor) -> Tensor:
        """The logarithm (...) of the density of actions (..., A)."""
        mean, log_deviation = parameters.chunk(2, -1)
        return self._log_density((actions - mean) / log_deviation.exp(), log_deviation)

    def evaluate(self, parameters: Tensor, actions: Tensor) -> Evaluation:
        """Log-densities of actions, and entropies."""
        _, log_deviation = parameters.chunk(2, -1)
        return Evaluation(self.log_probability(parameters, actions), self._entropy(log_deviation))

    @staticmethod
    def _log_density(standardised: Tensor, log_deviation: Tensor) -> Tensor:
        exponent = standardised.square().mul(0.5).add(log_deviation).add(_LOG_ROOT_TWO_PI)
        return exponent.sum(-1).neg()

    @staticmethod
    def _entropy(log_deviation: Tensor) -> Tensor:
        return (log_deviation + (0.5 + _LOG_ROOT_TWO_PI)).sum(-1)


class SquashedGaussian(DiagonalGaussian):
    """Gaussians squashed by tanh and stretched to the bounds (Haarnoja et al., 2018, Soft actor-critic,
    appendix C).

    An action is kept as it was before it was squashed. Its density is that of what the environment
    gets, which differs by a factor that doesn't depend on the parameters.

    Args:
        bounds: finite least and greatest value of each dimension of an action.

    Attributes:
        half_width: (A,), by which actions are stretched.
        places, weights: (32, 1); E[f(x)] for a normal x is the sum of f at these places with these
            weights (Gauss-Hermite quadrature).
    """

    def __init__(self, bounds: Sequence[tuple[float, float]]) -> None:
        super().__init__(bounds)
        self.half_width = (self.high - self.low) / 2
        places, weights = np.polynomial.hermite_e.hermegauss(32)
        self.places = torch.tensor(places, dtype=torch.float32).unsqueeze(-1)
        self.weights = torch.tensor(weights / weights.sum(), dtype=torch.float32).unsqueeze(-1)

    def for_environment(self, actions: Tensor) -> Tensor:
        """Actions (..., A) squashed and stretched."""
        low, half_width = self.low.to(actions.device), self.half_width.to(actions.device)
        return low + (actions.tanh() + 1) * half_width

    def log_probability(self, parameters: Tensor, actions: Tensor) -> Tensor:
        """The logarithm (...) of the density of squashed actions."""
        return super().log_probability(parameters, actions) - self._log_slope(actions).sum(-1)

    def evaluate(self, parameters: Tensor, actions: Tensor) -> Evaluation:
        """Log-densities of squashed actions, and entropies."""
        mean, log_deviation = parameters.chunk(2, -1)
        entropy = self._entropy(log_deviation) + self._mean_log_slope(mean, log_deviation)
        return Evaluation(self.log_probability(parameters, actions), entropy)

    def _log_slope(self, actions: Tensor) -> Tensor:
        """The logarithm (..., A) of the slope of squashing and stretching, exact far from 0 too."""
        # 1 - tanh(x)^2 = (2 / (e^x + e^-x))^2
        log_slope = 2 * (math.log(2.0) - actions - functional.softplus(-2 * actions))
        return log_slope + self.half_width.to(actions.device).log()

    def _mean_log_slope(self, mean: Tensor, log_deviation: Tensor) -> Tensor:
        """The expected `_log_slope` (...) over all dimensions."""
        places, weights = self.places.to(mean.device), self.weights.to(mean.device)
        # (..., 1, A) + places (K, 1) -> (..., K, A)
        drawn = mean.unsqueeze(-2) + log_deviation.exp().unsqueeze(-2) * places
        return (self._log_slope(drawn) * weights).sum((-2, -1))
