"""Steps compiled environments together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from environments.building import probe_spaces
from environments.compiled import worlds as compiled
from environments.compiled.tasks import STATE_SIZES, task_of
from environments.compiled.worlds import StepResults, Worlds
from environments.interface import EpisodeState, Observations, Step
from environments.levels import RandomLevels
from environments.spaces import VECTOR
from environments.suites.registration import step_limit
from schema.environment import EnvironmentConfig

_NO_CHOICES, _NO_FORCES = np.zeros(0, np.int64), np.zeros(0, np.float32)


class CompiledEnvironments:
    """A `VectorEnvironment` over compiled environments; arrays hold their states.

    Args:
        config: the environment's config.
        levels: the source of the environments' seeds.
        num_environments: the number E of environments.
        worker_id: worker id for the probe of the spaces.

    Attributes:
        worlds: the environments' states. A compiled rollout may step them without `step`; it must then
            write to `observations`.
        results: the results of the last step.
    """

    backend = "compiled"

    def __init__(
        self,
        config: EnvironmentConfig,
        levels: RandomLevels,
        num_environments: int,
        worker_id: int,
    ) -> None:
        self.spaces = probe_spaces(config, worker_id)
        task = task_of(config.type, config.name)
        assert task is not None
        count = num_environments
        self.worlds = Worlds(
            task,
            config.mask_velocities,
            step_limit(config),
            seeds=np.array(levels.seeds, np.uint64),
            states=np.zeros((count, STATE_SIZES[task])),
            steps=np.zeros(count, np.int64),
            episodes=np.zeros(count, np.int64),
            returns=np.zeros(count),
        )
        ((shape, _),) = self.spaces.observations.values()
        self._observed = np.zeros((count, *shape), np.float32)
        self.results = StepResults(
            rewards=np.zeros(count, np.float32),
            terminated=np.zeros(count, np.bool_),
            truncated=np.zeros(count, np.bool_),
            returns=np.zeros(count),
            lengths=np.zeros(count),
            finals=np.zeros((count, *shape), np.float32),
        )

    def __len__(self) -> int:
        return len(self.worlds.seeds)

    @property
    def observations(self) -> Observations:
        """The present observations (E, ...)."""
        return {VECTOR: self._observed}

    def reset(self) -> Observations:
        """Start the first episode of each environment; return observations (E, ...)."""
        compiled.observe_all(self.worlds, self._observed, True)
        return self.observations

    def step(self, actions: np.ndarray) -> Step:
        """Take one step with actions (E, 1) of the spaces' action type."""
        taken = np.ascontiguousarray(actions[:, 0])
        choices, forces = (taken, _NO_FORCES) if self.spaces.branches else (_NO_CHOICES, taken)
        results = self.results
        compiled.step_from_python(self.worlds, choices, forces, self._observed, results)
        step = Step(
            self.observations, results.rewards, results.terminated, results.truncated, [], []
        )
        for index in np.flatnonzero(results.terminated | results.truncated).tolist():
            ended = {
                "return": float(results.returns[index]),
                "length": float(results.lengths[index]),
            }
            step.episodes.append((index, ended))
            if results.truncated[index]:
                step.final_observations.append((index, {VECTOR: results.finals[index].copy()}))
        return step

    def renew(self) -> None:
        """Do nothing: restoring replays nothing."""

    def states(self) -> list[EpisodeState]:
        """Return the state of each environment, for a checkpoint."""
        worlds = self.worlds
        numbers = np.column_stack((worlds.states, worlds.steps, worlds.returns))
        return [
            EpisodeState(int(episode), own.reshape(1, -1))
            for episode, own in zip(worlds.episodes, numbers, strict=True)
        ]

    def restore(self, states: Sequence[EpisodeState]) -> Observations:
        """Restore the state of each environment; return observations (E, ...)."""
        assert len(states) == len(self), f"{len(states)} states for {len(self)} environments"
        worlds = self.worlds
        worlds.episodes[:] = [state.episode for state in states]
        numbers = np.concatenate([state.resume_data for state in states])
        size = worlds.states.shape[1]
        worlds.states[:] = numbers[:, :size]
        worlds.steps[:], worlds.returns[:] = numbers[:, size:].T
        compiled.observe_all(worlds, self._observed, False)
        return self.observations

    def close(self) -> None:
        """Do nothing: there is nothing to free."""
