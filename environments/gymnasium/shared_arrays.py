"""The arrays through which environments that are stepped together exchange data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from environments.interface import Observations, Spaces

_ALIGNMENT = 64  # bytes, so that no two arrays share a cache line

# Shape and NumPy type name of an array.
_Form = tuple[tuple[int, ...], str]


class SharedArrays:
    """The arrays of E environments within one block of memory, which processes may share.

    Args:
        spaces: what each environment observes and does.
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
        """Has an environment observe nothing, get no reward, and go on."""
        arrays = (*self.observations.values(), self.rewards, self.terminated, self.truncated)
        for array in arrays:
            array[environment] = 0

    @staticmethod
    def size(spaces: Spaces, count: int) -> int:
        """The bytes that the arrays of so many environments need."""
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
