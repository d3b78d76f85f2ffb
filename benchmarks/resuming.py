"""Measures how long a population takes to resume from its checkpoints.

Usage:
    resuming.py [options]
    resuming.py --help

Options:
    --members=<n>     number of runs in the population [default: 24]
    --updates=<list>  updates after which the runs are interrupted [default: 31,310]
    --config=<path>   config of the runs [default: ./configs/cartpole.yaml]

"Loading" reads the checkpoints, "from scratch" starts the population without them, and "resuming"
starts it with them; each lasts until the first update could start. The rest of resuming restores the
environments' episodes and truncates the summaries.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from docopt import docopt

from ppo.placement import Placement

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppo.run.checkpoint import last_intact_checkpoint, load_checkpoint
from ppo.run.member import Run
from schema.config import Config
from schema.yaml_file import read_yaml
from trainer import PPOTrainer

_CPU = torch.device("cpu")
_REPEATS = 3


def main() -> None:
    """Print a table with a row for each environment backend and length of training."""
    options = docopt(__doc__)
    data = read_yaml(Path(options["--config"])).data
    print("| backend | updates | loading, s | from scratch, s | resuming, s | beyond loading, s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for backend in ("gymnasium", "envpool"):
        for updates in map(int, options["--updates"].split(",")):
            # One epoch is enough, as the weights don't matter.
            trainer = {**data.get("trainer", {}), "updates": updates + 1, "epochs": 1}
            environment = {**data["environment"], "backend": backend}
            config = Config.model_validate({**data, "environment": environment, "trainer": trainer})
            with tempfile.TemporaryDirectory() as folder:
                times = measure(config, int(options["--members"]), updates, Path(folder))
            loading, anew, resuming = times
            print(
                f"| {backend} | {updates} | {loading:.2f} | {anew:.2f} | {resuming:.2f} "
                f"| {resuming - anew - loading:.2f} |",
                flush=True,
            )


def measure(config: Config, members: int, updates: int, folder: Path) -> tuple[float, ...]:
    """Return the least seconds of loading, of starting from scratch and of resuming."""
    runs = [
        Run(config, seed, folder / f"{seed}/summaries", folder / f"{seed}/checkpoints")
        for seed in range(members)
    ]
    with PPOTrainer(runs, Placement(_CPU, 0)) as trainer:
        trainer.run(lambda progress: trainer.stop() if progress.update == updates else None)
    sources = [last_intact_checkpoint(run.checkpoints) for run in runs if run.checkpoints]
    resumed = [
        replace(run, interrupted_at=source) for run, source in zip(runs, sources, strict=True)
    ]
    anew = [Run(config, run.seed, folder / f"anew/{run.seed}") for run in runs]
    return (
        _least_seconds(lambda: [load_checkpoint(source) for source in sources if source]),
        _least_seconds(lambda: _begin(anew)),
        _least_seconds(lambda: _begin(resumed)),
    )


def _begin(runs: Sequence[Run]) -> None:
    with PPOTrainer(runs, Placement(_CPU, 0)) as trainer:
        trainer.stop()
        trainer.run()


def _least_seconds(act: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_REPEATS):
        begin = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


if __name__ == "__main__":
    main()
