"""Turns the spaces of Gymnasium's environments into those that can be trained.

Every wrapped environment observes a `Dict` of one-dimensional ("vector") and three-dimensional
(height, width, channels; uint8) boxes, and acts in a `MultiDiscrete` space that starts at zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TransformAction, TransformObservation

from environments.interface import Observations, Spaces
from errors import UserError

VECTOR = "vector"
VISUAL = "visual"


def spaces_of(environment: gymnasium.Env) -> Spaces:
    """The `Spaces` of a wrapped environment."""
    observations, actions = environment.observation_space, environment.action_space
    assert isinstance(observations, spaces.Dict) and isinstance(actions, spaces.MultiDiscrete)
    return Spaces(
        observations={name: _shape_and_type(space) for name, space in observations.items()},
        branches=tuple(int(choices) for choices in actions.nvec),
    )


def _shape_and_type(space: spaces.Space) -> tuple[tuple[int, ...], str]:
    assert space.shape is not None and space.dtype is not None
    return tuple(space.shape), np.dtype(space.dtype).name


def as_multi_discrete(environment: gymnasium.Env, name: str) -> gymnasium.Env:
    """Makes actions arrays of shape (branches,), each counted from zero.

    Raises:
        UserError: the action space is neither discrete nor one-dimensional multi-discrete.
    """
    space = environment.action_space
    if isinstance(space, spaces.Discrete):
        start = int(space.start)
        return TransformAction(
            environment,
            lambda action: int(action[0]) + start,
            spaces.MultiDiscrete([space.n]),
        )
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
        starts, kind = space.start, space.dtype
        return TransformAction(
            environment,
            lambda action: (action + starts).astype(kind),
            spaces.MultiDiscrete(space.nvec),
        )
    raise UserError(f"environment.name: {name} has {_describe_actions(space)}")


def _describe_actions(space: spaces.Space) -> str:
    kind = type(space).__name__
    described = "a continuous action space (Box)" if kind == "Box" else f"a {kind} action space"
    if isinstance(space, spaces.MultiDiscrete):
        described = f"a MultiDiscrete action space of {space.nvec.ndim} dimensions"
    return f"{described}; only discrete and multi-discrete ones can be trained"


def as_named_arrays(environment: gymnasium.Env, name: str) -> gymnasium.Env:
    """Makes observations a dictionary: images under a name each, all else flat in "vector".

    Raises:
        UserError: the observation space holds something that can't be trained from.
    """
    space = environment.observation_space
    if _is_image(space):
        converted, convert = spaces.Dict({VISUAL: _image_space(space)}), _convert_image(space)
        return TransformObservation(
            environment, lambda observation: {VISUAL: convert(observation)}, converted
        )
    if isinstance(space, spaces.Dict) and any(map(_is_image, space.values())):
        return _split_dictionary(environment, space, name)
    _check_flattenable(space, name)
    return TransformObservation(
        environment,
        lambda observation: {VECTOR: _flatten(space, observation)},
        spaces.Dict({VECTOR: vector_space(spaces.flatdim(space), np.float32)}),
    )


def _split_dictionary(environment: gymnasium.Env, space: spaces.Dict, name: str) -> gymnasium.Env:
    """Keeps the images of a dictionary apart and flattens the rest into "vector"."""
    images = {key: inner for key, inner in space.items() if _is_image(inner)}
    rest = spaces.Dict({key: inner for key, inner in space.items() if key not in images})
    if rest and VECTOR in images:
        raise UserError(f"environment.name: {name} has an image under the reserved name {VECTOR}")
    _check_flattenable(rest, name)
    converted: dict[str, spaces.Space] = {key: _image_space(inner) for key, inner in images.items()}
    if rest:
        converted[VECTOR] = vector_space(spaces.flatdim(rest), np.float32)
    conversions = {key: _convert_image(inner) for key, inner in images.items()}

    def convert(observation: dict[str, Any]) -> Observations:
        arrays = {
            key: convert_image(observation[key]) for key, convert_image in conversions.items()
        }
        if rest:
            arrays[VECTOR] = _flatten(rest, {key: observation[key] for key in rest})
        return arrays

    return TransformObservation(environment, convert, spaces.Dict(converted))


def vector_space(length: int, kind: type) -> spaces.Box:
    """The space of a vector observation; its bounds are the type's, as nothing clips to them."""
    if np.issubdtype(kind, np.floating):
        return spaces.Box(-np.inf, np.inf, (length,), kind)
    return spaces.Box(0, 255, (length,), kind)


def _is_image(space: spaces.Space) -> bool:
    return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3)


def _image_space(space: spaces.Space) -> spaces.Box:
    """(height, width) or (height, width, channels) -> (height, width, channels)."""
    assert space.shape is not None
    shape = space.shape if len(space.shape) == 3 else (*space.shape, 1)
    return spaces.Box(0, 255, shape, np.uint8)


def _convert_image(space: spaces.Space) -> Callable[[np.ndarray], np.ndarray]:
    shape = _image_space(space).shape
    return lambda image: np.asarray(image, np.uint8).reshape(shape)


def _flatten(space: spaces.Space, observation: Any) -> np.ndarray:
    return np.asarray(spaces.flatten(space, observation), np.float32)


_FLATTENABLE = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


def _check_flattenable(space: spaces.Space, name: str) -> None:
    if isinstance(space, spaces.Dict):
        parts = list(space.values())
    elif isinstance(space, spaces.Tuple):
        parts = list(space.spaces)
    elif isinstance(space, _FLATTENABLE):
        return
    else:
        raise UserError(
            f"environment.name: {name} observes a {type(space).__name__} space, which can't be "
            "turned into an array of a fixed length"
        )
    for part in parts:
        _check_flattenable(part, name)
