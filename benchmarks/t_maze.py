"""A T-maze with Gymnasium's interface: only its first observation says where the goal is.

Source: Bakker (2001), Reinforcement learning with long short-term memory.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

_FORWARD, _UP = 0, 1


class TMaze(gymnasium.Env[np.ndarray, int]):
    """A corridor that ends in a junction, with the goal up or down.

    Observes three numbers: the cue in the first step (1: the goal is up, -1: it is down), whether the
    agent is in the corridor, and whether it is at the junction. Actions: forward, up, down. The goal is
    worth 1, the wrong end of the junction -1; a step without effect costs 0.1.

    Args:
        length: steps from the beginning to the junction.
    """

    def __init__(self, length: int = 10) -> None:
        self.observation_space = spaces.Box(-1, 1, (3,), np.float32)
        self.action_space: spaces.Discrete[Any] = spaces.Discrete(3)
        self._length = length

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Put the goal up or down, by chance, and the agent at the beginning."""
        super().reset(seed=seed)
        self._is_up = bool(self.np_random.random() < 0.5)
        self._place = 0
        return self._observation(1.0 if self._is_up else -1.0), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Walk forward, or choose an end of the junction."""
        at_junction = self._place == self._length
        if at_junction and action != _FORWARD:
            reward = 1.0 if (action == _UP) == self._is_up else -1.0
            return self._observation(0.0), reward, True, False, {}
        moves = not at_junction and action == _FORWARD
        self._place += moves
        return self._observation(0.0), 0.0 if moves else -0.1, False, False, {}

    def _observation(self, cue: float) -> np.ndarray:
        at_junction = self._place == self._length
        return np.array([cue, not at_junction, at_junction], np.float32)


gymnasium.register("TMaze-v0", TMaze, max_episode_steps=40)  # type: ignore[arg-type]
