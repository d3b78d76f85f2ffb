"""Estimates advantages, by Numba where the networks learn by Numba and by torch elsewhere."""

from __future__ import annotations

from torch import Tensor

from ppo.parts import Parts


def estimate_advantages(parts: Parts, last_values: Tensor, gamma: Tensor, lamda: Tensor) -> None:
    """Estimate the buffer's advantages and returns, as `RolloutBuffer.estimate_advantages` defines them.

    Args:
        parts: the population in training.
        last_values: (M, N), values of the observations after the rollout.
        gamma: (M, 1), discount factors.
        lamda: (M, 1), the lambda of generalised advantage estimation.
    """
    if not parts.uses_numba:
        parts.buffer.estimate_advantages(last_values, gamma, lamda)
        return
    # Imported here because Numba takes half a second to load.
    from ppo.by_numba import advantages

    advantages.estimate_advantages(parts.buffer, last_values, gamma, lamda)
