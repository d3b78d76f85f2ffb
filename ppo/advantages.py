"""Estimates advantages, by Numba where the networks learn by Numba."""

from __future__ import annotations

from torch import Tensor

from ppo.parts import Parts


def estimate_advantages(parts: Parts, last_values: Tensor, gamma: Tensor, lamda: Tensor) -> None:
    """Do as `RolloutBuffer.estimate_advantages`, which defines advantages.

    Args:
        parts: the population in training.
        last_values: (M, N).
        gamma: (M, 1).
        lamda: (M, 1).
    """
    if not parts.uses_numba:
        parts.buffer.estimate_advantages(last_values, gamma, lamda)
        return
    # Importing Numba takes half a second, which other trainings needn't wait for.
    from ppo.by_numba import advantages

    advantages.estimate_advantages(parts.buffer, last_values, gamma, lamda)
