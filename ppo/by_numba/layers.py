"""Fully connected layers, whose weights lie in one row of numbers.

A layer is four integers: where its weight (inputs, outputs) and its bias begin, inputs, outputs.
"""

from __future__ import annotations

import numpy as np

import numerics.products  # noqa: F401  # on one thread
from numerics.compiler import jit
from ppo.by_numba.activations import activate
from ppo.by_numba.arguments import Inputs, Parameters, Workspace
from ppo.by_numba.inputs import add_product, inputs_backward, inputs_forward


@jit
def weight_of(layer: np.ndarray, row: np.ndarray) -> np.ndarray:
    """The weight (inputs, outputs) of a layer, or its gradient, in a row (P,) of all."""
    start, inputs, outputs = layer[0], layer[2], layer[3]
    return row[start : start + inputs * outputs].reshape(inputs, outputs)


@jit
def bias_of(layer: np.ndarray, row: np.ndarray) -> np.ndarray:
    """The bias (outputs,) of a layer, or its gradient, in a row (P,) of all."""
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
    """The outputs (R, H) of the last of L hidden layers.

    Args:
        trunk: (L, 4), the layers.
        activation: its number.
        weights: (P,).
        inputs: of which some were gathered.
        rows: R.
        work: takes the outputs of each layer, and the derivatives of the activations.
    """
    inputs_forward(inputs, weight_of(trunk[0], weights), work, work.values[0][:rows])
    return forward_rest(trunk, activation, weights, rows, work)


@jit
def forward_rest(
    trunk: np.ndarray, activation: int, weights: np.ndarray, rows: int, work: Workspace
) -> np.ndarray:
    """As `forward`, of which the first layer's products are there already."""
    for number in range(len(trunk)):
        layer, outputs = trunk[number], work.values[number][:rows]
        if number > 0:
            np.dot(work.values[number - 1][:rows], weight_of(layer, weights), outputs)
        activate(activation, outputs, bias_of(layer, weights), work.slopes[number][:rows])
    return work.values[len(trunk) - 1][:rows]


@jit
def transpose(trunk: np.ndarray, weights: np.ndarray, transposed: np.ndarray) -> None:
    """Writes the transposed weights of all hidden layers but the first into (L, H, H).

    Products with these take two thirds of the time, and they serve all chunks of a mini-batch.
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
    """Adds the gradients of L hidden layers' weights and biases.

    Args:
        trunk: (L, 4), the layers.
        parameters: the weights, and their gradient.
        transposed: (L, H, H), as `transpose` wrote them.
        inputs: as `forward` got them.
        rows: R.
        work: as `forward` left it, with the gradient of the last layer's outputs in `by_features`.
    """
    by_outputs, by_inputs = work.by_features[:rows], work.by_more_features[:rows]
    for number in range(len(trunk) - 1, -1, -1):
        layer = trunk[number]
        by_bias = bias_of(layer, parameters.gradient)
        _through_activation(by_outputs, work.slopes[number][:rows], by_bias)
        by_weight = weight_of(layer, parameters.gradient)
        if number == 0:
            inputs_backward(inputs, by_outputs, work, by_weight)
        else:
            add_product(work.values[number - 1][:rows], by_outputs, by_weight, work.product)
            np.dot(by_outputs, transposed[number], by_inputs)
            by_outputs, by_inputs = by_inputs, by_outputs


@jit
def head_forward(
    head: np.ndarray, weights: np.ndarray, features: np.ndarray, outputs: np.ndarray
) -> None:
    """Features (R, H) -> outputs (R, O) of a layer without activation."""
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
    by_outputs: np.ndarray,
    by_features: np.ndarray,
    product: np.ndarray,
) -> None:
    """Adds the gradient of a head, and finds that of its features.

    Args:
        head: (4,), the layer.
        parameters: the weights, and their gradient.
        features: (R, H), as `head_forward` got them.
        by_outputs: (R, O), the gradient of the outputs.
        by_features: (R, H), becomes the gradient of the features.
        product: memory for that of a weight.
    """
    bias = bias_of(head, parameters.gradient)
    for row in range(len(by_outputs)):
        for column in range(len(bias)):
            bias[column] += by_outputs[row, column]
    add_product(features, by_outputs, weight_of(head, parameters.gradient), product)
    np.dot(by_outputs, weight_of(head, parameters.weights).T, by_features)


@jit
def _through_activation(gradient: np.ndarray, slopes: np.ndarray, bias: np.ndarray) -> None:
    """The gradient (B, H) of outputs becomes that of products, and is added to the bias's (H,)."""
    for row in range(gradient.shape[0]):
        for column in range(gradient.shape[1]):
            by_product = gradient[row, column] * slopes[row, column]
            gradient[row, column] = by_product
            bias[column] += by_product
