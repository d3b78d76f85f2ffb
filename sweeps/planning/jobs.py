"""Chooses the size of populations and the number of jobs, unless the user sets them.

The choices were the fastest in measurements (docs/results.md). Several runs together make better use of
a call to EnvPool or of a matrix product, up to a point. Each core gets a job if there is enough to do.
"""

from __future__ import annotations

from dataclasses import replace

from environments import probe
from environments.cores import available_cores
from schema.config import Config
from schema.unity import PLAYER_TYPES
from sweeps.options import SweepOptions
from sweeps.planning.populations import count_steps
from sweeps.search_space.grid import Grid

_TOGETHER, _TOGETHER_ON_GPU = 8, 32
# Seconds of training for which it is worth starting another job.
_SECONDS_OF_A_JOB = 3.0
# Rough environment steps per second of one core.
_RATE, _RATE_OF_RECURRENCE, _RATE_OF_IMAGES = 100_000, 20_000, 1_000


def share_out(
    grid: Grid, options: SweepOptions, together: int | None, jobs: int | None
) -> SweepOptions:
    """Return the options with the size of populations and the number of jobs.

    Args:
        grid: the permutations, validated.
        options: the sweep's options.
        together: maximum number of runs in a population; None leaves it open.
        jobs: number of jobs; 0 is one per core, None leaves it open.
    """
    first = grid.permutation(grid.first)
    steps = options.repetitions * grid.count * count_steps(first)
    if options.shard is not None:
        steps //= options.shard.count
    if together is None:
        together = _choose_together(first.config, options)
    if jobs is None:
        jobs = _choose_jobs(first.config, options, steps)
    return replace(options, together=together, jobs=jobs or available_cores())


def _has_images(config: Config) -> bool:
    return probe(config.environment).spaces.has_images


def _choose_together(config: Config, options: SweepOptions) -> int:
    # Unity players need processes and RAM of their own, and images need much RAM.
    if config.environment.type in PLAYER_TYPES:
        return 1
    if options.placement.device.type != "cpu":
        return _TOGETHER_ON_GPU
    return 1 if _has_images(config) else _TOGETHER


def _choose_jobs(config: Config, options: SweepOptions, steps: int) -> int:
    if config.environment.type in PLAYER_TYPES or options.placement.device.type != "cpu":
        return 1
    rate = _RATE if config.model.recurrence is None else _RATE_OF_RECURRENCE
    if _has_images(config):
        rate = _RATE_OF_IMAGES
    return max(1, min(available_cores(), int(steps / rate / _SECONDS_OF_A_JOB)))
