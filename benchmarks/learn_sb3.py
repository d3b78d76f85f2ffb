"""Trains one run of Stable-Baselines3, or sb3-contrib's recurrent PPO, and prints its learning curve.

Usage: python benchmarks/learn_sb3.py TASK SEED

Prints JSON: `curve`, a list of [environment steps, mean return of the last 100 training episodes] for
each update, and `seconds`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gymnasium
import numpy as np
import torch
from learning_tasks import ADAM_EPSILON, MAX_GRAD_NORM, TASKS, VALUE_COEFFICIENT, Task
from sb3_contrib import RecurrentPPO
from sb3_views import mask_velocities, one_hot
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv, VecNormalize


class Curve(BaseCallback):
    """Records the mean return of the last 100 episodes after each rollout."""

    def __init__(self) -> None:
        super().__init__()
        self.points: list[tuple[int, float]] = []

    def _on_rollout_end(self) -> None:
        episodes = self.model.ep_info_buffer
        if episodes:
            mean = float(np.mean([episode["r"] for episode in episodes]))
            self.points.append((self.num_timesteps, mean))

    def _on_step(self) -> bool:
        return True


def wrapper_of(task: Task) -> Callable[[gymnasium.Env], gymnasium.Env] | None:
    """Return the wrapper that makes observations equal to this project's."""
    if task.suite == "Minigrid":
        return one_hot
    return mask_velocities if task.options.get("mask_velocities") else None


def make_environments(task: Task, seed: int) -> VecEnv:
    """Return the task's environments as a vector, with monitored episodes."""
    environments = make_vec_env(
        task.environment, n_envs=task.workers, seed=seed, wrapper_class=wrapper_of(task)
    )
    if task.normalize:
        return VecNormalize(environments, gamma=task.gamma)
    return environments


def policy_options(task: Task) -> dict[str, Any]:
    """Return the options for the task's networks."""
    layers = list(task.layers)
    options: dict[str, Any] = {
        "net_arch": {"pi": layers, "vf": layers},
        "activation_fn": torch.nn.Tanh,
        "optimizer_kwargs": {"eps": ADAM_EPSILON},
    }
    if task.lstm:
        options |= {"lstm_hidden_size": task.lstm, "n_lstm_layers": 1}
    return options


def main() -> None:
    """Train and print."""
    task, seed = TASKS[sys.argv[1]], int(sys.argv[2])
    torch.set_num_threads(1)
    curve = Curve()
    rate = task.learning_rate
    algorithm, policy = (RecurrentPPO, "MlpLstmPolicy") if task.lstm else (PPO, "MlpPolicy")
    agent = algorithm(
        policy,
        make_environments(task, 1_000_000 * (seed + 1)),
        learning_rate=(lambda remaining: remaining * rate) if task.decays else rate,
        n_steps=task.worker_steps,
        batch_size=task.batch // task.mini_batches,
        n_epochs=task.epochs,
        gamma=task.gamma,
        gae_lambda=task.lamda,
        clip_range=task.clip_range,
        ent_coef=task.entropy,
        vf_coef=VALUE_COEFFICIENT,
        max_grad_norm=MAX_GRAD_NORM,
        policy_kwargs=policy_options(task),
        seed=seed,
        device="cpu",
    )
    start = time.perf_counter()
    agent.learn(task.updates * task.batch, callback=curve)
    seconds = time.perf_counter() - start
    print(json.dumps({"curve": curve.points, "seconds": seconds}))


if __name__ == "__main__":
    main()
