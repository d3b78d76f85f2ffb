"""Plays episodes on given levels with a policy, for evaluation and for `eval.py`."""

from __future__ import annotations

import torch
from torch import Tensor

from config import Config
from distributions import MultiCategorical
from environments import make_environments
from environments.interface import Observations, Spaces, VectorEnvironment
from environments.levels import ListedLevels
from model import ActorCritic


class Policy:
    """Chooses actions with one member's network.

    Args:
        network: the network, of one member.
        device: where it is.
        generator: draws the actions; None takes the most probable ones.
    """

    def __init__(
        self,
        network: ActorCritic,
        device: torch.device,
        generator: torch.Generator | None = None,
    ) -> None:
        self._network = network
        self._device = device
        self._generator = generator

    @torch.inference_mode()
    def act(self, observations: Observations) -> Tensor:
        """Actions (E, branches) on the CPU for observations (E, ...)."""
        tensors = {
            name: torch.from_numpy(values).to(self._device) for name, values in observations.items()
        }
        distribution: MultiCategorical = self._network.distribution
        parameters = self._network.act(tensors)[0].cpu()
        if self._generator is None:
            return distribution.mode(parameters)
        noise = distribution.noise(parameters.shape[:-1], self._generator)
        return distribution.sample(parameters, noise)


class Evaluator:
    """Plays one episode on each of the evaluation's levels, in environments of its own.

    Args:
        config: environment and evaluation.
        worker_id: offset of the environments' communication ports.
    """

    def __init__(self, config: Config, worker_id: int) -> None:
        seeds = config.evaluation.seeds
        levels = range(seeds.start_seed, seeds.start_seed + seeds.num_seeds)
        count = min(config.evaluation.num_workers, len(levels))
        self._levels = ListedLevels(levels, count)
        self._environments: VectorEnvironment = make_environments(
            config.environment, self._levels, count, worker_id
        )

    @property
    def spaces(self) -> Spaces:
        """What is observed and which actions there are."""
        return self._environments.spaces

    def evaluate(self, policy: Policy) -> list[dict[str, float]]:
        """Each episode's `level`, `return`, `length` and what it reports, in the order of levels."""
        levels = self._levels.levels
        results: list[dict[str, float] | None] = [None] * len(levels)
        played = [0] * len(self._environments)
        missing = len(levels)
        observations = self._environments.reset()
        while missing:
            step = self._environments.step(policy.act(observations).numpy())
            observations = step.observations
            for environment, episode in step.episodes:
                position = self._levels.position(environment, played[environment])
                played[environment] += 1
                # An environment that is through with its levels goes on until all others are.
                if position < len(levels):
                    results[position] = {"level": levels[position], **episode}
                    missing -= 1
        return [result for result in results if result is not None]

    def close(self) -> None:
        """Closes the environments."""
        self._environments.close()
