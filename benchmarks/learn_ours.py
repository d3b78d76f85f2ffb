"""Trains one run of this project and prints its learning curve, as `learn_sb3.py` does.

Usage: python benchmarks/learn_ours.py TASK SEED
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from commands import command  # noqa: F401  # sets the commands' environment variables before torch is loaded

import torch  # isort: skip
from learning_tasks import ADAM_EPSILON, MAX_GRAD_NORM, TASKS, VALUE_COEFFICIENT, Task

from ppo.placement import Placement
from ppo.run.member import Run
from schema.config import Config
from trainer import PPOTrainer, Progress


def config_of(task: Task) -> Config:
    """Return the task as this project's config."""
    model: dict[str, Any] = {
        "share_parameters": False,
        "num_hidden_layers": len(task.layers),
        "hidden_layer_size": task.layers[0],
        "normalize_observations": task.normalize,
    }
    if task.lstm:
        model["recurrence"] = {
            "layer_type": "lstm",
            "hidden_state_size": task.lstm,
            "sequence_length": 0,
        }
    trainer = {
        "gamma": task.gamma,
        "lamda": task.lamda,
        "updates": task.updates,
        "epochs": task.epochs,
        "num_workers": task.workers,
        "worker_steps": task.worker_steps,
        "num_mini_batches": task.mini_batches,
        "value_coefficient": VALUE_COEFFICIENT,
        "clip_value_loss": False,
        "max_grad_norm": MAX_GRAD_NORM,
        "adam_epsilon": ADAM_EPSILON,
        "normalize_rewards": task.normalize,
        "learning_rate_schedule": {
            "initial": task.learning_rate,
            "final": 0.0 if task.decays else None,
        },
        "beta_schedule": {"initial": task.entropy},
        "clip_range_schedule": {"initial": task.clip_range},
    }
    environment = {"type": task.suite, "name": task.environment, **task.options}
    return Config.model_validate({"environment": environment, "model": model, "trainer": trainer})


def main() -> None:
    """Train and print."""
    task, seed = TASKS[sys.argv[1]], int(sys.argv[2])
    points: list[tuple[int, float]] = []

    def note(progress: Progress) -> None:
        if progress.returns[0] is not None:
            points.append((progress.steps, progress.returns[0]))

    with tempfile.TemporaryDirectory() as folder:
        # Summaries and checkpoints are written as in any real run.
        run = Run(config_of(task), seed, Path(folder, "summaries"), Path(folder, "checkpoints"))
        with PPOTrainer([run], Placement(torch.device("cpu"), 0, cores=(0,))) as trainer:
            start = time.perf_counter()
            trainer.run(note)
            seconds = time.perf_counter() - start
    print(json.dumps({"curve": points, "seconds": seconds}))


if __name__ == "__main__":
    main()
