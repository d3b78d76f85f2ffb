"""AdamW over the flat weights of a population (Loshchilov and Hutter, 2019, Decoupled weight decay
regularization).

It is torch's own where one member is trained at a time. Torch's takes one learning rate for all, so
members that are trained at once, with a learning rate each, have the same arithmetic written out.
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
        """Takes a step with the weights of one member, or of all.

        Args:
            rows: whose.
            learning_rate: ([M,] 1).
            epsilon: ([M,] 1), added to the root of the second moment.
            decay: ([M,] 1), of the weights, decoupled from the gradient.
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
        # Both moments begin at zero, which these make up for.
        first_share, second_share = 1 - _BETA_1**self._steps, 1 - _BETA_2**self._steps
        deviation = (self._second_moments / second_share).sqrt_().add_(epsilon)
        self._weights.addcmul_(self._first_moments / deviation, -learning_rate / first_share)

    def member_state(self, member: int) -> dict[str, Tensor]:
        """The state of one member on the CPU, for a checkpoint."""
        return {name: values.cpu().clone() for name, values in self.state_of(member).items()}

    def state_of(self, member: int) -> dict[str, Tensor]:
        """The state of one member, as it is in memory: moments (P,) and the number of steps (1,)."""
        return {name: values[member] for name, values in self._state().items()}

    def restore(self, member: int, state: dict[str, Tensor]) -> None:
        """Takes over what `member_state` gave."""
        for name, values in self.state_of(member).items():
            values.copy_(state[name])

    def _state(self) -> dict[str, Tensor]:
        return {
            "first_moments": self._first_moments,
            "second_moments": self._second_moments,
            "steps": self._steps,
        }
