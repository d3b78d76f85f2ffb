"""Compares ways to normalise advantages on tasks that are trained beyond their solution.

Usage:
  advantages.py [options] [<task>...]
  advantages.py --help

Trains every task (or the named ones, see `TASKS`) with each value of `trainer.advantage_normalization`,
and with a fourth way, which isn't a key's value: by mini-batches, but divided by a deviation of at
least 0.1 (`floor`; networks with recurrent layers only). Prints the mean return of the last 100 training
episodes with its 95 % interval over seeds, the runs that solved the task (a mean over 100 episodes
reached the solved return), and the runs among them that ended nearer to random play (or to play without
memory) than to the solved return. Runs that <folder> already has aren't repeated, so an interrupted
measurement resumes.

Options:
  --seeds=<n>      train each with the seeds 0 to n - 1 [default: 10]
  --ways=<names>   comma-separated ways to compare [default: minibatch,batch,none,floor]
  --out=<folder>   folder for results [default: ./advantages/]
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from kept_runs import mean_interval, results_of  # isort: skip  # sets threads before torch is loaded
import numpy as np
import torch
from docopt import docopt
from torch import Tensor

from ppo.by_torch import epochs
from schema.config import Config, load_config

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
_FLOOR = 0.1


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        low, solved: the return of random play, or of play without memory, and a return that counts as
            solved.
        config: file in `configs/` that it takes its settings from; empty: default.yaml's.
        sections: keys that differ, by section.
        floored: whether `floor` can be measured: torch must normalise.
    """

    low: float
    solved: float
    config: str = ""
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    floored: bool = False

    def with_normalization(self, way: str) -> Config:
        """Return the config of a run."""
        data = load_config(CONFIGS / (self.config or "default.yaml")).as_dict()
        for section, keys in self.sections.items():
            data[section] |= keys
        data["trainer"]["advantage_normalization"] = "minibatch" if way == "floor" else way
        return Config.model_validate(data)


def _constant(rate: float) -> dict[str, Any]:
    return {"learning_rate_schedule": {"initial": rate}}


TASKS = {
    "TMaze": Task(
        0,
        0.9,
        sections={
            "environment": {"type": "Gymnasium", "name": "t_maze:TMaze-v0"},
            "model": {
                "hidden_layer_size": 64,
                "num_hidden_layers": 1,
                "recurrence": {"layer_type": "lstm", "hidden_state_size": 64},
            },
            "trainer": {
                "updates": 60,
                "num_workers": 16,
                "worker_steps": 128,
                "num_mini_batches": 8,
                **_constant(1e-3),
            },
        },
        floored=True,
    ),
    "MemoryS7": Task(
        0.45,
        0.85,
        "minigrid_memory.yaml",
        {"trainer": {"updates": 500, "clip_value_loss": False, **_constant(5e-4)}},
        floored=True,
    ),
    "CartPole": Task(20, 475, "cartpole.yaml", {"trainer": _constant(1e-3)}),
    "Acrobot": Task(-500, -100, "acrobot.yaml", {"trainer": {"updates": 300}}),
    "DoorKey": Task(0, 0.9, "minigrid_doorkey.yaml", {"trainer": {"updates": 200}}),
    "LunarLander": Task(-180, 200, "lunar_lander.yaml"),
    "Pendulum": Task(-1_200, -250, "pendulum.yaml"),
}


def _normalise_with_floor(advantages: Tensor) -> Tensor:
    deviation, mean = torch.std_mean(advantages, dim=-1, keepdim=True, unbiased=False)
    return (advantages - mean) / deviation.clamp(min=_FLOOR)


def row(name: str, way: str, seeds: int, out: Path) -> str:
    """Train the missing runs as one population, and return their row of the table."""
    task = TASKS[name]
    config = task.with_normalization(way)
    with_floor = mock.patch.object(epochs, "normalise_advantages", _normalise_with_floor)
    with with_floor if way == "floor" else nullcontext():
        results = results_of(config, range(seeds), out / name / way)
    final = np.array([result["final"] for result in results])
    best = np.array([max(value for _, value in result["curve"]) for result in results])
    solved = best >= task.solved
    lost = solved & (final < (task.low + task.solved) / 2)
    mean, low, high = mean_interval(final)
    cells = [
        name,
        f"{config.trainer.updates * config.trainer.batch_size:,}",
        way,
        f"{mean:.4g} ({low:.4g} to {high:.4g})",
        f"{solved.sum()} of {seeds}",
        str(lost.sum()),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Train and print."""
    arguments = docopt(__doc__ or "")
    print("| task | steps | normalised by | return at the end | solved | lost again |")
    print("| --- | ---: | --- | ---: | ---: | ---: |")
    for name in arguments["<task>"] or TASKS:
        for way in arguments["--ways"].split(","):
            if way != "floor" or TASKS[name].floored:
                seeds, out = int(arguments["--seeds"]), Path(arguments["--out"])
                print(row(name, way, seeds, out), flush=True)


if __name__ == "__main__":
    main()
