"""Probability distributions over actions, as functions of a network's outputs.

Plain tensor arithmetic, without distribution objects: building those costs more than the arithmetic.
Those of continuous actions are in `gaussians.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

# Logit of what a mask forbids: its probability is 0 in float32, and its share of an entropy isn't NaN.
FORBIDDEN = -1e8


@dataclass
class Evaluation:
    """What a distribution says of actions.

    Attributes:
        log_probability: (...), or (branches, ...) where each branch has a probability ratio of its own.
        entropy: (...), in nats.
    """

    log_probability: Tensor
    entropy: Tensor


class Distribution(Protocol):
    """A distribution over actions (..., A) for each of the parameters (..., P).

    Attributes:
        num_outputs: how many numbers the policy's last layer gives.
        free_parameters: how many more parameters there are, which don't depend on the observation.
        ratios: how many probability ratios there are for an action.
    """

    num_outputs: int
    free_parameters: int
    ratios: int

    def noise(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Random numbers (*shape, ...) for `sample`, on the CPU."""

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Draws actions (..., A)."""

    def mode(self, parameters: Tensor) -> Tensor:
        """The action (..., A) of a policy that isn't to explore."""

    def log_probability(self, parameters: Tensor, actions: Tensor) -> Tensor:
        """As `Evaluation.log_probability`."""

    def evaluate(self, parameters: Tensor, actions: Tensor) -> Evaluation:
        """Log-probabilities of actions, and entropies."""

    def for_environment(self, actions: Tensor) -> Tensor:
        """Actions as the environment takes them: within its bounds."""


class MultiCategorical:
    """Independent categorical distributions, one for each branch of a (multi-)discrete action.

    Args:
        branches: the number of choices of each branch. Their logits lie one after another.
        ratio_of_each_branch: whether each branch has a probability ratio of its own.
    """

    free_parameters = 0

    def __init__(self, branches: Sequence[int], ratio_of_each_branch: bool = False) -> None:
        self.branches = tuple(branches)
        self.num_outputs = sum(branches)
        self.ratios = len(self.branches) if ratio_of_each_branch else 1

    def noise(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Random numbers for `sample`, of shape (*shape, sum of branches), on the CPU.

        They are Gumbel-distributed: the greatest of the noisy logits is a draw from their softmax
        (Gumbel, 1954, Statistical theory of extreme values and some practical applications).
        """
        exponential = torch.empty(*shape, self.num_outputs).exponential_(generator=generator)
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

    def for_environment(self, actions: Tensor) -> Tensor:
        """Choices need no change."""
        return actions

    def log_probability(self, logits: Tensor, actions: Tensor) -> Tensor:
        """As `Evaluation.log_probability`, of (..., branches) actions."""
        return self._of_actions(self._log_probabilities(logits), actions)

    def evaluate(self, logits: Tensor, actions: Tensor) -> Evaluation:
        """Log-probabilities of (..., branches) actions, and joint entropies."""
        logs = self._log_probabilities(logits)
        entropy = sum_all([(log.exp() * log).sum(-1) for log in logs]).neg()
        return Evaluation(self._of_actions(logs, actions), entropy)

    def _log_probabilities(self, logits: Tensor) -> list[Tensor]:
        """The logarithms of all choices' probabilities, (..., choices) for each branch."""
        return [part.log_softmax(-1) for part in self._split(logits)]

    def _of_actions(self, logs: Sequence[Tensor], actions: Tensor) -> Tensor:
        """The logarithm for actions (..., branches), from that of all choices."""
        chosen = [
            log.gather(-1, actions[..., branch : branch + 1]).squeeze(-1)
            for branch, log in enumerate(logs)
        ]
        return sum_all(chosen) if self.ratios == 1 else torch.stack(chosen)

    def _split(self, logits: Tensor) -> Sequence[Tensor]:
        return (logits,) if len(self.branches) == 1 else logits.split(self.branches, dim=-1)


def sum_all(tensors: Sequence[Tensor]) -> Tensor:
    """The sum of one or more tensors of equal shape."""
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return total
