"""What a sweep trains: its runs, and the populations in which they train together."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ppo.footprint import footprint, show_bytes
from schema.config import Config
from schema.errors import UserError
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
    runs: Iterable[PlannedRun], together: int, jobs: int, memory: int | None = None
) -> list[list[PlannedRun]]:
    """Parts runs into populations of equal shape, in the order of their first runs.

    Populations are smaller than they may be where some of the jobs would have nothing to do otherwise,
    and where so many jobs with such populations would need more memory than there is.

    Args:
        runs: what is trained.
        together: the greatest size of a population.
        jobs: how many populations are trained in parallel.
        memory: bytes that there are; None is no limit.
    """
    groups: dict[str, list[PlannedRun]] = {}
    for run in runs:
        groups.setdefault(_shape(run.permutation.config), []).append(run)
    count = sum(map(len, groups.values()))
    limit = min(together, math.ceil(count / jobs) or 1)
    share = None if memory is None else memory // max(1, min(jobs, count))
    populations = [
        population
        for group in groups.values()
        for population in _split(group, min(limit, _fitting(group[0], share)))
    ]
    return sorted(populations, key=lambda population: _position(population[0]))


def _fitting(run: PlannedRun, memory: int | None) -> float:
    """How many runs of this shape may train together in so much memory; one at least."""
    if memory is None:
        return math.inf
    needed = footprint(run.permutation.config)
    return max(1, (memory - needed.of(0)) // sum(needed.own.values()))


def memory_of(trainings: Iterable[tuple[Config, int]], jobs: int) -> int:
    """Bytes that trainings need at most while so many of them run in parallel.

    Args:
        trainings: the config that members of a population share the shapes of, and their number.
        jobs: how many are trained in parallel.
    """
    return sum(heapq.nlargest(jobs, (footprint(config).of(size) for config, size in trainings)))


def check_memory(grid: Grid, repetitions: int, jobs: int, memory: int | None) -> None:
    """Makes sure that so many runs have room beside each other.

    Raises:
        UserError: they haven't.
    """
    if jobs == 1 or memory is None:
        return  # each for itself was validated
    single = ((each.config, 1) for each in grid.permutations() for _ in range(repetitions))
    needed = memory_of(single, jobs)
    if needed > memory:
        at_once = min(jobs, len(grid) * repetitions)
        raise UserError(
            f"--jobs: {at_once} trainings at a time need about {show_bytes(needed)} of memory, and "
            f"this machine has {show_bytes(memory)}; choose at most {memory * at_once // needed}"
        )


def _shape(config: Config) -> str:
    """What members of a population have in common, as text."""
    return config.model_dump_json(exclude=_OWN_TO_A_MEMBER)


def _split(runs: list[PlannedRun], limit: float) -> Iterator[list[PlannedRun]]:
    """Parts of nearly equal sizes, of `limit` runs at most."""
    parts = math.ceil(len(runs) / limit)
    for part in range(parts):
        yield runs[part * len(runs) // parts : (part + 1) * len(runs) // parts]


def _position(run: PlannedRun) -> tuple[int, int]:
    return run.result.repetition, run.permutation.index
