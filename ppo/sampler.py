"""Lets the workers of a population act, a rollout at a time.

Axes: members M, workers N, steps T (see `buffer.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from buffer import RolloutBuffer
from environments.interface import Observations, VectorEnvironment
from model import Population
from networks.recurrence import Sequences
from ppo.compiled import serves
from ppo.member import Member
from ppo.memory import Memory

if TYPE_CHECKING:
    from ppo.compiled.sampler import CompiledSampler


class Sampler:
    """Collects rollouts.

    Args:
        members: whose workers act.
        population: their networks.
        environments: of all workers, member by member.
        buffer: takes the rollouts.
        memory: what workers remember; None without recurrent layers.

    Attributes:
        observations: what the workers see at present, (M * N, ...) by name. Set it before the first
            rollout.
        features: (M, T, N, size), what values of the rollout are made of; None where acting doesn't
            give that.
    """

    observations: Observations

    def __init__(
        self,
        members: Sequence[Member],
        population: Population,
        environments: VectorEnvironment,
        buffer: RolloutBuffer,
        memory: Memory | None,
    ) -> None:
        self._members = members
        self._population = population
        self._environments = environments
        self._buffer = buffer
        self._memory = memory
        self._distribution = population.stacked.distribution
        self._device = population.weights.device
        size = population.stacked.value_head.weight.shape[-2]
        shape = (len(members), buffer.steps, buffer.workers, size)
        self.features = (
            torch.zeros(shape, device=self._device) if population.stacked.acts_with_values else None
        )

    @torch.inference_mode()
    def sample(self, update: int) -> None:
        """Collects T steps of every worker.

        A member of which an environment fails gets a `failure`; what it collects means nothing.

        Args:
            update: how many updates are done.
        """
        buffer, distribution = self._buffer, self._distribution
        noise = self._action_noise()
        outputs: list[tuple[Tensor, Tensor]] = []
        truncations: list[_Truncation] = []
        for step in range(buffer.steps):
            observed = buffer.store_observations(step, self.observations)
            states = None if self._memory is None else self._memory.store(step)
            acted = self._population.act(observed, states)
            actions = distribution.sample(acted.parameters, noise[step])
            outputs.append((acted.parameters, actions))
            if self.features is not None and acted.value_features is not None:
                self.features[:, step] = acted.value_features
            # M of N x A -> (M * N) x A
            taken = torch.cat([distribution.for_environment(own) for own in actions])
            outcome = self._environments.step(taken.cpu().numpy())
            buffer.store_outcome(step, outcome)
            truncations += [
                self._truncation(step, environment, observations, acted.states)
                for environment, observations in outcome.final_observations
            ]
            if self._memory is not None and acted.states is not None:
                self._memory.advance(acted.states, outcome.terminated | outcome.truncated)
            self._note_episodes(outcome.episodes)
            for environment, failure in outcome.failures:
                self._members[environment // buffer.workers].fail(failure, update)
            for environment, _ in outcome.crashes:
                self._members[environment // buffer.workers].crashes += 1
            self.observations = outcome.observations
        # T of M x N x ... -> M x T x N x ...
        all_parameters, all_actions = (torch.stack(each, 1) for each in zip(*outputs, strict=True))
        log_probabilities = torch.stack(
            [
                distribution.log_probability(*own)
                for own in zip(all_parameters, all_actions, strict=True)
            ],
            # [branches x] M x T x N
            -3,
        )
        buffer.finish(all_actions, log_probabilities)
        self._value_truncations(truncations)

    def _truncation(
        self, step: int, environment: int, observations: Observations, states: Tensor | None
    ) -> _Truncation:
        member, worker = divmod(environment, self._buffer.workers)
        # M x N x state_size -> state_size
        own_states = None if states is None else states[member, worker]
        return _Truncation(step, member, worker, observations, own_states)

    def _action_noise(self) -> Sequence[Tensor]:
        """Random numbers for each step, (M, N, ...), each member's from its own generator."""
        shape = (self._buffer.steps, self._buffer.workers)
        draws = [
            self._distribution.noise(shape, member.action_generator) for member in self._members
        ]
        # T of M x N x ...
        return torch.stack(draws, 1).to(self._device).unbind()

    def _note_episodes(self, episodes: list[tuple[int, dict[str, float]]]) -> None:
        for environment, episode in episodes:
            member = self._members[environment // self._buffer.workers]
            member.episodes.append(episode)
            member.record.add_episodes([episode["return"]])

    def _value_truncations(self, truncations: list[_Truncation]) -> None:
        """Values of the last observations of episodes that were cut off, all at once."""
        self._buffer.final_values.zero_()
        if not self._members[0].config.bootstrap_truncated:
            return
        for number, network in enumerate(self._population.each):
            own = [truncation for truncation in truncations if truncation.member == number]
            if not own:
                continue
            observed = {
                name: torch.from_numpy(np.stack([item.observations[name] for item in own])).to(
                    self._device
                )
                for name in own[0].observations
            }
            states = [item.states for item in own if item.states is not None]
            sequences = Sequences(torch.stack(states)) if states else None
            values = network(observed, None, sequences)[1].to(self._buffer.storage)
            for truncation, value in zip(own, values, strict=True):
                self._buffer.final_values[number, truncation.step, truncation.worker] = value


@dataclass(frozen=True)
class _Truncation:
    """An episode that was cut off: where in the rollout, what was observed last and remembered then."""

    step: int
    member: int
    worker: int
    observations: Observations
    states: Tensor | None


def make_sampler(
    members: Sequence[Member],
    population: Population,
    environments: VectorEnvironment,
    buffer: RolloutBuffer,
    memory: Memory | None,
    compiled: bool,
) -> Sampler | CompiledSampler:
    """What collects rollouts: compiled where networks and environments are, too.

    Args:
        members: as for `Sampler`.
        population: as for `Sampler`.
        environments: as for `Sampler`.
        buffer: as for `Sampler`.
        memory: as for `Sampler`.
        compiled: whether networks are to be compiled by `torch.compile`.
    """
    if environments.backend == "compiled" and serves(population, compiled):
        # Loading Numba takes half a second, which others needn't wait for.
        from environments.compiled.vector import CompiledEnvironments
        from ppo.compiled.sampler import CompiledSampler

        assert isinstance(environments, CompiledEnvironments)
        return CompiledSampler(members, population, environments, buffer)
    return Sampler(members, population, environments, buffer, memory)
