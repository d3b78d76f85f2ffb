"""Plans populations: groups the runs left to train by their shapes.

Runs are planned by number, because a grid may have very many. A run's number counts repetition by
repetition, and in the grid's order within each. Which runs begin first is another matter (`order.py`).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ppo.run.checkpoint import update_of
from schema.yaml_file import KeyPath
from sweeps.journal.runs import RunIdentity
from sweeps.search_space.choices import canonical
from sweeps.search_space.grid import Grid, Permutation

# Keys of the trainer that may differ between the members of a population. All others must be equal.
_OWN_TO_A_MEMBER = {
    "gamma",
    "lamda",
    "value_coefficient",
    "max_grad_norm",
    "adam_epsilon",
    "weight_decay",
    "learning_rate_schedule",
    "beta_schedule",
    "clip_range_schedule",
}


@dataclass(frozen=True)
class PlannedRun:
    """A run to be trained.

    Attributes:
        permutation: the permutation, with its config.
        run: which run it is.
        interrupted_at: the checkpoint that it resumes from; None starts from the beginning.
        until: the rung at which it pauses; None trains it to its end.
    """

    permutation: Permutation
    run: RunIdentity
    interrupted_at: Path | None = None
    until: int | None = None

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run.name

    @property
    def update(self) -> int:
        """Number of updates done when the run starts or resumes."""
        return 0 if self.interrupted_at is None else update_of(self.interrupted_at)

    @property
    def steps(self) -> int:
        """Environment steps left to train."""
        trainer = self.permutation.config.trainer
        updates = trainer.updates if self.until is None else self.until
        return max(0, updates - self.update) * trainer.batch_size


def count_steps(permutation: Permutation) -> int:
    """Return the environment steps of one run of a permutation."""
    trainer = permutation.config.trainer
    return trainer.updates * trainer.batch_size


class RunSteps:
    """Counts the environment steps of runs; a grid's permutations of equal shape are counted once.

    Args:
        grid: the permutations.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._shape_of = Shapes(grid)
        self._steps: dict[tuple[str, ...], int] = {}

    def __call__(self, index: int) -> int:
        """Return the environment steps of one run of a permutation."""
        shape = self._shape_of(index)
        if shape not in self._steps:
            self._steps[shape] = count_steps(self._grid.permutation(index))
        return self._steps[shape]


class Shapes:
    """Compares the shapes of permutations, by their choices alone.

    Args:
        grid: the permutations.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._texts = [
            None if _is_own(axis.key_path) else list(map(canonical, axis.choices))
            for axis in grid.axes
        ]

    def __call__(self, index: int) -> tuple[str, ...]:
        """Return the shape of a permutation; equal shapes may train together."""
        positions = self._grid.positions(index)
        return tuple(
            texts[position]
            for texts, position in zip(self._texts, positions, strict=True)
            if texts is not None
        )


def _is_own(key_path: KeyPath) -> bool:
    return key_path[0] == "trainer" and len(key_path) > 1 and key_path[1] in _OWN_TO_A_MEMBER


def plan_populations(
    runs: Iterable[int],
    group_of: Callable[[int], Hashable],
    together: int,
    jobs: int,
    capacity: Callable[[int], float] = lambda _: math.inf,
) -> list[Sequence[int]]:
    """Split runs into populations of equal shape, in the order of their first runs.

    Populations are smaller than `together` if some jobs would be idle otherwise, or if the jobs would
    need more RAM than there is.

    Args:
        runs: the numbers of the runs to train, in the order in which they begin.
        group_of: maps a run's number to what runs must have in common to train together.
        together: maximum size of a population.
        jobs: number of populations trained in parallel.
        capacity: maps a run's number to how many runs of its shape fit into a job's RAM.
    """
    ordered = array("q", runs)
    # The places of the runs in that order.
    groups: dict[Hashable, array[int]] = {}
    for place, run in enumerate(ordered):
        groups.setdefault(group_of(run), array("q")).append(place)
    limit = min(together, math.ceil(len(ordered) / jobs) or 1)
    populations = [
        population
        for group in groups.values()
        for population in _split(group, min(limit, capacity(ordered[group[0]])))
    ]
    populations.sort(key=lambda population: population[0])
    return [array("q", (ordered[place] for place in population)) for population in populations]


def count_jobs(jobs: int, populations: Sequence[Sequence[int]]) -> int:
    """Return how many of the jobs have a population to train."""
    return max(1, min(jobs, len(populations)))


def _split(places: array[int], limit: float) -> Iterator[Sequence[int]]:
    """Split the places of runs into parts of nearly equal sizes, of at most `limit` runs."""
    parts = math.ceil(len(places) / limit)
    for part in range(parts):
        yield places[part * len(places) // parts : (part + 1) * len(places) // parts]
