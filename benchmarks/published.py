"""Trains the configs of `configs/published/` and compares their returns with the published ones.

Usage:
  published.py [options] [<config>...]
  published.py --help

Trains every config (or the named ones, such as cartpole or mountain_car_continuous) with several seeds,
one after another on one core. Each run ends with an evaluation: 100 episodes with the most probable
actions, as the published scores were measured. Prints the mean over seeds with its 95 % interval, each
seed's return, the same for the last 100 training episodes, which explore, and the median of seconds,
evaluation included. Runs that <folder> already has aren't
repeated, so an interrupted measurement resumes.

Options:
  --seeds=<n>      train each config with the seeds 0 to n - 1 [default: 5]
  --out=<folder>   folder for results [default: ./published/]
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from docopt import docopt

from kept_runs import mean_interval, results_of  # isort: skip  # sets threads before torch is loaded

from schema.config import Config, load_config

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "published"
EPISODES = 100


def evaluated(config: Config) -> Config:
    """Return the config with one evaluation, after the last update."""
    data = config.as_dict()
    data["evaluation"] |= {
        "evaluate": True,
        "interval": config.trainer.updates,
        "num_workers": 10,
        "seeds": {"start-seed": 0, "num-seeds": EPISODES},
    }
    return Config.model_validate(data)


def published_score(path: Path) -> str:
    """Return the score in the comment of a config: mean and standard deviation over episodes."""
    comment = re.sub(r"\n# ", " ", path.read_text(encoding="utf-8"))
    found = re.search(r"reports.*? a return of (-?[\d.,]+ ± [\d.,]*\d)", comment)
    assert found is not None, path
    return found[1]


def row(path: Path, seeds: int, out: Path) -> str:
    """Train a config's missing runs, and return its row of the table."""
    config = evaluated(load_config(path))
    results: list[dict[str, Any]] = []
    for seed in range(seeds):
        results += results_of(config, [seed], out / path.stem)
    greedy = np.array([result["final"] for result in results])
    # The curve's last value is the evaluation's.
    training = np.array([result["curve"][-2][1] for result in results])
    cells = [
        config.environment.name,
        f"{config.trainer.updates * config.trainer.batch_size:,}",
        "{:.1f} ({:.1f} to {:.1f})".format(*mean_interval(greedy)),
        ", ".join(f"{each:.1f}" for each in greedy),
        "{:.1f} ({:.1f} to {:.1f})".format(*mean_interval(training)),
        published_score(path),
        f"{np.median([result['seconds'] for result in results]):.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Train and print."""
    arguments = docopt(__doc__ or "")
    names = arguments["<config>"] or sorted(path.stem for path in CONFIGS.glob("*.yaml"))
    print("| task | steps | greedy return | each seed | in training | published | seconds |")
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: |")
    for name in names:
        path = CONFIGS / f"{name}.yaml"
        print(row(path, int(arguments["--seeds"]), Path(arguments["--out"])), flush=True)


if __name__ == "__main__":
    main()
