"""Estimates the RAM of populations, and makes sure that those trained in parallel fit."""

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


def ram_capacity(grid: Grid, options: SweepOptions) -> Callable[[int], float]:
    """Return a function from a run's number to how many runs of its shape fit into a job's RAM."""
    ram, runs = options.ram, options.most_repetitions * grid.count
    if ram is None:
        return lambda _: math.inf
    share = ram // max(1, min(options.jobs, runs))

    def capacity(run: int) -> int:
        needed = footprint(grid.permutation(run % len(grid)).config)
        return max(1, (share - needed.of(0)) // sum(needed.own.values()))

    return capacity


def ram_needed(grid: Grid, populations: Iterable[Sequence[int]], jobs: int) -> int:
    """Return the bytes of RAM that the largest populations need when trained in parallel.

    Args:
        grid: the permutations.
        populations: numbers of the runs of each population.
        jobs: number of populations trained in parallel.
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


def check_ram(grid: Grid, options: SweepOptions) -> None:
    """Raise an error if `--jobs` runs, each trained alone, need more RAM than there is.

    Raises:
        UserError: they don't fit.
    """
    ram, jobs, runs = options.ram, options.jobs, options.most_repetitions * grid.count
    if jobs == 1 or ram is None:
        return  # validating the grid has checked that each run fits
    laps = repeat(grid, options.most_repetitions)
    needed = ram_needed(grid, ([index] for lap in laps for index in lap.indices()), jobs)
    if needed > ram:
        at_once = min(jobs, runs)
        raise UserError(
            f"--jobs: {at_once} trainings at a time need about {show_bytes(needed)} of RAM, and "
            f"this machine has {show_bytes(ram)}; choose at most {ram * at_once // needed}"
        )
