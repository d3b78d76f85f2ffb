"""Orders the runs of a sweep: decides which permutations begin first in each repetition."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from sweeps.options import SweepOptions
from sweeps.search_space.grid import Grid
from utils import Stream, derive_seed


def in_order(runs: Iterable[int], grid: Grid, options: SweepOptions) -> list[int]:
    """Return the numbers of runs in the order in which they begin, repetition by repetition.

    Permutations under `try` come first. The order of two runs doesn't depend on others, such as those
    that are finished or left out.

    Args:
        runs: the runs' numbers.
        grid: the permutations.
        options: the sweep's options, with the order and the seed of a random one.
    """
    tried = {index: place for place, index in enumerate(grid.tried)}
    if options.order == "grid" and not tried:
        return sorted(runs)
    ranks = range(len(grid)) if options.order == "grid" else _random_ranks(grid, options.seed)

    def key(run: int) -> tuple[int, int, int]:
        repetition, index = divmod(run, len(grid))
        return repetition, tried.get(index, len(tried)), int(ranks[index])

    return sorted(runs, key=key)


def _random_ranks(grid: Grid, seed: int) -> NDArray[np.int64]:
    """Return each combination's place in a random order, (combinations,), also of those left out."""
    generator = np.random.default_rng(derive_seed(seed, Stream.ORDER))
    return generator.permutation(len(grid))
