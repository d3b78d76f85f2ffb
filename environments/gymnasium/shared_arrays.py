"""Lays out the arrays through which environments exchange data with the trainer's process."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from environments.interface import Observations, Spaces

_ALIGNMENT = 64  # bytes, so that no two arrays share a cache line

# The shape and the NumPy type name of an array.
_Form = tuple[tuple[int, ...], str]


class SharedArrays:
    """The arrays of E environments, in one block of memory that processes may share.

    Args:
        spaces: the observations and actions of each environment.
        count: E.
        memory: a writable buffer of `SharedArrays.size(spaces, count)` bytes.

    Attributes:
        observations: arrays of shape (E, ...).
        actions: (E, action_size) of the spaces' action type.
        rewards: (E,) float32.
        terminated: (E,) bool.
        truncated: (E,) bool.
    """

    def __init__(self, spaces: Spaces, count: int, memory: Any) -> None:
        observations, others = _forms(spaces, count)
        arrays: list[np.ndarray] = []
        offset = 0
        for shape, kind in [*observations.values(), *others]:
            array = np.frombuffer(memory, kind, math.prod(shape), offset)
            arrays.append(array.reshape(shape))
            offset += _aligned_size(shape, kind)
        self.observations: Observations = dict(zip(observations, arrays, strict=False))
        self.actions, self.rewards, self.terminated, self.truncated = arrays[len(observations) :]

    def clear(self, environment: int) -> None:
        """Set an environment's observations, reward and ends to 0."""
        arrays = (*self.observations.values(), self.rewards, self.terminated, self.truncated)
        for array in arrays:
            array[environment] = 0

    @staticmethod
    def size(spaces: Spaces, count: int) -> int:
        """Return the number of bytes that the arrays of `count` environments need."""
        observations, others = _forms(spaces, count)
        return sum(_aligned_size(*form) for form in [*observations.values(), *others])


def _forms(spaces: Spaces, count: int) -> tuple[dict[str, _Form], list[_Form]]:
    observations = {
        name: ((count, *shape), kind) for name, (shape, kind) in spaces.observations.items()
    }
    actions = ((count, spaces.action_size), spaces.action_type)
    return observations, [actions, ((count,), "float32"), ((count,), "bool"), ((count,), "bool")]


def _aligned_size(shape: tuple[int, ...], kind: str) -> int:
    size = math.prod(shape) * np.dtype(kind).itemsize
    return -(-size // _ALIGNMENT) * _ALIGNMENT
