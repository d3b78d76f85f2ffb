"""Estimates advantages by Numba, with the same result as `RolloutBuffer.estimate_advantages`."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from buffer import RolloutBuffer
from numerics.compiler import entry
from numerics.functions import f32


def estimate_advantages(
    buffer: RolloutBuffer, last_values: Tensor, gamma: Tensor, lamda: Tensor
) -> None:
    """Estimate the advantages and returns of the rollouts in a buffer on the CPU.

    Args:
        buffer: the rollouts.
        last_values: (M, N), values of the observations that follow the rollouts.
        gamma: (M, 1), each member's discount factor.
        lamda: (M, 1), each member's lambda of generalised advantage estimation.
    """
    estimate_kernel(
        buffer.rewards.numpy(),
        buffer.ends.numpy(),
        buffer.final_values.numpy(),
        buffer.values.numpy(),
        last_values.numpy(),
        gamma.numpy(),
        lamda.numpy(),
        buffer.advantages.numpy(),
        buffer.returns.numpy(),
    )
    assert len(estimate_kernel.overloads) == 1, "compiled for several types"


@entry
def estimate_kernel(
    rewards: np.ndarray,
    ends: np.ndarray,
    final_values: np.ndarray,
    values: np.ndarray,
    last_values: np.ndarray,
    gamma: np.ndarray,
    lamda: np.ndarray,
    advantages: np.ndarray,
    returns: np.ndarray,
) -> None:
    """Compute `estimate_advantages` on arrays (M, T, N), and last values, gamma and lamda as there."""
    members, steps, workers = rewards.shape
    for member in range(members):
        discount, decay = gamma[member, 0], gamma[member, 0] * lamda[member, 0]
        for worker in range(workers):
            following, advantage = last_values[member, worker], f32(0)
            for step in range(steps - 1, -1, -1):
                value = values[member, step, worker]
                if ends[member, step, worker]:
                    following, advantage = final_values[member, step, worker], f32(0)
                error = rewards[member, step, worker] + discount * following - value
                advantage = error + decay * advantage
                advantages[member, step, worker] = advantage
                returns[member, step, worker] = advantage + value
                following = value
