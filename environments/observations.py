"""Converts the observations of Gymnasium's environments to named arrays.

Images keep an array each, all else is flattened into the array "vector". A dictionary's or tuple's parts
are found at any depth; an image is named by the keys that lead to it, joined by "/".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TransformObservation

from environments.interface import ACTION_MASK, LEAST_IMAGE_SIZE, Observations
from schema.errors import UserError

VECTOR = "vector"
VISUAL = "visual"

_Convert = Callable[[Any], np.ndarray]

# An axis of so few numbers at the end holds the channels of an image: gray, RGB, RGBA.
_MOST_COLOURS = 4
_FLATTENABLE = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


@dataclass(frozen=True)
class Part:
    """A part of an observation space that isn't divided further.

    Attributes:
        path: the keys and indices that lead to it.
        space: its space.
    """

    path: tuple[Any, ...]
    space: spaces.Space

    @property
    def name(self) -> str:
        """The path in one word; `VISUAL` for a space without parts."""
        return "/".join(map(str, self.path)) if self.path else VISUAL

    def of(self, observation: Any) -> Any:
        """Return this part of an observation."""
        for key in self.path:
            observation = observation[key]
        return observation


def parts_of(space: spaces.Space, path: tuple[Any, ...] = ()) -> Iterator[Part]:
    """Yield the parts of a space in the order in which Gymnasium flattens them."""
    inner: list[tuple[Any, spaces.Space]]
    if isinstance(space, spaces.Dict):
        inner = list(space.items())
    elif isinstance(space, spaces.Tuple):
        inner = list(enumerate(space.spaces))
    else:
        yield Part(path, space)
        return
    for key, each in inner:
        yield from parts_of(each, (*path, key))


def as_named_arrays(
    environment: gymnasium.Env, name: str, keeps_small: bool = False, has_mask: bool = True
) -> gymnasium.Env:
    """Convert observations to a dictionary: each image under its name, all else flat in "vector".

    Args:
        environment: the environment.
        name: its name in errors.
        keeps_small: whether images too small for convolutions stay, to be resized; otherwise they are
            flattened.
        has_mask: whether an observed action mask stays, under its name; otherwise it is dropped.

    Raises:
        UserError: A part of the observation space can't be trained from.
    """
    space, actions = environment.observation_space, environment.action_space
    images: dict[str, tuple[Part, _Convert]] = {}
    flat: list[tuple[Part, _Convert]] = []
    converted: dict[str, spaces.Space] = {}
    mask = _observed_mask(space, actions, name, has_mask)
    for part in parts_of(space):
        if mask is not None and part.path[0] == ACTION_MASK:
            continue
        board = _as_board(part.space)
        if board is None or not _is_image(board, keeps_small):
            flat.append((part, _flattener(part, name)))
            continue
        _check_image_name(part.name, images, name)
        images[part.name] = part, _image_converter(board)
        converted[part.name] = _bytes(255, arrange(board.low).shape)
    if flat and VECTOR in images:
        raise UserError(f"environment.name: {name} has an image under the reserved name {VECTOR}")
    if mask is not None and has_mask:
        part = Part((ACTION_MASK,), mask)
        images[ACTION_MASK] = part, lambda given: np.asarray(given, np.uint8).reshape(mask.shape)
        converted[ACTION_MASK] = mask
    if flat:
        length = sum(spaces.flatdim(part.space) for part, _ in flat)
        converted[VECTOR] = vector_space(length, np.float32)

    def convert(observation: Any) -> Observations:
        arrays = {key: change(part.of(observation)) for key, (part, change) in images.items()}
        if len(flat) == 1:
            arrays[VECTOR] = flat[0][1](flat[0][0].of(observation))
        elif flat:
            arrays[VECTOR] = np.concatenate([change(part.of(observation)) for part, change in flat])
        return arrays

    return TransformObservation(environment, convert, spaces.Dict(converted))


def vector_space(length: int, kind: type) -> spaces.Box:
    """Return the space of a vector observation, bounded by its type, as nothing clips to bounds."""
    if np.issubdtype(kind, np.floating):
        return spaces.Box(-np.inf, np.inf, (length,), kind)
    return spaces.Box(0, 255, (length,), kind)


def _check_image_name(image: str, earlier: dict[str, Any], name: str) -> None:
    if image == ACTION_MASK:
        raise UserError(f"environment.name: {name} has an image under the reserved name {image}")
    if image in earlier:
        raise UserError(f"environment.name: {name} has two images under the name '{image}'")


def _observed_mask(
    space: spaces.Space, actions: spaces.Space, name: str, has_mask: bool
) -> spaces.Box | None:
    """Return the space of an observed action mask; None where there is none.

    Raises:
        UserError: The observation isn't an action mask, or doesn't fit the actions.
    """
    if not isinstance(space, spaces.Dict) or ACTION_MASK not in space.spaces:
        return None
    observed = space[ACTION_MASK]
    is_mask = (
        isinstance(actions, (spaces.Discrete, spaces.MultiDiscrete))
        and observed.shape == (spaces.flatdim(actions),)
        and (isinstance(observed, spaces.MultiBinary) or _is_unit_box(observed))
    )
    if is_mask:
        return _bytes(1, observed.shape)
    if not has_mask:
        return None
    raise UserError(
        f"environment.name: {name} observes something named {ACTION_MASK} that isn't a mask of "
        "its actions"
    )


def _is_unit_box(space: spaces.Space) -> bool:
    return isinstance(space, spaces.Box) and not space.low.any() and bool((space.high == 1).all())


def _bytes(high: int, shape: Any) -> spaces.Box:
    kind: Any = np.uint8
    return spaces.Box(0, high, shape, kind)


def _as_board(space: spaces.Space) -> spaces.Box | None:
    """Return a space if it is a box of bytes with two or more dimensions, as images are."""
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8:
        return None
    return space if len(space.shape) >= 2 and 0 not in space.shape else None


def _is_image(board: spaces.Box, keeps_small: bool) -> bool:
    """Return whether a board holds images that convolutions can read, perhaps after resizing."""
    if len(board.shape) > 4:
        return False
    height, width, _ = arrange(board.low).shape
    if len(board.shape) == 4 and board.shape[0] >= min(height, width):
        return False
    return keeps_small or min(height, width) >= LEAST_IMAGE_SIZE


def arrange(array: np.ndarray) -> np.ndarray:
    """Move an image's axes to (height, width, channels).

    Args:
        array: (height, width), (height, width, channels), (channels, height, width), or a stack of
            such images along a first axis: their channels follow each other.
    """
    if array.ndim == 4:
        return np.concatenate([arrange(image) for image in array], -1)
    if array.ndim == 2:
        return array[..., np.newaxis]
    first, *others = array.shape
    is_first = first < min(others) and others[-1] > _MOST_COLOURS
    return np.moveaxis(array, 0, -1) if is_first else array


def _image_converter(board: spaces.Box) -> _Convert:
    """Return the conversion of an image to (height, width, channels), from its bounds to 0 to 255."""
    low, high = arrange(board.low).astype(np.float32), arrange(board.high).astype(np.float32)
    if not low.any() and (high == 255).all():
        return lambda image: np.ascontiguousarray(arrange(np.asarray(image, np.uint8)))
    # A pixel whose bounds are equal tells nothing, and becomes 0.
    factor = 255 / np.where(high > low, high - low, np.inf)

    def convert(image: Any) -> np.ndarray:
        within = arrange(np.asarray(image, np.uint8)).clip(low, high)
        return np.rint((within - low) * factor).astype(np.uint8)

    return convert


def _flattener(part: Part, name: str) -> _Convert:
    """Return the conversion of a part to (length,) float32; boards go from their bounds to 0 to 1.

    Raises:
        UserError: The part has no fixed length, or has an image's size and unknown axes.
    """
    space = part.space
    if not isinstance(space, _FLATTENABLE):
        where = f" named '{part.name}'" if part.path else ""
        raise UserError(
            f"environment.name: {name} observes a {type(space).__name__} space{where}, which can't "
            "be turned into an array of a fixed length"
        )
    board = _as_board(space)
    if board is None:
        return lambda given: np.asarray(spaces.flatten(space, given), np.float32)
    if sum(length >= LEAST_IMAGE_SIZE for length in board.shape) >= 2:
        raise UserError(
            f"environment.name: {name} observes '{part.name}' of shape {board.shape}, in which no "
            "image can be told; must be (height, width), (height, width, channels), "
            "(channels, height, width), or a stack (images, ...) of fewer of these than pixels a side"
        )
    low, high = board.low.ravel().astype(np.float32), board.high.ravel().astype(np.float32)
    width = np.where(high > low, high - low, np.float32(1))
    return lambda given: (np.asarray(given, np.float32).reshape(len(low)) - low) / width


def observed_numbers(environment: gymnasium.Env) -> int:
    """Return how many numbers of an environment's named arrays a network reads."""
    assert isinstance(environment.observation_space, spaces.Dict)
    named = environment.observation_space.items()
    return sum(math.prod(space.shape or ()) for key, space in named if key != ACTION_MASK)
