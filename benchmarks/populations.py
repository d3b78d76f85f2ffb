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
    """The training was measured for long enough."""


class _Clock:
    """Notes when updates were done, and ends the training.

    Args:
        warm_up: updates before the measurement.
        seconds: how long is measured at least; one update is in any case.
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
    """Trains a population for a while and returns the mean time of an update.

    Summaries are written, checkpoints aren't.

    Args:
        work: what is trained.
        members: how many runs of the grid; those beyond its size differ in their seeds.
        seconds: how long is measured at least, after the warm-up.
        device: where; None is the CPU.
        low_memory: keep rollouts in host memory.
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
    """The first permutations of the grid, over and over."""
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
