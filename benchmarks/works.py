"""The benchmarks' workloads: environments, networks and hyperparameters, equal for all contenders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import yaml

GAMMA, LAMDA = 0.99, 0.95
EPOCHS, MINI_BATCHES = 4, 4
LEARNING_RATE, CLIP_RANGE, ENTROPY_COEFFICIENT, VALUE_COEFFICIENT = 1e-3, 0.2, 0.01, 0.5
MAX_GRAD_NORM, ADAM_EPSILON = 0.5, 1e-5

# 4 x 3 x 2 x 2 = 48 permutations of equal shape.
GRID = {
    "hyperparameters": {"gamma": [0.98, 0.99]},
    "learning_rate_schedule": {"initial": [3e-3, 1e-3, 5e-4, 2.5e-4]},
    "beta_schedule": {"initial": [0.0, 0.005, 0.01]},
    "clip_range_schedule": {"initial": [0.1, 0.2]},
}
GRID_RUNS = 48


@dataclass(frozen=True)
class Work:
    """One environment, network and set of hyperparameters that every contender trains.

    Attributes:
        title: heading of its table.
        suite: the environment's type in a config.
        environment: the environment's id.
        layers: units of each fully connected layer.
        updates: measured updates, after the warm-up.
        warm_up: updates before the measurement.
        workers: number of workers.
        steps: steps of each worker in an update.
        visual: whether observations are images; policy and value function then share a trunk with
            convolutions, else each has its own layers.
        masked: whether velocities are hidden.
        lstm: units of an LSTM before the layers, trained on whole episodes; 0: none.
        one_core: whether everything runs on a single core, else on all cores.
        grid: whether a grid is trained instead of one run.
    """

    title: str
    suite: str
    environment: str
    layers: tuple[int, ...]
    updates: int
    warm_up: int = 4
    workers: int = 16
    steps: int = 128
    visual: bool = False
    masked: bool = False
    lstm: int = 0
    one_core: bool = False
    grid: bool = False

    @property
    def batch(self) -> int:
        """Steps of an update."""
        return self.workers * self.steps

    @property
    def activation(self) -> str:
        """Activation function: relu after convolutions, else tanh."""
        return "relu" if self.visual else "tanh"

    def config(
        self, updates: int, backend: str = "auto", precision: str = "float32"
    ) -> dict[str, Any]:
        """Return this project's config of the work.

        Args:
            updates: number of updates.
            backend: environment backend.
            precision: precision of products.
        """
        environment: dict[str, Any] = {
            "type": self.suite,
            "name": self.environment,
            "backend": backend,
        }
        if self.suite == "Minigrid":
            environment["visual_observation"] = self.visual
        if self.masked:
            environment["mask_velocities"] = True
        model = {
            "precision": precision,
            "activation": self.activation,
            "num_hidden_layers": len(self.layers),
            "hidden_layer_size": self.layers[0],
            "share_parameters": self.visual,
        }
        if self.lstm:
            recurrence = {"layer_type": "lstm", "hidden_state_size": self.lstm}
            model["recurrence"] = recurrence | {"sequence_length": 0}
        return {
            "environment": environment,
            "model": model,
            "trainer": {
                "gamma": GAMMA,
                "lamda": LAMDA,
                "updates": updates,
                "epochs": EPOCHS,
                "num_workers": self.workers,
                "worker_steps": self.steps,
                "num_mini_batches": MINI_BATCHES,
                "value_coefficient": VALUE_COEFFICIENT,
                "clip_value_loss": True,
                "max_grad_norm": MAX_GRAD_NORM,
                "adam_epsilon": ADAM_EPSILON,
                "learning_rate_schedule": {"initial": LEARNING_RATE},
                "beta_schedule": {"initial": ENTROPY_COEFFICIENT},
                "clip_range_schedule": {"initial": CLIP_RANGE},
            },
        }


def _grid_of(work: Work, updates: int) -> Work:
    title = f"{work.title}, grid of {GRID_RUNS} runs"
    return replace(work, title=title, updates=updates, one_core=False, grid=True)


_CARTPOLE = Work(
    title="CartPole-v1, 16 x 128 steps, two layers of 64",
    suite="CartPole",
    environment="CartPole-v1",
    layers=(64, 64),
    updates=100,
    one_core=True,
)
_PENDULUM = replace(
    _CARTPOLE,
    title="Pendulum-v1 (continuous), 16 x 128 steps, two layers of 64",
    suite="Gymnasium",
    environment="Pendulum-v1",
)
_MASKED = replace(
    _CARTPOLE,
    title="CartPole-v1 without velocities, 16 x 128 steps, an LSTM of 64 and a layer of 64",
    layers=(64,),
    updates=20,
    masked=True,
    lstm=64,
)
_MINIGRID = Work(
    title="MiniGrid-Empty-Random-6x6-v0, one-hot, 16 x 128 steps, two layers of 128",
    suite="Minigrid",
    environment="MiniGrid-Empty-Random-6x6-v0",
    layers=(128, 128),
    updates=30,
    one_core=True,
)
WORKS = {
    "cartpole": _CARTPOLE,
    "cartpole-grid": _grid_of(_CARTPOLE, updates=40),
    "pendulum": _PENDULUM,
    "cartpole-lstm": _MASKED,
    "minigrid": _MINIGRID,
    "minigrid-grid": _grid_of(_MINIGRID, updates=30),
    "minigrid-pixels": Work(
        title="MiniGrid-Empty-Random-6x6-v0, 84 x 84 RGB, 16 x 64 steps, convolutions and 512",
        suite="Minigrid",
        environment="MiniGrid-Empty-Random-6x6-v0",
        layers=(512,),
        updates=10,
        warm_up=2,
        steps=64,
        visual=True,
    ),
    "procgen": Work(
        title="Procgen CoinRun, 64 x 64 RGB, 16 x 64 steps, convolutions and 512",
        suite="Procgen",
        environment="CoinrunEasy-v0",
        layers=(512,),
        updates=10,
        warm_up=2,
        steps=64,
        visual=True,
    ),
}


def as_yaml(data: dict[str, Any]) -> str:
    """Return a config as YAML text; floats keep the point that marks them as numbers."""
    return yaml.safe_dump(data, sort_keys=False)
