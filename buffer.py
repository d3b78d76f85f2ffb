"""A rollout buffer: stores a rollout, estimates its advantages and yields mini-batches.

Axes, in this order: members M, steps T, workers N, then the shape of one item. A member's rollout is
contiguous, so flattening (T, N) into its batch of T * N steps copies nothing. `[M,]` in a shape marks
an axis that exists only if several members are selected (see `model.MemberSelection`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from environments.interface import Observations, Spaces, Step
from model import MemberSelection
from networks.recurrence import Sequences
from networks.repeats import Repeats


@dataclass
class MiniBatch:
    """Steps that are trained on together.

    Attributes:
        observations: ([M,] B, ...) by name, in the environment's own types; only the distinct ones
            (D, ...) if `observed` is given.
        actions: ([M,] B, A).
        log_probabilities: ([M,] B), of the actions under the policy that took them; (branches, [M,] B)
            if each branch has its own probability ratio.
        values: ([M,] B), as estimated when acting.
        advantages: ([M,] B).
        returns: ([M,] B), advantage plus value.
        sequences: order of the steps; None without recurrent layers.
        observed: (B,) index of each step's observation; None if each step has its own.
    """

    observations: dict[str, Tensor]
    actions: Tensor
    log_probabilities: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    sequences: Sequences | None = None
    observed: Tensor | None = None

    def spread(self, outputs: Tensor) -> Tensor:
        """Expand a network's outputs for distinct observations to outputs for all steps."""
        return outputs if self.observed is None else outputs.index_select(0, self.observed)


class RolloutBuffer:
    """The rollout of M members with N workers each, over T steps.

    Args:
        spaces: shapes and types of observations and actions.
        shape: members M, steps T and workers N.
        device: device of the mini-batches.
        low_memory: whether to keep the rollout in RAM and move one mini-batch at a time to the device.
        ratios: number of probability ratios per action.

    Attributes:
        observations: (M, T, N, ...) by name, in the environment's own types.
        actions: (M, T, N, A) of the action's own type.
        rewards, ends: (M, T, N).
        final_values: (M, T, N), values of the last observations of truncated episodes, else 0.
        values, advantages, returns: (M, T, N), in one tensor with the log-probabilities.
        log_probabilities: (M, T, N), or (branches, M, T, N).
        repeats: repeated observations by member, if acting has found them.
    """

    def __init__(
        self,
        spaces: Spaces,
        shape: tuple[int, int, int],
        device: torch.device,
        low_memory: bool,
        ratios: int = 1,
    ) -> None:
        self.members, self.steps, self.workers = shape
        self.device = device
        self.repeats: dict[int, Repeats] = {}
        self.storage = torch.device("cpu") if low_memory else device
        self.observations = {
            name: self._zeros((*shape, *item), getattr(torch, dtype))
            for name, (item, dtype) in spaces.observations.items()
        }
        action_type = getattr(torch, spaces.action_type)
        self.actions = self._zeros((*shape, spaces.action_size), action_type)
        self.rewards = self._zeros(shape)
        self.ends = self._zeros(shape, torch.bool)
        self.final_values = self._zeros(shape)
        self._scalars = self._zeros((3 + ratios, *shape))
        self.values, self.advantages, self.returns, *others = self._scalars
        self.log_probabilities = others[0] if ratios == 1 else self._scalars[3:]
        # Buffers for vectors that the network needs in another type.
        self._inputs = {
            name: torch.zeros((shape[0], shape[2], *item), device=device)
            for name, (item, dtype) in spaces.observations.items()
            if len(item) == 1 and dtype != "float32"
        }
        # Environments' answers are collected in RAM, where writing them step by step is cheap, and moved
        # at the end of a rollout. On a CPU that is the same memory.
        self._host_rewards, self._host_ends = self._host(self.rewards), self._host(self.ends)
        self._host_observations = {
            name: self._host(values)
            for name, values in self.observations.items()
            if self.storage.type == "cpu"
        }

    def _zeros(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        # Only from pinned memory can a copy to the GPU run while the CPU continues.
        pinned = self.storage.type == "cpu" and self.device.type == "cuda"
        return torch.zeros(shape, dtype=dtype, device=self.storage, pin_memory=pinned)

    @staticmethod
    def _host(values: Tensor) -> np.ndarray:
        return values.cpu().numpy()

    @property
    def size(self) -> int:
        """Steps of one member's batch, T * N."""
        return self.steps * self.workers

    def store_observations(self, step: int, observations: Observations) -> None:
        """Store the observations (M * N, ...) of all environments at a step."""
        for name, array in observations.items():
            shaped = array.reshape(self.members, self.workers, *array.shape[1:])
            if self._host_observations:
                self._host_observations[name][:, step] = shaped
            else:
                self.observations[name][:, step].copy_(torch.from_numpy(shaped))

    def observed(self, step: int) -> dict[str, Tensor]:
        """Return the observations (M, N, ...) of a step on the device, vectors in the network's type."""
        observed = {}
        for name, values in self.observations.items():
            # Copied into a buffer, as allocating some megabytes at each step takes longer.
            inputs = self._inputs.get(name)
            slot = values[:, step]
            observed[name] = slot.to(self.device) if inputs is None else inputs.copy_(slot)
        return observed

    def store_outcome(self, step: int, outcome: Step) -> None:
        """Store rewards and ends of M * N environments at a step."""
        shape = (self.members, self.workers)
        self._host_rewards[:, step] = outcome.rewards.reshape(shape)
        ends = outcome.terminated | outcome.truncated
        self._host_ends[:, step] = ends.reshape(shape)

    def finish(self, actions: Tensor, log_probabilities: Tensor) -> None:
        """Complete a rollout with the policy's actions.

        Args:
            actions: (M, T, N, A).
            log_probabilities: (M, T, N), or (branches, M, T, N).
        """
        self.actions.copy_(actions)
        self.log_probabilities.copy_(log_probabilities)
        if self.storage.type != "cpu":
            self.rewards.copy_(torch.from_numpy(self._host_rewards))
            self.ends.copy_(torch.from_numpy(self._host_ends))

    def normalise_advantages(self, selection: MemberSelection) -> None:
        """Give advantages mean 0 and standard deviation 1 over each member's whole batch."""
        # [M x] T x N -> [M x] (T * N)
        batch = self.advantages[selection].flatten(-2)
        self.advantages[selection] = normalise_advantages(batch).unflatten(-1, (self.steps, -1))

    def estimate_advantages(self, last_values: Tensor, gamma: Tensor, lamda: Tensor) -> None:
        """Estimate advantages (generalised advantage estimation) and returns.

        Schulman et al. (2016), High-dimensional continuous control using generalized advantage
        estimation, equation 16. Nothing crosses the end of an episode. The steps after it are worth
        `final_values`: 0 after a terminal state, the value of the last observation after a truncation.

        Args:
            last_values: (M, N), values of the observations that follow the rollout.
            gamma: (M, 1), discount factors.
            lamda: (M, 1).
        """
        next_values = torch.cat((self.values[:, 1:], last_values.unsqueeze(1)), 1)
        next_values = torch.where(self.ends, self.final_values, next_values)
        errors = self.rewards + gamma.unsqueeze(1) * next_values - self.values
        decays = (gamma * lamda).unsqueeze(1) * ~self.ends
        # By NumPy, where sequential steps cost the least: M x T x N -> T x M x N
        backwards = [np.swapaxes(self._host(each), 0, 1)[::-1] for each in (errors, decays)]
        advantages = np.empty(backwards[0].shape, np.float32)
        advantage = np.zeros_like(advantages[0])
        for step, (error, decay) in enumerate(zip(*backwards, strict=True)):
            np.multiply(advantage, decay, out=advantages[step])
            advantage = advantages[step]
            advantage += error
        self.advantages.copy_(torch.from_numpy(np.swapaxes(advantages[::-1], 0, 1).copy()))
        torch.add(self.advantages, self.values, out=self.returns)

    def batch_observations(self, selection: MemberSelection) -> dict[str, Tensor]:
        """Return all observations of the selected members, ([M *] T * N, ...) by name."""
        last = 1 if isinstance(selection, int) else 2
        return {
            name: values[selection].flatten(0, last) for name, values in self.observations.items()
        }

    def mini_batches(
        self,
        selection: MemberSelection,
        observations: dict[str, Tensor],
        dealt: Iterable[tuple[Tensor, Sequences | None]],
        repeats: Repeats | None = None,
    ) -> Iterator[MiniBatch]:
        """Yield mini-batches.

        Args:
            selection: the members to train.
            observations: the observations from `batch_observations`, or a reduced form of them.
            dealt: for each mini-batch, the positions ([M,] B) of its steps in each member's batch, on
                the CPU, and the order of these steps.
            repeats: the repeats, if `observations` are only the distinct ones of a single member.
        """
        # The batches of all members follow one another.
        several = isinstance(selection, slice)
        offsets = torch.arange(self.members).unsqueeze(1) * self.size if several else 0
        first = 2 if several else 1
        actions = self.actions[selection].flatten(0, first)
        # K x [M x] T x N -> K x ([M *] T * N)
        scalars = self._scalars[:, selection].flatten(1)
        for positions, sequences in dealt:
            chosen = (positions + offsets).to(self.storage)
            indices = chosen.flatten()
            wanted, observed = indices.view(chosen.shape), None
            if repeats is not None:
                wanted, observed = repeats.among(indices)
            picked = {name: self._pick(values, wanted) for name, values in observations.items()}
            numbers = self._to_device(scalars.index_select(1, indices).view(-1, *chosen.shape))
            values, advantages, returns = numbers[:3]
            yield MiniBatch(
                picked,
                self._pick(actions, chosen),
                numbers[3] if len(numbers) == 4 else numbers[3:],
                values,
                advantages,
                returns,
                sequences,
                observed,
            )

    def _pick(self, values: Tensor, indices: Tensor) -> Tensor:
        """Return the items at ([M,] B) indices of (K, ...) values, on the device."""
        picked = values.index_select(0, indices.flatten())
        return self._to_device(picked.view(*indices.shape, *values.shape[1:]))

    def _to_device(self, values: Tensor) -> Tensor:
        if self.storage == self.device:
            return values
        return values.pin_memory().to(self.device, non_blocking=True)


def normalise_advantages(advantages: Tensor) -> Tensor:
    """Return advantages ([M,] B) with mean 0 and standard deviation 1 over B."""
    deviation, mean = torch.std_mean(advantages, dim=-1, keepdim=True, unbiased=False)
    return (advantages - mean) / (deviation + 1e-8)
