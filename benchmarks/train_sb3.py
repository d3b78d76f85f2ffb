"""Trains one run of Stable-Baselines3 and prints steps and seconds after the warm-up, as JSON.

Usage: python benchmarks/train_sb3.py WORK UPDATES SEED VECTORISATION

VECTORISATION is dummy, subproc or envpool.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from minigrid.wrappers import ImgObsWrapper, RGBImgPartialObsWrapper
from sb3_contrib import RecurrentPPO
from sb3_views import mask_velocities, one_hot
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecMonitor
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


class PooledVecEnv(VecEnv):
    """EnvPool's environments behind Stable-Baselines3's interface, which has no adapter for them.

    Args:
        name: the task.
        count: number of environments.
        seed: seed of the first environment.
    """

    def __init__(self, name: str, count: int, seed: int) -> None:
        import envpool  # optional, and only Procgen needs it

        threads = len(os.sched_getaffinity(0))
        self._pool: Any = envpool.make_gymnasium(
            name, num_envs=count, seed=seed, num_threads=threads
        )
        space = self._pool.observation_space
        super().__init__(count, space, gymnasium.spaces.Discrete(int(self._pool.action_space.n)))
        self._actions = np.zeros(count, np.int32)

    def reset(self) -> np.ndarray:
        """Start all episodes."""
        return self._pool.reset()[0]

    def step_async(self, actions: np.ndarray) -> None:
        """Store the actions for `step_wait`."""
        self._actions = actions.astype(np.int32)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Take a step; where episodes end, start the next ones."""
        observed, rewards, terminated, truncated, _ = self._pool.step(self._actions)
        ends = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        ended = np.flatnonzero(ends)
        if len(ended):
            observed = observed.copy()
            for index in ended:
                infos[index]["terminal_observation"] = observed[index].copy()
                infos[index]["TimeLimit.truncated"] = bool(truncated[index] & ~terminated[index])
            observed[ended] = self._pool.reset(ended.astype(np.int32))[0]
        return observed, rewards, ends, infos

    def close(self) -> None:
        """Drop the pool."""
        self._pool = None

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return None, as EnvPool's environments have no attributes, not even a render mode."""
        return [None] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Raise, as it isn't possible."""
        raise NotImplementedError

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> Any:
        """Raise, as it isn't possible."""
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Return False for each, as no environment has a wrapper."""
        return [False] * self.num_envs


class Clock(BaseCallback):
    """Records the start of each update, and stops the training after the last.

    Args:
        updates: number of updates.
    """

    def __init__(self, updates: int) -> None:
        super().__init__()
        self.times: list[float] = []
        self._updates = updates

    def _on_rollout_start(self) -> None:
        self.times.append(time.perf_counter())

    def _on_step(self) -> bool:
        # The rollout after the last update only marks the time when that update ended.
        return len(self.times) <= self._updates


def wrapper_of(work: Work) -> Callable[[gymnasium.Env], gymnasium.Env] | None:
    """Return the wrapper that gives an environment the workload's observations."""
    if work.suite == "Minigrid":
        return _pixels if work.visual else one_hot
    return mask_velocities if work.masked else None


def _pixels(environment: gymnasium.Env) -> gymnasium.Env:
    return ImgObsWrapper(RGBImgPartialObsWrapper(environment, tile_size=12))


def make_environments(work: Work, seed: int, vectorisation: str) -> VecEnv:
    """Return the workload's environments as a vector, with monitored episodes."""
    if vectorisation == "envpool":
        return VecMonitor(PooledVecEnv(work.environment, work.workers, seed))
    return make_vec_env(
        work.environment,
        n_envs=work.workers,
        seed=seed,
        wrapper_class=wrapper_of(work),
        vec_env_cls={"dummy": DummyVecEnv, "subproc": SubprocVecEnv}[vectorisation],
    )


def policy_options(work: Work) -> dict[str, Any]:
    """Return the options for the workload's network."""
    options: dict[str, Any] = {"optimizer_kwargs": {"eps": ADAM_EPSILON}}
    if work.visual:
        extractor = {"features_dim": work.layers[0]}
        return {**options, "net_arch": [], "features_extractor_kwargs": extractor}
    layers = list(work.layers)
    if work.lstm:
        options |= {"lstm_hidden_size": work.lstm, "n_lstm_layers": 1}
    return {
        **options,
        "net_arch": {"pi": layers, "vf": layers},
        "activation_fn": torch.nn.Tanh,
    }


def main() -> None:
    """Train and print."""
    name, text, seed, vectorisation = sys.argv[1:]
    work, updates = WORKS[name], int(text)
    environments = make_environments(work, int(seed), vectorisation)
    clock = Clock(work.warm_up + updates)
    with tempfile.TemporaryDirectory() as folder:
        algorithm, policy = (PPO, "CnnPolicy" if work.visual else "MlpPolicy")
        if work.lstm:
            algorithm, policy = (RecurrentPPO, "MlpLstmPolicy")
        agent = algorithm(
            policy,
            environments,
            learning_rate=LEARNING_RATE,
            n_steps=work.steps,
            batch_size=work.batch // MINI_BATCHES,
            n_epochs=EPOCHS,
            gamma=GAMMA,
            gae_lambda=LAMDA,
            clip_range=CLIP_RANGE,
            clip_range_vf=CLIP_RANGE,
            ent_coef=ENTROPY_COEFFICIENT,
            vf_coef=VALUE_COEFFICIENT,
            max_grad_norm=MAX_GRAD_NORM,
            policy_kwargs=policy_options(work),
            tensorboard_log=folder,
            seed=int(seed),
            device="cpu",
        )
        agent.learn((work.warm_up + updates + 1) * work.batch, callback=clock)
    environments.close()
    seconds = clock.times[-1] - clock.times[work.warm_up]
    print(json.dumps({"steps": updates * work.batch, "seconds": seconds}))


if __name__ == "__main__":
    main()
