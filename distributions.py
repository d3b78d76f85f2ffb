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
        return self.of_actions(self.log_probabilities(logits), actions)

    def log_probability_and_entropy(self, logits: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """`log_probability` and the joint entropy in nats, both of shape (...)."""
        logs = self.log_probabilities(logits)
        return self.of_actions(logs, actions), self.entropy(logs)

    def log_probabilities(self, logits: Tensor) -> list[Tensor]:
        """The logarithms of all choices' probabilities, (..., choices) for each branch."""
        return [part.log_softmax(-1) for part in self._split(logits)]

    def of_actions(self, logs: Sequence[Tensor], actions: Tensor) -> Tensor:
        """The joint logarithm (...) for actions (..., branches), from that of all choices."""
        chosen = [
            log.gather(-1, actions[..., branch : branch + 1]) for branch, log in enumerate(logs)
        ]
        return sum_all(chosen).squeeze(-1)

    def entropy(self, logs: Sequence[Tensor]) -> Tensor:
        """The joint entropy (...) in nats, from the logarithms of all choices' probabilities."""
        return sum_all([(log.exp() * log).sum(-1) for log in logs]).neg()

    def gradient(
        self,
        logs: Sequence[Tensor],
        actions: Tensor,
        by_log_probability: Tensor,
        by_entropy: Tensor,
    ) -> Tensor:
        """The gradient (..., sum of branches) of logits.

        With p = softmax(logits) and the branch's own entropy H, the logarithm of an action's
        probability has the slope [chosen] - p, and the entropy -p (log p + H).

        Args:
            logs: the logarithms of all choices' probabilities.
            actions: (..., branches).
            by_log_probability: (...), the slope of what is minimised by the actions' log-probability.
            by_entropy: (...), its slope by the joint entropy.
        """
        by_log_probability, by_entropy = by_log_probability.unsqueeze(-1), by_entropy.unsqueeze(-1)
        gradients = []
        for branch, log in enumerate(logs):
            probabilities = log.exp()
            mean_log = (probabilities * log).sum(-1, keepdim=True)
            # by_entropy * (mean_log - log) - by_log_probability
            slope = torch.addcmul(-by_log_probability, by_entropy, mean_log - log)
            gradient = probabilities.mul_(slope)
            chosen = actions[..., branch : branch + 1]
            gradients.append(gradient.scatter_add_(-1, chosen, by_log_probability))
        return gradients[0] if len(gradients) == 1 else torch.cat(gradients, -1)

    def _split(self, logits: Tensor) -> Sequence[Tensor]:
        return (logits,) if len(self.branches) == 1 else logits.split(self.branches, dim=-1)


def sum_all(tensors: Sequence[Tensor]) -> Tensor:
    """The sum of one or more tensors of equal shape."""
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return total
