"""Configs, trainings and comparisons for tests."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from environments.interface import Spaces
from ppo.placement import Placement
from ppo.run.checkpoint import Checkpoint, load_checkpoint
from ppo.run.member import Run
from schema.config import Config
from sweeps.search_space.merging import deep_merge
from trainer import PPOTrainer

CPU = torch.device("cpu")
ON_CPU = Placement(CPU, worker_id=2)
VECTOR_SPACES = Spaces({"vector": ((5,), "float32")}, (3, 2))
VISUAL_SPACES = Spaces({"visual": ((84, 84, 3), "uint8")}, (3,))

_TINY = {
    "environment": {"type": "CartPole", "name": "CartPole-v1", "processes": 0},
    "model": {"hidden_layer_size": 16, "num_hidden_layers": 1},
    "trainer": {
        "updates": 3,
        "epochs": 2,
        "num_workers": 4,
        "worker_steps": 32,
        "num_mini_batches": 2,
        "learning_rate_schedule": {"initial": 3e-3, "final": 1e-4},
    },
}


def tiny_config(**sections: dict) -> Config:
    """Return a CartPole config that trains in a moment, with sections merged in."""
    return Config.model_validate(deep_merge(_TINY, sections))


def train(config: Config, seed: int, folder: Path, low_memory: bool = False) -> Checkpoint:
    """Train one run, and return its last checkpoint."""
    return train_population([config], [seed], folder, low_memory)[0]


def train_population(
    configs: list[Config], seeds: list[int], folder: Path, low_memory: bool = False
) -> list[Checkpoint]:
    """Train a population, and return the last checkpoint of each member."""
    folders = [folder / str(number) for number in range(len(configs))]
    runs = [
        Run(config, seed, own / "summaries", own / "checkpoints")
        for config, seed, own in zip(configs, seeds, folders, strict=True)
    ]
    with PPOTrainer(runs, replace(ON_CPU, low_memory=low_memory)) as trainer:
        trainer.run()
    name = f"update_{configs[0].trainer.updates:06d}.pt"
    return [load_checkpoint(own / "checkpoints" / name) for own in folders]


def close(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    """Assert that named tensors are equal up to rounding."""
    assert first.keys() == second.keys()
    for name, weight in first.items():
        torch.testing.assert_close(weight, second[name], rtol=1e-5, atol=1e-5)


def same(first: object, second: object) -> bool:
    """Return whether nested dictionaries, lists and tensors are equal bit for bit."""
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    return type(first) is type(second) and first == second


def global_random_state() -> tuple:
    """Return the state of every global random generator."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002  # the global generator is meant
    return random.getstate(), name, keys.tolist(), rest, torch.get_rng_state().tolist()
