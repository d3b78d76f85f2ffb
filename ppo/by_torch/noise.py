"""Random numbers for acting by torch: apart for each step, or dependent on the state.

Axes: members M, workers N, steps T (see `buffer.py`), features H, numbers A of an action.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from model import Acted, ActorCritic
from networks.exploration import draw_functions
from ppo.parts import Parts
from utils import single_thread


class ActionNoise(Protocol):
    """Draws the actions of a rollout, each member's from its own generator."""

    def begin(self) -> None:
        """Draw the random numbers that a rollout begins with."""

    def sample(self, step: int, acted: Acted) -> Tensor:
        """Draw the actions (M, N, ...) of a step of the rollout for the networks' outputs."""


class IndependentNoise:
    """Noise that is independent from step to step.

    Args:
        parts: the population in training.
    """

    def __init__(self, parts: Parts) -> None:
        self._members = parts.members
        self._distribution = parts.population.stacked.distribution
        self._shape = (parts.buffer.steps, parts.buffer.workers)
        self._device = parts.population.weights.device
        self._noise: Sequence[Tensor] = []

    def begin(self) -> None:
        """Draw the random numbers of a whole rollout."""
        draws = [
            self._distribution.noise(self._shape, member.action_generator)
            for member in self._members
        ]
        # T of M x N x ...
        self._noise = torch.stack(draws, 1).to(self._device).unbind()

    def sample(self, step: int, acted: Acted) -> Tensor:
        """Draw the actions (M, N, ...) of a step."""
        return self._distribution.sample(acted.parameters, self._noise[step])


class StateDependentNoise:
    """Noise that each worker's random function of the policy's features gives.

    Args:
        parts: the population in training.
    """

    def __init__(self, parts: Parts) -> None:
        self._members = parts.members
        self._networks = parts.population.each
        self._workers = parts.buffer.workers
        self._interval = parts.members[0].run.config.model.sde_sample_freq
        self._functions: list[Tensor] = []

    def begin(self) -> None:
        """Draw the workers' functions."""
        self._functions = [
            self._draw(network, member.action_generator)
            for network, member in zip(self._networks, self._members, strict=True)
        ]

    def _draw(self, network: ActorCritic, generator: torch.Generator) -> Tensor:
        """Draw the functions (N, H, A) of a member's workers."""
        assert network.free_parameters is not None
        features = network.policy_head.weight.shape[-2]
        return draw_functions(network.free_parameters.values, features, self._workers, generator)

    def sample(self, step: int, acted: Acted) -> Tensor:
        """Draw the actions (M, N, A) of a step; new functions first where they are due."""
        if step and self._interval > 0 and step % self._interval == 0:
            self.begin()
        assert acted.policy_features is not None
        means, _ = acted.parameters.chunk(2, -1)
        # Member by member and on one thread, so that rounding depends on neither M nor threads.
        with single_thread():
            noise = [
                # N x 1 x H @ N x H x A -> N x A
                torch.bmm(own.unsqueeze(1), functions).squeeze(1)
                for own, functions in zip(acted.policy_features, self._functions, strict=True)
            ]
        return means + torch.stack(noise)


def make_noise(parts: Parts) -> ActionNoise:
    """Return the kind of noise that the networks of a population act with."""
    return (
        StateDependentNoise(parts) if parts.population.stacked.uses_sde else IndependentNoise(parts)
    )
