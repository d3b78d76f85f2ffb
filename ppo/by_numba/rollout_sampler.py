"""Collects rollouts in compiled environments: a member's whole rollout in one call of a kernel."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from environments.compiled.vector import CompiledEnvironments
from environments.interface import Observations
from environments.spaces import VECTOR
from networks.gaussians import DiagonalGaussian
from ppo.by_numba.acting import Actors
from ppo.by_numba.acting_kernels import values_of_floats
from ppo.by_numba.rollout_kernel import Bounds, Experience, collect
from ppo.parts import Parts
from ppo.run.member import Member

_NO_FLOATS = np.zeros(0, np.float32)


class NumbaSampler:
    """Replaces `ppo.sampler.Sampler` for fully connected networks and compiled environments on a CPU.

    Args:
        parts: the population in training.
        environments: the environments of all workers, member by member.

    Attributes:
        observations: present observations of all workers, (M * N, ...) by name.
        features: None, because acting doesn't compute the features of values.
    """

    features: Tensor | None = None

    def __init__(self, parts: Parts, environments: CompiledEnvironments) -> None:
        buffer = parts.buffer
        self._members = parts.members
        self._distribution = parts.population.stacked.distribution
        self._buffer = buffer
        self._actors = Actors(parts)
        self._environments = environments
        self._episodes = np.empty((buffer.size, 2))
        self._forces = np.zeros(buffer.workers, np.float32)
        self.observations: Observations = environments.observations

    def sample(self, update: int) -> None:
        """Collect T steps of every worker."""
        for member in self._members:
            self._collect(member)

    def _collect(self, member: Member) -> None:
        buffer, number = self._buffer, member.number
        shape = (buffer.steps, buffer.workers)
        noise = self._distribution.noise(shape, member.action_generator)
        own = slice(number * buffer.workers, (number + 1) * buffer.workers)
        ended = collect(
            self._actors.of(number, VECTOR),
            self._bounds(member),
            self._environments.worlds.part(own),
            self._environments.observations[VECTOR][own],
            self._environments.results.part(own),
            noise.numpy(),
            self._experience(number),
            self._episodes,
        )
        assert len(collect.overloads) == 1, "compiled for several types"
        for total, length in self._episodes[:ended].tolist():
            member.episodes.append({"return": total, "length": length})
        member.return_history.add_episodes(self._episodes[:ended, 0].tolist())

    def values(self) -> Tensor:
        """Return the values (M, N) of the workers' present observations."""
        estimates = np.empty((len(self._members), self._buffer.workers), np.float32)
        observed = self._environments.observations[VECTOR].reshape(*estimates.shape, -1)
        for number, values in enumerate(estimates):
            values_of_floats(self._actors.of(number, VECTOR), observed[number], values)
        return torch.from_numpy(estimates)

    def _bounds(self, member: Member) -> Bounds:
        low = high = _NO_FLOATS
        if isinstance(self._distribution, DiagonalGaussian):
            low, high = self._distribution.low.numpy(), self._distribution.high.numpy()
        return Bounds(low, high, self._forces, member.config.bootstrap_truncated)

    def _experience(self, number: int) -> Experience:
        buffer = self._buffer
        actions = buffer.actions[number].numpy()
        is_discrete = len(self._actors.policy.branches) > 0
        return Experience(
            buffer.observations[VECTOR][number].numpy(),
            actions if is_discrete else np.zeros((buffer.steps, 0, 1), np.int64),
            np.zeros((buffer.steps, 0, 1), np.float32) if is_discrete else actions,
            # Compiled environments have actions of a single branch, and so a single ratio.
            buffer.log_probabilities[number].unsqueeze(-1).numpy(),
            buffer.rewards[number].numpy(),
            buffer.final_values[number].numpy(),
            buffer.ends[number].numpy(),
        )
