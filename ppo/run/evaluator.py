"""Plays one episode on each of a list of levels with a policy, in training and in `eval.py`."""

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
    """Chooses actions with a single network in E environments at once.

    Args:
        network: the network of one member.
        device: device of the network.
        generator: draws random actions and random initial hidden states.
        stochastic: whether to draw actions; otherwise the policy takes the most probable ones.
        forgets: whether the end of an episode resets the hidden state of a recurrent network.
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
        """Reset the hidden states for a number of environments."""
        if self._network.state_size:
            self._states = self._network.begin_states(count, self._generator).clone()

    @torch.inference_mode()
    def act(self, observations: Observations) -> np.ndarray:
        """Return actions (E, A) as environments take them, for observations (E, ...)."""
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
        """Reset the hidden states of environments in which an episode just ended."""
        if self._states is not None and self._forgets and environments:
            count = len(environments)
            self._states[list(environments)] = self._network.begin_states(count, self._generator)


class Evaluator:
    """Plays one episode on each evaluation level, in its own environments.

    Args:
        config: the config of environment and evaluation.
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
        """The spaces of observations and actions."""
        return self._environments.spaces

    def evaluate(
        self, policy: Policy, on_episode: Callable[[int, int], None] = lambda *_: None
    ) -> list[dict[str, float]]:
        """Play one episode on each level.

        Args:
            policy: chooses the actions.
            on_episode: called after each episode with the number of finished episodes and of all.

        Returns:
            Each episode's `level`, `return`, `length` and own statistics, in the order of levels.

        Raises:
            EnvironmentFailure: an environment failed, or an episode doesn't end.
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
            # An episode that crashed starts again, with a new hidden state.
            ended = [environment for environment, _ in (*step.episodes, *step.crashes)]
            policy.end_episodes(ended)
            watch.step(ended)
            for environment, episode in step.episodes:
                position = self._levels.position(environment, played[environment])
                played[environment] += 1
                # An environment without levels left plays on until the others finish theirs.
                if position < len(levels):
                    results[position] = {"level": levels[position], **episode}
                    missing -= 1
                    on_episode(len(levels) - missing, len(levels))
        return [result for result in results if result is not None]

    def close(self) -> None:
        """Close the environments."""
        self._environments.close()
