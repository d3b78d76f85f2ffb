"""Compares stepping environments in this process, in worker processes and in EnvPool.

    python benchmarks/environment_stepping.py [ROUNDS]

Prints a table of steps per second: the median over rounds in which all variants take turns. It is the
source of `environments/vector.py`'s cost of exchanging a step with worker processes.
"""

from __future__ import annotations

import datetime
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gymnasium
import numpy as np

from environments import VectorEnvironment, make_environments
from environments.choosing import choose_backend, envpool_installed
from environments.cores import available_cores
from environments.gymnasium.processes import ProcessEnvironments
from environments.levels import RandomLevels
from schema.environment import EnvironmentConfig

ENVIRONMENTS = 16
POOL_SIZES = (16, 128, 384)
SECONDS_OF_A_TURN = 0.4
ROUNDS = 5


class Busy(gymnasium.Env):
    """An environment that keeps a core busy for a millisecond at each step."""

    observation_space = gymnasium.spaces.Box(-1, 1, (4,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: Any = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an endless episode."""
        super().reset(seed=seed)
        return np.zeros(4, np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take a millisecond."""
        end = time.perf_counter() + 1e-3
        while time.perf_counter() < end:
            pass
        return np.zeros(4, np.float32), 0.0, False, False, {}


# At module level, so that worker processes register it, too, when they import this script.
gymnasium.register("Busy-v0", Busy)  # type: ignore[arg-type]

CASES = {
    "CartPole": EnvironmentConfig(type="CartPole", name="CartPole-v1"),
    "MiniGrid, one-hot": EnvironmentConfig(),
    "MiniGrid, one-hot, 16 x 16": EnvironmentConfig(name="MiniGrid-DoorKey-16x16-v0"),
    "MiniGrid, pixels": EnvironmentConfig(visual_observation=True),
    "1 ms a step": EnvironmentConfig(type="Gymnasium", name="Busy-v0"),
}
# Tasks that only EnvPool has.
CASES_OF_ENVPOOL = {
    "Procgen": EnvironmentConfig(type="Procgen", name="CoinrunEasy-v0"),
    "Atari": EnvironmentConfig(
        type="Atari",
        name="Pong-v5",
        frame_skip=4,
        obs_stacks=4,
        grayscale=True,
        resize_vis_obs=[84, 84],
    ),
}


def build(config: EnvironmentConfig, processes: int | None) -> VectorEnvironment:
    """Return Gymnasium's environments on separate levels, already reset."""
    placed = config.model_copy(update={"backend": "gymnasium", "processes": processes})
    return started(placed, ENVIRONMENTS)


def started(config: EnvironmentConfig, count: int) -> VectorEnvironment:
    """Return environments on separate levels, already reset."""
    levels = RandomLevels(list(range(count)), 1000, 0)
    environments = make_environments(config, levels, count, 0)
    environments.reset()
    return environments


def steps_per_second(environments: VectorEnvironment) -> float:
    """Return single environments' steps per second over one turn."""
    count = len(environments)
    generator = np.random.default_rng(0)
    actions = generator.integers(environments.spaces.branches, size=(64, count, 1))
    steps = 0
    begin = time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < SECONDS_OF_A_TURN:
        environments.step(actions[steps % len(actions)])
        steps += 1
    return steps * count / elapsed


def measure(config: EnvironmentConfig, variants: list[int], rounds: int) -> list[float | None]:
    """Return the median speed by number of processes, then by pool size; None if unavailable."""
    built: list[VectorEnvironment | None] = [build(config, processes) for processes in variants]
    installed = ["envpool"] if envpool_installed() else []
    pooled = choose_backend(config, installed).backend == "envpool"
    built += [started(config, count) if pooled else None for count in POOL_SIZES]
    try:
        speeds = [
            [steps_per_second(environments) if environments else None for environments in built]
            for _ in range(rounds)
        ]
    finally:
        for environments in built:
            if environments is not None:
                environments.close()
    return [
        None if None in column else statistics.median(column)
        for column in zip(*speeds, strict=True)
    ]


def automatic_choice(config: EnvironmentConfig) -> str:
    """Return the choice of `processes: null` for Gymnasium's environments."""
    environments = build(config, None)
    environments.close()
    return "processes" if isinstance(environments, ProcessEnvironments) else "in process"


def main() -> None:
    """Measure and print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    variants = list(range(available_cores() + 1))
    print(
        f"{datetime.date.today()}, {processor()}, {available_cores()} cores, Python "
        f"{platform.python_version()}, {ENVIRONMENTS} environments, steps/s, median of {rounds}\n"
    )
    headings = [
        "in process",
        *(f"{number} processes" for number in variants[1:]),
        *(f"EnvPool of {count}" for count in POOL_SIZES),
        "null chooses",
    ]
    print("| environment |", " | ".join(headings), "|")
    print("| --- |", " | ".join("---:" for _ in headings), "|")
    cases = CASES | CASES_OF_ENVPOOL if envpool_installed() else CASES
    for name, config in cases.items():
        speeds = [
            "" if speed is None else f"{speed:,.0f}" for speed in measure(config, variants, rounds)
        ]
        print("|", " | ".join([name, *speeds, automatic_choice(config)]), "|", flush=True)


def processor() -> str:
    """Return the processor's name as the system reports it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
