"""Checks the observations and rewards that an environment returns, before any wrapper.

The check is stricter than training, which accepts other number types and values beyond a bound.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from environments.checking.precision import Precision
from environments.wrappers.checked import is_scalar

_REAL = "biuf"  # the kinds of NumPy types that can be compared with bounds


class Answers:
    """Records the faults in what environments return.

    Attributes:
        faults: a line for each fault, by its topic.
        precision: looks at the same observations; None before `over`.
        steps: the number of steps watched.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.faults: dict[str, str] = {}
        self.precision: Precision | None = None

    def over(self, environment: gymnasium.Env) -> None:
        """Watch an environment from now on."""
        reset, step = environment.reset, environment.step
        space = environment.observation_space
        self.precision = self.precision or Precision(space)

        @functools.wraps(reset)
        def watched_reset(**arguments: Any) -> Any:
            returned = reset(**arguments)
            if _is_tuple_of(2, returned) and isinstance(returned[1], dict):
                self._look_at(space, returned[0], "reset")
            return returned

        @functools.wraps(step)
        def watched_step(action: Any) -> Any:
            returned = step(action)
            self.steps += 1
            if _is_tuple_of(5, returned):
                self._look_at(space, returned[0], "step")
                self._look_at_reward(returned[1])
            return returned

        # Replaced on the instance, so that wrappers around it call the watched methods.
        vars(environment).update(reset=watched_reset, step=watched_step)

    def _look_at(self, space: spaces.Space, observation: Any, method: str) -> None:
        assert self.precision is not None
        self.precision.look_at(observation)
        for topic, fault in _misfits(space, observation):
            self.faults.setdefault(
                topic,
                f"the observation that {method} gave isn't within observation_space: {fault}; mend "
                "either of them",
            )

    def _look_at_reward(self, reward: Any) -> None:
        if is_scalar(reward) and not math.isfinite(reward):
            self.faults.setdefault(
                "reward", f"step gave the reward {reward}; it must be a finite number"
            )


def _is_tuple_of(length: int, returned: Any) -> bool:
    """Return whether a value is a tuple of that length; `Checked` reports it if not."""
    return isinstance(returned, tuple) and len(returned) == length


def _misfits(space: spaces.Space, value: Any, name: str = "it") -> Iterator[tuple[str, str]]:
    """Yield the topic and the text of each reason why a value isn't in a space, or isn't finite."""
    if isinstance(space, spaces.Dict) and isinstance(value, dict):
        if value.keys() != space.keys():
            yield f"{name}: keys", f"{name} has {sorted(value)} where {sorted(space.keys())} belong"
            return
        for key, inner in space.items():
            yield from _misfits(inner, value[key], f"'{key}'")
    elif isinstance(space, spaces.Box) and isinstance(value, np.ndarray):
        for topic, fault in _box_faults(space, value):
            yield f"{name}: {topic}", f"{name} {fault}"
    elif not space.contains(value):
        yield f"{name}: value", f"{name} is {value!r}, not in {space}"


def _box_faults(space: spaces.Box, value: np.ndarray) -> Iterator[tuple[str, str]]:
    if not np.can_cast(value.dtype, space.dtype):
        yield "type", f"is {value.dtype} where {space.dtype} belongs"
    if value.shape != space.shape:
        yield "shape", f"has the shape {value.shape} where {space.shape} belongs"
    elif value.dtype.kind in _REAL:
        yield from _value_faults(space, value)


def _value_faults(space: spaces.Box, value: np.ndarray) -> Iterator[tuple[str, str]]:
    is_finite = np.isfinite(value)
    if not is_finite.all():
        yield "finite", f"holds {value[~is_finite][0]}"
    compared = value
    if space.dtype is not None and space.dtype.kind == "f":
        # A value that only rounding moved beyond a bound is no fault.
        with np.errstate(over="ignore"):
            compared = value.astype(space.dtype)
    is_outside = is_finite & ((compared < space.low) | (compared > space.high))
    if is_outside.any():
        index = np.unravel_index(is_outside.argmax(), value.shape)
        place = f"[{', '.join(map(str, map(int, index)))}]"
        bounds = f"{_exact(space.low[index])} to {_exact(space.high[index])}"
        yield "bounds", f"has {_exact(value[index])} at {place}, where {bounds} is allowed"


def _exact(number: Any) -> str:
    """Return a number in the fewest digits that tell it from its neighbours: 1, 1.0000001."""
    return str(number).removesuffix(".0")
