"""Describes networks and distributions to kernels, as arrays, and allocates workspaces."""

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
from ppo.by_numba.kernel_arguments import NetworkLayout, PolicyArrays, Workspace

# Observations that a kernel computes at once.
MAX_ROWS = 128


def as_array(tensor: Tensor) -> np.ndarray:
    """Return a tensor as a contiguous array, the only layout that kernels are compiled for."""
    return tensor.contiguous().numpy()


def layout_of(network: ActorCritic, weights: Tensor) -> NetworkLayout:
    """Return the positions of a network's layers in its row of weights (P,)."""

    def offset(parameter: Tensor) -> int:
        return int(parameter.storage_offset() - weights.storage_offset())

    def rows(layers: Sequence[Linear]) -> np.ndarray:
        positions = [
            (offset(layer.weight), offset(layer.bias), *layer.weight.shape) for layer in layers
        ]
        return np.array(positions, np.int64)

    trunk, free = network.trunk, network.free_parameters
    value_trunk = network.value_trunk or trunk
    return NetworkLayout(
        rows(trunk.linear_layers),
        rows(value_trunk.linear_layers),
        rows([network.policy_head])[0],
        rows([network.value_head])[0],
        free_parameters=0 if free is None else offset(free.values),
        activation=ACTIVATIONS.index(trunk.activation_name),
        shared=network.value_trunk is None,
    )


def policy_arrays(network: ActorCritic) -> PolicyArrays:
    """Return the kind of a network's distribution over actions."""
    distribution = network.distribution
    if isinstance(distribution, MultiCategorical):
        branches = np.array(distribution.branches, np.int64)
        return PolicyArrays(branches, distribution.ratios, *_squashing_arrays(None))
    squashed = distribution if isinstance(distribution, SquashedGaussian) else None
    return PolicyArrays(np.zeros(0, np.int64), 1, *_squashing_arrays(squashed))


def _squashing_arrays(
    distribution: SquashedGaussian | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return half widths (A,), and quadrature nodes and weights (32,); empty without squashing."""
    if distribution is None:
        return (np.zeros(0, np.float32),) * 3
    # The tasks that Numba steps have no bounds that are equal, so this width scales their actions, too.
    return (
        distribution.density_width.numpy(),
        distribution.places.flatten().numpy(),
        distribution.weights.flatten().numpy(),
    )


_workspaces = threading.local()


def workspace_of(
    network: ActorCritic, layout: NetworkLayout, buffer: RolloutBuffer, mini_batches: int
) -> Workspace:
    """Return a workspace for a member; a thread has only one, which stays in the processor's cache.

    Args:
        network: the member's network.
        layout: the positions of its layers.
        buffer: the rollouts.
        mini_batches: the number of mini-batches that a rollout is divided into.
    """
    trunk, steps = layout.trunk, buffer.size // mini_batches
    sizes = {
        "rows": min(steps, MAX_ROWS),
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
    def zeros(*shape: int) -> np.ndarray:
        # By torch, which aligns arrays to cache lines.
        return torch.zeros(shape).numpy()

    return Workspace(
        inputs=zeros(rows * inputs),
        weight=zeros(inputs * units),
        values=zeros(layers, rows, units),
        derivatives=zeros(layers, rows, units),
        transposed=zeros(2, layers, units, units),
        grad_features=zeros(rows, units),
        grad_more_features=zeros(rows, units),
        outputs=zeros(rows, outputs),
        grad_outputs=zeros(rows, outputs),
        estimates=zeros(rows, 1),
        grad_estimates=zeros(rows, 1),
        probabilities=zeros(rows, outputs),
        entropies=zeros(rows),
        counts=zeros(rows),
        entropy_gradients=zeros(2, rows, outputs),
        product=zeros(max(inputs, units) * max(units, outputs)),
        observed=np.zeros(rows, np.int64),
        rows=np.zeros(steps, np.int64),
        log_probabilities=zeros(ratios, steps),
    )
