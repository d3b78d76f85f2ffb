"""Activations, and their slopes for the way back."""

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
    slope = ONE if x > _ZERO else _LEAK
    return x * slope, slope


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


def _to_all(function: Callable[[float], tuple[float, float]]) -> Any:
    """Compiles a loop that a processor runs for whole vectors."""

    def apply(values: np.ndarray, bias: np.ndarray, slopes: np.ndarray) -> None:
        for row in range(values.shape[0]):
            for column in range(values.shape[1]):
                output, slope = function(values[row, column] + bias[column])
                values[row, column] = output
                slopes[row, column] = slope

    # Compiled code that was kept and code that is new are linked by their names.
    apply.__name__ = apply.__qualname__ = f"apply{function.__name__}"
    return jit(apply)


_elus, _leaky_relus, _relus = _to_all(_elu), _to_all(_leaky_relu), _to_all(_relu)
_swishes, _tanhs, _gelus = _to_all(_swish), _to_all(_tanh), _to_all(_gelu)

# As the schema names them; an activation's number is its place.
ACTIVATIONS = ("elu", "leaky_relu", "relu", "swish", "tanh", "gelu")


@jit
def activate(activation: int, values: np.ndarray, bias: np.ndarray, slopes: np.ndarray) -> None:
    """Products (B, H) become a layer's outputs.

    Args:
        activation: its number.
        values: (B, H), the products of inputs and weights; changed in place.
        bias: (H,).
        slopes: (B, H), becomes the derivative of each output by what went into the activation.
    """
    if activation == 0:
        _elus(values, bias, slopes)
    elif activation == 1:
        _leaky_relus(values, bias, slopes)
    elif activation == 2:
        _relus(values, bias, slopes)
    elif activation == 3:
        _swishes(values, bias, slopes)
    elif activation == 4:
        _tanhs(values, bias, slopes)
    else:
        _gelus(values, bias, slopes)
