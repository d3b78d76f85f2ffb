"""Acts with and trains fully connected networks on a CPU, in kernels: functions that Numba compiles.

One call of `learning_kernels.run` does all epochs and mini-batches of a member's update. Its results are
those of `ppo/by_torch/losses.py`, `networks/` and torch's autograd; its gradients are written by hand.

Numba is optional: without it, `ppo/by_torch/` does the same.

Kernels work on NumPy arrays, which are views of torch's tensors. They divide a mini-batch into chunks,
so that a layer's outputs are still in the processor's cache when the next layer reads them.
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


def can_train(population: Population) -> bool:
    """Return whether Numba is installed and these networks suit it; see `obstacle`."""
    network = population.stacked
    suitable = network.is_dense and network.has_equal_layers and not network.uses_sde
    return suitable and population.weights.device.type == "cpu" and numerics.is_installed()


def obstacle(model: ModelConfig, has_images: bool) -> str | None:
    """Return why Numba can't train a network on a CPU; None where it can.

    Args:
        model: the network.
        has_images: whether observations include images.
    """
    if has_images:
        return "images are observed"
    if model.recurrence is not None:
        return "the network is recurrent"
    if not model.has_equal_layers:
        return "model.hidden_layers aren't all of one size, or there are none"
    if model.use_sde:
        return "model.use_sde is true"
    return "model.precision is bfloat16" if model.precision == "bfloat16" else None


def learning_notice() -> str | None:
    """Return a notice for the user where Numba isn't installed; None where it is."""
    # Checks without importing Numba, which takes half a second.
    if find_spec("numba") is not None:
        return None
    return (
        "networks are trained by PyTorch, not by Numba, which is faster but isn't installed "
        "(pip install -r requirements-fast.txt)"
    )


def is_kept() -> bool:
    """Return whether the cache has compiled kernels already, or none can be cached on this machine."""
    if find_spec("numba") is None:
        return True
    from numerics.kept import folder

    kept = folder()
    return kept is None or any(kept.iterdir())


def cache_notice() -> str | None:
    """Return a notice for the user where compiled kernels can't be cached; None where they can."""
    if find_spec("numba") is None:
        return None
    from numerics.kept import folder, place

    if folder() is not None:
        return None
    try:
        where = f"{place()} can't be written"
    except RuntimeError:
        where = "there is no home folder"
    return (
        "each command compiles the training, which takes half a minute, because nothing can be kept: "
        f"{where}; set NUMBA_CACHE_DIR to a folder that can be"
    )


def compile_all() -> None:
    """Compile all kernels in a separate process; later processes load them from the cache."""
    root = Path(__file__).parents[2]
    paths = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "ppo.by_numba"]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, check=False)
