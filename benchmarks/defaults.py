"""Compares defaults: one or two trunks, clipped or plain value loss, normalised observations or not.

Usage:
  defaults.py [options] [<task>...]
  defaults.py --help

Trains every task (or the named ones) with all combinations of `model.share_parameters` and
`trainer.clip_value_loss`. For vectors of real numbers it also trains two trunks with a plain loss and
`model.normalize_observations`. Other keys have the task's values or their defaults. Prints a table for
each task: mean return of the last 100 training episodes, with its 95 % interval over seeds. A last
table compares all tasks on a scale from 0 (random play) to 1 (solved). Runs that <folder> already has
aren't repeated.

Options:
  --seeds=<n>      train each combination with the seeds 0 to n - 1 [default: 10]
  --out=<folder>   folder for the results [default: ./defaults/]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kept_runs import mean_interval, returns_of  # isort: skip  # sets threads before torch is loaded
import numpy as np
from docopt import docopt

from schema.config import Config

# Whether one trunk is shared, the value loss is clipped, and observations are normalised.
Combination = tuple[bool, bool, bool]
COMBINATIONS: list[Combination] = [
    (True, True, False),
    (True, False, False),
    (False, True, False),
    (False, False, False),
    (False, False, True),
]


@dataclass(frozen=True)
class Task:
    """One environment, with the settings to learn it within few steps.

    Attributes:
        environment: keys of the config's section.
        updates: updates of a run.
        random, solved: the return of random play, and a return that counts as solved.
        learning_rate: constant learning rate.
        trainer, model: further keys of these sections.
        real: whether observations are vectors of real numbers, which can be normalised.
    """

    environment: Mapping[str, Any]
    updates: int
    random: float
    solved: float
    learning_rate: float = 1e-3
    trainer: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    real: bool = False

    def config(self, combination: Combination) -> Config:
        """Return the config of a run."""
        shared, clipped, normalised = combination
        factors = {"share_parameters": shared, "normalize_observations": normalised}
        trainer = {
            "updates": self.updates,
            "clip_value_loss": clipped,
            "learning_rate_schedule": {"initial": self.learning_rate},
        }
        return Config.model_validate(
            {
                "environment": dict(self.environment),
                "model": {**factors, **self.model},
                "trainer": {**trainer, **self.trainer},
            }
        )

    def combinations(self) -> list[Combination]:
        """Return the combinations to train."""
        return [each for each in COMBINATIONS if self.real or not each[2]]


_CARTPOLE = {"type": "CartPole", "name": "CartPole-v1"}
_EMPTY = {"type": "Minigrid", "name": "MiniGrid-Empty-Random-6x6-v0"}
TASKS = {
    "CartPole, 3e-3": Task(_CARTPOLE, 150, 20, 500, 3e-3, real=True),
    "CartPole, 1e-3": Task(_CARTPOLE, 150, 20, 500, real=True),
    "Acrobot": Task({"type": "Gymnasium", "name": "Acrobot-v1"}, 75, -500, -85, real=True),
    "LunarLander": Task(
        {"type": "Gymnasium", "name": "LunarLander-v3"},
        147,
        -180,
        200,
        trainer={"gamma": 0.999, "lamda": 0.98},
        real=True,
    ),
    "Pendulum": Task(
        {"type": "Gymnasium", "name": "Pendulum-v1"},
        60,
        -1_200,
        -200,
        trainer={"gamma": 0.9, "epochs": 10, "num_mini_batches": 16},
        real=True,
    ),
    "Empty": Task(_EMPTY, 50, 0, 0.96),
    "DoorKey": Task({"type": "Minigrid", "name": "MiniGrid-DoorKey-5x5-v0"}, 120, 0, 0.96),
    "LavaGap": Task({"type": "Minigrid", "name": "MiniGrid-LavaGapS5-v0"}, 100, 0, 0.95),
    "Empty, pixels": Task({**_EMPTY, "visual_observation": True}, 20, 0, 0.96),
    "CartPole, GRU": Task(
        {**_CARTPOLE, "mask_velocities": True},
        75,
        20,
        500,
        model={"num_hidden_layers": 1, "recurrence": {"hidden_state_size": 64}},
    ),
}


def name_of(combination: Combination) -> str:
    """Return a combination's name in tables and folders."""
    words = (("two trunks", "one trunk"), ("plain loss", "clipped loss"), ("", "normalised"))
    chosen = (pair[choice] for pair, choice in zip(words, combination, strict=True))
    return ", ".join(filter(None, chosen))


def measure(name: str, seeds: int, out: Path) -> dict[Combination, np.ndarray]:
    """Print a table of a task's final returns, and return them (seeds,) by combination."""
    task = TASKS[name]
    config = task.config((True, True, False))
    steps = task.updates * config.trainer.batch_size
    print(f"\n{name}: {steps:,} steps, {seeds} seeds\n")
    print("| | mean return | 95 % interval |\n| --- | ---: | ---: |")
    returns = {}
    for combination in task.combinations():
        label = name_of(combination)
        found = returns_of(task.config(combination), range(seeds), out / name / label)
        mean, low, high = mean_interval(found)
        print(f"| {label} | {mean:.4g} | {low:.4g} to {high:.4g} |", flush=True)
        returns[combination] = found
    return returns


def compare(measured: Mapping[str, Mapping[Combination, np.ndarray]]) -> None:
    """Print all tasks' means on a scale from 0 (random play) to 1 (solved)."""
    print(f"\n| task | {' | '.join(map(name_of, COMBINATIONS))} |")
    print(f"| --- |{' ---: |' * len(COMBINATIONS)}")
    for name, returns in measured.items():
        task = TASKS[name]
        cells = [
            f"{(returns[each].mean() - task.random) / (task.solved - task.random):.2f}"
            if each in returns
            else ""
            for each in COMBINATIONS
        ]
        print(f"| {name} | {' | '.join(cells)} |")


def main() -> None:
    """Train and print."""
    arguments = docopt(__doc__ or "")
    seeds, out = int(arguments["--seeds"]), Path(arguments["--out"])
    names = arguments["<task>"] or TASKS
    compare({name: measure(name, seeds, out) for name in names})


if __name__ == "__main__":
    main()
