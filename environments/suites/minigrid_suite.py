"""Makes MiniGrid and BabyAI environments, which observe a partial view, one-hot or in pixels."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TransformObservation
from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX, STATE_TO_IDX
from minigrid.minigrid_env import MiniGridEnv

from environments.spaces import VECTOR, VISUAL, as_trainable_actions, vector_space
from environments.suites import minigrid_view
from environments.suites.registration import create
from schema.environment import EnvironmentConfig
from schema.errors import UserError

_TILE_SIZE = 12  # a view of 7 x 7 tiles makes 84 x 84 pixels
_OBJECTS, _COLORS, _STATES = len(OBJECT_TO_IDX), len(COLOR_TO_IDX), len(STATE_TO_IDX)
_ONE_HOT_SIZE = _OBJECTS + _COLORS + _STATES


def make(config: EnvironmentConfig, worker_id: int, render_mode: str | None) -> gymnasium.Env:
    """Make MiniGrid with a one-hot "vector" (980,) uint8, or a "visual" (84, 84, 3) uint8."""
    environment = create(config, worker_id, render_mode)
    grid_world = environment.unwrapped
    assert isinstance(grid_world, MiniGridEnv)
    _check_limit(config, grid_world)
    if minigrid_view.is_standard(grid_world):
        # Replaced on the instance, so that no other environment is affected.
        setattr(grid_world, "gen_obs", partial(minigrid_view.observe, grid_world))  # noqa: B010
    observe = _observe_pixels if config.visual_observation else _observe_one_hot
    return as_trainable_actions(observe(_Success(environment)), config.name)


def _check_limit(config: EnvironmentConfig, grid_world: MiniGridEnv) -> None:
    # 0 means that each level has its own limit.
    if config.max_episode_steps and 0 < grid_world.max_steps < config.max_episode_steps:
        raise UserError(
            f"environment.max_episode_steps: {config.name} ends its episodes after "
            f"{grid_world.max_steps} steps by itself, and its reward depends on that; set "
            f"environment.kwargs to {{max_steps: {config.max_episode_steps}}} instead"
        )


class _Success(gymnasium.Wrapper):
    """Reports `success` at an episode's end: whether it was rewarded."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            info["success"] = float(float(reward) > 0)
        return observation, reward, terminated, truncated, info


def _observe_one_hot(environment: gymnasium.Env) -> gymnasium.Env:
    size = environment.unwrapped.agent_view_size  # type: ignore[attr-defined]
    return TransformObservation(
        environment,
        lambda observation: {VECTOR: one_hot(observation["image"])},
        spaces.Dict({VECTOR: vector_space(size * size * _ONE_HOT_SIZE, np.uint8)}),
    )


def _observe_pixels(environment: gymnasium.Env) -> gymnasium.Env:
    grid_world = environment.unwrapped
    assert isinstance(grid_world, MiniGridEnv)
    side = grid_world.agent_view_size * _TILE_SIZE
    draw = minigrid_view.render if minigrid_view.is_standard(grid_world) else _render_slowly
    return TransformObservation(
        environment,
        lambda _: {VISUAL: draw(grid_world, _TILE_SIZE)},
        spaces.Dict({VISUAL: spaces.Box(0, 255, (side, side, 3), np.uint8)}),
    )


def _render_slowly(grid_world: MiniGridEnv, tile_size: int) -> np.ndarray:
    return grid_world.get_frame(tile_size=tile_size, agent_pov=True)


def one_hot(view: np.ndarray) -> np.ndarray:
    """Convert a view (V, V, 3) of object, colour and state to (V * V * 20,) uint8, 3 ones per cell."""
    return _ONE_HOT_OF_CODE[cell_codes(view).ravel()].ravel()


def one_hot_of_many(views: np.ndarray, vectors: np.ndarray) -> None:
    """Convert views (E, V, V, 3) as `one_hot` does, into the given vectors (E, V * V * 20) uint8."""
    codes = cell_codes(views).reshape(len(views), -1)
    # The codes are in range, and every mode but "raise" avoids a copy of the result.
    np.take(_ONE_HOT_OF_CODE, codes, 0, vectors.reshape(*codes.shape, _ONE_HOT_SIZE), mode="clip")


def draw_many(views: np.ndarray, images: np.ndarray) -> None:
    """Draw views (E, V, V, 3) into the given images (E, V * 12, V * 12, 3) uint8."""
    minigrid_view.render_many(views, _TILE_SIZE, images)


def cell_codes(views: np.ndarray) -> np.ndarray:
    """Convert cells (..., 3) of object, colour and state to codes (...) uint8."""
    return views @ _CODE_WEIGHTS


def _one_hot_table() -> np.ndarray:
    """Return the one-hot encoding of each code, (codes, 20) uint8."""
    objects, colors, states = np.indices((_OBJECTS, _COLORS, _STATES)).reshape(3, -1)
    return np.concatenate(
        [np.eye(_OBJECTS)[objects], np.eye(_COLORS)[colors], np.eye(_STATES)[states]], axis=1
    ).astype(np.uint8)


# A cell's code is its number among the 198 combinations of object, colour and state; it fits in uint8.
_CODE_WEIGHTS = np.array([_COLORS * _STATES, _STATES, 1], np.uint8)
_ONE_HOT_OF_CODE = _one_hot_table()
