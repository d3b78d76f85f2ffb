"""How EnvPool's environments become those of the Gymnasium path: same observations, same ends."""

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

# Gymnasium's, of the bounds of EnvPool's spaces, which are never looked at.
warnings.filterwarnings("ignore", message=".*precision lowered by casting")


class EnvPoolTask:
    """One kind of EnvPool's environments; the base class observes a float32 "vector".

    Axes: E environments, or as many of them as are concerned.

    Args:
        config: which environment.

    Attributes:
        arguments: what `envpool.make_gymnasium` takes besides the name, the number of environments,
            their seeds and the number of threads.
        is_costly: whether a step of one environment costs more than waking a thread.
        steps_of_a_pool: after which a pool gives way to a new one, as playing them again is what
            resuming takes. They are several episodes, so that few of them are cut off for it.
        has_lives: whether its episodes have several lives, whose number is reported at each step.
    """

    is_costly = False
    steps_of_a_pool = 4096
    has_lives = False

    def __init__(self, config: EnvironmentConfig) -> None:
        limit = step_limit(config)
        # EnvPool reports an end at its limit as truncated, even where the task was over. So its
        # limit is one step farther, and this class applies the real one.
        self._limit: float = limit
        self.arguments: dict[str, Any] = {"max_episode_steps": limit + 1}

    def level_arguments(self, start: int, count: int) -> dict[str, int]:
        """More arguments that limit the levels to a range (count 0: no limit), where any can."""
        return {}

    def write(self, observed: Any, observations: Observations) -> None:
        """Writes what EnvPool observed (E, ...) into arrays of the config's observations (E, ...)."""
        observations[VECTOR][...] = observed

    def rewards(self, rewards: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        """EnvPool's rewards (E,) and info -> the original's rewards (E,) float32."""
        return rewards

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


class _MaskedCartPole(EnvPoolTask):
    """Cart position and pole angle."""

    def write(self, observed: Any, observations: Observations) -> None:
        """Writes two of the four values."""
        observations[VECTOR][...] = observed[:, ::2]


class _Minigrid(EnvPoolTask):
    """The view one-hot, or in pixels."""

    def __init__(self, config: EnvironmentConfig) -> None:
        import envpool  # optional

        from environments.suites import minigrid_suite  # takes a while, and only MiniGrid needs it

        # As above, where the task has a limit; BabyAI's levels may have one each, which EnvPool applies.
        self._own_limit = int(envpool.make_spec(config.name).config.max_episode_steps)
        self.arguments = {"max_episode_steps": self._own_limit + 1} if self._own_limit else {}
        self._limit = config.max_episode_steps or self._own_limit or math.inf
        self._visual = config.visual_observation
        self._suite = minigrid_suite

    def write(self, observed: Any, observations: Observations) -> None:
        """Encodes or draws the views (E, 7, 7, 3)."""
        if self._visual:
            self._suite.draw_many(observed["image"], observations[VISUAL])
        else:
            self._suite.one_hot_of_many(observed["image"], observations[VECTOR])

    def rewards(self, rewards: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        """A goal is worth the less the more of the limit's steps were taken: of the real limit's."""
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
        """Where EnvPool applies the limit, what is rewarded has ended for real all the same."""
        real = terminated | (truncated & (rewards != 0))
        return real, (truncated | (info["elapsed_step"] >= self._limit)) & ~real

    def statistics(self, rewards: np.ndarray, info: dict[str, Any]) -> dict[str, np.ndarray]:
        """`success`."""
        return {"success": (rewards > 0).astype(np.float64)}


class EnvPoolImages(EnvPoolTask):
    """Tasks that exist in EnvPool only: a "visual" of the given shape (height, width, channels).

    Attributes:
        shape: of the image of one environment.
        frame_rate: steps per second at the speed at which people play.
    """

    is_costly = True
    shape: tuple[int, int, int]
    frame_rate: float


class _Procgen(EnvPoolImages):
    """Images as they are; an episode that its time limit ends is truncated."""

    def __init__(self, config: EnvironmentConfig) -> None:
        self.shape = (64, 64, 3)
        self.frame_rate = 15.0
        self.arguments = {"channel_first": False}

    def level_arguments(self, start: int, count: int) -> dict[str, int]:
        """Levels are EnvPool's own concept here."""
        # Procgen takes 0 levels for all of them, wherever they start.
        start = min(start, _LAST_LEVEL - 1)
        return {"start_level": start, "num_levels": min(count or _LAST_LEVEL, _LAST_LEVEL - start)}

    def write(self, observed: Any, observations: Observations) -> None:
        """Copies images (E, 64, 64, 3)."""
        observations[VISUAL][...] = observed

    def ends(
        self,
        rewards: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
        info: dict[str, Any],
    ) -> tuple[np.ndarray, np.ndarray]:
        """A level that is solved with the last step allowed has ended for real."""
        real = terminated | (truncated & (info["prev_level_complete"] != 0))
        return real, truncated & ~real

    def statistics(self, rewards: np.ndarray, info: dict[str, Any]) -> dict[str, np.ndarray]:
        """`success`: whether the level was solved."""
        return {"success": info["prev_level_complete"].astype(np.float64)}


class _Atari(EnvPoolImages):
    """Frames that EnvPool itself skips, stacks, turns gray and resizes, as the config says.

    Games begin with up to 30 steps of doing nothing (Mnih et al., 2015), then with the button FIRE where
    there is one. A lost life ends nothing here; see `Lives`.
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
            # The usual half an hour of play, however many frames are skipped.
            "max_episode_steps": _ATARI_FRAMES // config.frame_skip,
        }

    def write(self, observed: Any, observations: Observations) -> None:
        """E x channels x height x width -> E x height x width x channels."""
        observations[VISUAL][...] = observed.transpose(0, 2, 3, 1)

    def ends(
        self,
        rewards: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
        info: dict[str, Any],
    ) -> tuple[np.ndarray, np.ndarray]:
        """EnvPool says whether the game is over, be it with the last step allowed."""
        real = terminated | (truncated & (info["terminated"] != 0))
        return real, truncated & ~real


class Lives:
    """Notices lives that are lost while a game goes on; those of its last step end the game instead.

    Args:
        count: E environments.
    """

    def __init__(self, count: int) -> None:
        self._left = np.zeros(count, np.int64)

    def begin(self, environments: np.ndarray, info: dict[str, Any]) -> None:
        """Notes how many lives (K,) the games begin with in environments of these indices (K,)."""
        self._left[environments] = info["lives"]

    def lost(self, ended: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        """Which environments (E,) lost a life with this step, but for those whose game ended (E,)."""
        lost = (info["lives"] < self._left) & ~ended
        self._left[:] = info["lives"]
        return lost


_LAST_LEVEL = 2**31 - 1
_ATARI_SIZE = (160, 210)
_ATARI_FRAMES = 108_000
_ATARI_RATE = 60.0  # frames per second

_IMAGES: dict[str, type[EnvPoolImages]] = {"Atari": _Atari, "Procgen": _Procgen}


def envpool_images(config: EnvironmentConfig) -> EnvPoolImages:
    """The kind of environment that a config of type Procgen or Atari names."""
    return _IMAGES[config.type](config)


def envpool_task(config: EnvironmentConfig) -> EnvPoolTask:
    """The kind of environment that a config names."""
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
    """A pool of one environment for each seed, in synchronous mode.

    Args:
        name: the id under which EnvPool knows the environment.
        task: what kind it is.
        seeds: each below 2**31; environments of the same seed are the same.
        cores: how many cores may be used.
        **arguments: of `envpool.make_gymnasium`, besides the task's.
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
