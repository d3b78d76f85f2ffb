"""Running normalisation of vector observations, as a part of the network, and of rewards."""

from __future__ import annotations

import torch
from torch import Tensor

from environments.interface import ACTION_MASK, Spaces

_LIMIT = 10.0  # standard deviations at which normalised numbers are clipped


class Normaliser:
    """Running mean and variance of all vector observations of M members.

    They change between updates only, so acting and optimising within one update see the same network.
    Before the first update the normaliser changes nothing.

    Args:
        mean: (M, 1, D) of each vector observation, by name.
        variance: (M, 1, D) of each.
        count: (M,) float64, number of observations seen.
    """

    def __init__(self, mean: dict[str, Tensor], variance: dict[str, Tensor], count: Tensor) -> None:
        self._mean = mean
        self._variance = variance
        self._count = count

    @classmethod
    def of(cls, spaces: Spaces, members: int, device: torch.device) -> Normaliser:
        """Return the normaliser of members that have seen no observation."""
        shapes = {
            name: (members, 1, *shape)
            for name, (shape, _) in spaces.observations.items()
            if len(shape) == 1 and name != ACTION_MASK
        }
        return cls(
            {name: torch.zeros(shape, device=device) for name, shape in shapes.items()},
            {name: torch.ones(shape, device=device) for name, shape in shapes.items()},
            torch.zeros(members, dtype=torch.float64, device=device),
        )

    def member(self, number: int) -> Normaliser:
        """Return the normaliser of one member, without the axis M, as a view."""
        return Normaliser(
            {name: mean[number] for name, mean in self._mean.items()},
            {name: variance[number] for name, variance in self._variance.items()},
            self._count[number],
        )

    def __call__(self, observations: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return ([M,] B, ...) observations with mean 0 and standard deviation 1 for each vector."""
        normalised = dict(observations)
        for name in self._mean:
            mean, deviation = self.moments(name)
            normalised[name] = ((observations[name] - mean) / deviation).clamp(-_LIMIT, _LIMIT)
        return normalised

    def moments(self, name: str) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation ([M, 1,] D) of a vector observation."""
        return self._mean[name], (self._variance[name] + 1e-8).sqrt()

    def update(self, observations: dict[str, Tensor]) -> None:
        """Update mean and variance by a rollout's (M, T, N, ...) observations.

        Source: Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance.
        """
        first = next(iter(observations.values()))
        batch_count = first.shape[1] * first.shape[2]
        total = self._count + batch_count
        share = (batch_count / total).view(-1, 1, 1)
        for name, mean in self._mean.items():
            # M x T x N x D -> M x (T * N) x D
            batch = observations[name].flatten(1, 2).to(mean.device, torch.float64)
            # One member at a time, so that rounding doesn't depend on M.
            moments = [torch.var_mean(own, 0, correction=0, keepdim=True) for own in batch]
            batch_variance, batch_mean = map(torch.stack, zip(*moments, strict=True))
            difference = batch_mean - mean
            spread = (1 - share) * self._variance[name] + share * batch_variance
            self._variance[name].copy_(spread + share * (1 - share) * difference.square())
            mean.add_(share * difference)
        self._count.copy_(total)

    def state(self) -> dict[str, Tensor]:
        """Return mean, variance and count on the CPU, for a checkpoint."""
        state = {"count": self._count.cpu().clone()}
        for name, mean in self._mean.items():
            state[f"mean.{name}"] = mean.cpu().clone()
            state[f"variance.{name}"] = self._variance[name].cpu().clone()
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Load what `state` returned."""
        self._count.copy_(state["count"])
        for name, mean in self._mean.items():
            mean.copy_(state[f"mean.{name}"])
            self._variance[name].copy_(state[f"variance.{name}"])


class RewardNormaliser:
    """Divides rewards by the running standard deviation of each member's discounted returns.

    Engstrom et al. (2020), Implementation matters in deep policy gradients, section 3.

    Args:
        members: M.
        workers: N.
        device: the rewards' device.
    """

    def __init__(self, members: int, workers: int, device: torch.device) -> None:
        # The sum of all returns, the sum of their squares, and their number; the unfinished returns.
        self._moments = torch.zeros(members, 3, dtype=torch.float64, device=device)
        self._returns = torch.zeros(members, workers, device=device)

    def __call__(self, rewards: Tensor, ends: Tensor, gamma: Tensor) -> None:
        """Normalise a rollout's rewards in place.

        Args:
            rewards: (M, T, N).
            ends: (M, T, N) bool, whether a step ended an episode.
            gamma: (M, 1), discount factors.
        """
        returns = []
        for reward, end in zip(rewards.unbind(1), ends.unbind(1), strict=True):
            # Not fused: the rounding of fused operations depends on a number's place in memory.
            self._returns = reward + self._returns * gamma
            returns.append(self._returns)
            self._returns = self._returns.masked_fill(end, 0.0)
        seen = torch.stack(returns, 1).flatten(1).double()
        count = torch.full_like(seen[:, 0], seen.shape[1])
        total = torch.stack([own.sum() for own in seen])
        squares = torch.stack([own.square().sum() for own in seen])
        self._moments += torch.stack((total, squares, count), 1)
        total, squares, count = self._moments.unbind(1)
        variance = (squares / count - (total / count).square()).clamp(min=0)
        deviation = (variance + 1e-8).sqrt().to(rewards.dtype)
        rewards.div_(deviation.view(-1, 1, 1)).clamp_(-_LIMIT, _LIMIT)

    def begin_episodes(self) -> None:
        """Reset the returns of unfinished episodes, as all workers start new ones."""
        self._returns = torch.zeros_like(self._returns)

    def member_state(self, member: int) -> dict[str, Tensor]:
        """Return one member's moments and unfinished returns on the CPU, for a checkpoint."""
        return {
            "moments": self._moments[member].cpu().clone(),
            "returns": self._returns[member].cpu().clone(),
        }

    def restore(self, member: int, state: dict[str, Tensor], same_episodes: bool) -> None:
        """Load what `member_state` returned; unfinished returns only if their episodes continue."""
        self._moments[member].copy_(state["moments"])
        if same_episodes:
            self._returns[member].copy_(state["returns"])
