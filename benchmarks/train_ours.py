"""Trains one run of this project and prints steps and seconds after the warm-up, as JSON.

Usage: python benchmarks/train_ours.py WORK UPDATES SEED BACKEND PRECISION
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from ppo.placement import Placement

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from commands import command  # noqa: F401  # sets what the commands set before torch is loaded

import torch  # isort: skip
from works import WORKS

from ppo.run.member import Run
from schema.config import Config
from trainer import PPOTrainer


def main() -> None:
    """Train and print."""
    name, updates, seed, backend, precision = sys.argv[1:]
    work = WORKS[name]
    config = Config.model_validate(work.config(work.warm_up + int(updates), backend, precision))
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        # Summaries and checkpoints are written as in any real run.
        run = Run(config, int(seed), Path(folder, "summaries"), Path(folder, "checkpoints"))
        with PPOTrainer([run], Placement(torch.device("cpu"), 0)) as trainer:
            trainer.run(lambda _: times.append(time.perf_counter()))
    seconds = times[-1] - times[work.warm_up - 1]
    print(json.dumps({"steps": int(updates) * work.batch, "seconds": seconds}))


if __name__ == "__main__":
    main()
