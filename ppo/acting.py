"""How the members of a population choose actions, a step at a time.

Axes: members M, workers N, steps T (see `buffer.py`), numbers A of an action.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from buffer import RolloutBuffer
from environments.interface import Observations
from model import Population
from ppo.run.member import Member


class Acting(Protocol):
    """Chooses the actions of a rollout.

    Attributes:
        value_features: (M, T, N, size), what values of the rollout are made of; None where acting
            doesn't give that.
    """

    value_features: Tensor | None

    def begin(self) -> None:
        """Draws the random numbers of a rollout, each member's from its own generator."""

    def act(self, step: int, states: Tensor | None) -> tuple[np.ndarray, Tensor | None]:
        """Acts in what the buffer has of a step's observations.

        Args:
            step: which one.
            states: hidden states (M, N, state_size), where there are recurrent layers.

        Returns:
            Actions (M * N, A) as environments take them, and the hidden states after the step.
        """

    def values(self, observations: Observations, states: Tensor | None) -> Tensor:
        """The values (M, N) of observations (M * N, ...), with hidden states (M, N, state_size)."""

    def finish(self) -> None:
        """Completes the buffer's rollout by the actions and how likely they were."""


class RecordedActing:
    """As `Acting`, by torch, for every network and on every device.

    Args:
        members: who acts.
        population: their networks.
        buffer: has what they observe.
    """

    def __init__(
        self, members: Sequence[Member], population: Population, buffer: RolloutBuffer
    ) -> None:
        self._members = members
        self._population = population
        self._buffer = buffer
        self._distribution = population.stacked.distribution
        self._device = population.weights.device
        self._noise: Sequence[Tensor] = []
        self._outputs: list[tuple[Tensor, Tensor]] = []
        size = population.stacked.value_head.weight.shape[-2]
        shape = (buffer.members, buffer.steps, buffer.workers, size)
        self.value_features = (
            torch.zeros(shape, device=self._device) if population.stacked.acts_with_values else None
        )

    def begin(self) -> None:
        """Draws the random numbers of a rollout."""
        shape = (self._buffer.steps, self._buffer.workers)
        draws = [
            self._distribution.noise(shape, member.action_generator) for member in self._members
        ]
        # T of M x N x ...
        self._noise = torch.stack(draws, 1).to(self._device).unbind()
        self._outputs.clear()

    def act(self, step: int, states: Tensor | None) -> tuple[np.ndarray, Tensor | None]:
        """Actions (M * N, A) as environments take them, and hidden states after the step."""
        acted = self._population.act(self._buffer.observed(step), states)
        actions = self._distribution.sample(acted.parameters, self._noise[step])
        self._outputs.append((acted.parameters, actions))
        if self.value_features is not None and acted.value_features is not None:
            self.value_features[:, step] = acted.value_features
        # M of N x A -> (M * N) x A
        taken = torch.cat([self._distribution.for_environment(own) for own in actions])
        return taken.cpu().numpy(), acted.states

    def values(self, observations: Observations, states: Tensor | None) -> Tensor:
        """The values (M, N) of observations (M * N, ...)."""
        shape = (len(self._members), self._buffer.workers)
        observed = {
            name: torch.from_numpy(values).unflatten(0, shape).to(self._device)
            for name, values in observations.items()
        }
        return self._population.values(observed, states)

    def finish(self) -> None:
        """Completes the rollout by the actions and how likely they were."""
        # T of M x N x ... -> M x T x N x ...
        parameters, actions = (torch.stack(each, 1) for each in zip(*self._outputs, strict=True))
        log_probabilities = torch.stack(
            [
                self._distribution.log_probability(*own)
                for own in zip(parameters, actions, strict=True)
            ],
            # [branches x] M x T x N
            -3,
        )
        self._buffer.finish(actions, log_probabilities)
