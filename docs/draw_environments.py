"""Draws a picture of each suite by the environments' own rendering: `make pictures`.

If the agent observes images, its observation is on the right of the rendered frame. A suite without its
package keeps the picture that it has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import gymnasium
import imageio.v3 as imageio
import numpy as np

from environments import make_environment
from environments.spaces import spaces_of
from environments.vector import random_action
from schema.environment import EnvironmentConfig
from schema.errors import UserError

_ROOT = Path(__file__).resolve().parents[1]
_HEIGHT, _GAP = 210, 10  # pixels


@dataclass(frozen=True)
class _Picture:
    """A picture of one environment after some random steps in one of its levels."""

    type: str
    name: str
    level: int
    steps: int
    keys: dict[str, Any] = field(default_factory=dict)


PICTURES = {
    "cartpole": _Picture("CartPole", "CartPole-v1", 3, 12),
    "gymnasium": _Picture("Gymnasium", "LunarLander-v3", 3, 65),
    "minigrid": _Picture("Minigrid", "MiniGrid-DoorKey-8x8-v0", 7, 3, {"visual_observation": True}),
    "procgen": _Picture("Procgen", "CoinrunEasy-v0", 4, 60),
    "atari": _Picture("Atari", "Breakout-v5", 1, 90),
    "mujoco": _Picture("Gymnasium", "HalfCheetah-v5", 1, 40),
    "memory_gym": _Picture("Gymnasium", "memory_gym:MortarMayhem-Grid-v0", 2, 1),
}


def picture(wanted: _Picture) -> np.ndarray:
    """Return the rendered frame and, beside it, the observed images: (height, width, 3) uint8.

    Raises:
        UserError: the environment can't be built or rendered here.
    """
    config = EnvironmentConfig(type=wanted.type, name=wanted.name, **wanted.keys)  # type: ignore[arg-type]
    environment = make_environment(config, render_mode="rgb_array")
    try:
        observation = _play(environment, wanted)
        images = [np.asarray(environment.render())]
        images += [_latest(array) for array in observation.values() if array.ndim == 3]
    finally:
        environment.close()
    white = np.full((_HEIGHT, _GAP, 3), 255, np.uint8)
    parts = [part for image in images for part in (_resized(image), white)]
    return np.concatenate(parts[:-1], axis=1)


def _play(environment: gymnasium.Env, wanted: _Picture) -> dict[str, np.ndarray]:
    """Return the observation after random steps; start a new episode whenever one ends."""
    generator, spaces = np.random.default_rng(wanted.level), spaces_of(environment)
    observation, _ = environment.reset(seed=wanted.level)
    for _ in range(wanted.steps):
        action = random_action(spaces, observation, generator)
        observation, _, terminated, truncated, _ = environment.step(action)
        if terminated or truncated:
            observation, _ = environment.reset(seed=wanted.level)
    return observation


def _latest(image: np.ndarray) -> np.ndarray:
    """Return the last image of a stack (height, width, channels), with three channels."""
    channels = 3 if image.shape[2] % 3 == 0 else 1
    return np.broadcast_to(image[:, :, -channels:], (*image.shape[:2], 3))


def _resized(image: np.ndarray) -> np.ndarray:
    """Return an image scaled to the pictures' height; enlarged pixels stay sharp."""
    width = round(image.shape[1] * _HEIGHT / image.shape[0])
    method = cv2.INTER_NEAREST if image.shape[0] < _HEIGHT else cv2.INTER_AREA
    return cv2.resize(np.ascontiguousarray(image), (width, _HEIGHT), interpolation=method)


def main() -> None:
    """Write a picture for each installed suite."""
    for suite, wanted in PICTURES.items():
        path = _ROOT / "docs" / "images" / f"environment_{suite}.png"
        try:
            imageio.imwrite(path, picture(wanted))
        except UserError as error:
            print(f"kept {path.relative_to(_ROOT)}: {error}")
        else:
            print(f"wrote {path.relative_to(_ROOT)}")


if __name__ == "__main__":
    main()
