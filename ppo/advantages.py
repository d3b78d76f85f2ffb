"""Estimates advantages, compiled where the networks learn in compiled code."""

from __future__ import annotations

from torch import Tensor

from buffer import RolloutBuffer


def estimate_advantages(
    buffer: RolloutBuffer, last_values: Tensor, gamma: Tensor, lamda: Tensor, compiled: bool
) -> None:
    """As `RolloutBuffer.estimate_advantages`, which defines them.

    Args:
        buffer: the rollouts.
        last_values: (M, N).
        gamma: (M, 1).
        lamda: (M, 1).
        compiled: whether the learners are compiled by Numba.
    """
    if not compiled:
        buffer.estimate_advantages(last_values, gamma, lamda)
        return
    # Loading Numba takes half a second, which others needn't wait for.
    from ppo.by_numba import advantages

    advantages.estimate_advantages(buffer, last_values, gamma, lamda)
