"""Wrappers that give Stable-Baselines3 the same observations as this project."""

from __future__ import annotations

import gymnasium
from gymnasium.wrappers import FlattenObservation, TransformObservation
from minigrid.wrappers import ImgObsWrapper, OneHotPartialObsWrapper


def mask_velocities(environment: gymnasium.Env) -> gymnasium.Env:
    """Return CartPole without velocities in its observation."""
    space = environment.observation_space
    assert isinstance(space, gymnasium.spaces.Box)
    shown = gymnasium.spaces.Box(space.low[::2], space.high[::2])
    return TransformObservation(environment, lambda observation: observation[::2], shown)


def one_hot(environment: gymnasium.Env) -> gymnasium.Env:
    """Return MiniGrid with its one-hot view as a vector."""
    return FlattenObservation(ImgObsWrapper(OneHotPartialObsWrapper(environment)))
