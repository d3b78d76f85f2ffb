"""Collects rollouts: T steps of all workers of a population.

Axes: members M, workers N, steps T (see `buffer.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from environments.interface import Observations, VectorEnvironment
from networks.recurrence import Sequences
from ppo.by_torch.acting import TorchActing
from ppo.interface import Acting
from ppo.parts import Parts

if TYPE_CHECKING:
    from ppo.by_numba.rollout_sampler import NumbaSampler


class Sampler:
    """Collects rollouts, a step of all workers at a time.

    Args:
        parts: the population in training.
        environments: the environments of all workers, member by member.
        acting: chooses actions.

    Attributes:
        observations: the workers' present observations, (M * N, ...) by name. Set them before the first
            rollout.
    """

    observations: Observations

    def __init__(self, parts: Parts, environments: VectorEnvironment, acting: Acting) -> None:
        self._members = parts.members
        self._population = parts.population
        self._buffer = parts.buffer
        self._hidden_states = parts.hidden_states
        self._environments = environments
        self._acting = acting
        self._device = parts.population.weights.device

    @property
    def features(self) -> Tensor | None:
        """Inputs of the value head, (M, T, N, size); None where acting doesn't compute them."""
        return self._acting.value_features

    @torch.inference_mode()
    def sample(self, update: int) -> None:
        """Fill the buffer with T steps of each worker.

        Sets a member's `failure` if one of its environments fails; its rollout is void then.

        Args:
            update: number of updates done.
        """
        buffer = self._buffer
        self._acting.begin()
        known = [len(member.episodes) for member in self._members]
        truncations: list[_Truncation] = []
        for step in range(buffer.steps):
            buffer.store_observations(step, self.observations)
            states = None if self._hidden_states is None else self._hidden_states.store(step)
            actions, after = self._acting.act(step, states)
            outcome = self._environments.step(actions)
            buffer.store_outcome(step, outcome)
            truncations += [
                self._truncation(step, environment, observations, after)
                for environment, observations in outcome.final_observations
            ]
            if self._hidden_states is not None and after is not None:
                self._hidden_states.advance(after, outcome.terminated | outcome.truncated)
            self._note_episodes(outcome.episodes)
            for environment, failure in outcome.failures:
                self._members[environment // buffer.workers].fail(failure, update)
            for environment, _ in outcome.crashes:
                self._members[environment // buffer.workers].crashes += 1
            self.observations = outcome.observations
        for member, count in zip(self._members, known, strict=True):
            # Adding all returns at once takes less time than one by one.
            member.return_history.add_episodes(
                [ended["return"] for ended in member.episodes[count:]]
            )
        self._acting.finish()
        self._value_truncations(truncations)

    @torch.inference_mode()
    def values(self) -> Tensor:
        """Return the values (M, N) of the present observations."""
        states = None if self._hidden_states is None else self._hidden_states.now()
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
        """Store the values of the final observations of truncated episodes, all at once."""
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
    """A truncated episode: its position in the rollout, final observations and final hidden state."""

    step: int
    member: int
    worker: int
    observations: Observations
    states: Tensor | None


def make_sampler(parts: Parts, environments: VectorEnvironment) -> Sampler | NumbaSampler:
    """Return a sampler that acts by Numba if the networks allow it, and otherwise by torch.

    Args:
        parts: the population in training.
        environments: the environments of all workers, member by member.
    """
    if not parts.uses_numba:
        return Sampler(parts, environments, TorchActing(parts))
    # Imported here because Numba takes half a second to load.
    if environments.backend == "compiled":
        from environments.compiled.vector import CompiledEnvironments
        from ppo.by_numba.rollout_sampler import NumbaSampler

        assert isinstance(environments, CompiledEnvironments)
        return NumbaSampler(parts, environments)
    from ppo.by_numba.acting import NumbaActing

    return Sampler(parts, environments, NumbaActing(parts))
