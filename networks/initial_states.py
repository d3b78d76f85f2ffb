"""The hidden states with which the memory of a recurrent policy begins."""

from __future__ import annotations

import torch
from torch import Tensor


class InitialStates:
    """Initial hidden states of M members.

    Args:
        kind: zero, one; mean of the hidden states of the last rollout, or sample, drawn from a Gaussian
            with their mean and deviation. Learned ones are parameters of the network instead.
        mean: (M, state_size), of the last rollout's hidden states; zeros before the first.
        deviation: (M, state_size).
    """

    def __init__(self, kind: str, mean: Tensor, deviation: Tensor) -> None:
        self._kind = kind
        self._mean = mean
        self._deviation = deviation

    @classmethod
    def of(cls, kind: str, members: int, size: int, device: torch.device) -> InitialStates:
        """Those of members that have no rollout yet."""
        mean = torch.full((members, size), 1.0 if kind == "one" else 0.0, device=device)
        return cls(kind, mean, torch.zeros_like(mean))

    def member(self, number: int) -> InitialStates:
        """Those of one member, without the axis M, on the same memory."""
        return InitialStates(self._kind, self._mean[number], self._deviation[number])

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Initial states (count, state_size) of a single member; only sampled ones use the generator."""
        if self._kind != "sample":
            return self._mean.expand(count, -1)
        noise = torch.randn(count, len(self._mean), generator=generator).to(self._mean.device)
        return torch.addcmul(self._mean, self._deviation, noise)

    def update(self, states: Tensor) -> None:
        """Takes note of a rollout's (M, T, N, state_size) hidden states."""
        if self._kind in ("mean", "sample"):
            for member, own in enumerate(states.flatten(1, 2)):
                deviation, mean = torch.std_mean(own, 0, correction=0)
                self._mean[member].copy_(mean)
                self._deviation[member].copy_(deviation)

    def state(self) -> dict[str, Tensor]:
        """Mean and deviation on the CPU, for a checkpoint."""
        return {"mean": self._mean.cpu().clone(), "deviation": self._deviation.cpu().clone()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Takes over what `state` gave."""
        self._mean.copy_(state["mean"])
        self._deviation.copy_(state["deviation"])
