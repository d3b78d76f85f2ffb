"""Trains Stable-Baselines3 with published hyperparameters, for comparison with `published.py`.

Usage:
  published_sb3.py [options] [<task>...]
  published_sb3.py --help

<task> is pendulum, mountain_car_continuous or hopper, as in `configs/published/`; all if left out.
Prints for each seed the greedy return of 100 episodes, and the mean return of the last 100 training
episodes. Runs that <folder> already has aren't repeated. Needs `benchmarks/requirements.txt`, and for
hopper `requirements-mujoco.txt`.

Options:
  --seeds=<n>      train with the seeds 0 to n - 1 [default: 10]
  --out=<folder>   folder for results [default: ./published_sb3/]
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from docopt import docopt
from kept_runs import mean_interval
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecNormalize

from schema.yaml_file import replace_file

EPISODES = 100


def _pendulum(seed: int) -> tuple[PPO, int]:
    environments = make_vec_env("Pendulum-v1", 4, seed=seed)
    keys: dict[str, Any] = {
        "n_steps": 1024,
        "gae_lambda": 0.95,
        "gamma": 0.9,
        "learning_rate": 1e-3,
        "use_sde": True,
        "sde_sample_freq": 4,
    }
    return PPO("MlpPolicy", environments, seed=seed, **keys), 100_000


def _mountain_car_continuous(seed: int) -> tuple[PPO, int]:
    environments = VecNormalize(
        make_vec_env("MountainCarContinuous-v0", 1, seed=seed), gamma=0.9999
    )
    keys: dict[str, Any] = {
        "n_steps": 8,
        "batch_size": 8,  # the zoo's 256, cut to the rollout, as Stable-Baselines3 does
        "gae_lambda": 0.9,
        "gamma": 0.9999,
        "learning_rate": 7.77e-5,
        "ent_coef": 0.00429,
        "clip_range": 0.1,
        "max_grad_norm": 5,
        "vf_coef": 0.19,
        "use_sde": True,
        "policy_kwargs": {"log_std_init": -3.29, "ortho_init": False},
    }
    return PPO("MlpPolicy", environments, seed=seed, **keys), 20_000


def _hopper(seed: int) -> tuple[PPO, int]:
    environments = VecNormalize(make_vec_env("Hopper-v5", 1, seed=seed), gamma=0.999)
    keys: dict[str, Any] = {
        "n_steps": 512,
        "batch_size": 32,
        "n_epochs": 5,
        "gae_lambda": 0.99,
        "gamma": 0.999,
        "learning_rate": 9.80828e-5,
        "ent_coef": 0.00229519,
        "clip_range": 0.2,
        "max_grad_norm": 0.7,
        "vf_coef": 0.835671,
        "policy_kwargs": {
            "log_std_init": -2,
            "ortho_init": False,
            "activation_fn": torch.nn.ReLU,
            "net_arch": {"pi": [256, 256], "vf": [256, 256]},
        },
    }
    return PPO("MlpPolicy", environments, seed=seed, **keys), 1_000_000


TASKS = {
    "pendulum": _pendulum,
    "mountain_car_continuous": _mountain_car_continuous,
    "hopper": _hopper,
}


def train(name: str, seed: int) -> dict[str, float]:
    """Train a run; return its greedy return, its return in training, and its seconds."""
    model, steps = TASKS[name](seed)
    start = time.perf_counter()
    model.learn(steps)
    seconds = time.perf_counter() - start
    environments = model.get_env()
    assert environments is not None and model.ep_info_buffer is not None
    if isinstance(environments, VecNormalize):
        environments.training = environments.norm_reward = False
    training = [episode["r"] for episode in model.ep_info_buffer]
    greedy, _ = evaluate_policy(model, environments, EPISODES, warn=False)
    return {
        "greedy": float(np.mean(greedy)),
        "training": float(np.mean(training)),
        "seconds": seconds,
    }


def kept(name: str, seed: int, out: Path) -> dict[str, float]:
    """Return a run's results; train it unless the folder has them."""
    path = out / name / f"{seed}.json"
    if not path.exists():
        result = train(name, seed)
        with replace_file(path) as file:
            json.dump(result, file)
    found: dict[str, float] = json.loads(path.read_text())
    return found


def main() -> None:
    """Train and print."""
    torch.set_num_threads(1)
    arguments = docopt(__doc__ or "")
    print("| task | greedy return | each seed | end of training | each seed | seconds |")
    print("| --- | ---: | --- | ---: | --- | ---: |")
    for name in arguments["<task>"] or TASKS:
        seeds = range(int(arguments["--seeds"]))
        results = [kept(name, seed, Path(arguments["--out"])) for seed in seeds]
        cells = [name]
        for key in ("greedy", "training"):
            values = np.array([result[key] for result in results])
            mean, low, high = mean_interval(values)
            cells.append(f"{mean:.1f} ({low:.1f} to {high:.1f})")
            cells.append(", ".join(f"{value:.0f}" for value in values))
        cells.append(f"{np.median([result['seconds'] for result in results]):.0f}")
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
