"""Builds environments that are stepped together, with the environment backend that the config asks for.

Gymnasium's environments are stepped in this process or in worker processes, whichever is faster.
"""

from __future__ import annotations

import time

import numpy as np

from environments.building import import_suite, make_environment
from environments.choosing import backend_of
from environments.cores import available_cores
from environments.gymnasium.in_process import InProcessEnvironments
from environments.gymnasium.processes import ProcessEnvironments
from environments.interface import ACTION_MASK, Levels, Observations, Spaces, VectorEnvironment
from environments.levels import RandomLevels
from environments.spaces import spaces_of
from schema.environment import EnvironmentConfig
from schema.unity import PLAYER_TYPES

# Exchanging a step with worker processes takes about this long (`benchmarks/environment_stepping.py`).
# Worker processes keep cores busy that other jobs may need, so they must promise a clear gain.
_SECONDS_OF_EXCHANGE = 200e-6
_SHARE_OF_TIME_LEFT = 0.8
_SECONDS_OF_MEASUREMENT = 0.05


def make_environments(
    config: EnvironmentConfig,
    levels: Levels,
    num_environments: int,
    worker_id: int,
    cores: int | None = None,
    workers: int | None = None,
) -> VectorEnvironment:
    """Build environments that are stepped together.

    Args:
        config: the environment's config. `backend` names the environment backend; `processes` is the
            number of worker processes, None chooses the fastest.
        levels: returns the level of each environment and episode; it must be picklable. Compiled code
            and EnvPool play random levels only.
        num_environments: the number E of environments.
        worker_id: worker id of the first environment; the others count up from it.
        cores: the number of cores to use; None is all.
        workers: the number of workers per member; their indices follow each other. With it, a failure
            in a step stops the workers of that member only (see `Step.failures`); None makes the step
            raise.

    Raises:
        UserError: As `make_environment` and `backend_of`.
        EnvironmentFailure: An environment can't be built in a worker process.
    """
    cores = cores or available_cores()
    if config.type in PLAYER_TYPES:
        import_suite(config.type)  # raises if a package is missing
        from environments.unity.vector import UnityEnvironments

        return UnityEnvironments(config, levels, num_environments, worker_id)
    if isinstance(levels, RandomLevels):
        backend = backend_of(config).backend
        # Imported here alone, as they need optional packages.
        if backend == "compiled":
            from environments.compiled.vector import CompiledEnvironments

            return CompiledEnvironments(config, levels, num_environments, worker_id)
        if backend == "envpool":
            from environments.envpool.vector import EnvPoolEnvironments

            return EnvPoolEnvironments(config, levels, num_environments, worker_id, cores)
    processes = config.processes
    if processes is None:
        processes = _faster_choice(config, num_environments, worker_id, cores)
    if processes == 0:
        return InProcessEnvironments(config, levels, num_environments, worker_id, workers)
    return ProcessEnvironments(config, levels, num_environments, worker_id, processes, workers)


def _faster_choice(
    config: EnvironmentConfig, num_environments: int, worker_id: int, cores: int
) -> int:
    """Return the number of worker processes that promises the fastest step; 0 is this process."""
    processes = min(cores, num_environments)
    if processes == 1:
        return 0
    in_process = num_environments * _seconds_of_a_step(config, worker_id)
    in_processes = in_process / processes + _SECONDS_OF_EXCHANGE
    return processes if in_processes < _SHARE_OF_TIME_LEFT * in_process else 0


def _seconds_of_a_step(config: EnvironmentConfig, worker_id: int) -> float:
    """Measure an environment's mean step in s with random actions, resets included."""
    environment = make_environment(config, worker_id)
    try:
        generator = np.random.default_rng(0)
        spaces = spaces_of(environment)
        observation, _ = environment.reset(seed=0)
        steps = 0
        begin = time.perf_counter()
        while (elapsed := time.perf_counter() - begin) < _SECONDS_OF_MEASUREMENT or not steps:
            action = random_action(spaces, observation, generator)
            observation, _, terminated, truncated, _ = environment.step(action)
            steps += 1
            if terminated or truncated:
                observation, _ = environment.reset(seed=steps)
        return elapsed / steps
    finally:
        environment.close()


def random_action(
    spaces: Spaces, observation: Observations, generator: np.random.Generator
) -> np.ndarray:
    """Return a random action (action_size,), uniform among the allowed ones.

    Continuous actions are uniform within their bounds, and standard normal without bounds.
    """
    if ACTION_MASK in observation:
        ends = np.cumsum(spaces.branches)
        allowed = map(np.flatnonzero, np.split(observation[ACTION_MASK], ends[:-1]))
        return np.array([choices[generator.integers(len(choices))] for choices in allowed])
    if spaces.branches:
        return generator.integers(spaces.branches)
    low, high = np.array(spaces.bounds).T
    is_bounded = np.isfinite(high - low)
    uniform = generator.uniform(np.where(is_bounded, low, 0.0), np.where(is_bounded, high, 1.0))
    normal = generator.standard_normal(len(low)).clip(low, high)
    return np.where(is_bounded, uniform, normal).astype(np.float32)
