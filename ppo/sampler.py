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
from ppo.acting import Acting, RecordedActing
from ppo.by_numba import serves
from ppo.hidden_states import Memory
from ppo.run.member import Member

if TYPE_CHECKING:
    from ppo.by_numba.rollout_sampler import CompiledSampler


class Sampler:
    """Collects rollouts.

    Args:
        members: whose workers act.
        population: their networks.
        environments: of all workers, member by member.
        buffer: takes the rollouts.
        memory: what workers remember; None without recurrent layers.
        acting: chooses actions.

    Attributes:
        observations: what the workers see at present, (M * N, ...) by name. Set it before the first
            rollout.
    """

    observations: Observations

    def __init__(
        self,
        members: Sequence[Member],
        population: Population,
        environments: VectorEnvironment,
        buffer: RolloutBuffer,
        memory: Memory | None,
        acting: Acting,
    ) -> None:
        self._members = members
        self._population = population
        self._environments = environments
        self._buffer = buffer
        self._memory = memory
        self._acting = acting
        self._device = population.weights.device

    @property
    def features(self) -> Tensor | None:
        """What values of the rollout are made of, (M, T, N, size); None where acting gives no such."""
        return self._acting.value_features

    @torch.inference_mode()
    def sample(self, update: int) -> None:
        """Collects T steps of every worker.

        A member of which an environment fails gets a `failure`; what it collects means nothing.

        Args:
            update: how many updates are done.
        """
        buffer = self._buffer
        self._acting.begin()
        known = [len(member.episodes) for member in self._members]
        truncations: list[_Truncation] = []
        for step in range(buffer.steps):
            buffer.store_observations(step, self.observations)
            states = None if self._memory is None else self._memory.store(step)
            actions, after = self._acting.act(step, states)
            outcome = self._environments.step(actions)
            buffer.store_outcome(step, outcome)
            truncations += [
                self._truncation(step, environment, observations, after)
                for environment, observations in outcome.final_observations
            ]
            if self._memory is not None and after is not None:
                self._memory.advance(after, outcome.terminated | outcome.truncated)
            self._note_episodes(outcome.episodes)
            for environment, failure in outcome.failures:
                self._members[environment // buffer.workers].fail(failure, update)
            for environment, _ in outcome.crashes:
                self._members[environment // buffer.workers].crashes += 1
            self.observations = outcome.observations
        for member, count in zip(self._members, known, strict=True):
            # All at once, which takes less time.
            member.record.add_episodes([ended["return"] for ended in member.episodes[count:]])
        self._acting.finish()
        self._value_truncations(truncations)

    @torch.inference_mode()
    def values(self) -> Tensor:
        """The values (M, N) of what the workers see at present."""
        states = None if self._memory is None else self._memory.now()
        return self._acting.values(self.observations, states)

    def _truncation(
        self, step: int, environment: int, observations: Observations, states: Tensor | None
    ) -> _Truncation:
        member, worker = divmod(environment, self._buffer.workers)
        # M x N x state_size -> state_size
        own_states = None if states is None else states[member, worker]
        return _Truncation(step, member, worker, observations, own_states)

    def _note_episodes(self, episodes: list[tuple[int, dict[str, float]]]) -> None:
        for environment, episode in episodes:
            member = self._members[environment // self._buffer.workers]
            member.episodes.append(episode)

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
    if not serves(population, compiled):
        acting: Acting = RecordedActing(members, population, buffer)
        return Sampler(members, population, environments, buffer, memory, acting)
    # Loading Numba takes half a second, which others needn't wait for.
    if environments.backend == "compiled":
        from environments.compiled.vector import CompiledEnvironments
        from ppo.by_numba.rollout_sampler import CompiledSampler

        assert isinstance(environments, CompiledEnvironments)
        return CompiledSampler(members, population, environments, buffer)
    from ppo.by_numba.acting import CompiledActing

    acting = CompiledActing(members, population, buffer)
    return Sampler(members, population, environments, buffer, memory, acting)
