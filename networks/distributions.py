"""Probability distributions over actions, as functions of a network's outputs.

They are plain tensor arithmetic without distribution objects, as constructing those costs more than the
arithmetic. `gaussians.py` has the distributions over continuous actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

# Logit of a masked choice: its probability is 0 in float32, and its term of the entropy isn't NaN.
FORBIDDEN = -1e8


@dataclass
class Evaluation:
    """Log-probabilities and entropies of a distribution.

    Attributes:
        log_probability: (...), or (branches, ...) if each branch has its own probability ratio.
        entropy: (...), in nats.
    """

    log_probability: Tensor
    entropy: Tensor


class Distribution(Protocol):
    """A distribution over actions (..., A) for each of the parameters (..., P).

    Attributes:
        num_outputs: number of outputs of the policy's last layer.
        free_parameters: number of further parameters, which don't depend on the observation.
        ratios: number of probability ratios per action.
    """

    num_outputs: int
    free_parameters: int
    ratios: int

    def noise(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Return random numbers (*shape, ...) for `sample`, on the CPU."""

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Draw actions (..., A)."""

    def mode(self, parameters: Tensor) -> Tensor:
        """Return the action (..., A) of a policy that doesn't explore."""

    def log_probability(self, parameters: Tensor, actions: Tensor) -> Tensor:
        """Return the same as `Evaluation.log_probability`."""

    def evaluate(self, parameters: Tensor, actions: Tensor) -> Evaluation:
        """Return log-probabilities of actions, and entropies."""

    def for_environment(self, actions: Tensor) -> Tensor:
        """Return actions within the environment's bounds."""


class MultiCategorical:
    """Independent categorical distributions, one for each branch of a (multi-)discrete action.

    Args:
        branches: number of choices of each branch. The branches' logits are concatenated.
        ratio_of_each_branch: whether each branch has its own probability ratio.
    """

    free_parameters = 0

    def __init__(self, branches: Sequence[int], ratio_of_each_branch: bool = False) -> None:
        self.branches = tuple(branches)
        self.num_outputs = sum(branches)
        self.ratios = len(self.branches) if ratio_of_each_branch else 1

    def noise(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Return random numbers for `sample`, (*shape, sum of branches), on the CPU.

        They follow the Gumbel distribution: the greatest of the noisy logits is a draw from their
        softmax (Gumbel, 1954, Statistical theory of extreme values and some practical applications).
        """
        exponential = torch.empty(*shape, self.num_outputs).exponential_(generator=generator)
        return exponential.log_().neg_()

    def sample(self, logits: Tensor, noise: Tensor) -> Tensor:
        """Draw actions.

        Args:
            logits: (..., sum of branches), not normalised.
            noise: numbers from `noise`, of the same shape.

        Returns:
            (..., branches) int64.
        """
        return self.mode(logits + noise)

    def mode(self, logits: Tensor) -> Tensor:
        """Return the most probable action, (..., branches) int64."""
        if len(self.branches) == 1:
            return logits.argmax(-1, keepdim=True)
        return torch.cat([part.argmax(-1, keepdim=True) for part in self._split(logits)], -1)

    def for_environment(self, actions: Tensor) -> Tensor:
        """Return the actions unchanged, as choices have no bounds."""
        return actions

    def log_probability(self, logits: Tensor, actions: Tensor) -> Tensor:
        """Return the same as `Evaluation.log_probability`, for (..., branches) actions."""
        return self._of_actions(self._log_probabilities(logits), actions)

    def evaluate(self, logits: Tensor, actions: Tensor) -> Evaluation:
        """Return log-probabilities of (..., branches) actions, and joint entropies."""
        logs = self._log_probabilities(logits)
        entropy = sum_all([(log.exp() * log).sum(-1) for log in logs]).neg()
        return Evaluation(self._of_actions(logs, actions), entropy)

    def _log_probabilities(self, logits: Tensor) -> list[Tensor]:
        """Return log-probabilities of all choices, (..., choices) for each branch."""
        return [part.log_softmax(-1) for part in self._split(logits)]

    def _of_actions(self, logs: Sequence[Tensor], actions: Tensor) -> Tensor:
        """Select log-probabilities of actions (..., branches) from those of all choices."""
        chosen = [
            log.gather(-1, actions[..., branch : branch + 1]).squeeze(-1)
            for branch, log in enumerate(logs)
        ]
        return sum_all(chosen) if self.ratios == 1 else torch.stack(chosen)

    def _split(self, logits: Tensor) -> Sequence[Tensor]:
        return (logits,) if len(self.branches) == 1 else logits.split(self.branches, dim=-1)


def sum_all(tensors: Sequence[Tensor]) -> Tensor:
    """Return the sum of one or more tensors of equal shape."""
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return total
