"""What a sweep trains: its runs, and the populations in which they train together.

Runs are planned by number, since a grid may have very many of them: the number of a run is its position
in the order in which runs are trained one by one, all permutations once and then all again.
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

# Hyperparameters of the trainer that members of one population may each have their own of. All else
# must be equal.
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
    """

    permutation: Permutation
    run: RunIdentity
    interrupted_at: Path | None = None

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run.name

    @property
    def update(self) -> int:
        """How many updates are done when it begins or goes on."""
        return 0 if self.interrupted_at is None else update_of(self.interrupted_at)

    @property
    def steps(self) -> int:
        """Environment steps of what is left of the training."""
        trainer = self.permutation.config.trainer
        return (trainer.updates - self.update) * trainer.batch_size


def count_steps(permutation: Permutation) -> int:
    """Environment steps of one training of a permutation."""
    trainer = permutation.config.trainer
    return trainer.updates * trainer.batch_size


class Shapes:
    """Tells which permutations have equal shapes, by their choices alone.

    Args:
        grid: whose permutations.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._texts = [
            None if _is_own(axis.key_path) else list(map(canonical, axis.choices))
            for axis in grid.axes
        ]

    def __call__(self, index: int) -> tuple[str, ...]:
        """What the permutations of one shape have in common."""
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
    """Parts runs into populations of equal shape, in the order of their first runs.

    Populations are smaller than they may be where some of the jobs would have nothing to do otherwise,
    and where so many jobs with such populations would need more memory than there is.

    Args:
        runs: the numbers of what is trained, in order.
        group_of: what runs that may train together have in common.
        together: the greatest size of a population.
        jobs: how many populations are trained in parallel.
        capacity: maps a run's number to how many runs of its shape fit into a job's RAM.
    """
    groups: dict[Hashable, array[int]] = {}
    for run in runs:
        groups.setdefault(group_of(run), array("q")).append(run)
    limit = min(together, math.ceil(sum(map(len, groups.values())) / jobs) or 1)
    populations = [
        population
        for group in groups.values()
        for population in _split(group, min(limit, capacity(group[0])))
    ]
    return sorted(populations, key=lambda population: population[0])


def count_jobs(jobs: int, populations: Sequence[Sequence[int]]) -> int:
    """How many of the jobs have something to do."""
    return max(1, min(jobs, len(populations)))


def _split(runs: array[int], limit: float) -> Iterator[Sequence[int]]:
    """Parts of nearly equal sizes, of `limit` runs at most."""
    parts = math.ceil(len(runs) / limit)
    for part in range(parts):
        yield runs[part * len(runs) // parts : (part + 1) * len(runs) // parts]
