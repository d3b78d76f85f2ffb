"""Chooses actions by torch, for all workers at a step.

Axes: members M, workers N, steps T (see `buffer.py`), numbers A of an action.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from environments.interface import Observations
from ppo.by_torch.noise import make_noise
from ppo.parts import Parts


class TorchActing:
    """Implements `ppo.interface.Acting` for all networks and devices.

    Args:
        parts: the population in training.
    """

    def __init__(self, parts: Parts) -> None:
        population, buffer = parts.population, parts.buffer
        self._members = parts.members
        self._population = population
        self._buffer = buffer
        self._distribution = population.stacked.distribution
        self._device = population.weights.device
        self._noise = make_noise(parts)
        self._outputs: list[tuple[Tensor, Tensor]] = []
        size = population.stacked.value_head.weight.shape[-2]
        shape = (buffer.members, buffer.steps, buffer.workers, size)
        self.value_features = (
            torch.zeros(shape, device=self._device) if population.stacked.acts_with_values else None
        )

    def begin(self) -> None:
        """Draw the random numbers of a rollout, each member's from its own generator."""
        self._noise.begin()
        self._outputs.clear()

    def act(self, step: int, states: Tensor | None) -> tuple[np.ndarray, Tensor | None]:
        """Return actions (M * N, A) as environments take them, and hidden states after the step."""
        acted = self._population.act(self._buffer.observed(step), states)
        actions = self._noise.sample(step, acted)
        self._outputs.append((acted.parameters, actions))
        if self.value_features is not None and acted.value_features is not None:
            self.value_features[:, step] = acted.value_features
        # M of N x A -> (M * N) x A
        taken = torch.cat([self._distribution.for_environment(own) for own in actions])
        return taken.cpu().numpy(), acted.states

    def values(self, observations: Observations, states: Tensor | None) -> Tensor:
        """Return the values (M, N) of observations (M * N, ...)."""
        shape = (len(self._members), self._buffer.workers)
        observed = {
            name: torch.from_numpy(values).unflatten(0, shape).to(self._device)
            for name, values in observations.items()
        }
        return self._population.values(observed, states)

    def finish(self) -> None:
        """Store the rollout's actions and their log-probabilities in the buffer."""
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
