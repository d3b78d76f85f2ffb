"""The learning step of fully connected networks, compiled by Numba.

All epochs and mini-batches of a member's update are one call of `learning.run`. It computes what
`ppo/losses.py`, `networks/` and torch's autograd define, by gradients that are written out.

Numba is optional: without it, `ppo/recorded.py` does the same.

Every function here works on NumPy arrays, which are views of torch's memory. A mini-batch is cut into
chunks, so that what a layer leaves is still in the processor's cache when the next one takes it.
"""

from __future__ import annotations

from importlib.util import find_spec
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


def learning_notice(model: ModelConfig, has_images: bool) -> str | None:
    """A line for the user where this would be used on a CPU, but isn't installed.

    Args:
        model: the network.
        has_images: whether an image is among what is observed.
    """
    served = not has_images and model.recurrence is None and model.precision == "float32"
    # Whoever only says so needn't wait until it is loaded.
    if not served or find_spec("numba") is not None:
        return None
    return (
        "networks learn by PyTorch, not by the faster Numba, which isn't installed "
        "(pip install -r requirements-fast.txt)"
    )
