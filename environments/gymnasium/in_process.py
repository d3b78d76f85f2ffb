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
    """A `VectorEnvironment` without further processes: best where a step costs little.

    Args:
        config: which environment.
        levels: the level of each environment and episode.
        num_environments: how many environments.
        worker_id: worker id of the first environment; the others count up from it.
        workers: how many neighbours belong to one agent, as for `EpisodeBlock`.
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
        """Begins the first episode of each environment and returns (E, ...) observations."""
        self._block.reset()
        return self._shared.observations

    def step(self, actions: np.ndarray) -> Step:
        """Takes one step with actions (E, action_size) of the spaces' action type."""
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
        """Goes on: no more than the present episodes is played again."""

    def states(self) -> list[EpisodeState]:
        """Where each environment is, for a checkpoint."""
        return self._block.states()

    def restore(self, states: Sequence[EpisodeState]) -> Observations:
        """Brings each environment to where it was and returns (E, ...) observations."""
        self._block.restore(states)
        return self._shared.observations

    def close(self) -> None:
        """Frees every environment; calling it again does nothing."""
        self._block.close()
