"""Steps all environments at once in EnvPool's compiled code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from environments.building import probe_spaces
from environments.envpool.tasks import Lives, envpool_task, make_pool
from environments.interface import EnvironmentFailure, EpisodeState, Observations, Step
from environments.levels import RandomLevels
from environments.wrappers.checked import guarded, launch_call, step_call
from schema.environment import EnvironmentConfig

_FIRST_CAPACITY = 256  # steps

# The results of a pool's step: observations, rewards, terminated, truncated, info.
_PoolStep = tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]


class EnvPoolEnvironments:
    """A `VectorEnvironment` over one pool in synchronous mode.

    Each environment draws its levels by itself, from its own seed. So a state holds all actions since
    the pool was made, and restoring replays them. To bound the number of these actions, `renew` makes a
    new pool with new seeds.

    Args:
        config: the environment's config.
        levels: the source of the environments' seeds, and of the range of levels where a task has one.
        num_environments: the number E of environments.
        worker_id: worker id for the probe of the spaces; EnvPool itself needs none.
        cores: the number of cores to use.
    """

    backend = "envpool"

    def __init__(
        self,
        config: EnvironmentConfig,
        levels: RandomLevels,
        num_environments: int,
        worker_id: int,
        cores: int,
    ) -> None:
        self.spaces = probe_spaces(config, worker_id)
        self._count = num_environments
        self._cores = cores
        self._task = envpool_task(config)
        self._name = config.name
        self._making = launch_call("the pool's constructor", config)
        self._resetting, self._stepping = step_call("reset", config), step_call("step", config)
        self._level_arguments = self._task.level_arguments(levels.start_seed, levels.num_seeds)
        self._levels = levels
        self._observations = self._empty_observations(num_environments)
        self._history = _History(self.spaces.branches, num_environments)
        self._returns = np.zeros(num_environments)
        self._lengths = np.zeros(num_environments, np.int64)
        self._lives = Lives(num_environments) if config.terminal_on_life_loss else None
        self._clips_rewards = config.clip_rewards
        self._pool: Any = None
        self._pools_before = 0

    def __len__(self) -> int:
        return self._count

    def reset(self) -> Observations:
        """Start the first episode of each environment; return observations (E, ...)."""
        return self._begin_pool(0)

    def renew(self) -> Observations | None:
        """Start new episodes in a new pool after `steps_of_a_pool` steps; else return None."""
        if len(self._history) < self._task.steps_of_a_pool:
            return None
        return self._begin_pool(self._pools_before + 1)

    def _begin_pool(self, pools_before: int) -> Observations:
        # The generators of a used pool can't be reset, so it takes a new one.
        self._pools_before = pools_before
        seeds = [self._levels.stream_seed(index, pools_before) for index in range(self._count)]
        with guarded(self._making):
            self._pool = make_pool(
                self._name, self._task, seeds, self._cores, **self._level_arguments
            )
        self._history.clear()
        self._returns[:] = 0.0
        self._lengths[:] = 0
        with guarded(self._resetting):
            observed, info = self._pool.reset()
        if self._lives is not None:
            self._lives.begin(np.arange(self._count), info)
        self._task.write(observed, self._observations)
        return self._observations

    def step(self, actions: np.ndarray) -> Step:
        """Take one step with integer actions (E, branches)."""
        observed, rewards, terminated, truncated, info = self._play(actions)
        self._task.write(observed, self._observations)
        is_end = terminated | truncated
        step = Step(self._observations, rewards, terminated, truncated, [], [])
        if self._lives is not None:
            step.terminated = terminated | self._lives.lost(is_end, info)
        if self._clips_rewards:
            step.rewards = np.sign(rewards)
        ended = np.flatnonzero(is_end)
        if len(ended):
            for index in np.flatnonzero(truncated).tolist():
                final = {name: array[index].copy() for name, array in self._observations.items()}
                step.final_observations.append((index, final))
            step.episodes.extend(self._episodes(ended, rewards, info))
            firsts = self._empty_observations(len(ended))
            self._task.write(self._begin(ended), firsts)
            for name, array in firsts.items():
                self._observations[name][ended] = array
        return step

    def _play(self, actions: np.ndarray) -> _PoolStep:
        """Take a step within the present episodes."""
        if self._pool is None:
            raise EnvironmentFailure("the environments are closed")
        self._history.append(actions)
        # EnvPool's Python layer takes a tenth of a step of 16 environments (most goes to the exchange
        # with its thread): too little to call the undocumented functions beneath it.
        with guarded(self._stepping):
            observed, rewards, terminated, truncated, info = self._pool.step(
                actions[:, 0].astype(np.int32)
            )
        terminated, truncated = self._task.ends(rewards, terminated, truncated, info)
        rewards = self._task.rewards(rewards, info)
        self._returns += rewards
        self._lengths += 1
        return observed, rewards, terminated, truncated, info

    def _begin(self, ended: np.ndarray) -> Any:
        """Start the next episodes of environments (K,); return EnvPool's observations (K, ...)."""
        self._returns[ended] = 0.0
        self._lengths[ended] = 0
        # Between two steps, a pool in synchronous mode can reset a part of its environments.
        with guarded(self._resetting):
            observed, info = self._pool.reset(ended.astype(np.int32))
        if self._lives is not None:
            self._lives.begin(ended, info)
        return observed

    def _episodes(
        self, ended: np.ndarray, rewards: np.ndarray, info: dict[str, Any]
    ) -> list[tuple[int, dict[str, float]]]:
        """Return the index and the statistics of each episode that ends in this step."""
        columns = {
            **self._task.statistics(rewards, info),
            "return": self._returns,
            "length": self._lengths,
        }
        return [
            (index, {name: float(column[index]) for name, column in columns.items()})
            for index in ended.tolist()
        ]

    def states(self) -> list[EpisodeState]:
        """Return the state of each environment, for a checkpoint."""
        return [
            EpisodeState(self._pools_before, self._history.of(index))
            for index in range(self._count)
        ]

    def restore(self, states: Sequence[EpisodeState]) -> Observations:
        """Restore the state of each environment by replay; return observations (E, ...)."""
        assert len(states) == self._count, f"{len(states)} states for {self._count} environments"
        if len({(state.episode, len(state.resume_data)) for state in states}) > 1:
            raise EnvironmentFailure(
                "the environments can't be restored: they took different numbers of steps, which "
                "those of one pool never do"
            )
        # E x steps x branches -> steps x E x branches
        actions = np.stack([state.resume_data for state in states], axis=1)
        self._begin_pool(states[0].episode)
        # Convert the observations of the last step only.
        for step in actions[:-1]:
            _, _, terminated, truncated, _ = self._play(step)
            ended = np.flatnonzero(terminated | truncated)
            if len(ended):
                self._begin(ended)
        if len(actions):
            self.step(actions[-1])
        return self._observations

    def close(self) -> None:
        """Stop the pool's threads; calling it again does nothing."""
        self._pool = None

    def _empty_observations(self, count: int) -> Observations:
        return {
            name: np.empty((count, *shape), kind)
            for name, (shape, kind) in self.spaces.observations.items()
        }


class _History:
    """The actions of all steps since the pool was made, in the smallest type that holds them.

    Args:
        branches: the number of actions in each branch.
        count: E.
    """

    def __init__(self, branches: tuple[int, ...], count: int) -> None:
        kind = np.min_scalar_type(max(branches) - 1)
        self._actions = np.empty((_FIRST_CAPACITY, count, len(branches)), kind)
        self._steps = 0

    def __len__(self) -> int:
        """Return the number of steps."""
        return self._steps

    def clear(self) -> None:
        """Remove all steps."""
        self._steps = 0

    def append(self, actions: np.ndarray) -> None:
        """Add a step's actions (E, branches)."""
        if self._steps == len(self._actions):
            self._actions = np.concatenate((self._actions, np.empty_like(self._actions)))
        self._actions[self._steps] = actions
        self._steps += 1

    def of(self, environment: int) -> np.ndarray:
        """Return a copy of one environment's actions (steps, branches)."""
        return self._actions[: self._steps, environment].copy()
