"""A CartPole that breaks now and then, for a sweep with failures."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv


class Fragile(CartPoleEnv):
    """A CartPole that raises an error in some steps.

    Args:
        fragility: probability of an error in a step.
    """

    def __init__(self, fragility: float = 0.0, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self._fragility = fragility

    def step(self, action: Any) -> Any:
        """Break, or push the cart."""
        if self.np_random.random() < self._fragility:
            raise RuntimeError("The joint between cart and pole broke.")
        return super().step(action)


gymnasium.register("Fragile-v0", Fragile, max_episode_steps=500)  # type: ignore[arg-type]
