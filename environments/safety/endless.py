"""Stops endless episodes, of environments that have no time limit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from environments.interface import EnvironmentFailure
from schema.environment import EnvironmentConfig

# The longest episodes of all suites, Atari's, have 27,000 steps.
MOST_STEPS = 100_000


class EndlessEpisodes:
    """Counts the steps of episodes, and raises if one is too long.

    Args:
        config: the environment's config; a greater `max_episode_steps` raises the limit.
        count: the number of environments that are stepped together.
    """

    def __init__(self, config: EnvironmentConfig, count: int) -> None:
        self._name = config.name
        self._limit = max(MOST_STEPS, config.max_episode_steps or 0)
        self._steps = np.zeros(count, np.int64)

    def step(self, ended: Sequence[int]) -> None:
        """Count a step of all environments.

        Args:
            ended: the indices of the environments with episodes that ended in it.

        Raises:
            EnvironmentFailure: An episode exceeds the limit.
        """
        self._steps += 1
        self._steps[list(ended)] = 0
        if self._steps.max() > self._limit:
            raise EnvironmentFailure(
                f"{self._name}: an episode didn't end within {self._limit:,} steps; give it a limit: "
                "environment.max_episode_steps"
            )
