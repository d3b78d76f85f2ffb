"""Trains networks on a rollout: epochs of mini-batches, PPO's losses, gradients, optimiser steps.

A learner has either one member or all of a population. On a CPU members learn one after the other,
as a member's weights and mini-batch then stay in the cache; on a GPU all learn at once, as there the
time goes into launching kernels.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from buffer import MiniBatch, RolloutBuffer, normalise_advantages
from columns import Columns
from gradients import Gradients, RecordedGradients, WrittenGradients
from losses import Coefficients
from member import Member
from model import Population, Rows
from optimiser import AdamW

# Gradients of stacked members are views of the population's rows, which the warning is about; the
# weights are such views too, so that no layout fits better.
warnings.filterwarnings("ignore", message="grad and param do not obey the gradient layout contract")

# What is logged of each mini-batch, in this order.
_LOGGED = (
    "loss/policy",
    "loss/value",
    "loss/total",
    "policy/entropy",
    "policy/kl_divergence",
    "policy/clip_fraction",
    "loss/gradient_norm",
)


class Learner:
    """Trains one member, or all at once.

    Args:
        rows: which members.
        members: these members; all have the same epochs, mini-batches and normalisation.
        population: the networks of all members.
        buffer: the rollouts of all members.
        optimiser: of all members.
        compiled: whether to compile the losses with `torch.compile`.

    Attributes:
        rows: which members.
    """

    def __init__(
        self,
        rows: Rows,
        members: Sequence[Member],
        population: Population,
        buffer: RolloutBuffer,
        optimiser: AdamW,
        compiled: bool,
    ) -> None:
        self.rows = rows
        self._members = members
        self._shared = members[0].config
        self._network = population.part(rows)
        self._gradients = population.gradients[rows]
        self._device = population.weights.device
        self._buffer = buffer
        self._optimiser = optimiser
        self._compiled = compiled
        self._evaluate: Gradients
        if isinstance(rows, int) and self._network.is_dense and not compiled:
            self._evaluate = WrittenGradients(self._network)
        else:
            self._evaluate = RecordedGradients(self._network, compiled)
        self._observations: dict[str, Tensor] = {}
        self._columns: Columns | None = None
        self._value_coefficient = self._stack([m.config.value_coefficient for m in members])
        self._max_grad_norm = self._stack([m.config.max_grad_norm for m in members])
        self._epsilon = self._stack([m.config.adam_epsilon for m in members])
        self._weight_decay = self._stack([m.config.weight_decay for m in members])

    def _stack(self, values: list[float]) -> Tensor:
        """A number of each member -> ([M,] 1)."""
        stacked = torch.tensor(values, device=self._device)
        return stacked if isinstance(self.rows, int) else stacked.unsqueeze(1)

    @torch.no_grad()
    def estimate_values(self, features: Tensor | None) -> None:
        """Estimates the values of the rollout in the buffer, and prepares to learn from it.

        Args:
            features: ([M,] T, N, size) of a trunk that policy and value function share; else None.
        """
        self._observations = self._buffer.batch_observations(self.rows)
        # Their number changes, and what is compiled would have to be compiled anew each time.
        if not self._compiled:
            self._columns = self._network.find_columns(self._observations)
        if self._columns is not None:
            self._observations = {
                name: self._columns.select(values) for name, values in self._observations.items()
            }
        if features is None:
            self._buffer.values[self.rows] = self._values_of_observations()
        else:
            # [M x] T x N x size -> [M x] (T * N) x size, and back
            values = self._network.value_features(features.flatten(-3, -2))
            self._buffer.values[self.rows] = values.unflatten(-1, (self._buffer.steps, -1))

    def _values_of_observations(self) -> Tensor:
        """Values ([M,] T, N), a mini-batch at a time so as not to need more memory than learning."""
        axis = () if isinstance(self.rows, int) else (len(self._members),)
        shaped = {
            # ([M *] T * N) x ... -> [M x] (T * N) x ...
            name: values.view(*axis, self._buffer.size, *values.shape[1:])
            for name, values in self._observations.items()
        }
        size = self._buffer.size // self._shared.num_mini_batches
        parts = []
        for start in range(0, self._buffer.size, size):
            observed = {
                name: values.narrow(len(axis), start, size).to(self._device)
                for name, values in shaped.items()
            }
            parts.append(self._network.values(observed, self._columns))
        values = torch.cat(parts, -1).to(self._buffer.storage)
        return values.unflatten(-1, (self._buffer.steps, -1))

    @property
    def failed(self) -> bool:
        """Whether no member is left to be trained."""
        return all(member.failure for member in self._members)

    @torch.no_grad()
    def learn(self, update: int) -> None:
        """Trains on the rollout whose values were estimated, and notes what is logged.

        A member whose losses are no longer finite gets a `failure`.

        Args:
            update: how many updates are done before this one.
        """
        rates = [member.scheduled(update) for member in self._members]
        learning_rate = self._stack([rate["learning_rate"] for rate in rates])
        coefficients = Coefficients(
            clip_range=self._stack([rate["clip_range"] for rate in rates]),
            beta=self._stack([rate["beta"] for rate in rates]),
            value_coefficient=self._value_coefficient,
        )
        if self._shared.advantage_normalization == "batch":
            self._buffer.normalise_advantages(self.rows)
        count = self._shared.num_mini_batches
        totals = torch.zeros(
            (*self._value_coefficient.shape[:-1], len(_LOGGED)), device=self._device
        )
        for _ in range(self._shared.epochs):
            order = self._order()
            for batch in self._buffer.mini_batches(self.rows, self._observations, order, count):
                totals += self._learn_mini_batch(batch, coefficients, learning_rate)
        means = (totals / (self._shared.epochs * count)).view(-1, len(_LOGGED)).tolist()
        for member, losses, rate in zip(self._members, means, rates, strict=True):
            if not all(map(math.isfinite, losses)):
                member.failure = member.failure or f"a loss is not finite in update {update + 1}"
            member.scalars = dict(zip(_LOGGED, losses, strict=True))
            member.scalars |= {f"schedule/{name}": value for name, value in rate.items()}

    def _order(self) -> Tensor:
        """A random order ([M,] T * N) of each member's steps, drawn by its own generator."""
        orders = [
            torch.randperm(self._buffer.size, generator=member.shuffling_generator)
            for member in self._members
        ]
        return orders[0] if isinstance(self.rows, int) else torch.stack(orders)

    def _learn_mini_batch(
        self, batch: MiniBatch, coefficients: Coefficients, learning_rate: Tensor
    ) -> Tensor:
        """Takes one optimiser step and returns what `_LOGGED` names, ([M,] 7)."""
        if self._shared.advantage_normalization == "minibatch":
            batch.advantages = normalise_advantages(batch.advantages)
        self._gradients.zero_()
        losses = self._evaluate(batch, self._columns, coefficients)
        norm = self._gradients.norm(dim=-1, keepdim=True)
        self._gradients.mul_((self._max_grad_norm / (norm + 1e-6)).clamp_(max=1.0))
        self._optimiser.step(self.rows, learning_rate, self._epsilon, self._weight_decay)
        parts = (
            losses.policy,
            losses.value,
            losses.total,
            losses.entropy,
            losses.kl_divergence,
            losses.clip_fraction,
            norm.squeeze(-1),
        )
        return torch.stack(parts, -1)
