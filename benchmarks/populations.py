"""Measures how fast this project trains a population in this process."""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from works import GRID, Work

from ppo.placement import Placement
from ppo.run.member import Run
from schema.config import Config
from trainer import PPOTrainer, Progress

_ENDLESS = 1_000_000


class _EnoughError(Exception):
    """The measurement has lasted long enough."""


class _Clock:
    """Records the time of each update, and stops the training.

    Args:
        warm_up: updates before the measurement.
        seconds: least duration of the measurement, which has at least one update.
    """

    def __init__(self, warm_up: int, seconds: float) -> None:
        self._warm_up = warm_up
        self._seconds = seconds
        self.times: list[float] = []

    def __call__(self, _: Progress) -> None:
        self.times.append(time.perf_counter())
        if len(self.times) > self._warm_up and self.elapsed >= self._seconds:
            raise _EnoughError

    @property
    def elapsed(self) -> float:
        """Seconds since the warm-up."""
        return self.times[-1] - self.times[self._warm_up - 1]

    @property
    def updates(self) -> int:
        """Updates since the warm-up."""
        return len(self.times) - self._warm_up


def seconds_of_an_update(
    work: Work,
    members: int,
    seconds: float,
    device: torch.device | None = None,
    low_memory: bool = False,
) -> float:
    """Train a population for a while and return the mean duration of an update.

    The training writes summaries, but no checkpoints.

    Args:
        work: the workload.
        members: number of runs of the grid; further ones differ in their seeds.
        seconds: least duration of the measurement after the warm-up.
        device: device of the networks; None: the CPU.
        low_memory: whether to keep rollouts in RAM.
    """
    clock = _Clock(work.warm_up, seconds)
    device = device or torch.device("cpu")
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            Run(config, seed=number, summaries=Path(folder, str(number)))
            for number, config in enumerate(_member_configs(work, members))
        ]
        with PPOTrainer(runs, Placement(device, 0, low_memory)) as trainer, suppress(_EnoughError):
            trainer.run(clock)
    return clock.elapsed / clock.updates


def _member_configs(work: Work, members: int) -> list[Config]:
    """Return the grid's permutations in order, repeated until there are enough."""
    keys = [(section, key) for section, choices in GRID.items() for key in choices]
    permutations = itertools.product(*(GRID[section][key] for section, key in keys))
    configs = []
    for values in itertools.islice(itertools.cycle(permutations), members):
        data = work.config(_ENDLESS)
        for (section, key), value in zip(keys, values, strict=True):
            target: dict[str, Any] = data["trainer"]
            if section != "hyperparameters":
                target = target[section]
            target[key] = value
        configs.append(Config.model_validate(data))
    return configs
