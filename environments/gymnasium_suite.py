"""Any environment that is registered with Gymnasium and has discrete or continuous actions."""

from __future__ import annotations

import gymnasium

from config import EnvironmentConfig
from environments.registration import create
from environments.spaces import as_named_arrays, as_trainable_actions


def make(config: EnvironmentConfig, worker_id: int, render_mode: str | None) -> gymnasium.Env:
    """The environment of that id, with images as they are and all else as a float32 "vector"."""
    environment = as_trainable_actions(create(config, worker_id, render_mode), config.name)
    return as_named_arrays(environment, config.name)
