"""Storage of a rollout, its advantages, and the mini-batches drawn from it.

Axes, in this order: members M, steps T, workers N, then the shape of one item. A member's rollout is
contiguous, so that flattening (T, N) into its batch of T * N steps costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from environments.interface import Observations, Spaces, Step


@dataclass
class MiniBatch:
    """Steps that are trained on together; M is 1 where members are optimised one by one.

    Attributes:
        observations: (M, B, ...) by name, in the environment's own types.
        actions: (M, B, branches).
        log_probabilities: (M, B), of the actions under the policy that took them.
        values: (M, B), as they were estimated when acting.
        advantages: (M, B).
        returns: (M, B), advantage plus value.
    """

    observations: dict[str, Tensor]
    actions: Tensor
    log_probabilities: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor


class RolloutBuffer:
    """The rollout of M members with N workers each, over T steps.

    Args:
        spaces: shapes and types of what is stored.
        shape: members M, steps T and workers N.
        device: where mini-batches are needed.
        low_memory: keep the rollout in host memory and move one mini-batch at a time to the device.
    """

    def __init__(
        self,
        spaces: Spaces,
        shape: tuple[int, int, int],
        device: torch.device,
        low_memory: bool,
    ) -> None:
        self.members, self.steps, self.workers = shape
        self.device = device
        self.storage = torch.device("cpu") if low_memory else device
        self.observations = {
            name: self._zeros((*shape, *item), getattr(torch, dtype))
            for name, (item, dtype) in spaces.observations.items()
        }
        self.actions = self._zeros((*shape, len(spaces.branches)), torch.int64)
        self.log_probabilities = self._zeros(shape)
        self.values = self._zeros(shape)
        self.rewards = self._zeros(shape)
        self.ends = self._zeros(shape, torch.bool)
        self.final_values = self._zeros(shape)
        self.advantages = self._zeros(shape)
        self.returns = self._zeros(shape)

    def _zeros(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        # Pinned memory is what lets a copy to the GPU run while the CPU goes on.
        pinned = self.storage.type == "cpu" and self.device.type == "cuda"
        return torch.zeros(shape, dtype=dtype, device=self.storage, pin_memory=pinned)

    @property
    def size(self) -> int:
        """Steps of one member's batch, T * N."""
        return self.steps * self.workers

    def store_observations(self, step: int, observations: Observations) -> dict[str, Tensor]:
        """Stores what (M * N, ...) environments observe, and returns it as (M, N, ...) on the device."""
        observed = {}
        for name, values in observations.items():
            slot = self.observations[name][:, step]
            slot.copy_(torch.from_numpy(values).unflatten(0, (self.members, self.workers)))
            observed[name] = slot.to(self.device, non_blocking=True)
        return observed

    def store_outcome(self, step: int, actions: Tensor, values: Tensor, outcome: Step) -> None:
        """Stores (M, N, branches) actions, (M, N) values and what M * N environments answered."""
        self.actions[:, step] = actions
        self.values[:, step] = values
        shape = (self.members, self.workers)
        self.rewards[:, step] = torch.from_numpy(outcome.rewards).view(shape)
        ends = outcome.terminated | outcome.truncated
        self.ends[:, step] = torch.from_numpy(ends).view(shape)

    def normalise_advantages(self, member: int) -> None:
        """Gives one member's advantages mean 0 and standard deviation 1 over its whole batch."""
        batch = self.advantages[member].view(1, -1)
        self.advantages[member] = normalise_advantages(batch).view(self.steps, self.workers)

    def estimate_advantages(self, last_values: Tensor, gamma: Tensor, lamda: Tensor) -> None:
        """Generalised advantage estimation (Schulman et al., 2016, equation 16), and the returns.

        Where an episode ended, nothing of the next one counts; its own continuation is worth
        `final_values`: 0 at a real end, the value of the last observation where it was cut off.

        Args:
            last_values: (M, N), values of the observations that follow the rollout.
            gamma: (M, 1), discount factors.
            lamda: (M, 1).
        """
        next_values = torch.cat((self.values[:, 1:], last_values.unsqueeze(1)), 1)
        next_values = torch.where(self.ends, self.final_values, next_values)
        errors = self.rewards + gamma.unsqueeze(1) * next_values - self.values
        decays = (gamma * lamda).unsqueeze(1) * ~self.ends
        advantage = torch.zeros_like(last_values)
        for step in reversed(range(errors.shape[1])):
            advantage = torch.addcmul(errors[:, step], decays[:, step], advantage)
            self.advantages[:, step] = advantage
        torch.add(self.advantages, self.values, out=self.returns)

    def mini_batches(self, member: int, order: Tensor, count: int) -> Iterator[MiniBatch]:
        """Deals one member's batch out in mini-batches.

        Args:
            member: whose batch.
            order: (T * N,) a permutation of the batch's steps, on the CPU.
            count: the number of mini-batches.
        """
        # M x T x N x ... -> (T * N) x ...
        observations = {
            name: values[member].flatten(0, 1) for name, values in self.observations.items()
        }
        others = [
            values[member].flatten(0, 1)
            for values in (
                self.actions,
                self.log_probabilities,
                self.values,
                self.advantages,
                self.returns,
            )
        ]
        for indices in order.to(self.storage).view(count, -1):
            picked = {name: self._pick(values, indices) for name, values in observations.items()}
            yield MiniBatch(picked, *(self._pick(values, indices) for values in others))

    def _pick(self, values: Tensor, indices: Tensor) -> Tensor:
        chosen = values.index_select(0, indices)
        if self.storage != self.device:
            chosen = chosen.pin_memory().to(self.device, non_blocking=True)
        return chosen.unsqueeze(0)


def normalise_advantages(advantages: Tensor) -> Tensor:
    """Advantages (M, B) with mean 0 and standard deviation 1 over B."""
    deviation, mean = torch.std_mean(advantages, dim=-1, keepdim=True, unbiased=False)
    return (advantages - mean) / (deviation + 1e-8)
