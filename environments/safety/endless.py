"""Ends what would be played for ever: episodes of environments that have no time limit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from environments.interface import EnvironmentFailure
from schema.environment import EnvironmentConfig

# The longest episodes of the suites here, Atari's, have 27,000 steps.
MOST_STEPS = 100_000


class EndlessEpisodes:
    """Counts the steps of episodes that are played to their end.

    Args:
        config: which environment; where it has a limit of its own (`max_episode_steps`), that holds.
        count: how many of them are stepped together.
    """

    def __init__(self, config: EnvironmentConfig, count: int) -> None:
        self._name = config.name
        self._limit = max(MOST_STEPS, config.max_episode_steps or 0)
        self._steps = np.zeros(count, np.int64)

    def step(self, ended: Sequence[int]) -> None:
        """Notes a step of each, in which the episodes of some ended.

        Raises:
            EnvironmentFailure: an episode is longer than any should be.
        """
        self._steps += 1
        self._steps[list(ended)] = 0
        if self._steps.max() > self._limit:
            raise EnvironmentFailure(
                f"{self._name}: an episode didn't end within {self._limit:,} steps; give it a limit: "
                "environment.max_episode_steps"
            )
