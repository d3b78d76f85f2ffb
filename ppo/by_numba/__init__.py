"""The learning step of fully connected networks, compiled by Numba.

All epochs and mini-batches of a member's update are one call of `learning.run`. It computes what
`ppo/by_torch/losses.py`, `networks/` and torch's autograd define, by gradients that are written out.

Numba is optional: without it, `ppo/by_torch/epochs.py` does the same.

Every function here works on NumPy arrays, which are views of torch's memory. A mini-batch is cut into
chunks, so that what a layer leaves is still in the processor's cache when the next one takes it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numerics
from schema.model import ModelConfig

if TYPE_CHECKING:
    from model import Population


def serves(population: Population, compiled: bool) -> bool:
    """Whether it can train these networks here.

    Args:
        population: the networks.
        compiled: whether they are to be compiled by `torch.compile`.
    """
    dense = population.stacked.is_dense and population.weights.device.type == "cpu"
    return dense and not compiled and numerics.is_installed()


def obstacle(model: ModelConfig, has_images: bool) -> str | None:
    """Why it can't train a network on a CPU; None where it can.

    Args:
        model: the network.
        has_images: whether an image is among what is observed.
    """
    if has_images:
        return "images are observed"
    if model.recurrence is not None:
        return "the network remembers"
    return "model.precision is bfloat16" if model.precision == "bfloat16" else None


def learning_notice() -> str | None:
    """A line for the user where this would be used, but isn't installed."""
    # Whoever only says so needn't wait until it is loaded.
    if find_spec("numba") is not None:
        return None
    return (
        "networks learn by PyTorch, not by the faster Numba, which isn't installed "
        "(pip install -r requirements-fast.txt)"
    )


def is_kept() -> bool:
    """Whether all was compiled before on this machine, or can't be kept anyway."""
    if find_spec("numba") is None:
        return True
    from numerics.kept import folder

    kept = folder()
    return kept is None or any(kept.iterdir())


def compile_all() -> None:
    """Compiles everything in a process of its own, once for all that are to come."""
    root = Path(__file__).parents[2]
    paths = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "ppo.by_numba"]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, check=False)
