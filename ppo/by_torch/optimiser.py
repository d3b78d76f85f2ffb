"""AdamW over the flat weights of a population (Loshchilov and Hutter, 2019, Decoupled weight decay
regularization).

A single member takes steps of torch's own AdamW. That has one learning rate for all weights, so for
members that train at once, each with its own learning rate, the same arithmetic is written out here.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from model import MemberSelection

_BETA_1, _BETA_2 = 0.9, 0.999


class AdamW:
    """The optimiser of M members, and its state.

    Args:
        weights: (M, P), changed in place.
        gradients: (M, P), read at each step.
    """

    def __init__(self, weights: Tensor, gradients: Tensor) -> None:
        self._weights = weights
        self._gradients = gradients
        self._first_moments = torch.zeros_like(weights)
        self._second_moments = torch.zeros_like(weights)
        self._steps = torch.zeros(len(weights), 1, device=weights.device)

    @torch.no_grad()
    def step(
        self, rows: MemberSelection, learning_rate: Tensor, epsilon: Tensor, decay: Tensor
    ) -> None:
        """Take a step with the weights of one member or of all members.

        Args:
            rows: the member's row, or a slice of all rows.
            learning_rate: ([M,] 1).
            epsilon: ([M,] 1), added to the root of the second moment.
            decay: ([M,] 1), weight decay, decoupled from the gradient.
        """
        if isinstance(rows, int):
            self._step_one(rows, learning_rate.item(), epsilon.item(), decay.item())
        else:
            self._step_all(learning_rate, epsilon, decay)

    def _step_one(self, row: int, learning_rate: float, epsilon: float, decay: float) -> None:
        adamw(
            [self._weights[row]],
            [self._gradients[row]],
            [self._first_moments[row]],
            [self._second_moments[row]],
            [],
            [self._steps[row, 0]],
            fused=True,
            amsgrad=False,
            beta1=_BETA_1,
            beta2=_BETA_2,
            lr=learning_rate,
            weight_decay=decay,
            eps=epsilon,
            maximize=False,
        )

    def _step_all(self, learning_rate: Tensor, epsilon: Tensor, decay: Tensor) -> None:
        self._steps += 1
        self._weights.mul_(1 - learning_rate * decay)
        self._first_moments.lerp_(self._gradients, 1 - _BETA_1)
        self._second_moments.lerp_(self._gradients.square(), 1 - _BETA_2)
        # Correct the bias of moments that start at zero.
        first_share, second_share = 1 - _BETA_1**self._steps, 1 - _BETA_2**self._steps
        deviation = (self._second_moments / second_share).sqrt_().add_(epsilon)
        self._weights.addcmul_(self._first_moments / deviation, -learning_rate / first_share)

    def member_state(self, member: int) -> dict[str, Tensor]:
        """Return a copy of one member's state on the CPU, for a checkpoint."""
        return {name: values.cpu().clone() for name, values in self.state_of(member).items()}

    def state_of(self, member: int) -> dict[str, Tensor]:
        """Return views of one member's state: moments (P,) and the number of steps (1,)."""
        return {name: values[member] for name, values in self._state().items()}

    def restore(self, member: int, state: dict[str, Tensor]) -> None:
        """Restore one member's state from `member_state`."""
        for name, values in self.state_of(member).items():
            values.copy_(state[name])

    def _state(self) -> dict[str, Tensor]:
        return {
            "first_moments": self._first_moments,
            "second_moments": self._second_moments,
            "steps": self._steps,
        }
