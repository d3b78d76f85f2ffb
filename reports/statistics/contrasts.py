"""Projects a complete grid's permutation means onto the effects of its keys.

A projection is a product over the grid's axes, so that no (permutations, permutations) matrix is built.
Values are in the order of the grid: the last key varies fastest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from reports.statistics.averages import Array

# What happens along an axis: keep all values, average them, or subtract their average.
Kind = Literal["keep", "average", "centre"]


@dataclass(frozen=True)
class Contrast:
    """A projection onto one effect.

    Attributes:
        shape: number of choices of each key.
        kinds: what happens along each key's axis.
    """

    shape: tuple[int, ...]
    kinds: tuple[Kind, ...]

    @property
    def rank(self) -> int:
        """The degrees of freedom of the effect."""
        sizes = {"keep": lambda n: n, "average": lambda _: 1, "centre": lambda n: n - 1}
        ranks = [sizes[kind](n) for kind, n in zip(self.kinds, self.shape, strict=True)]
        return int(np.prod(ranks))

    def of(self, values: Array) -> Array:
        """Return the projection of values, of the same shape.

        Args:
            values: (permutations,) or (permutations, columns).
        """
        grid = values.reshape(*self.shape, *values.shape[1:])
        for axis, kind in enumerate(self.kinds):
            if kind != "keep":
                mean = grid.mean(axis=axis, keepdims=True)
                grid = grid - mean if kind == "centre" else np.broadcast_to(mean, grid.shape)
        return grid.reshape(values.shape)

    def squared_of(self, values: Array) -> Array:
        """Return the product of values with the projection's squared entries, (permutations,).

        Args:
            values: (permutations,).
        """
        grid = values.reshape(self.shape)
        for axis, (kind, n) in enumerate(zip(self.kinds, self.shape, strict=True)):
            if kind == "keep":
                continue
            averaged = grid.sum(axis=axis, keepdims=True) / n**2
            diagonal = (1 - 1 / n) ** 2 - 1 / n**2
            grid = (
                diagonal * grid + averaged
                if kind == "centre"
                else np.broadcast_to(averaged, grid.shape)
            )
        return grid.reshape(values.shape)


def own_effect(shape: tuple[int, ...], axes: tuple[int, ...]) -> Contrast:
    """Return the projection onto an effect of some keys, without those that it contains."""
    return Contrast(
        shape, tuple("centre" if axis in axes else "average" for axis in range(len(shape)))
    )


def total_effect(shape: tuple[int, ...], axis: int) -> Contrast:
    """Return the projection onto all changes along a key's axis."""
    return Contrast(
        shape, tuple("centre" if each == axis else "keep" for each in range(len(shape)))
    )


def all_effects(shape: tuple[int, ...]) -> Contrast:
    """Return the projection onto all differences between permutations."""
    return Contrast((int(np.prod(shape)),), ("centre",))
