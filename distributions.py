"""Probability distributions over actions, as functions of a network's outputs.

Plain tensor arithmetic, without distribution objects: building those costs more than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class MultiCategorical:
    """Independent categorical distributions, one for each branch of a (multi-)discrete action.

    Args:
        branches: the number of choices of each branch. Their logits lie one after another.
    """

    def __init__(self, branches: Sequence[int]) -> None:
        self.branches = tuple(branches)

    @property
    def num_parameters(self) -> int:
        """How many network outputs describe one distribution."""
        return sum(self.branches)

    def noise(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Random numbers for `sample`, of shape (*shape, sum of branches), on the CPU.

        They are Gumbel-distributed: the greatest of the noisy logits is a draw from their softmax
        (Gumbel, 1954, Statistical theory of extreme values and some practical applications).
        """
        exponential = torch.empty(*shape, self.num_parameters).exponential_(generator=generator)
        return exponential.log_().neg_()

    def sample(self, logits: Tensor, noise: Tensor) -> Tensor:
        """Draws actions.

        Args:
            logits: (..., sum of branches), not normalised.
            noise: of the same shape, from `noise`.

        Returns:
            (..., branches) int64.
        """
        return self.mode(logits + noise)

    def mode(self, logits: Tensor) -> Tensor:
        """The most probable action, (..., branches) int64."""
        if len(self.branches) == 1:
            return logits.argmax(-1, keepdim=True)
        return torch.cat([part.argmax(-1, keepdim=True) for part in self._split(logits)], -1)

    def log_probability(self, logits: Tensor, actions: Tensor) -> Tensor:
        """The logarithm of the joint probability of (..., branches) actions, of shape (...)."""
        logs = [part.log_softmax(-1) for part in self._split(logits)]
        return self._joint_log_probability(logs, actions)

    def log_probability_and_entropy(self, logits: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """`log_probability` and the joint entropy in nats, both of shape (...)."""
        logs = [part.log_softmax(-1) for part in self._split(logits)]
        entropy = sum_all([-(log.exp() * log).sum(-1) for log in logs])
        return self._joint_log_probability(logs, actions), entropy

    def _split(self, logits: Tensor) -> Sequence[Tensor]:
        return (logits,) if len(self.branches) == 1 else logits.split(self.branches, dim=-1)

    def _joint_log_probability(self, logs: Sequence[Tensor], actions: Tensor) -> Tensor:
        return sum_all(
            [
                log.gather(-1, actions[..., branch : branch + 1]).squeeze(-1)
                for branch, log in enumerate(logs)
            ]
        )


def sum_all(tensors: Sequence[Tensor]) -> Tensor:
    """The sum of one or more tensors of equal shape."""
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return total
