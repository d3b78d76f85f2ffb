"""Trains a config with several seeds at once and stores each run's result in its own file."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from commands import command  # noqa: F401  # sets the commands' environment variables before torch is loaded

import numpy as np  # isort: skip
import torch
from scipy import stats

from ppo.placement import Placement
from ppo.run.member import Run
from schema.config import Config
from schema.yaml_file import replace_file
from trainer import PPOTrainer, Progress


def returns_of(config: Config, seeds: Sequence[int], folder: Path) -> np.ndarray:
    """Return the final return of each seed, (seeds,): the mean of its last 100 training episodes.

    If the config evaluates, the last evaluation's episodes count instead.
    """
    return np.array([result["final"] for result in results_of(config, seeds, folder)])


def results_of(config: Config, seeds: Sequence[int], folder: Path) -> list[dict[str, Any]]:
    """Return the result of each seed: `final` return, `curve`, `failure` and the population's `seconds`.

    Seeds without a result in the folder are trained as one population, on one core. A run's result
    doesn't depend on its population, so any seeds may be missing.
    """
    missing = [seed for seed in seeds if not _path(folder, seed).exists()]
    if missing:
        _train(config, missing, folder)
    return [json.loads(_path(folder, seed).read_text()) for seed in seeds]


def _train(config: Config, seeds: Sequence[int], folder: Path) -> None:
    curves: list[list[tuple[int, float]]] = [[] for _ in seeds]

    def note(progress: Progress) -> None:
        for curve, value in zip(curves, progress.returns, strict=True):
            if value is not None:
                curve.append((progress.steps, value))

    runs = [Run(config, seed) for seed in seeds]
    with PPOTrainer(runs, Placement(torch.device("cpu"), 0, cores=(0,))) as trainer:
        start = time.perf_counter()
        trainer.run(note)
        seconds = time.perf_counter() - start
        failures = trainer.failures
    for seed, curve, failure in zip(seeds, curves, failures, strict=True):
        result: dict[str, Any] = {
            "final": curve[-1][1],
            "curve": curve,
            "failure": failure and str(failure.error),
            "seconds": seconds,
        }
        with replace_file(_path(folder, seed)) as file:
            json.dump(result, file)


def _path(folder: Path, seed: int) -> Path:
    return folder / f"{seed}.json"


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of (seeds,) values and the ends of its 95 % interval by Student's t."""
    mean = float(values.mean())
    reach = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return mean, mean - reach, mean + reach
