"""How EnvPool's environments become those of the Gymnasium path: same observations, same ends."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from config import EnvironmentConfig
from environments.cores import available_cores
from environments.interface import Observations
from environments.spaces import VECTOR, VISUAL


class PooledTask:
    """One kind of EnvPool's environments; the base class observes a float32 "vector".

    Axes: E environments, or as many of them as are concerned.

    Args:
        config: which environment.

    Attributes:
        arguments: what `envpool.make_gymnasium` takes besides the name, the number of environments,
            their seeds and the number of threads.
        is_costly: whether a step of one environment costs more than waking a thread.
    """

    is_costly = False

    def __init__(self, config: EnvironmentConfig) -> None:
        limit = gymnasium.spec(config.name).max_episode_steps
        assert limit is not None
        # EnvPool reports an end at its limit as truncated, even where the task was over. So its
        # limit is one step farther, and this class applies the real one.
        self._limit = limit
        self.arguments: dict[str, Any] = {"max_episode_steps": limit + 1}

    def write(self, observed: Any, observations: Observations) -> None:
        """Writes what EnvPool observed (E, ...) into arrays of the config's observations (E, ...)."""
        observations[VECTOR][...] = observed

    def ends(
        self,
        rewards: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
        info: dict[str, Any],
    ) -> tuple[np.ndarray, np.ndarray]:
        """EnvPool's rewards, ends (E,) and info -> terminated and truncated (E,), never both."""
        ended = terminated | truncated
        return ended, ~ended & (info["elapsed_step"] >= self._limit)

    def statistics(self, rewards: np.ndarray, info: dict[str, Any]) -> dict[str, np.ndarray]:
        """What is reported (E,) besides return and length, if the episodes end with this step."""
        return {}


class _MaskedCartPole(PooledTask):
    """Cart position and pole angle."""

    def write(self, observed: Any, observations: Observations) -> None:
        """Writes two of the four values."""
        observations[VECTOR][...] = observed[:, ::2]


class _Minigrid(PooledTask):
    """The view one-hot, or in pixels."""

    def __init__(self, config: EnvironmentConfig) -> None:
        from environments import minigrid_suite  # takes a while, and only MiniGrid needs it

        # Its limit is the task's own, and part of the reward.
        self.arguments = {}
        self._visual = config.visual_observation
        self._suite = minigrid_suite

    def write(self, observed: Any, observations: Observations) -> None:
        """Encodes or draws the views (E, 7, 7, 3)."""
        if self._visual:
            self._suite.draw_many(observed["image"], observations[VISUAL])
        else:
            self._suite.one_hot_of_many(observed["image"], observations[VECTOR])

    def ends(
        self,
        rewards: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
        info: dict[str, Any],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Only what ends an episode for real is rewarded, be it with the last step allowed."""
        real = terminated | (truncated & (rewards != 0))
        return real, truncated & ~real

    def statistics(self, rewards: np.ndarray, info: dict[str, Any]) -> dict[str, np.ndarray]:
        """`success`."""
        return {"success": (rewards > 0).astype(np.float64)}


def pooled_task(config: EnvironmentConfig) -> PooledTask:
    """The kind of environment that a config names."""
    if config.type == "Minigrid":
        return _Minigrid(config)
    if config.mask_velocities:
        return _MaskedCartPole(config)
    return PooledTask(config)


def make_pool(name: str, task: PooledTask, seeds: Sequence[int]) -> Any:
    """A pool of one environment for each seed, in synchronous mode.

    Args:
        name: the id under which EnvPool knows the environment.
        task: what kind it is.
        seeds: each below 2**31; environments of the same seed are the same.
    """
    import envpool  # optional

    return envpool.make_gymnasium(
        name,
        num_envs=len(seeds),
        num_threads=_threads(len(seeds)) if task.is_costly else 1,
        seed=list(seeds),
        **task.arguments,
    )


def _threads(count: int) -> int:
    """As many as there are cores to use: processes side by side are given a number by OpenMP's."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return min(count, available_cores(), int(given) if given.isdecimal() else count)
