"""Running normalisation of vector observations, a part of the network that isn't trained."""

from __future__ import annotations

import torch
from torch import Tensor

from environments.interface import Spaces

_LIMIT = 10.0  # deviations beyond which a normalised observation is clipped


class Normaliser:
    """Mean and variance of all vector observations that M members have seen so far.

    They change between updates only: acting and optimising within one update see the same network.
    Before the first update nothing is changed.

    Args:
        mean: (M, 1, D) of each vector observation, by name.
        variance: (M, 1, D) of each.
        count: (M,) float64, observations seen.
    """

    def __init__(self, mean: dict[str, Tensor], variance: dict[str, Tensor], count: Tensor) -> None:
        self._mean = mean
        self._variance = variance
        self._count = count

    @classmethod
    def of(cls, spaces: Spaces, members: int, device: torch.device) -> Normaliser:
        """The normaliser of members that have seen nothing."""
        shapes = {
            name: (members, 1, *shape)
            for name, (shape, _) in spaces.observations.items()
            if len(shape) == 1
        }
        return cls(
            {name: torch.zeros(shape, device=device) for name, shape in shapes.items()},
            {name: torch.ones(shape, device=device) for name, shape in shapes.items()},
            torch.zeros(members, dtype=torch.float64, device=device),
        )

    def member(self, number: int) -> Normaliser:
        """The normaliser of one member, without the axis M, on the same memory."""
        return Normaliser(
            {name: mean[number] for name, mean in self._mean.items()},
            {name: variance[number] for name, variance in self._variance.items()},
            self._count[number],
        )

    def __call__(self, observations: dict[str, Tensor]) -> dict[str, Tensor]:
        """([M,] B, ...) observations, the vectors among them with mean 0 and deviation 1."""
        normalised = dict(observations)
        for name, mean in self._mean.items():
            deviation = (self._variance[name] + 1e-8).sqrt()
            normalised[name] = ((observations[name] - mean) / deviation).clamp(-_LIMIT, _LIMIT)
        return normalised

    def update(self, observations: dict[str, Tensor]) -> None:
        """Takes a rollout's (M, T, N, ...) observations into account.

        Source: Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance.
        """
        first = next(iter(observations.values()))
        batch_count = first.shape[1] * first.shape[2]
        total = self._count + batch_count
        share = (batch_count / total).view(-1, 1, 1)
        for name, mean in self._mean.items():
            # M x T x N x D -> M x (T * N) x D
            batch = observations[name].flatten(1, 2).to(mean.device, torch.float64)
            batch_variance, batch_mean = torch.var_mean(batch, 1, correction=0, keepdim=True)
            difference = batch_mean - mean
            spread = (1 - share) * self._variance[name] + share * batch_variance
            self._variance[name].copy_(spread + share * (1 - share) * difference.square())
            mean.add_(share * difference)
        self._count.copy_(total)

    def state(self) -> dict[str, Tensor]:
        """Everything above on the CPU, for a checkpoint."""
        state = {"count": self._count.cpu().clone()}
        for name, mean in self._mean.items():
            state[f"mean.{name}"] = mean.cpu().clone()
            state[f"variance.{name}"] = self._variance[name].cpu().clone()
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Takes over what `state` gave."""
        self._count.copy_(state["count"])
        for name, mean in self._mean.items():
            mean.copy_(state[f"mean.{name}"])
            self._variance[name].copy_(state[f"variance.{name}"])
