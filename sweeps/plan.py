"""What a sweep trains: its runs, and the populations in which they train together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from schema.config import Config
from sweeps.choices import show
from sweeps.grid import Grid, Permutation
from sweeps.results import Result

# Hyperparameters that members of one population may each have their own of. All else must be equal.
_OWN_TO_A_MEMBER = {
    "trainer": {
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
}


@dataclass(frozen=True)
class PlannedRun:
    """One training of one permutation.

    Attributes:
        permutation: what is trained.
        result: what is known of it before it is trained.
    """

    permutation: Permutation
    result: Result

    @property
    def name(self) -> str:
        """The permutation's name and the repetition."""
        return f"{self.result.permutation}_{self.result.repetition}"

    @property
    def steps(self) -> int:
        """Environment steps of the training."""
        return count_steps(self.permutation)


def count_steps(permutation: Permutation) -> int:
    """Environment steps of one training of a permutation."""
    trainer = permutation.config.trainer
    return trainer.updates * trainer.batch_size


def plan_runs(grid: Grid, run_id: str, repetitions: int, seed: int) -> Iterator[PlannedRun]:
    """Every permutation, and then each again for the next repetition."""
    for repetition in range(repetitions):
        for permutation in grid.permutations():
            choices = {label: show(value) for label, value in permutation.choices.items()}
            result = Result(
                run_id=run_id,
                permutation=grid.name(permutation.index),
                repetition=repetition,
                choices=choices,
                # The same for all permutations, so that they are compared on common random numbers.
                seed=seed + repetition,
            )
            yield PlannedRun(permutation, result)


def plan_populations(
    runs: Iterable[PlannedRun], together: int, jobs: int
) -> list[list[PlannedRun]]:
    """Parts runs into populations of equal shape, in the order of their first runs.

    Populations are smaller than they may be where some of the jobs would have nothing to do otherwise.

    Args:
        runs: what is trained.
        together: the greatest size of a population.
        jobs: how many populations are trained in parallel.
    """
    groups: dict[str, list[PlannedRun]] = {}
    for run in runs:
        groups.setdefault(_shape(run.permutation.config), []).append(run)
    limit = min(together, math.ceil(sum(map(len, groups.values())) / jobs) or 1)
    populations = [population for group in groups.values() for population in _split(group, limit)]
    return sorted(populations, key=lambda population: _position(population[0]))


def _shape(config: Config) -> str:
    """What members of a population have in common, as text."""
    return config.model_dump_json(exclude=_OWN_TO_A_MEMBER)


def _split(runs: list[PlannedRun], limit: int) -> Iterator[list[PlannedRun]]:
    """Parts of nearly equal sizes, of `limit` runs at most."""
    parts = math.ceil(len(runs) / limit)
    for part in range(parts):
        yield runs[part * len(runs) // parts : (part + 1) * len(runs) // parts]


def _position(run: PlannedRun) -> tuple[int, int]:
    return run.result.repetition, run.permutation.index
