"""Trains one run of Sample Factory and prints steps and seconds after the warm-up, as JSON.

Usage: python benchmarks/train_sample_factory.py WORK UPDATES SEED MODE

MODE is serial (one process that samples and learns in turns) or parallel (processes on all cores that
sample while learning). Sample Factory needs an older Gymnasium than this project, so this script runs
with the Python of another environment and imports only `works` of this project.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from typing import Any

import gymnasium
from sample_factory.algo.runners.runner import AlgoObserver
from sample_factory.cfg.arguments import parse_full_cfg, parse_sf_args
from sample_factory.envs.env_utils import register_env
from sample_factory.train import make_runner
from works import (
    ADAM_EPSILON,
    CLIP_RANGE,
    ENTROPY_COEFFICIENT,
    EPOCHS,
    GAMMA,
    LAMDA,
    LEARNING_RATE,
    MAX_GRAD_NORM,
    MINI_BATCHES,
    VALUE_COEFFICIENT,
    WORKS,
    Work,
)


class Clock(AlgoObserver):
    """Records the time of each update."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_training_step(self, runner: Any, training_iteration_since_resume: int) -> None:
        """Record the time; the runner calls this after each update."""
        self.times.append(time.perf_counter())


def make_environment(name: str, *_: Any, render_mode: str | None = None) -> gymnasium.Env:
    """Return one environment, with the signature that Sample Factory calls."""
    return gymnasium.make(name, render_mode=render_mode)


def options(work: Work, updates: int, seed: int, mode: str, folder: str) -> dict[str, Any]:
    """Return Sample Factory's command-line options for the workload."""
    samplers = 1 if mode == "serial" else len(os.sched_getaffinity(0))
    return {
        "algo": "APPO",
        "env": work.environment,
        "experiment": work.environment,
        "train_dir": folder,
        "device": "cpu",
        "seed": seed,
        "serial_mode": mode == "serial",
        "async_rl": mode == "parallel",
        "num_workers": samplers,
        "num_envs_per_worker": work.workers // samplers,
        "worker_num_splits": 1 if mode == "serial" else 2,
        "rollout": work.steps,
        "recurrence": 1,
        "batch_size": work.batch // MINI_BATCHES,
        "num_batches_per_epoch": MINI_BATCHES,
        "num_epochs": EPOCHS,
        "shuffle_minibatches": True,
        "gamma": GAMMA,
        "gae_lambda": LAMDA,
        "learning_rate": LEARNING_RATE,
        "adam_eps": ADAM_EPSILON,
        "max_grad_norm": MAX_GRAD_NORM,
        # Sample Factory clips ratios to [1 / (1 + x), 1 + x], and values to [-x, x].
        "ppo_clip_ratio": CLIP_RANGE,
        "ppo_clip_value": CLIP_RANGE,
        "exploration_loss_coeff": ENTROPY_COEFFICIENT,
        "value_loss_coeff": VALUE_COEFFICIENT,
        "value_bootstrap": True,
        "normalize_input": False,
        "normalize_returns": False,
        "use_rnn": False,
        "encoder_mlp_layers": list(work.layers),
        "nonlinearity": work.activation,
        "actor_critic_share_weights": False,
        "set_workers_cpu_affinity": False,
        "log_to_file": False,
        "train_for_env_steps": updates * work.batch,
    }


def main() -> None:
    """Train and print."""
    name, text, seed, mode = sys.argv[1:]
    work, updates = WORKS[name], int(text)
    register_env(work.environment, make_environment)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = []
        for key, value in options(work, work.warm_up + updates, int(seed), mode, folder).items():
            values = value if isinstance(value, list) else [value]
            arguments += [f"--{key}", *map(str, values)]
        parser, _ = parse_sf_args(arguments)
        _, runner = make_runner(parse_full_cfg(parser, arguments))
        runner.register_observer(clock)
        runner.init()
        runner.run()
    seconds = clock.times[work.warm_up + updates - 1] - clock.times[work.warm_up - 1]
    print(json.dumps({"steps": updates * work.batch, "seconds": seconds}))


if __name__ == "__main__":
    main()
