"""Products with what the network sees.

Of one-hot observations only a part may be given (see `networks/columns.py`).
"""

from __future__ import annotations

import numpy as np

from numerics.compiler import jit
from numerics.functions import f32
from ppo.by_numba.arguments import Inputs, Workspace


@jit
def set_zero(matrix: np.ndarray) -> None:
    """Sets all numbers of a matrix to zero; compiled in less time than NumPy's assignment."""
    for row in range(matrix.shape[0]):
        for column in range(matrix.shape[1]):
            matrix[row, column] = f32(0)


@jit
def copy(values: np.ndarray, others: np.ndarray) -> None:
    """Writes a matrix over another; compiled in less time than NumPy's assignment."""
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            others[row, column] = values[row, column]


@jit
def gather(inputs: Inputs, observed: np.ndarray, work: Workspace) -> None:
    """Copies what is seen in some observations (R,) into the workspace."""
    gathered = gathered_inputs(inputs.values.shape[1], len(observed), work)
    for row in range(len(observed)):
        for column in range(gathered.shape[1]):
            gathered[row, column] = inputs.values[observed[row], column]


@jit
def gathered_inputs(columns: int, rows: int, work: Workspace) -> np.ndarray:
    """Where the workspace has what the network sees (R, K)."""
    return work.inputs[: rows * columns].reshape(rows, columns)


@jit
def inputs_forward(
    inputs: Inputs, weight: np.ndarray, work: Workspace, outputs: np.ndarray
) -> None:
    """Products (R, H) of what was gathered with the first layer's weight."""
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
    inputs: Inputs, by_outputs: np.ndarray, work: Workspace, by_weight: np.ndarray
) -> None:
    """Adds the gradient of the first layer's weight, by that of the products (R, H)."""
    gathered = gathered_inputs(inputs.values.shape[1], len(by_outputs), work)
    if len(inputs.used) == 0:
        add_product(gathered, by_outputs, by_weight, work.product)
        return
    size = gathered.shape[1] * by_outputs.shape[1]
    merged = work.product[:size].reshape(gathered.shape[1], by_outputs.shape[1])
    np.dot(gathered.T, by_outputs, merged)
    for number in range(len(inputs.used)):
        place, group = inputs.used[number], inputs.groups[number]
        for column in range(merged.shape[1]):
            by_weight[place, column] += merged[group, column]


@jit
def add_product(
    inputs: np.ndarray, by_outputs: np.ndarray, gradient: np.ndarray, product: np.ndarray
) -> None:
    """Adds the product of inputs (B, K) and gradients (B, J) to the gradient (K, J) of a weight."""
    of_chunk = product[: gradient.size].reshape(gradient.shape)
    np.dot(inputs.T, by_outputs, of_chunk)
    for row in range(gradient.shape[0]):
        for column in range(gradient.shape[1]):
            gradient[row, column] += of_chunk[row, column]
