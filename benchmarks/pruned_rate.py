"""Measures how much faster members train after a rung that prunes half of their population.

Usage:
  pruned_rate.py [options] [<config>...]
  pruned_rate.py --help

Trains a population up to a rung, then half of its members from their checkpoints, as a sweep does. The
rate is a member's environment steps in a second of processor time. "Restarting" is the processor time
from the end of the rung to the first update after it. Prints the median of the repetitions.

Options:
  --members=<n>      members before the rung [default: 16]
  --updates=<n>      updates before the rung, and after it [default: 30]
  --repetitions=<n>  repetitions [default: 3]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from commands import command  # noqa: F401  # sets the commands' environment variables before torch is loaded

import numpy as np  # isort: skip
import torch
from docopt import docopt

from ppo.placement import Placement
from ppo.run.checkpoint import last_intact_checkpoint
from ppo.run.member import Run
from schema.config import load_config
from trainer import PPOTrainer

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
_WARM_UP = 3  # updates whose time doesn't count


@dataclass(frozen=True)
class Stretch:
    """A stretch of training.

    Attributes:
        starting: seconds up to the end of its first update.
        rate: steps of a member in a second.
    """

    starting: float
    rate: float


def train(runs: Sequence[Run], until: int) -> Stretch:
    """Train runs up to an update, on one core; all times are processor time."""
    begin, times = time.process_time(), list[float]()
    with PPOTrainer(runs, Placement(torch.device("cpu"), 0, cores=(0,))) as trainer:

        def note(_: object) -> None:
            times.append(time.process_time())
            if trainer.update == until:
                trainer.stop()

        trainer.run(note)
    updates = len(times) - 1 - _WARM_UP
    steps = updates * runs[0].config.trainer.batch_size
    return Stretch(times[0] - begin, steps / (times[-1] - times[_WARM_UP]))


def before_and_after(
    name: str, members: int, updates: int, folder: Path
) -> tuple[Stretch, Stretch]:
    """Train a population up to a rung, and half of it further."""
    data = load_config(CONFIGS / f"{name}.yaml").as_dict()
    data["trainer"]["updates"] = 2 * updates + 1
    config = load_config(CONFIGS / f"{name}.yaml").model_validate(data)
    runs = [
        Run(config, seed, folder / f"{seed}/summaries", folder / f"{seed}/checkpoints")
        for seed in range(members)
    ]
    before = train(runs, updates)
    left = [
        replace(run, interrupted_at=last_intact_checkpoint(run.checkpoints))
        for run in runs[: members // 2]
        if run.checkpoints
    ]
    return before, train(left, 2 * updates)


def main() -> None:
    """Measure and print."""
    arguments = docopt(__doc__ or "")
    members, updates = int(arguments["--members"]), int(arguments["--updates"])
    print(
        "| config | members | steps/s of a member | members left | steps/s | ratio | restarting, s |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in arguments["<config>"] or ["cartpole", "minigrid_doorkey"]:
        found = []
        for _ in range(int(arguments["--repetitions"])):
            with tempfile.TemporaryDirectory() as folder:
                before, after = before_and_after(name, members, updates, Path(folder))
            found.append((before.rate, after.rate, after.rate / before.rate, after.starting))
        first, second, ratio, restarting = np.median(found, axis=0)
        print(
            f"| {name} | {members} | {first:,.0f} | {members // 2} | {second:,.0f} | {ratio:.2f} "
            f"| {restarting:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
