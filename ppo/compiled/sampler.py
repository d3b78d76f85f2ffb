"""Rollouts in environments that are compiled, too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from buffer import RolloutBuffer
from environments.compiled.vector import CompiledEnvironments
from environments.interface import Observations
from environments.spaces import VECTOR
from model import Population
from networks.gaussians import DiagonalGaussian
from ppo.compiled.acting import Actor, Experience, collect
from ppo.compiled.describing import describe, locate, workspace_of
from ppo.member import Member

_NO_VALUES, _NO_PLACES = np.zeros(0, np.float32), np.zeros(0, np.int64)
_NO_CHOICES, _NO_DRAWS = np.zeros((1, 0), np.int64), np.zeros((0, 0, 0), np.float32)


class CompiledSampler:
    """As `ppo.sampler.Sampler`, for fully connected networks and compiled environments on a CPU.

    Args:
        members: whose workers act.
        population: their networks.
        environments: of all workers, member by member.
        buffer: takes the rollouts.

    Attributes:
        observations: what the workers see at present, (M * N, ...) by name.
        features: None, as acting doesn't give what values are made of.
    """

    features: Tensor | None = None

    def __init__(
        self,
        members: Sequence[Member],
        population: Population,
        environments: CompiledEnvironments,
        buffer: RolloutBuffer,
    ) -> None:
        self._members = members
        self._population = population
        self._buffer = buffer
        self._networks = [
            locate(network, weights)
            for network, weights in zip(population.each, population.weights, strict=True)
        ]
        self._policy = describe(population.stacked)
        self._environments = environments
        self._forces = np.zeros(buffer.workers, np.float32)
        self._episodes = np.empty((buffer.size, 3))
        self.observations: Observations = environments.observations

    def sample(self, update: int) -> None:
        """Collects T steps of every worker."""
        for member in self._members:
            self._collect(member)

    def _collect(self, member: Member) -> None:
        buffer, number = self._buffer, member.number
        distribution = self._population.stacked.distribution
        noise = distribution.noise((buffer.steps, buffer.workers), member.action_generator)
        own = slice(number * buffer.workers, (number + 1) * buffer.workers)
        ended = collect(
            self._actor(member),
            self._environments.worlds.part(own),
            self._environments.observations[VECTOR][own],
            self._environments.ends.part(own),
            noise.numpy(),
            self._experience(number),
            self._episodes,
        )
        assert len(collect.overloads) == 1, "compiled for several types"
        for _, total, length in self._episodes[:ended].tolist():
            member.episodes.append({"return": total, "length": length})
        member.record.add_episodes(self._episodes[:ended, 1].tolist())

    def _actor(self, member: Member) -> Actor:
        network = self._population.each[member.number]
        place = self._networks[member.number]
        distribution, mean, deviation = network.distribution, _NO_VALUES, _NO_VALUES
        if network.normaliser is not None:
            mean, deviation = (
                each.flatten().numpy() for each in network.normaliser.moments(VECTOR)
            )
        low, high = _NO_VALUES, _NO_VALUES
        if isinstance(distribution, DiagonalGaussian):
            low, high = distribution.low.numpy(), distribution.high.numpy()
        return Actor(
            place,
            self._policy,
            self._population.weights[member.number].numpy(),
            mean,
            deviation,
            low,
            high,
            self._forces,
            member.config.bootstrap_truncated,
            workspace_of(network, place, self._buffer, member.config.num_mini_batches),
            _NO_PLACES,
        )

    def _experience(self, number: int) -> Experience:
        buffer = self._buffer
        actions = buffer.actions[number].numpy()
        chooses = len(self._policy.branches) > 0
        return Experience(
            buffer.observations[VECTOR][number].numpy(),
            # These tasks have a single branch, and so a single ratio.
            actions.squeeze(-1) if chooses else _NO_CHOICES,
            _NO_DRAWS if chooses else actions,
            buffer.log_probabilities[number].view(1, buffer.steps, buffer.workers).numpy(),
            buffer.rewards[number].numpy(),
            buffer.final_values[number].numpy(),
            buffer.ends[number].numpy(),
        )
