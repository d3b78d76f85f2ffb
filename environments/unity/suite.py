"""Makes single environments of Unity players, to show them and to probe their spaces.

Training and evaluation step several players at the same time, in `vector.py`.
"""

from __future__ import annotations

import threading
from typing import Any

import gymnasium
import numpy as np

from environments.interface import Observations
from environments.unity.player import Player
from schema.environment import EnvironmentConfig
from schema.errors import UserError


def make(config: EnvironmentConfig, worker_id: int, render_mode: str | None) -> gymnasium.Env:
    """Return an environment that plays the first seat of a scene; other seats stand still.

    Raises:
        UserError: As `Player`; or a video is asked for and the scene has no visual observation.
    """
    environment = _FirstSeat(config, worker_id, render_mode)
    if render_mode == "rgb_array" and environment.picture is None:
        environment.close()
        raise UserError(
            f"environment.name: {config.name} has no visual observation to make a video of; watch "
            "the player's own window, without --video"
        )
    return environment


class _FirstSeat(gymnasium.Env):
    """Plays the first seat, and renders its first visual observation."""

    metadata = {"render_modes": ["human", "rgb_array"], "render_fps": 30}  # noqa: RUF012  # Gymnasium's way

    def __init__(self, config: EnvironmentConfig, worker_id: int, render_mode: str | None) -> None:
        self.render_mode = render_mode
        level, _ = config.reset_params.trained()
        self._player = Player(config, worker_id, level, render_mode is not None, threading.Event())
        self._level = level
        self._observation: Observations = {}
        self.seats = self._player.seats
        self.picture = self._player.scene.picture
        self.observation_space = self._player.scene.observation_space
        self.action_space = self._player.scene.action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Start an episode; `seed` is its level, None repeats the last one."""
        super().reset(seed=seed)
        self._level = self._level if seed is None else seed
        self._observation = self._player.reset(self._level)[0]
        return self._observation, {}

    def step(self, action: Any) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """Take a step."""
        actions = np.zeros((self.seats, len(action)), np.asarray(action).dtype)
        actions[0] = action
        step = self._player.step(actions)[0]
        observation = step.final if step.ended else step.observation
        assert observation is not None
        self._observation = observation
        ends = step.terminated, step.truncated
        return observation, step.reward, *ends, dict(step.statistics)

    def render(self) -> np.ndarray | None:
        """Return the picture (height, width, 3) uint8; None where the player has a window."""
        if self.render_mode != "rgb_array" or self.picture is None:
            return None
        image = self._observation[self.picture]
        return np.repeat(image[..., :1], 3, axis=2) if image.shape[2] < 3 else image[..., :3]

    def close(self) -> None:
        """Stop the player."""
        self._player.close()
