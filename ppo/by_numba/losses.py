"""Computes PPO's losses and their gradients in kernels, with the results of `ppo/by_torch/losses.py`.

The losses are those of Schulman et al., 2017, Proximal policy optimization algorithms. The sums over a
mini-batch are float64, so that its division into chunks doesn't matter. They are, in this order: policy
loss, value loss, entropy, divergence, share of clipped ratios.

Axes: S steps of a chunk, R distinct
observations in it.
"""

from __future__ import annotations

import math

import numpy as np

from numerics.compiler import inlined, jit
from numerics.functions import ONE, clamp, f32
from ppo.by_numba.inputs import set_zero
from ppo.by_numba.kernel_arguments import Chunk, MiniBatchStatistics, Update

_ZERO = f32(0)
POLICY, VALUE, ENTROPY, DIVERGENCE, CLIPPED = range(5)


@jit
def advantage_moments(advantages: np.ndarray, steps: np.ndarray) -> tuple[float, float]:
    """Return the mean, and standard deviation plus 1e-8, of the advantages at some steps (steps,)."""
    total = 0.0
    for step in steps:
        total += advantages[step]
    mean = total / len(steps)
    squares = 0.0
    for step in steps:
        squares += (advantages[step] - mean) ** 2
    return f32(mean), f32(math.sqrt(squares / len(steps)) + 1e-8)


@inlined
def policy_loss(update: Update, batch: MiniBatchStatistics, chunk: Chunk) -> None:
    """Add a chunk's policy losses, and replace its log-probabilities (ratios, S) by their gradient."""
    rollout, work, sums = update.rollout, update.work, batch.sums
    clip_range = update.settings.clip_range
    lowest, highest = f32(1 - clip_range), f32(1 + clip_range)
    ratios = len(work.log_probabilities)
    share = 1 / ratios
    scale = f32(-1 / (batch.size * ratios))
    for number in range(len(chunk.steps)):
        step = chunk.steps[number]
        advantage = (rollout.advantages[step] - batch.mean) / batch.deviation
        for branch in range(ratios):
            before = rollout.log_probabilities[branch, step]
            log_ratio = work.log_probabilities[branch, number] - before
            ratio = math.exp(log_ratio)
            clipped = clamp(ratio, lowest, highest)
            gain, clipped_gain = ratio * advantage, clipped * advantage
            # If the clipped gain is the smaller one, it is constant. NaN stays NaN.
            is_constant = gain > clipped_gain
            work.log_probabilities[branch, number] = _ZERO if is_constant else gain * scale
            sums[POLICY] -= share * (clipped_gain if is_constant else gain)
            sums[DIVERGENCE] += ratio - ONE - log_ratio
            sums[CLIPPED] += share * (ratio != clipped)
        sums[ENTROPY] += work.entropies[chunk.rows[number]]


@inlined
def value_loss(update: Update, batch: MiniBatchStatistics, chunk: Chunk) -> None:
    """Add a chunk's value losses, and compute the gradient of its estimated values (R, 1)."""
    rollout, work, settings = update.rollout, update.work, update.settings
    clip_range = f32(settings.clip_range)
    scale = f32(2 * settings.value_coefficient / batch.size)
    set_zero(work.grad_estimates[: len(chunk.observed)])
    for number in range(len(chunk.steps)):
        row, step = chunk.rows[number], chunk.steps[number]
        value, before, target = work.estimates[row, 0], rollout.values[step], rollout.returns[step]
        error = value - target
        square, derivative = error * error, error * scale
        if settings.clip_value:
            change = value - before
            moved = clamp(change, -clip_range, clip_range)
            clipped_error = before + moved - target
            clipped_square = clipped_error * clipped_error
            # If the clipped error is the larger one, it is constant. If nothing is clipped, the two
            # differ by rounding only.
            if clipped_square > square:
                derivative = derivative if moved == change else _ZERO
                square = clipped_square
        batch.sums[VALUE] += square
        work.grad_estimates[row, 0] += derivative
