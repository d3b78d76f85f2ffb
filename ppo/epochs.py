"""What a learner does with a rollout: epochs of mini-batches, by torch or compiled by Numba."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

# What is logged of each mini-batch, in this order.
LOGGED = (
    "loss/policy",
    "loss/value",
    "loss/total",
    "policy/entropy",
    "policy/kl_divergence",
    "policy/clip_fraction",
    "loss/gradient_norm",
)

# Share of the target by which the divergence of a mini-batch may exceed it.
KL_MARGIN = 1.5


class Epochs(Protocol):
    """Trains one member, or all at once, on the rollout in the buffer."""

    def estimate_values(self, features: Tensor | None) -> Tensor:
        """The values ([M,] T, N) of the rollout, which is then prepared for learning.

        Args:
            features: ([M,] T, N, size), where acting gave those that values are made of; else None.
        """

    def learn(self, rates: Sequence[dict[str, float]]) -> Tensor:
        """Takes an optimiser step for each mini-batch, and returns what `LOGGED` names of each.

        It ends before a step from a policy that has gone too far from the one that acted (as Spinning
        Up does and, for each mini-batch, Stable-Baselines3).

        Args:
            rates: of each member, learning rate, entropy coefficient and clip range.

        Returns:
            (mini-batches, [M,] 7).
        """
