"""Fully connected layers as kernels: forward and backward passes.

All weights of a network are one row (P,). Four integers describe a layer: the positions of its weight
(inputs, outputs) and its bias in the row, its number of inputs and its number of outputs.

Axes: R observations at once, L hidden layers of H units, O outputs of a head.
"""

from __future__ import annotations

import numpy as np

import numerics.products  # noqa: F401  # on one thread
from numerics.compiler import jit
from ppo.by_numba.activations import activate
from ppo.by_numba.inputs import add_product, inputs_backward, inputs_forward
from ppo.by_numba.kernel_arguments import Inputs, Parameters, Workspace


@jit
def weight_of(layer: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return the weight (inputs, outputs) of a layer, or its gradient, from a row (P,)."""
    start, inputs, outputs = layer[0], layer[2], layer[3]
    return row[start : start + inputs * outputs].reshape(inputs, outputs)


@jit
def bias_of(layer: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return the bias (outputs,) of a layer, or its gradient, from a row (P,)."""
    return row[layer[1] : layer[1] + layer[3]]


@jit
def forward(
    trunk: np.ndarray,
    activation: int,
    weights: np.ndarray,
    inputs: Inputs,
    rows: int,
    work: Workspace,
) -> np.ndarray:
    """Return the outputs (R, H) of the last of L hidden layers.

    Args:
        trunk: (L, 4), the layers.
        activation: the index in `ACTIVATIONS`.
        weights: (P,).
        inputs: the network's inputs; `gather` has copied R rows of them.
        rows: R.
        work: gets each layer's outputs and the activations' derivatives.
    """
    inputs_forward(inputs, weight_of(trunk[0], weights), work, work.values[0][:rows])
    return forward_from_projection(trunk, activation, weights, rows, work)


@jit
def forward_from_projection(
    trunk: np.ndarray, activation: int, weights: np.ndarray, rows: int, work: Workspace
) -> np.ndarray:
    """Continue `forward` from the first layer's products (R, H), which are in `work.values[0]`."""
    for number in range(len(trunk)):
        layer, outputs = trunk[number], work.values[number][:rows]
        if number > 0:
            np.dot(work.values[number - 1][:rows], weight_of(layer, weights), outputs)
        activate(activation, outputs, bias_of(layer, weights), work.derivatives[number][:rows])
    return work.values[len(trunk) - 1][:rows]


@jit
def transpose(trunk: np.ndarray, weights: np.ndarray, transposed: np.ndarray) -> None:
    """Write the transposed weights of all hidden layers but the first into (L, H, H).

    Products with them take two thirds of the time, and all chunks of a mini-batch share them.
    """
    for number in range(1, len(trunk)):
        weight = weight_of(trunk[number], weights)
        for row in range(weight.shape[0]):
            for column in range(weight.shape[1]):
                transposed[number, column, row] = weight[row, column]


@jit
def backward(
    trunk: np.ndarray,
    parameters: Parameters,
    transposed: np.ndarray,
    inputs: Inputs,
    rows: int,
    work: Workspace,
) -> None:
    """Add to the gradients of L hidden layers' weights and biases.

    Args:
        trunk: (L, 4), the layers.
        parameters: the weights and their gradient.
        transposed: (L, H, H), the weights that `transpose` wrote.
        inputs: the inputs of `forward`.
        rows: R.
        work: the workspace after `forward`, with the gradient of the last layer's outputs in
            `grad_features`.
    """
    grad_outputs, grad_inputs = work.grad_features[:rows], work.grad_more_features[:rows]
    for number in range(len(trunk) - 1, -1, -1):
        layer = trunk[number]
        grad_bias = bias_of(layer, parameters.gradient)
        _through_activation(grad_outputs, work.derivatives[number][:rows], grad_bias)
        grad_weight = weight_of(layer, parameters.gradient)
        if number == 0:
            inputs_backward(inputs, grad_outputs, work, grad_weight)
        else:
            add_product(work.values[number - 1][:rows], grad_outputs, grad_weight, work.product)
            np.dot(grad_outputs, transposed[number], grad_inputs)
            grad_outputs, grad_inputs = grad_inputs, grad_outputs


@jit
def head_forward(
    head: np.ndarray, weights: np.ndarray, features: np.ndarray, outputs: np.ndarray
) -> None:
    """Compute the outputs (R, O) of a layer without activation from features (R, H)."""
    np.dot(features, weight_of(head, weights), outputs)
    bias = bias_of(head, weights)
    for row in range(len(outputs)):
        for column in range(len(bias)):
            outputs[row, column] += bias[column]


@jit
def head_backward(
    head: np.ndarray,
    parameters: Parameters,
    features: np.ndarray,
    grad_outputs: np.ndarray,
    grad_features: np.ndarray,
    product: np.ndarray,
) -> None:
    """Add to the gradient of a head's weight and bias, and compute that of its features.

    Args:
        head: (4,), the layer.
        parameters: the weights and their gradient.
        features: (R, H), the features of `head_forward`.
        grad_outputs: (R, O), the gradient of the outputs.
        grad_features: (R, H), the gradient of the features, written in place.
        product: scratch array for the gradient of one chunk.
    """
    bias = bias_of(head, parameters.gradient)
    for row in range(len(grad_outputs)):
        for column in range(len(bias)):
            bias[column] += grad_outputs[row, column]
    add_product(features, grad_outputs, weight_of(head, parameters.gradient), product)
    np.dot(grad_outputs, weight_of(head, parameters.weights).T, grad_features)


@jit
def _through_activation(gradient: np.ndarray, derivatives: np.ndarray, bias: np.ndarray) -> None:
    """Turn outputs' gradient (R, H) into the products', and add it to the bias's gradient (H,)."""
    for row in range(gradient.shape[0]):
        for column in range(gradient.shape[1]):
            grad_product = gradient[row, column] * derivatives[row, column]
            gradient[row, column] = grad_product
            bias[column] += grad_product
