"""Converts the spaces of Gymnasium's environments to spaces that can be trained.

After conversion, an environment observes a `Dict` of one-dimensional ("vector") and three-dimensional
(height, width, channels; uint8) boxes. Its actions are in a `MultiDiscrete` space that starts at zero
or in a one-dimensional float32 `Box`. The observation `ACTION_MASK` is an action mask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TransformAction, TransformObservation

from environments.interface import ACTION_MASK, Observations, Spaces
from schema.errors import UserError

VECTOR = "vector"
VISUAL = "visual"


def spaces_of(environment: gymnasium.Env) -> Spaces:
    """Return the `Spaces` of a wrapped environment."""
    observations, actions = environment.observation_space, environment.action_space
    assert isinstance(observations, spaces.Dict)
    observed = {name: _shape_and_type(space) for name, space in observations.items()}
    if isinstance(actions, spaces.MultiDiscrete):
        return Spaces(observed, branches=tuple(actions.nvec.tolist()))
    assert isinstance(actions, spaces.Box)
    bounds = zip(actions.low.tolist(), actions.high.tolist(), strict=True)
    return Spaces(observed, bounds=tuple(bounds))


def _shape_and_type(space: spaces.Space) -> tuple[tuple[int, ...], str]:
    assert space.shape is not None and space.dtype is not None
    return tuple(space.shape), np.dtype(space.dtype).name


def as_trainable_actions(environment: gymnasium.Env, name: str) -> gymnasium.Env:
    """Convert actions to one-dimensional arrays: integers from zero, or float32 numbers.

    Raises:
        UserError: The action space is neither discrete, nor one-dimensional multi-discrete, nor a box.
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
    if isinstance(space, spaces.Box):
        return TransformAction(environment, _convert_action(space), _flat_box(space))
    described = f"a {type(space).__name__} action space"
    if isinstance(space, spaces.MultiDiscrete):
        described += f" of {space.nvec.ndim} dimensions"
    raise UserError(
        f"environment.name: {name} has {described}; only Discrete, MultiDiscrete of one dimension "
        "and Box can be trained"
    )


def _convert_action(space: spaces.Box) -> Callable[[np.ndarray], np.ndarray]:
    """Return the conversion of (dimensions,) float32 to a copy of the space's shape and type."""
    shape, kind = space.shape, space.dtype
    if np.issubdtype(kind, np.integer):
        return lambda action: np.rint(action).astype(kind).reshape(shape)
    return lambda action: action.astype(kind).reshape(shape)


def _flat_box(space: spaces.Box) -> spaces.Box:
    """Return the greatest one-dimensional float32 box within a box of any shape and type."""
    exact_low, exact_high = space.low.ravel(), space.high.ravel()
    low, high = exact_low.astype(np.float32), exact_high.astype(np.float32)
    # Rounding to float32 may move a bound outside of the space.
    low = np.where(low < exact_low, np.nextafter(low, np.float32(np.inf)), low)
    high = np.where(high > exact_high, np.nextafter(high, np.float32(-np.inf)), high)
    return spaces.Box(low, high, dtype=np.float32)


def as_named_arrays(environment: gymnasium.Env, name: str) -> gymnasium.Env:
    """Convert observations to a dictionary: each image under its name, all else flat in "vector".

    An observed action mask keeps its name, too.

    Raises:
        UserError: A part of the observation space can't be trained from.
    """
    space = environment.observation_space
    if _is_image(space):
        converted, convert = spaces.Dict({VISUAL: _image_space(space)}), _convert_image(space)
        return TransformObservation(
            environment, lambda observation: {VISUAL: convert(observation)}, converted
        )
    if isinstance(space, spaces.Dict):
        return _split_dictionary(environment, space, name)
    _check_flattenable(space, name)
    return TransformObservation(
        environment,
        lambda observation: {VECTOR: _flatten(space, observation)},
        spaces.Dict({VECTOR: vector_space(spaces.flatdim(space), np.float32)}),
    )


def _split_dictionary(environment: gymnasium.Env, space: spaces.Dict, name: str) -> gymnasium.Env:
    """Keep a dictionary's images and action mask apart; flatten the rest into "vector"."""
    kept = {key: _image_space(inner) for key, inner in space.items() if _is_image(inner)}
    if ACTION_MASK in space.spaces:
        kept[ACTION_MASK] = _mask_space(space[ACTION_MASK], environment.action_space, name)
    rest = spaces.Dict({key: inner for key, inner in space.items() if key not in kept})
    if rest and VECTOR in kept:
        raise UserError(f"environment.name: {name} has an image under the reserved name {VECTOR}")
    _check_flattenable(rest, name)
    converted: dict[str, spaces.Space] = dict(kept)
    if rest:
        converted[VECTOR] = vector_space(spaces.flatdim(rest), np.float32)

    def convert(observation: dict[str, Any]) -> Observations:
        arrays = {
            key: np.asarray(observation[key], np.uint8).reshape(inner.shape)
            for key, inner in kept.items()
        }
        if rest:
            arrays[VECTOR] = _flatten(rest, {key: observation[key] for key in rest})
        return arrays

    return TransformObservation(environment, convert, spaces.Dict(converted))


def _mask_space(space: spaces.Space, actions: spaces.Space, name: str) -> spaces.Box:
    """Return the space of an observed action mask.

    Raises:
        UserError: The observation isn't an action mask, or doesn't fit the actions.
    """
    is_mask = (
        isinstance(actions, (spaces.Discrete, spaces.MultiDiscrete))
        and space.shape == (spaces.flatdim(actions),)
        and (isinstance(space, spaces.MultiBinary) or _is_unit_box(space))
    )
    if not is_mask:
        raise UserError(
            f"environment.name: {name} observes something named {ACTION_MASK} that isn't a mask of "
            "its actions"
        )
    return spaces.Box(0, 1, space.shape, np.uint8)


def _is_unit_box(space: spaces.Space) -> bool:
    return isinstance(space, spaces.Box) and not space.low.any() and bool((space.high == 1).all())


def vector_space(length: int, kind: type) -> spaces.Box:
    """Return the space of a vector observation, bounded by its type, as nothing clips to bounds."""
    if np.issubdtype(kind, np.floating):
        return spaces.Box(-np.inf, np.inf, (length,), kind)
    return spaces.Box(0, 255, (length,), kind)


def _is_image(space: spaces.Space) -> bool:
    return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3)


def _image_space(space: spaces.Space) -> spaces.Box:
    """Convert (height, width) or (height, width, channels) to (height, width, channels)."""
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
