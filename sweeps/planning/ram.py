"""Whether populations have room beside each other in the machine's memory."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat

from ppo.footprint import footprint, show_bytes
from schema.errors import UserError
from sweeps.options import SweepOptions
from sweeps.planning.populations import Shapes
from sweeps.search_space.grid import Grid


def fitting(grid: Grid, options: SweepOptions) -> Callable[[int], float]:
    """What says of a run by its number how many of its shape have room in the memory of a job."""
    memory, runs = options.memory, options.repetitions * len(grid)
    if memory is None:
        return lambda _: math.inf
    share = memory // max(1, min(options.jobs, runs))

    def fit(run: int) -> int:
        needed = footprint(grid.permutation(run % len(grid)).config)
        return max(1, (share - needed.of(0)) // sum(needed.own.values()))

    return fit


def memory_of(grid: Grid, populations: Iterable[Sequence[int]], jobs: int) -> int:
    """Bytes that populations need at most while so many of them are trained in parallel.

    Args:
        grid: the permutations.
        populations: the numbers of the runs that train together.
        jobs: how many are trained in parallel.
    """
    shape_of = Shapes(grid)
    counts: Counter[tuple[tuple[str, ...], int]] = Counter()
    firsts: dict[tuple[str, ...], int] = {}
    for population in populations:
        index = population[0] % len(grid)
        shape = shape_of(index)
        firsts.setdefault(shape, index)
        counts[shape, len(population)] += 1
    needed = [
        size
        for (shape, members), count in counts.items()
        for size in repeat(_bytes(grid, firsts[shape], members), min(count, jobs))
    ]
    return sum(heapq.nlargest(jobs, needed))


def _bytes(grid: Grid, index: int, members: int) -> int:
    return footprint(grid.permutation(index).config).of(members)


def check_memory(grid: Grid, options: SweepOptions) -> None:
    """Makes sure that so many runs have room beside each other.

    Raises:
        UserError: they haven't.
    """
    memory, jobs, runs = options.memory, options.jobs, options.repetitions * len(grid)
    if jobs == 1 or memory is None:
        return  # each for itself was validated
    needed = memory_of(grid, ([run] for run in range(runs)), jobs)
    if needed > memory:
        at_once = min(jobs, runs)
        raise UserError(
            f"--jobs: {at_once} trainings at a time need about {show_bytes(needed)} of memory, and "
            f"this machine has {show_bytes(memory)}; choose at most {memory * at_once // needed}"
        )
