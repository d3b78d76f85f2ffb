"""The interfaces of acting and learning, which `by_torch` and `by_numba` implement alike.

Axes: members M, workers N, steps T (see `buffer.py`), numbers A of an action.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from environments.interface import Observations

# Tags of the numbers logged for each mini-batch, in their order.
LOGGED = (
    "loss/policy",
    "loss/value",
    "loss/total",
    "policy/entropy",
    "policy/kl_divergence",
    "policy/clip_fraction",
    "loss/gradient_norm",
)

# Learning stops at a mini-batch with a KL divergence above `target_kl` times this factor.
KL_MARGIN = 1.5


class Acting(Protocol):
    """Chooses the actions of a rollout.

    Attributes:
        value_features: (M, T, N, size), inputs of the value head; None where acting doesn't compute
            them.
    """

    value_features: Tensor | None

    def begin(self) -> None:
        """Draw the random numbers of a rollout, each member's from its own generator."""

    def act(self, step: int, states: Tensor | None) -> tuple[np.ndarray, Tensor | None]:
        """Choose actions for the buffer's observations of a step.

        Args:
            step: the step's position in the rollout.
            states: (M, N, state_size), hidden states before the step; None without recurrent layers.

        Returns:
            Actions (M * N, A) as environments take them, and hidden states (M, N, state_size) after the
            step.
        """

    def values(self, observations: Observations, states: Tensor | None) -> Tensor:
        """Return the values (M, N) of observations (M * N, ...) and hidden states (M, N, state_size)."""

    def finish(self) -> None:
        """Store the rollout's actions and their log-probabilities in the buffer."""


class Epochs(Protocol):
    """Trains one member, or all at once, on the rollout in the buffer."""

    def estimate_values(self, features: Tensor | None) -> Tensor:
        """Prepare the rollout for learning, and return its values ([M,] T, N).

        Args:
            features: ([M,] T, N, size), inputs of the value head; None where acting doesn't compute
                them.
        """

    def learn(self, rates: Sequence[dict[str, float]]) -> Tensor:
        """Take an optimiser step for each mini-batch.

        With a `target_kl`, learning stops before the first step from a policy that is too far from the
        one that acted (as Spinning Up checks before each step, and Stable-Baselines3 for each
        mini-batch).

        Args:
            rates: each member's learning rate, entropy coefficient and clip range.

        Returns:
            (mini-batches, [M,] 7), the numbers that `LOGGED` names.
        """
