"""Multiplies the network's inputs by the first layer's weight, and computes that weight's gradient.

One-hot observations may come with only some of their columns (see `networks/columns.py`). Axes: R
observations at once, K inputs, H units of the first layer.
"""

from __future__ import annotations

import numpy as np

from numerics.compiler import jit
from numerics.functions import f32
from ppo.by_numba.kernel_arguments import Inputs, Workspace


@jit
def set_zero(matrix: np.ndarray) -> None:
    """Set a matrix to zero; compiles faster than NumPy's assignment."""
    for row in range(matrix.shape[0]):
        for column in range(matrix.shape[1]):
            matrix[row, column] = f32(0)


@jit
def copy(values: np.ndarray, others: np.ndarray) -> None:
    """Copy one matrix into another; compiles faster than NumPy's assignment."""
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            others[row, column] = values[row, column]


@jit
def gather(inputs: Inputs, observed: np.ndarray, work: Workspace) -> None:
    """Copy the inputs of some observations (R,) into the workspace."""
    gathered = gathered_inputs(inputs.values.shape[1], len(observed), work)
    for row in range(len(observed)):
        for column in range(gathered.shape[1]):
            gathered[row, column] = inputs.values[observed[row], column]


@jit
def gathered_inputs(columns: int, rows: int, work: Workspace) -> np.ndarray:
    """Return the workspace's inputs as a matrix (R, K)."""
    return work.inputs[: rows * columns].reshape(rows, columns)


@jit
def inputs_forward(
    inputs: Inputs, weight: np.ndarray, work: Workspace, outputs: np.ndarray
) -> None:
    """Multiply the gathered inputs by the first layer's weight, into outputs (R, H)."""
    gathered = gathered_inputs(inputs.values.shape[1], len(outputs), work)
    if len(inputs.used) == 0:
        np.dot(gathered, weight, outputs)
        return
    size = gathered.shape[1] * outputs.shape[1]
    merged = work.weight[:size].reshape(gathered.shape[1], outputs.shape[1])
    set_zero(merged)
    for number in range(len(inputs.used)):
        place, group = inputs.used[number], inputs.groups[number]
        for column in range(merged.shape[1]):
            merged[group, column] += weight[place, column]
    np.dot(gathered, merged, outputs)


@jit
def inputs_backward(
    inputs: Inputs, grad_outputs: np.ndarray, work: Workspace, grad_weight: np.ndarray
) -> None:
    """Add to the gradient of the first layer's weight, given that of the products (R, H)."""
    gathered = gathered_inputs(inputs.values.shape[1], len(grad_outputs), work)
    if len(inputs.used) == 0:
        add_product(gathered, grad_outputs, grad_weight, work.product)
        return
    size = gathered.shape[1] * grad_outputs.shape[1]
    merged = work.product[:size].reshape(gathered.shape[1], grad_outputs.shape[1])
    np.dot(gathered.T, grad_outputs, merged)
    for number in range(len(inputs.used)):
        place, group = inputs.used[number], inputs.groups[number]
        for column in range(merged.shape[1]):
            grad_weight[place, column] += merged[group, column]


@jit
def add_product(
    inputs: np.ndarray, grad_outputs: np.ndarray, gradient: np.ndarray, product: np.ndarray
) -> None:
    """Add the product of inputs (B, K) and gradients (B, J) to the gradient (K, J) of a weight."""
    of_chunk = product[: gradient.size].reshape(gradient.shape)
    np.dot(inputs.T, grad_outputs, of_chunk)
    for row in range(gradient.shape[0]):
        for column in range(gradient.shape[1]):
            gradient[row, column] += of_chunk[row, column]
