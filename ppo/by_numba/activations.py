"""Activations and their derivatives, as kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numerics.compiler import jit
from numerics.functions import ONE, clamp, expm1, f32, normal, sigmoid, tanh

_ZERO, _LEAK, _LOWEST = f32(0), f32(0.01), f32(-87)


@jit
def _elu(x: float) -> tuple[float, float]:
    below = expm1(clamp(x, _LOWEST, _ZERO))
    return (x, ONE) if x > _ZERO else (below, below + ONE)


@jit
def _leaky_relu(x: float) -> tuple[float, float]:
    derivative = ONE if x > _ZERO else _LEAK
    return x * derivative, derivative


@jit
def _relu(x: float) -> tuple[float, float]:
    # NaN stays NaN.
    return (_ZERO, _ZERO) if x <= _ZERO else (x, ONE)


@jit
def _swish(x: float) -> tuple[float, float]:
    share = sigmoid(x)
    return x * share, share * (ONE + x * (ONE - share))


@jit
def _tanh(x: float) -> tuple[float, float]:
    y = tanh(x)
    return y, ONE - y * y


@jit
def _gelu(x: float) -> tuple[float, float]:
    share, density = normal(x)
    return x * share, share + x * density


def _elementwise(function: Callable[[float], tuple[float, float]]) -> Any:
    """Compile a loop that applies an activation to a matrix, with SIMD instructions."""

    def apply(values: np.ndarray, bias: np.ndarray, derivatives: np.ndarray) -> None:
        for row in range(values.shape[0]):
            for column in range(values.shape[1]):
                output, derivative = function(values[row, column] + bias[column])
                values[row, column] = output
                derivatives[row, column] = derivative

    # A unique name, because Numba links cached and new machine code by name.
    apply.__name__ = apply.__qualname__ = f"apply{function.__name__}"
    return jit(apply)


_elus, _leaky_relus, _relus = _elementwise(_elu), _elementwise(_leaky_relu), _elementwise(_relu)
_swishes, _tanhs, _gelus = _elementwise(_swish), _elementwise(_tanh), _elementwise(_gelu)

# Names as in the schema; kernels take an activation's index.
ACTIVATIONS = ("elu", "leaky_relu", "relu", "swish", "tanh", "gelu")


@jit
def activate(
    activation: int, values: np.ndarray, bias: np.ndarray, derivatives: np.ndarray
) -> None:
    """Add a layer's bias to products (B, H), and apply the activation.

    Args:
        activation: the index in `ACTIVATIONS`.
        values: (B, H), products of inputs and weights; replaced by the layer's outputs.
        bias: (H,).
        derivatives: (B, H), the activation's derivatives, written in place.
    """
    if activation == 0:
        _elus(values, bias, derivatives)
    elif activation == 1:
        _leaky_relus(values, bias, derivatives)
    elif activation == 2:
        _relus(values, bias, derivatives)
    elif activation == 3:
        _swishes(values, bias, derivatives)
    elif activation == 4:
        _tanhs(values, bias, derivatives)
    else:
        _gelus(values, bias, derivatives)
