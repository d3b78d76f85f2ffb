"""The interfaces that torch's and Numba's parts of the algorithm share: acting and learning.

Axes: members M, workers N, steps T (see `buffer.py`), numbers A of an action.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from environments.interface import Observations

# Logged of each mini-batch, in this order.
LOGGED = (
    "loss/policy",
    "loss/value",
    "loss/total",
    "policy/entropy",
    "policy/kl_divergence",
    "policy/clip_fraction",
    "loss/gradient_norm",
)

# Factor by which the divergence of a mini-batch may exceed the target.
KL_MARGIN = 1.5


class Acting(Protocol):
    """Chooses the actions of a rollout.

    Attributes:
        value_features: (M, T, N, size), the features from which the value head computes values; None
            where acting doesn't compute them.
    """

    value_features: Tensor | None

    def begin(self) -> None:
        """Draw the random numbers of a rollout, each member's from its own generator."""

    def act(self, step: int, states: Tensor | None) -> tuple[np.ndarray, Tensor | None]:
        """Choose actions for the observations that the buffer holds of a step.

        Args:
            step: the position in the rollout.
            states: hidden states (M, N, state_size) before the step; None without recurrent layers.

        Returns:
            Actions (M * N, A) as environments take them, and the hidden states after the step.
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
            features: ([M,] T, N, size), the features of the values, where acting computed them; else
                None.
        """

    def learn(self, rates: Sequence[dict[str, float]]) -> Tensor:
        """Take an optimiser step for each mini-batch, and return the numbers that `LOGGED` names.

        Learning stops before a step from a policy that is too far from the one that acted (as in
        Spinning Up and, for each mini-batch, in Stable-Baselines3).

        Args:
            rates: each member's learning rate, entropy coefficient and clip range.

        Returns:
            (mini-batches, [M,] 7).
        """
