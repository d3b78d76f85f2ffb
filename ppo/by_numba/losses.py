"""The losses of PPO and their gradients, as `ppo/by_torch/losses.py` defines them (Schulman et al.,
2017, Proximal policy optimization algorithms).

Sums of a mini-batch are float64, so that it doesn't matter into how many chunks it was cut. They are, in
this order: policy loss, value loss, entropy, divergence, clipped ratios.
"""

from __future__ import annotations

import math

import numpy as np

from numerics.compiler import inlined, jit
from numerics.functions import ONE, clamp, f32
from ppo.by_numba.arguments import Batch, Chunk, Update
from ppo.by_numba.inputs import set_zero

_ZERO = f32(0)
POLICY, VALUE, ENTROPY, DIVERGENCE, CLIPPED = range(5)


@jit
def advantage_moments(advantages: np.ndarray, steps: np.ndarray) -> tuple[float, float]:
    """Mean, and what to divide by, of the advantages of a mini-batch's steps (B,)."""
    total = 0.0
    for step in steps:
        total += advantages[step]
    mean = total / len(steps)
    squares = 0.0
    for step in steps:
        squares += (advantages[step] - mean) ** 2
    return f32(mean), f32(math.sqrt(squares / len(steps)) + 1e-8)


@inlined
def policy_loss(update: Update, batch: Batch, chunk: Chunk) -> None:
    """Log-probabilities (ratios, S) of a chunk's actions become the slopes of the total loss."""
    rollout, work, sums = update.rollout, update.work, batch.sums
    clip_range = update.settings.clip_range
    least, greatest = f32(1 - clip_range), f32(1 + clip_range)
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
            clipped = clamp(ratio, least, greatest)
            gain, clipped_gain = ratio * advantage, clipped * advantage
            # Where the clipped gain is the smaller one it is constant. NaN stays NaN.
            is_constant = gain > clipped_gain
            work.log_probabilities[branch, number] = _ZERO if is_constant else gain * scale
            sums[POLICY] -= share * (clipped_gain if is_constant else gain)
            sums[DIVERGENCE] += ratio - ONE - log_ratio
            sums[CLIPPED] += share * (ratio != clipped)
        sums[ENTROPY] += work.entropies[chunk.rows[number]]


@inlined
def value_loss(update: Update, batch: Batch, chunk: Chunk) -> None:
    """Finds the slopes of the total loss by the estimates (R, 1) of a chunk's values."""
    rollout, work, settings = update.rollout, update.work, update.settings
    clip_range = f32(settings.clip_range)
    scale = f32(2 * settings.value_coefficient / batch.size)
    set_zero(work.by_estimates[: len(chunk.observed)])
    for number in range(len(chunk.steps)):
        row, step = chunk.rows[number], chunk.steps[number]
        value, before, wanted = work.estimates[row, 0], rollout.values[step], rollout.returns[step]
        error = value - wanted
        square, slope = error * error, error * scale
        if settings.clip_value:
            change = value - before
            moved = clamp(change, -clip_range, clip_range)
            clipped_error = before + moved - wanted
            clipped_square = clipped_error * clipped_error
            # Where the clipped error is the greater one it is constant. Where nothing is clipped the
            # two differ by rounding only.
            if clipped_square > square:
                slope = slope if moved == change else _ZERO
                square = clipped_square
        batch.sums[VALUE] += square
        work.by_estimates[row, 0] += slope
