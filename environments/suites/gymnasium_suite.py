"""Makes any environment that is registered with Gymnasium and has discrete or continuous actions."""

from __future__ import annotations

import gymnasium

from environments.spaces import as_named_arrays, as_trainable_actions
from environments.suites.registration import create
from environments.wrappers.masks import with_action_mask
from schema.environment import EnvironmentConfig


def make(config: EnvironmentConfig, worker_id: int, render_mode: str | None) -> gymnasium.Env:
    """Make an environment with its images, all else as a float32 "vector", and its action mask."""
    environment = as_trainable_actions(create(config, worker_id, render_mode), config.name)
    uses, keeps_small = config.use_action_mask, bool(config.resize_vis_obs) or config.grayscale
    named = as_named_arrays(environment, config.name, keeps_small, uses is not False)
    return with_action_mask(named, config.name, uses)
