"""Measures which defaults learn: one trunk or two, a clipped value loss or not, normalised or not.

Usage:
  defaults.py [options] [<task>...]
  defaults.py --help

Trains every task (or those named) with all combinations of `model.share_parameters` and
`trainer.clip_value_loss` and, where observations are vectors of real numbers, with two trunks, a
plain loss and `model.normalize_observations`; other keys have their defaults, but for the task's own.
Prints a table for each task: mean return of the last 100 training episodes, with its 95 % interval
over seeds. Then one of all tasks: means on a scale on which random play is 0 and a solved task 1.
Runs that <folder> holds already aren't repeated.

Options:
  --seeds=<n>      seeds 0 to n - 1 of each combination [default: 10]
  --out=<folder>   where results are kept [default: ./defaults/]
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
    """One environment, and what it needs to be learnt within few steps.

    Attributes:
        environment: keys of the config's section.
        updates: of a run.
        random, solved: the return of random play, and one that counts as solved.
        learning_rate: constant.
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
        """The config of a run."""
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
        """Those that are trained."""
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
    """What tables and folders call a combination."""
    words = (("two trunks", "one trunk"), ("plain loss", "clipped loss"), ("", "normalised"))
    chosen = (pair[choice] for pair, choice in zip(words, combination, strict=True))
    return ", ".join(filter(None, chosen))


def measure(name: str, seeds: int, out: Path) -> dict[Combination, np.ndarray]:
    """Final returns (seeds,) of each combination of a task, of which a table is printed."""
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
    """Prints means of all tasks, from 0 (random play) to 1 (solved), and their means."""
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
    """Trains and prints."""
    arguments = docopt(__doc__ or "")
    seeds, out = int(arguments["--seeds"]), Path(arguments["--out"])
    names = arguments["<task>"] or TASKS
    compare({name: measure(name, seeds, out) for name in names})


if __name__ == "__main__":
    main()
