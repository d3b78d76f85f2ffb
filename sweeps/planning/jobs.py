"""How many runs train as one population, and how many populations at once, where users leave that open.

What is chosen was measured to be best (docs/results.md): several runs fill a call of EnvPool's or a
product, and more than some gain nothing; a job for each core, where it has enough to do.
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
# Seconds of training for which another process, which takes some to start, pays.
_SECONDS_OF_A_JOB = 3.0
# Environment steps per second of one core, by and large.
_RATE, _RATE_WITH_MEMORY, _RATE_OF_IMAGES = 100_000, 20_000, 1_000


def share_out(
    grid: Grid, options: SweepOptions, together: int | None, jobs: int | None
) -> SweepOptions:
    """Options with both numbers.

    Args:
        grid: what is trained, validated.
        options: how.
        together: as the user wants it; None leaves it open.
        jobs: the same; 0 is one for each core.
    """
    first = grid.permutation(0)
    steps = options.repetitions * len(grid) * count_steps(first)
    if together is None:
        together = _choose_together(first.config, options)
    if jobs is None:
        jobs = _choose_jobs(first.config, options, steps)
    return replace(options, together=together, jobs=jobs or available_cores())


def _has_images(config: Config) -> bool:
    return probe(config.environment).spaces.has_images


def _choose_together(config: Config, options: SweepOptions) -> int:
    # Players need processes and memory of their own, and images room.
    if config.environment.type in PLAYER_TYPES:
        return 1
    if options.placement.device.type != "cpu":
        return _TOGETHER_ON_GPU
    return 1 if _has_images(config) else _TOGETHER


def _choose_jobs(config: Config, options: SweepOptions, steps: int) -> int:
    if config.environment.type in PLAYER_TYPES or options.placement.device.type != "cpu":
        return 1
    rate = _RATE if config.model.recurrence is None else _RATE_WITH_MEMORY
    if _has_images(config):
        rate = _RATE_OF_IMAGES
    return max(1, min(available_cores(), int(steps / rate / _SECONDS_OF_A_JOB)))
