"""Which level (the seed of a reset) each environment plays in each of its episodes.

Levels are a function of the environment's seed and of the episode's number alone. So an episode can
be replayed without storing a generator's state, and no environment depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_LEVEL_LIMIT = 2**31


@dataclass(frozen=True)
class RandomLevels:
    """Draws each episode's level uniformly from a range, for training.

    Attributes:
        seeds: one seed for each environment.
        start_seed: first level of the range.
        num_seeds: number of levels in the range; 0 is no limit.
    """

    seeds: Sequence[int]
    start_seed: int = 0
    num_seeds: int = 0

    def __call__(self, environment: int, episode: int) -> int:
        """The level that an environment plays in its episode of that number."""
        sequence = np.random.SeedSequence(self.seeds[environment], spawn_key=(episode,))
        available = _LEVEL_LIMIT - self.start_seed
        count = min(self.num_seeds or available, available)
        # 64 random bits, so that the remainder favours no level noticeably.
        return self.start_seed + int(sequence.generate_state(1, np.uint64)[0] % np.uint64(count))

    def stream_seed(self, environment: int, number: int = 0) -> int:
        """A seed below 2**31 for an environment that draws its levels itself, one for each number."""
        # No number leaves the seed as it has always been.
        spawn_key = (number,) if number else ()
        sequence = np.random.SeedSequence(self.seeds[environment], spawn_key=spawn_key)
        return int(sequence.generate_state(1)[0]) % _LEVEL_LIMIT


@dataclass(frozen=True)
class ListedLevels:
    """Deals levels out in turn, for evaluation: environment i plays number i, i + E, i + 2E, ...

    Attributes:
        levels: the levels to be played; after the last one they start again.
        num_environments: E.
    """

    levels: Sequence[int]
    num_environments: int

    def position(self, environment: int, episode: int) -> int:
        """The position in the list of what an environment plays in its episode of that number."""
        return environment + episode * self.num_environments

    def __call__(self, environment: int, episode: int) -> int:
        """The level that an environment plays in its episode of that number."""
        return self.levels[self.position(environment, episode) % len(self.levels)]
