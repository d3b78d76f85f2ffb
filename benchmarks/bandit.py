"""A contextual bandit with Gymnasium's interface: an image, a vector and a symbol decide three branches.

Each part of the observation decides one branch of the action, so the greatest return is 10 and random
play gets 2.61. Each episode has one step.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

_SIDE = 36
_CHOICES = (4, 3, 5)


class Bandit(gymnasium.Env[dict[str, Any], np.ndarray]):
    """Observes where a bright square is, a vector with a greatest number, and a symbol.

    The right choices are the quadrant of the square, the place of the greatest number, and the symbol.
    Each right one is worth 10 / 3.
    """

    def __init__(self) -> None:
        self.observation_space = spaces.Dict(
            {
                "image": spaces.Box(0, 255, (_SIDE, _SIDE, 3), np.uint8),
                "vector": spaces.Box(0, 1, (_CHOICES[1],), np.float32),
                "symbol": spaces.Discrete(_CHOICES[2]),
            }
        )
        self.action_space = spaces.MultiDiscrete(list(_CHOICES))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Draw a context."""
        super().reset(seed=seed)
        image = self.np_random.integers(0, 128, (_SIDE, _SIDE, 3), dtype=np.uint8)
        quadrant = int(self.np_random.integers(_CHOICES[0]))
        row, column = self.np_random.integers(0, _SIDE // 2 - 8, 2) + _SIDE // 2 * np.array(
            divmod(quadrant, 2)
        )
        image[row : row + 8, column : column + 8] = 255
        vector = self.np_random.random(_CHOICES[1]).astype(np.float32)
        symbol = int(self.np_random.integers(_CHOICES[2]))
        self._right = np.array([quadrant, vector.argmax(), symbol])
        self._observation = {"image": image, "vector": vector, "symbol": symbol}
        return self._observation, {}

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Pay for each right choice."""
        reward = 10 * float((np.asarray(action) == self._right).mean())
        return self._observation, reward, True, False, {}


gymnasium.register("Bandit-v0", Bandit)  # type: ignore[arg-type]
