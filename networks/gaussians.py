"""Distributions over continuous actions: an independent Gaussian for each dimension.

The parameters of a distribution are means and log standard deviations, (..., 2 A). The deviations don't
depend on the observation (Andrychowicz et al., 2021, What matters for on-policy deep actor-critic
methods, compare both).
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
    """Gaussians; only the environment gets their draws clipped to the bounds.

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
        """Return standard normal numbers (*shape, A) for `sample`, on the CPU."""
        return torch.randn(*shape, self.num_outputs, generator=generator)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Draw actions (..., A) float32, not clipped."""
        mean, log_deviation = parameters.chunk(2, -1)
        return torch.addcmul(mean, log_deviation.exp(), noise)

    def mode(self, parameters: Tensor) -> Tensor:
        """Return the mean (..., A)."""
        return parameters.chunk(2, -1)[0]

    def for_environment(self, actions: Tensor) -> Tensor:
        """Return actions (..., A) clipped to the bounds."""
        low, high = self.low.to(actions.device), self.high.to(actions.device)
        return actions.clamp(low, high)

    def log_probability(self, parameters: Tensor, actions: Tensor) -> Tensor:
        """Return the log-density (...) of actions (..., A)."""
        mean, log_deviation = parameters.chunk(2, -1)
        return self._log_density((actions - mean) / log_deviation.exp(), log_deviation)

    def evaluate(self, parameters: Tensor, actions: Tensor) -> Evaluation:
        """Return log-densities of actions, and entropies."""
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
    """Gaussians squashed by tanh and scaled to the bounds (Haarnoja et al., 2018, Soft actor-critic,
    appendix C).

    Actions are stored unsquashed. Their density is the density of the squashed action, which differs by
    a factor that doesn't depend on the parameters.

    Args:
        bounds: finite least and greatest value of each dimension of an action.

    Attributes:
        half_width: (A,), half the distance between the bounds.
        density_width: (A,), the same, but 1 where the bounds are equal, as a number that can't differ
            has no density.
        places, weights: (32, 1); E[f(x)] for a standard normal x is the weighted sum of f at these
            places (Gauss-Hermite quadrature).
    """

    def __init__(self, bounds: Sequence[tuple[float, float]]) -> None:
        super().__init__(bounds)
        self.half_width = (self.high - self.low) / 2
        self.density_width = self.half_width.where(self.half_width > 0, torch.ones(()))
        places, weights = np.polynomial.hermite_e.hermegauss(32)
        self.places = torch.tensor(places, dtype=torch.float32).unsqueeze(-1)
        self.weights = torch.tensor(weights / weights.sum(), dtype=torch.float32).unsqueeze(-1)

    def for_environment(self, actions: Tensor) -> Tensor:
        """Return actions (..., A) squashed and scaled to the bounds."""
        low, half_width = self.low.to(actions.device), self.half_width.to(actions.device)
        return low + (actions.tanh() + 1) * half_width

    def log_probability(self, parameters: Tensor, actions: Tensor) -> Tensor:
        """Return the log-density (...) of squashed actions."""
        return super().log_probability(parameters, actions) - self._log_slope(actions).sum(-1)

    def evaluate(self, parameters: Tensor, actions: Tensor) -> Evaluation:
        """Return log-densities of squashed actions, and entropies."""
        mean, log_deviation = parameters.chunk(2, -1)
        entropy = self._entropy(log_deviation) + self._mean_log_slope(mean, log_deviation)
        return Evaluation(self.log_probability(parameters, actions), entropy)

    def _log_slope(self, actions: Tensor) -> Tensor:
        """Return the log-derivative (..., A) of squashing and scaling, exact far from 0, too."""
        # 1 - tanh(x)^2 = (2 / (e^x + e^-x))^2
        log_slope = 2 * (math.log(2.0) - actions - functional.softplus(-2 * actions))
        return log_slope + self.density_width.to(actions.device).log()

    def _mean_log_slope(self, mean: Tensor, log_deviation: Tensor) -> Tensor:
        """Return the expected `_log_slope` (...), summed over all dimensions."""
        places, weights = self.places.to(mean.device), self.weights.to(mean.device)
        # (..., 1, A) + places (K, 1) -> (..., K, A)
        drawn = mean.unsqueeze(-2) + log_deviation.exp().unsqueeze(-2) * places
        return (self._log_slope(drawn) * weights).sum((-2, -1))
