"""Makes CartPole; without its velocities, the task needs memory."""

from __future__ import annotations

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TransformObservation

from environments.spaces import VECTOR, as_trainable_actions, vector_space
from environments.suites.registration import create
from schema.environment import EnvironmentConfig

# Cart position, cart velocity, pole angle, pole velocity at the tip.
_ALL = np.array([0, 1, 2, 3])
_POSITIONS = np.array([0, 2])


def make(config: EnvironmentConfig, worker_id: int, render_mode: str | None) -> gymnasium.Env:
    """Make CartPole, with a "vector" of four float32 values, or two with masked velocities."""
    environment = create(config, worker_id, render_mode)
    kept = _POSITIONS if config.mask_velocities else _ALL
    observed = TransformObservation(
        environment,
        lambda observation: {VECTOR: observation[kept]},
        spaces.Dict({VECTOR: vector_space(len(kept), np.float32)}),
    )
    return as_trainable_actions(observed, config.name)
