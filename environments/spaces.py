"""Converts the actions of Gymnasium's environments to actions that can be trained.

`observations.py` converts their observations; suites import both from here. After conversion, an
environment observes a `Dict` of one-dimensional ("vector") and three-dimensional (height, width,
channels; uint8) boxes. Its actions are in a `MultiDiscrete` space that starts at zero or in a
one-dimensional float32 `Box`. The observation `ACTION_MASK` is an action mask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TransformAction

from environments.interface import EnvironmentFailure, Spaces
from environments.observations import VECTOR, VISUAL, as_named_arrays, vector_space
from schema.errors import UserError

__all__ = [
    "VECTOR",
    "VISUAL",
    "as_named_arrays",
    "as_trainable_actions",
    "spaces_of",
    "vector_space",
]


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


class _Choices(gymnasium.Wrapper):
    """Turns choices (1,) from zero into an environment's own, which are Python's integers.

    Some environments call a method of NumPy's integers. They get those, which would double the time of
    MiniGrid's steps and turn other environments' float32 into float64.
    """

    def __init__(self, environment: gymnasium.Env, space: spaces.Discrete) -> None:
        super().__init__(environment)
        self.action_space = spaces.MultiDiscrete([int(space.n)])
        self._start = int(space.start)
        self._needs_numpy = False
        self._reset: dict[str, Any] | None = None  # its arguments, until a step was taken

    def reset(self, **arguments: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        self._reset = arguments
        return self.env.reset(**arguments)

    def step(self, action: np.ndarray) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step."""
        choice = int(action[0]) + self._start
        if self._needs_numpy:
            return self.env.step(np.int64(choice))
        try:
            answer = self.env.step(choice)
        except EnvironmentFailure as failure:
            if self._reset is None or not _lacks_method(failure.__cause__):
                raise
            # The step that failed may have changed something, so the episode begins again.
            self._needs_numpy = True
            self.env.reset(**self._reset)
            return self.env.step(np.int64(choice))
        self._reset = None
        return answer


def _lacks_method(error: BaseException | None) -> bool:
    """Return whether an error says that a Python integer lacks what NumPy's integers have."""
    is_of_integer = isinstance(error, AttributeError) and type(error.obj) is int
    return is_of_integer and hasattr(np.int64, str(error.name))  # type: ignore[union-attr]


def as_trainable_actions(environment: gymnasium.Env, name: str) -> gymnasium.Env:
    """Convert actions to one-dimensional arrays: integers from zero, or float32 numbers.

    Raises:
        UserError: The action space is neither discrete, nor one-dimensional multi-discrete, nor a box.
    """
    space = environment.action_space
    if isinstance(space, (spaces.Box, spaces.MultiDiscrete)) and 0 in space.shape:
        raise UserError(
            f"environment.name: {name} has actions of no number, shape {space.shape}; there must be "
            "something to choose"
        )
    if isinstance(space, spaces.Discrete):
        return _Choices(environment, space)
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
    if _rounded_inwards(space)[2].any():
        # No float32 lies within these bounds, so the nearest one is moved there.
        return lambda action: action.astype(kind).reshape(shape).clip(space.low, space.high)
    return lambda action: action.astype(kind).reshape(shape)


def _flat_box(space: spaces.Box) -> spaces.Box:
    """Return the greatest one-dimensional float32 box within a box of any shape and type.

    Where no float32 lies within a dimension's bounds, both bounds are the nearest one.
    """
    low, high, is_empty = _rounded_inwards(space)
    nearest = space.low.ravel().astype(np.float32)
    return spaces.Box(
        np.where(is_empty, nearest, low), np.where(is_empty, nearest, high), dtype=np.float32
    )


def _rounded_inwards(space: spaces.Box) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a box's bounds (dimensions,) in float32, and whether no float32 lies between them."""
    exact_low, exact_high = space.low.ravel(), space.high.ravel()
    low, high = exact_low.astype(np.float32), exact_high.astype(np.float32)
    # Rounding to float32 may move a bound outside of the space.
    low = np.where(low < exact_low, np.nextafter(low, np.float32(np.inf)), low)
    high = np.where(high > exact_high, np.nextafter(high, np.float32(-np.inf)), high)
    return low, high, low > high
