"""Steps environments one after the other in this process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from environments.building import probe_spaces
from environments.gymnasium.episodes import EpisodeBlock
from environments.gymnasium.shared_arrays import SharedArrays
from environments.interface import EpisodeState, Levels, Observations, Step
from schema.environment import EnvironmentConfig


class InProcessEnvironments:
    """A `VectorEnvironment` without worker processes: best for environments with fast steps.

    Args:
        config: the environment's config.
        levels: returns the level of each environment and episode.
        num_environments: the number E of environments.
        worker_id: worker id of the first environment; the others count up from it.
        workers: the number of workers per member, as for `EpisodeBlock`.
    """

    backend = "gymnasium"

    def __init__(
        self,
        config: EnvironmentConfig,
        levels: Levels,
        num_environments: int,
        worker_id: int,
        workers: int | None = None,
    ) -> None:
        self.spaces = probe_spaces(config, worker_id)
        self._count = num_environments
        memory = bytearray(SharedArrays.size(self.spaces, num_environments))
        self._shared = SharedArrays(self.spaces, num_environments, memory)
        indices = range(num_environments)
        self._block = EpisodeBlock(config, levels, worker_id, indices, self._shared, workers)

    def __len__(self) -> int:
        return self._count

    def reset(self) -> Observations:
        """Start the first episode of each environment; return observations (E, ...)."""
        self._block.reset()
        return self._shared.observations

    def step(self, actions: np.ndarray) -> Step:
        """Take one step with actions (E, action_size) of the spaces' action type."""
        shared = self._shared
        shared.actions[...] = actions
        ends = self._block.step()
        return Step(
            shared.observations,
            shared.rewards,
            shared.terminated,
            shared.truncated,
            ends.final_observations,
            ends.episodes,
            failures=ends.failures,
        )

    def renew(self) -> None:
        """Do nothing: restoring replays the present episodes only."""

    def states(self) -> list[EpisodeState]:
        """Return the state of each environment, for a checkpoint."""
        return self._block.states()

    def restore(self, states: Sequence[EpisodeState]) -> Observations:
        """Restore the state of each environment; return observations (E, ...)."""
        self._block.restore(states)
        return self._shared.observations

    def close(self) -> None:
        """Close every environment; calling it again does nothing."""
        self._block.close()
