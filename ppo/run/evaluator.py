"""Plays episodes on given levels with a policy, for evaluation and for `eval.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from environments import make_environments
from environments.interface import Observations, Spaces, VectorEnvironment
from environments.levels import ListedLevels
from environments.safety.endless import EndlessEpisodes
from model import ActorCritic
from schema.config import Config


class Policy:
    """Chooses actions with one member's network, in several environments side by side.

    Args:
        network: the network, of one member.
        device: where it is.
        generator: draws actions, and hidden states that are drawn.
        stochastic: whether actions are drawn; else they are the most probable ones.
        forgets: whether an episode's end makes a recurrent policy forget.
    """

    def __init__(
        self,
        network: ActorCritic,
        device: torch.device,
        generator: torch.Generator,
        stochastic: bool = False,
        forgets: bool = True,
    ) -> None:
        self._network = network
        self._device = device
        self._generator = generator
        self._stochastic = stochastic
        self._forgets = forgets
        self._states: Tensor | None = None

    @torch.inference_mode()
    def begin(self, count: int) -> None:
        """Begins to act in so many environments."""
        if self._network.state_size:
            self._states = self._network.begin_states(count, self._generator).clone()

    @torch.inference_mode()
    def act(self, observations: Observations) -> np.ndarray:
        """Actions (E, A) as the environment takes them, for observations (E, ...)."""
        tensors = {
            name: torch.from_numpy(values).to(self._device) for name, values in observations.items()
        }
        acted = self._network.act(tensors, self._states)
        self._states = acted.states
        return self._choose(acted.parameters.cpu()).numpy()

    def _choose(self, parameters: Tensor) -> Tensor:
        distribution = self._network.distribution
        if not self._stochastic:
            return distribution.for_environment(distribution.mode(parameters))
        noise = distribution.noise(parameters.shape[:-1], self._generator)
        return distribution.for_environment(distribution.sample(parameters, noise))

    @torch.inference_mode()
    def end_episodes(self, environments: Sequence[int]) -> None:
        """Forgets what was remembered of the episodes that just ended in environments."""
        if self._states is not None and self._forgets and environments:
            count = len(environments)
            self._states[list(environments)] = self._network.begin_states(count, self._generator)


class Evaluator:
    """Plays one episode on each of the evaluation's levels, in environments of its own.

    Args:
        config: environment and evaluation.
        worker_id: offset of the environments' communication ports.
    """

    def __init__(self, config: Config, worker_id: int) -> None:
        self._environment = config.environment
        seeds = config.evaluation.seeds
        levels = range(seeds.start_seed, seeds.start_seed + seeds.num_seeds)
        count = min(config.evaluation.num_workers, len(levels))
        self._levels = ListedLevels(levels, count)
        self._environments: VectorEnvironment = make_environments(
            config.environment.for_evaluation(), self._levels, count, worker_id
        )

    @property
    def spaces(self) -> Spaces:
        """What is observed and which actions there are."""
        return self._environments.spaces

    def evaluate(
        self, policy: Policy, on_episode: Callable[[int, int], None] = lambda *_: None
    ) -> list[dict[str, float]]:
        """Each episode's `level`, `return`, `length` and what it reports, in the order of levels.

        Args:
            policy: who plays.
            on_episode: is told how many episodes of how many are over, whenever one is.

        Raises:
            EnvironmentFailure: an episode doesn't end.
        """
        levels = self._levels.levels
        results: list[dict[str, float] | None] = [None] * len(levels)
        played = [0] * len(self._environments)
        missing = len(levels)
        observations = self._environments.reset()
        policy.begin(len(self._environments))
        watch = EndlessEpisodes(self._environment, len(self._environments))
        while missing:
            step = self._environments.step(policy.act(observations))
            observations = step.observations
            # An episode that broke down is begun anew, and nothing of it is remembered.
            ended = [environment for environment, _ in (*step.episodes, *step.crashes)]
            policy.end_episodes(ended)
            watch.step(ended)
            for environment, episode in step.episodes:
                position = self._levels.position(environment, played[environment])
                played[environment] += 1
                # An environment that is through with its levels goes on until all others are.
                if position < len(levels):
                    results[position] = {"level": levels[position], **episode}
                    missing -= 1
                    on_episode(len(levels) - missing, len(levels))
        return [result for result in results if result is not None]

    def close(self) -> None:
        """Closes the environments."""
        self._environments.close()
