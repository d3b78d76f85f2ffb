"""The tasks of `learning.py`: environments, networks and hyperparameters that all libraries share.

`TASKS` compare libraries; `KINDS`, one task of each kind that EnvPool plays, compare environment
backends, and are as short as they can be with something learnt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Stable-Baselines3's defaults.
VALUE_COEFFICIENT = 0.5
MAX_GRAD_NORM = 0.5
ADAM_EPSILON = 1e-5


@dataclass(frozen=True)
class Task:
    """One environment, with networks and hyperparameters for all libraries.

    Policy and value function have separate networks of hidden layers with tanh. If `lstm` isn't 0, each
    has one LSTM layer before them, trained on whole episodes.

    Attributes:
        suite, environment: type and id of the environment.
        steps: least number of environment steps of a run; updates are always whole.
        workers, worker_steps: number of workers, and steps of each in a rollout.
        mini_batches, epochs: mini-batches per epoch, and epochs per update.
        learning_rate: learning rate, which decays linearly to zero if `decays`.
        layers: units of the hidden layers.
        lstm: units of the LSTM; 0: none.
        options: keys of the environment's section.
        normalize: whether to normalise observations and rewards by running statistics.
    """

    suite: str
    environment: str
    steps: int
    workers: int
    worker_steps: int
    mini_batches: int
    epochs: int
    learning_rate: float
    gamma: float
    lamda: float
    entropy: float
    decays: bool = False
    clip_range: float = 0.2
    layers: tuple[int, ...] = (64, 64)
    lstm: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    normalize: bool = False

    @property
    def batch(self) -> int:
        """Steps of an update."""
        return self.workers * self.worker_steps

    @property
    def updates(self) -> int:
        """Number of updates for all steps."""
        return -(-self.steps // self.batch)


TASKS = {
    "CartPole": Task(
        "CartPole", "CartPole-v1", 100_000, 8, 128, 4, 4, 1e-3, 0.98, 0.9, 0.0, decays=True
    ),
    "Acrobot": Task("Gymnasium", "Acrobot-v1", 150_000, 16, 128, 8, 4, 1e-3, 0.99, 0.94, 0.0),
    "LunarLander": Task(
        "Gymnasium", "LunarLander-v3", 300_000, 16, 256, 8, 8, 1e-3, 0.999, 0.98, 0.01
    ),
    "Pendulum": Task("Gymnasium", "Pendulum-v1", 100_000, 4, 512, 32, 10, 1e-3, 0.9, 0.95, 0.0),
    "MountainCarContinuous": Task(
        "Gymnasium",
        "MountainCarContinuous-v0",
        100_000,
        8,
        256,
        8,
        10,
        3e-4,
        0.9999,
        0.9,
        0.0,
        normalize=True,
    ),
    "Empty-Random-6x6": Task(
        "Minigrid", "MiniGrid-Empty-Random-6x6-v0", 60_000, 16, 64, 4, 4, 1e-3, 0.99, 0.95, 0.01
    ),
    "DoorKey-5x5": Task(
        "Minigrid", "MiniGrid-DoorKey-5x5-v0", 200_000, 16, 128, 8, 4, 1e-3, 0.99, 0.95, 0.01
    ),
    "CartPole, masked": Task(
        "CartPole",
        "CartPole-v1",
        100_000,
        8,
        128,
        4,
        4,
        1e-3,
        0.98,
        0.9,
        0.0,
        layers=(64,),
        lstm=64,
        options={"mask_velocities": True},
    ),
    "MemoryS7": Task(
        "Minigrid",
        "MiniGrid-MemoryS7-v0",
        100_000,
        16,
        128,
        8,
        4,
        1e-3,
        0.99,
        0.95,
        0.01,
        layers=(64,),
        lstm=64,
    ),
}


def _minigrid(name: str, steps: int, **changed: Any) -> Task:
    return Task("Minigrid", name, steps, 16, 64, 4, 4, 1e-3, 0.99, 0.95, 0.01, **changed)


KINDS = {
    "CartPole, short": Task(
        "CartPole", "CartPole-v1", 50_000, 8, 128, 4, 4, 1e-3, 0.98, 0.9, 0.0, decays=True
    ),
    "CartPole, masked, no memory": Task(
        "CartPole",
        "CartPole-v1",
        50_000,
        8,
        128,
        4,
        4,
        1e-3,
        0.98,
        0.9,
        0.0,
        options={"mask_velocities": True},
    ),
    "Acrobot, short": Task("Gymnasium", "Acrobot-v1", 50_000, 16, 128, 8, 4, 1e-3, 0.99, 0.94, 0.0),
    # The reward is constant until the hill is climbed, so learning needs luck and the entropy bonus.
    "MountainCar": Task(
        "Gymnasium",
        "MountainCar-v0",
        100_000,
        16,
        64,
        4,
        4,
        1e-3,
        0.99,
        0.98,
        0.01,
        normalize=True,
    ),
    "Empty-Random-5x5": _minigrid("MiniGrid-Empty-Random-5x5-v0", 20_000),
    "DoorKey-5x5, short": _minigrid("MiniGrid-DoorKey-5x5-v0", 80_000),
    "LavaGapS5": Task(
        "Minigrid",
        "MiniGrid-LavaGapS5-v0",
        100_000,
        8,
        128,
        8,
        4,
        5e-4,
        0.99,
        0.9,
        0.005,
        layers=(128, 128),
    ),
    "LavaCrossingS9N1": _minigrid("MiniGrid-LavaCrossingS9N1-v0", 50_000),
    "SimpleCrossingS9N1": _minigrid("MiniGrid-SimpleCrossingS9N1-v0", 50_000),
    "DistShift1": _minigrid("MiniGrid-DistShift1-v0", 50_000),
    "Dynamic-Obstacles-5x5": _minigrid("MiniGrid-Dynamic-Obstacles-5x5-v0", 50_000),
    "Fetch-5x5-N2": _minigrid("MiniGrid-Fetch-5x5-N2-v0", 40_000),
    "GoToDoor-5x5": _minigrid("MiniGrid-GoToDoor-5x5-v0", 40_000),
    "GoToObject-6x6-N2": _minigrid("MiniGrid-GoToObject-6x6-N2-v0", 40_000),
    "PutNear-6x6-N2": _minigrid("MiniGrid-PutNear-6x6-N2-v0", 40_000),
    "RedBlueDoors-6x6": _minigrid("MiniGrid-RedBlueDoors-6x6-v0", 60_000),
    "Unlock": _minigrid("MiniGrid-Unlock-v0", 60_000),
    "KeyCorridorS3R1": _minigrid("MiniGrid-KeyCorridorS3R1-v0", 80_000),
    "FourRooms": _minigrid("MiniGrid-FourRooms-v0", 40_000),
    "MemoryS7, no memory": _minigrid("MiniGrid-MemoryS7-v0", 40_000),
    "Empty-Random-5x5, pixels": _minigrid(
        "MiniGrid-Empty-Random-5x5-v0", 15_000, options={"visual_observation": True}
    ),
    "BabyAI-GoToRedBallNoDists": _minigrid("BabyAI-GoToRedBallNoDists-v0", 40_000),
    "BabyAI-OpenRedDoor": _minigrid("BabyAI-OpenRedDoor-v0", 40_000),
}

# Tasks with 84 x 84 images.
PICTURES = {
    "Empty-Random-5x5, pixels": KINDS["Empty-Random-5x5, pixels"],
    "GoToRedBallNoDists, pixels": _minigrid(
        "BabyAI-GoToRedBallNoDists-v0", 30_000, options={"visual_observation": True}
    ),
}
