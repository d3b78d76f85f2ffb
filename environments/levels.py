"""Deals out levels: the seed with which each environment resets for each of its episodes.

A level depends only on the environment's seed and on the episode's number. So an episode can be
replayed without a stored generator's state, and no environment depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_LEVEL_LIMIT = 2**31


@dataclass(frozen=True)
class RandomLevels:
    """Levels for training: drawn uniformly from a range for each episode.

    Attributes:
        seeds: one seed for each environment.
        start_seed: the first level of the range.
        num_seeds: the number of levels in the range; 0 is no limit.
    """

    seeds: Sequence[int]
    start_seed: int = 0
    num_seeds: int = 0

    def __call__(self, environment: int, episode: int) -> int:
        """Return the level of an environment's episode, by their numbers."""
        sequence = np.random.SeedSequence(self.seeds[environment], spawn_key=(episode,))
        available = _LEVEL_LIMIT - self.start_seed
        count = min(self.num_seeds or available, available)
        # 64 random bits make the remainder close to uniform.
        return self.start_seed + int(sequence.generate_state(1, np.uint64)[0] % np.uint64(count))

    def stream_seed(self, environment: int, number: int = 0) -> int:
        """Return a seed below 2**31 for an environment that draws its levels by itself.

        Args:
            environment: the environment's index.
            number: the number of the stream; each has a seed of its own.
        """
        # Stream 0 has no spawn key, as older checkpoints rely on its seeds.
        spawn_key = (number,) if number else ()
        sequence = np.random.SeedSequence(self.seeds[environment], spawn_key=spawn_key)
        return int(sequence.generate_state(1)[0]) % _LEVEL_LIMIT


@dataclass(frozen=True)
class ListedLevels:
    """Levels for evaluation: environment i plays positions i, i + E, i + 2E, ... of a list.

    Attributes:
        levels: the list of levels; it repeats after the last one.
        num_environments: E.
    """

    levels: Sequence[int]
    num_environments: int

    def position(self, environment: int, episode: int) -> int:
        """Return the position in the list of an environment's episode, by their numbers."""
        return environment + episode * self.num_environments

    def __call__(self, environment: int, episode: int) -> int:
        """Return the level of an environment's episode, by their numbers."""
        return self.levels[self.position(environment, episode) % len(self.levels)]
