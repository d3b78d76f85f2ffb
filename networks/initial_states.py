"""Initial hidden states of recurrent policies."""

from __future__ import annotations

import torch
from torch import Tensor


class InitialStates:
    """Initial hidden states of M members.

    Args:
        kind: zero; one; mean, of the last rollout's hidden states; or sample, from a Gaussian with
            their mean and standard deviation. Learned initial states are parameters of the network
            instead.
        mean: (M, state_size), of the last rollout's hidden states; zeros before the first.
        deviation: (M, state_size), their standard deviation.
    """

    def __init__(self, kind: str, mean: Tensor, deviation: Tensor) -> None:
        self._kind = kind
        self._mean = mean
        self._deviation = deviation

    @classmethod
    def of(cls, kind: str, members: int, size: int, device: torch.device) -> InitialStates:
        """Return the initial states of members that have no rollout yet."""
        mean = torch.full((members, size), 1.0 if kind == "one" else 0.0, device=device)
        return cls(kind, mean, torch.zeros_like(mean))

    def member(self, number: int) -> InitialStates:
        """Return the initial states of one member, without the axis M, as a view."""
        return InitialStates(self._kind, self._mean[number], self._deviation[number])

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return initial states (count, state_size) of one member; only the kind "sample" draws."""
        if self._kind != "sample":
            return self._mean.expand(count, -1)
        noise = torch.randn(count, len(self._mean), generator=generator).to(self._mean.device)
        return torch.addcmul(self._mean, self._deviation, noise)

    def update(self, states: Tensor) -> None:
        """Take mean and deviation from a rollout's (M, T, N, state_size) hidden states."""
        if self._kind in ("mean", "sample"):
            for member, own in enumerate(states.flatten(1, 2)):
                deviation, mean = torch.std_mean(own, 0, correction=0)
                self._mean[member].copy_(mean)
                self._deviation[member].copy_(deviation)

    def state(self) -> dict[str, Tensor]:
        """Return mean and deviation on the CPU, for a checkpoint."""
        return {"mean": self._mean.cpu().clone(), "deviation": self._deviation.cpu().clone()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Load what `state` returned."""
        self._mean.copy_(state["mean"])
        self._deviation.copy_(state["deviation"])
