"""Finds observations that float32 can't tell apart, such as times since 1970 and large ids.

Networks compute in float32, which has a step of 2 at 2**24 and of 128 at two thousand million. A play
shows whether the numbers of an observation differ by less than such steps.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from gymnasium import spaces

from environments.building import make_environment
from environments.observations import Part, parts_of
from environments.ports import PROBING
from environments.spaces import spaces_of
from environments.vector import random_action
from schema.environment import REGISTERED_TYPES, EnvironmentConfig

# Types whose numbers float32 may round. Rounding harms where it swallows half of the changes, and the
# numbers lie within so few steps of float32 that little else is left.
_WIDE_TYPES = ("float64", "int32", "int64", "uint32", "uint64")
_SWALLOWED, _STEPS = 0.5, 1024
# Changes that are so small beside a number, or of so small a number, are rounding errors or jitter.
_JITTER, _LEAST = 1e-10, 1024.0
# The longest play at the start of a training, in steps and in s.
_LONGEST, _SECONDS = 64, 5.0


class _Seen:
    """The numbers of one part of an observation, so far.

    Args:
        values: (length,), the first ones.
    """

    def __init__(self, values: np.ndarray) -> None:
        self._last, self._low, self._high = values, values, values
        self._changes = np.zeros(len(values), np.int64)
        self._swallowed = np.zeros(len(values), np.int64)
        self._example = np.stack((values, values))  # two numbers that are the same in float32

    def add(self, values: np.ndarray) -> None:
        """Add the numbers (length,) of the next observation."""
        differs = values != self._last
        is_swallowed = differs & (values.astype(np.float32) == self._last.astype(np.float32))
        is_first = is_swallowed & (self._swallowed == 0)
        self._example = np.where(is_first, (self._last, values), self._example)
        self._changes += differs
        self._swallowed += is_swallowed
        self._low, self._high = np.minimum(self._low, values), np.maximum(self._high, values)
        self._last = values

    def example(self) -> tuple[Any, Any] | None:
        """Return two numbers that differ, but not in float32; None where that does no harm."""
        greatest = np.maximum(np.abs(self._low.astype(float)), np.abs(self._high.astype(float)))
        reach = (self._high - self._low).astype(float)
        harms = (
            (greatest >= _LEAST)
            & (reach > _JITTER * greatest)
            & (reach < _STEPS * np.spacing(greatest.astype(np.float32)))
            & (self._swallowed > _SWALLOWED * self._changes)
        )
        if not harms.any():
            return None
        first, second = self._example[:, int(harms.argmax())].tolist()
        return first, second


class Precision:
    """Looks at observations of one space, and tells where float32 is too coarse.

    Args:
        space: the observation space of an environment's own code.
    """

    def __init__(self, space: spaces.Space) -> None:
        self._parts = [part for part in parts_of(space) if _is_wide(part.space)]
        self._seen: dict[str, _Seen] = {}

    @property
    def matters(self) -> bool:
        """Whether float32 rounds any part of the observations."""
        return bool(self._parts)

    def look_at(self, observation: Any) -> None:
        """Add an observation; one that isn't in its space is left out."""
        for part in self._parts:
            # Others report a malformed observation.
            with contextlib.suppress(KeyError, IndexError, TypeError, ValueError, OverflowError):
                self._add(part, part.of(observation))

    def _add(self, part: Part, values: Any) -> None:
        array = np.array(values, part.space.dtype).ravel()
        if array.shape != (spaces.flatdim(part.space),) or not np.isfinite(array).all():
            return
        if part.name in self._seen:
            self._seen[part.name].add(array)
        else:
            self._seen[part.name] = _Seen(array)

    def notices(self) -> Iterator[str]:
        """Yield a line for each observation whose numbers float32 can't tell apart."""
        for part in self._parts:
            example = self._seen[part.name].example() if part.name in self._seen else None
            if example is not None:
                of_what = f"the observation '{part.name}'" if part.path else "the observation"
                yield (
                    f"networks compute in float32, which can't tell numbers of {of_what} apart "
                    f"({example[0]!r} and {example[1]!r}, say); let the environment subtract what they "
                    "have in common, or observe fewer digits"
                )


def _is_wide(space: spaces.Space) -> bool:
    return isinstance(space, spaces.Box) and np.dtype(space.dtype).name in _WIDE_TYPES


@lru_cache(maxsize=64)
def precision_notices(environment_json: str) -> tuple[str, ...]:
    """Play an environment for five seconds at most; return a line for each part that float32 rounds.

    Nothing is played where observations are in float32 already. A failure of the environment is left to
    the training.

    Args:
        environment_json: the environment's config.
    """
    config = EnvironmentConfig.model_validate_json(environment_json)
    if config.type not in REGISTERED_TYPES:
        return ()
    try:
        with contextlib.closing(make_environment(config, PROBING)) as environment:
            precision = Precision(environment.unwrapped.observation_space)
            if precision.matters:
                _play(environment, precision)
            return tuple(precision.notices())
    except Exception:
        return ()


def _play(environment: Any, precision: Precision) -> None:
    """Play with random actions, and look at what the environment's own code observes."""
    own = environment.unwrapped
    reset, step = own.reset, own.step

    def watched_reset(**arguments: Any) -> Any:
        returned = reset(**arguments)
        precision.look_at(returned[0])
        return returned

    def watched_step(action: Any) -> Any:
        returned = step(action)
        precision.look_at(returned[0])
        return returned

    # Replaced on the instance, so that the wrappers around it call these.
    vars(own).update(reset=watched_reset, step=watched_step)
    generator, observed = np.random.default_rng(0), spaces_of(environment)
    begin = time.monotonic()
    observation, _ = environment.reset(seed=0)
    for played in range(_LONGEST):
        if time.monotonic() - begin > _SECONDS:
            break
        action = random_action(observed, observation, generator)
        observation, _, terminated, truncated, _ = environment.step(action)
        if terminated or truncated:
            observation, _ = environment.reset(seed=played)
