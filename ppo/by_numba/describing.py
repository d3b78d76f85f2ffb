"""Networks, distributions and memory as the compiled functions take them."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from buffer import RolloutBuffer
from model import ActorCritic
from networks.distributions import MultiCategorical
from networks.gaussians import SquashedGaussian
from networks.layers import Linear
from ppo.by_numba.activations import ACTIVATIONS
from ppo.by_numba.arguments import Network, Policy, Workspace

# Observations that are looked at at once.
_ROWS = 128


def as_array(tensor: Tensor) -> np.ndarray:
    """A tensor as an array in the one layout that the functions are compiled for."""
    return tensor.contiguous().numpy()


def locate(network: ActorCritic, weights: Tensor) -> Network:
    """Where the layers of a network are in its row of weights (P,)."""

    def place(parameter: Tensor) -> int:
        return int(parameter.storage_offset() - weights.storage_offset())

    def locate_all(layers: Sequence[Linear]) -> np.ndarray:
        places = [(place(layer.weight), place(layer.bias), *layer.weight.shape) for layer in layers]
        return np.array(places, np.int64)

    trunk, free = network.trunk, network.free_parameters
    value_trunk = network.value_trunk or trunk
    return Network(
        locate_all(trunk.linear_layers),
        locate_all(value_trunk.linear_layers),
        locate_all([network.policy_head])[0],
        locate_all([network.value_head])[0],
        free_parameters=0 if free is None else place(free.values),
        activation=ACTIVATIONS.index(trunk.activation_name),
        shared=network.value_trunk is None,
    )


def describe(network: ActorCritic) -> Policy:
    """The distribution over actions of a network."""
    distribution = network.distribution
    if isinstance(distribution, MultiCategorical):
        branches = np.array(distribution.branches, np.int64)
        return Policy(branches, distribution.ratios, *_squashing(None))
    squashed = distribution if isinstance(distribution, SquashedGaussian) else None
    return Policy(np.zeros(0, np.int64), 1, *_squashing(squashed))


def _squashing(distribution: SquashedGaussian | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half widths (A,) of actions, and the places and weights (32,) of quadrature; or nothing."""
    if distribution is None:
        return (np.zeros(0, np.float32),) * 3
    return (
        distribution.half_width.numpy(),
        distribution.places.flatten().numpy(),
        distribution.weights.flatten().numpy(),
    )


_workspaces = threading.local()


def workspace_of(
    network: ActorCritic, place: Network, buffer: RolloutBuffer, parts: int
) -> Workspace:
    """Return scratch arrays for a member; a thread has one set at a time, which stays in the cache.

    Args:
        network: the member's.
        place: where its layers are.
        buffer: the rollouts.
        parts: into how many mini-batches they are cut.
    """
    trunk, steps = place.trunk, buffer.size // parts
    sizes = {
        "rows": min(steps, _ROWS),
        "steps": steps,
        "inputs": int(trunk[0, 2]),
        "layers": len(trunk),
        "units": int(trunk[0, 3]),
        "outputs": network.distribution.num_outputs,
        "ratios": network.distribution.ratios,
    }
    if getattr(_workspaces, "sizes", None) != sizes:
        _workspaces.sizes, _workspaces.work = sizes, _make_workspace(**sizes)
    work: Workspace = _workspaces.work
    return work


def _make_workspace(
    rows: int, steps: int, inputs: int, layers: int, units: int, outputs: int, ratios: int
) -> Workspace:
    def numbers(*shape: int) -> np.ndarray:
        # Of torch, which begins arrays at whole lines of the cache.
        return torch.zeros(shape).numpy()

    return Workspace(
        inputs=numbers(rows * inputs),
        weight=numbers(inputs * units),
        values=numbers(layers, rows, units),
        slopes=numbers(layers, rows, units),
        transposed=numbers(2, layers, units, units),
        by_features=numbers(rows, units),
        by_more_features=numbers(rows, units),
        outputs=numbers(rows, outputs),
        by_outputs=numbers(rows, outputs),
        estimates=numbers(rows, 1),
        by_estimates=numbers(rows, 1),
        probabilities=numbers(rows, outputs),
        entropies=numbers(rows),
        counts=numbers(rows),
        entropy_slopes=numbers(2, rows, outputs),
        product=numbers(max(inputs, units) * max(units, outputs)),
        observed=np.zeros(rows, np.int64),
        rows=np.zeros(steps, np.int64),
        log_probabilities=numbers(ratios, steps),
    )
