"""Converts EnvPool's arrays to the observations, rewards and ends of the Gymnasium backend."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from environments.interface import Observations
from environments.spaces import VECTOR, VISUAL
from environments.suites.registration import step_limit
from schema.environment import EnvironmentConfig

# Gymnasium warns of the bounds of EnvPool's spaces, which nothing uses.
warnings.filterwarnings("ignore", message=".*precision lowered by casting")


class EnvPoolTask:
    """A kind of EnvPool's environments; the base class observes a float32 "vector".

    Axes: E environments, or a part of them.

    Args:
        config: the environment's config.

    Attributes:
        arguments: the arguments of `envpool.make_gymnasium` other than the name, the number of
            environments, their seeds and the number of threads.
        is_costly: whether a step of one environment takes longer than waking a thread.
        steps_of_a_pool: the number of steps after which a new pool replaces a pool. It bounds the
            time that resuming takes to replay them, and spans several episodes, so that the
            replacement cuts off few.
        has_lives: whether an episode has several lives, and each step reports how many are left.
    """

    is_costly = False
    steps_of_a_pool = 4096
    has_lives = False

    def __init__(self, config: EnvironmentConfig) -> None:
        limit = step_limit(config)
        # EnvPool reports every end at its limit as truncated, also a real end. So its limit is one
        # step greater, and this class applies the real one.
        self._limit: float = limit
        self.arguments: dict[str, Any] = {"max_episode_steps": limit + 1}

    def level_arguments(self, start: int, count: int) -> dict[str, int]:
        """Return arguments that limit the levels to a range, where EnvPool can do that.

        Args:
            start: the first level.
            count: the number of levels; 0 is no limit.
        """
        return {}

    def write(self, observed: Any, observations: Observations) -> None:
        """Convert EnvPool's observations (E, ...), and write them into the given arrays (E, ...)."""
        observations[VECTOR][...] = observed

    def rewards(self, rewards: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        """Convert EnvPool's rewards (E,) to the original's rewards (E,) float32."""
        return rewards

    def ends(
        self,
        rewards: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
        info: dict[str, Any],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Convert EnvPool's ends (E,) to terminated and truncated (E,), never both."""
        ended = terminated | truncated
        return ended, ~ended & (info["elapsed_step"] >= self._limit)

    def statistics(self, rewards: np.ndarray, info: dict[str, Any]) -> dict[str, np.ndarray]:
        """Return the statistics (E,) besides return and length, valid where episodes end."""
        return {}


class _MaskedCartPole(EnvPoolTask):
    """Cart position and pole angle."""

    def write(self, observed: Any, observations: Observations) -> None:
        """Write two of the four values."""
        observations[VECTOR][...] = observed[:, ::2]


class _Minigrid(EnvPoolTask):
    """MiniGrid and BabyAI, with the view one-hot or in pixels."""

    def __init__(self, config: EnvironmentConfig) -> None:
        import envpool  # optional

        from environments.suites import minigrid_suite  # takes a while, and only MiniGrid needs it

        # One step greater, as in the base class. 0: each level has its own limit, which EnvPool applies.
        self._own_limit = int(envpool.make_spec(config.name).config.max_episode_steps)
        self.arguments = {"max_episode_steps": self._own_limit + 1} if self._own_limit else {}
        self._limit = config.max_episode_steps or self._own_limit or math.inf
        self._visual = config.visual_observation
        self._suite = minigrid_suite

    def write(self, observed: Any, observations: Observations) -> None:
        """Encode or draw the views (E, 7, 7, 3)."""
        if self._visual:
            self._suite.draw_many(observed["image"], observations[VISUAL])
        else:
            self._suite.one_hot_of_many(observed["image"], observations[VECTOR])

    def rewards(self, rewards: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        """Recompute the reward of a goal, which depends on the limit, with the real limit."""
        if not self._own_limit or not (rewards > 0).any():
            return rewards
        goal = 1 - 0.9 * (info["elapsed_step"] / self._own_limit)
        return np.where(rewards > 0, goal, rewards).astype(np.float32)

    def ends(
        self,
        rewards: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
        info: dict[str, Any],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Count a rewarded end as a real one, also at EnvPool's limit."""
        real = terminated | (truncated & (rewards != 0))
        return real, (truncated | (info["elapsed_step"] >= self._limit)) & ~real

    def statistics(self, rewards: np.ndarray, info: dict[str, Any]) -> dict[str, np.ndarray]:
        """Return `success`: whether the episode was rewarded."""
        return {"success": (rewards > 0).astype(np.float64)}


class EnvPoolImages(EnvPoolTask):
    """Tasks that only EnvPool has, which observe an image "visual".

    Attributes:
        shape: the image's (height, width, channels).
        frame_rate: steps per second at a human player's speed.
    """

    is_costly = True
    shape: tuple[int, int, int]
    frame_rate: float


class _Procgen(EnvPoolImages):
    """Procgen, with unchanged images; an episode that meets its time limit is truncated."""

    def __init__(self, config: EnvironmentConfig) -> None:
        self.shape = (64, 64, 3)
        self.frame_rate = 15.0
        self.arguments = {"channel_first": False}

    def level_arguments(self, start: int, count: int) -> dict[str, int]:
        """Return Procgen's own arguments for a range of levels."""
        # Procgen takes a count of 0 for all levels, whatever the first one.
        start = min(start, _LAST_LEVEL - 1)
        return {"start_level": start, "num_levels": min(count or _LAST_LEVEL, _LAST_LEVEL - start)}

    def write(self, observed: Any, observations: Observations) -> None:
        """Copy images (E, 64, 64, 3)."""
        observations[VISUAL][...] = observed

    def ends(
        self,
        rewards: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
        info: dict[str, Any],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Count a level that is solved in the last step allowed as a real end."""
        real = terminated | (truncated & (info["prev_level_complete"] != 0))
        return real, truncated & ~real

    def statistics(self, rewards: np.ndarray, info: dict[str, Any]) -> dict[str, np.ndarray]:
        """Return `success`: whether the level was solved."""
        return {"success": info["prev_level_complete"].astype(np.float64)}


class _Atari(EnvPoolImages):
    """Atari; EnvPool itself skips, stacks, converts to gray and resizes frames.

    Games start with up to 30 no-op steps (Mnih et al., 2015), then press FIRE where the game has that
    action. A lost life doesn't end an episode here; see `Lives`.
    """

    has_lives = True

    steps_of_a_pool = 65_536

    def __init__(self, config: EnvironmentConfig) -> None:
        width, height = config.resize_vis_obs or _ATARI_SIZE
        self.shape = (height, width, (1 if config.grayscale else 3) * config.obs_stacks)
        self.frame_rate = _ATARI_RATE / config.frame_skip
        self.arguments = {
            "frame_skip": config.frame_skip,
            "stack_num": config.obs_stacks,
            "gray_scale": config.grayscale,
            "img_width": width,
            "img_height": height,
            "repeat_action_probability": config.sticky_actions,
            # The usual limit of half an hour of play, for any frame skip.
            "max_episode_steps": _ATARI_FRAMES // config.frame_skip,
        }

    def write(self, observed: Any, observations: Observations) -> None:
        """Transpose E x channels x height x width to E x height x width x channels."""
        observations[VISUAL][...] = observed.transpose(0, 2, 3, 1)

    def ends(
        self,
        rewards: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
        info: dict[str, Any],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Count a game that is over in the last step allowed as a real end, which EnvPool reports."""
        real = terminated | (truncated & (info["terminated"] != 0))
        return real, truncated & ~real


class Lives:
    """Finds lives that are lost while the game continues; the last one ends the game instead.

    Args:
        count: the number E of environments.
    """

    def __init__(self, count: int) -> None:
        self._left = np.zeros(count, np.int64)

    def begin(self, environments: np.ndarray, info: dict[str, Any]) -> None:
        """Store the number of lives at the start of games, in environments of indices (K,)."""
        self._left[environments] = info["lives"]

    def lost(self, ended: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        """Return which environments (E,) lost a life in this step, except those that ended (E,)."""
        lost = (info["lives"] < self._left) & ~ended
        self._left[:] = info["lives"]
        return lost


_LAST_LEVEL = 2**31 - 1
_ATARI_SIZE = (160, 210)
_ATARI_FRAMES = 108_000
_ATARI_RATE = 60.0  # frames per second

_IMAGES: dict[str, type[EnvPoolImages]] = {"Atari": _Atari, "Procgen": _Procgen}


def envpool_images(config: EnvironmentConfig) -> EnvPoolImages:
    """Return the kind of environment of a config of type Procgen or Atari."""
    return _IMAGES[config.type](config)


def envpool_task(config: EnvironmentConfig) -> EnvPoolTask:
    """Return the kind of environment of a config."""
    if config.type in _IMAGES:
        return envpool_images(config)
    if config.type == "Minigrid":
        return _Minigrid(config)
    if config.mask_velocities:
        return _MaskedCartPole(config)
    return EnvPoolTask(config)


def make_pool(
    name: str, task: EnvPoolTask, seeds: Sequence[int], cores: int, **arguments: Any
) -> Any:
    """Make a pool in synchronous mode, with one environment for each seed.

    Args:
        name: EnvPool's id of the environment.
        task: the kind of environment.
        seeds: seeds below 2**31; equal seeds make equal environments.
        cores: the number of cores to use.
        **arguments: arguments of `envpool.make_gymnasium`, besides the task's.
    """
    import envpool  # optional

    return envpool.make_gymnasium(
        name,
        num_envs=len(seeds),
        num_threads=min(len(seeds), cores) if task.is_costly else 1,
        seed=list(seeds),
        **task.arguments,
        **arguments,
    )
