"""Clips gradients, and takes steps of AdamW, in kernels.

AdamW is that of Loshchilov and Hutter, 2019, Decoupled weight decay regularization. P weights.
"""

from __future__ import annotations

import math

import numpy as np

from numerics.compiler import jit
from numerics.functions import f32
from ppo.by_numba.kernel_arguments import Parameters, Settings

_BETA_1, _BETA_2 = 0.9, 0.999  # as in `ppo/by_torch/optimiser.py`


@jit
def clip_norm(gradient: np.ndarray, highest: float) -> float:
    """Scale the gradient (P,) down to a norm of at most `highest`, and return its norm before."""
    norm = math.sqrt(np.dot(gradient, gradient))
    scale = f32(min(highest / (norm + 1e-6), 1.0))
    for place in range(len(gradient)):
        gradient[place] *= scale
    return norm


@jit
def step(parameters: Parameters, settings: Settings) -> None:
    """Take an optimiser step, and set the gradient to zero."""
    weights, gradient = parameters.weights, parameters.gradient
    first, second = parameters.first_moments, parameters.second_moments
    parameters.steps[0] += 1
    count = float(parameters.steps[0])
    # Bias corrections: both moments start at zero.
    first_correction, second_correction = 1 - _BETA_1**count, 1 - _BETA_2**count
    rate = f32(settings.learning_rate / first_correction)
    scale = f32(1 / math.sqrt(second_correction))
    kept = f32(1 - settings.learning_rate * settings.weight_decay)
    epsilon = f32(settings.epsilon)
    new_1, new_2 = f32(1 - _BETA_1), f32(1 - _BETA_2)
    for place in range(len(weights)):
        derivative = gradient[place]
        first[place] += new_1 * (derivative - first[place])
        second[place] += new_2 * (derivative * derivative - second[place])
        deviation = math.sqrt(second[place]) * scale + epsilon
        weights[place] = weights[place] * kept - rate * first[place] / deviation
        gradient[place] = f32(0)
