"""Trains networks on a rollout: epochs of mini-batches, PPO's losses, gradients, optimiser steps.

A learner trains one member or a whole population. On a CPU members learn one after the other, so that
a member's weights and mini-batch stay in the processor's cache. On a GPU all members learn at once, as
launching kernels takes most of the time there.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from model import MemberSelection
from ppo.by_torch.epochs import TorchEpochs
from ppo.interface import LOGGED, Epochs
from ppo.parts import Parts
from ppo.run.member import TrainingDivergedError


class Learner:
    """Trains one member, or all at once.

    Args:
        rows: the members to train; all have the same epochs, mini-batches and normalisation.
        parts: the population in training.

    Attributes:
        rows: the members to train.
        epochs: does the arithmetic, by Numba or by torch.
    """

    def __init__(self, rows: MemberSelection, parts: Parts) -> None:
        self.rows = rows
        self._members = parts.selected(rows)
        self._weights = parts.population.weights[rows]
        self._buffer = parts.buffer
        self.epochs: Epochs
        if isinstance(rows, int) and parts.uses_numba:
            # Imported here because Numba takes half a second to load.
            from ppo.by_numba.epochs import NumbaEpochs

            self.epochs = NumbaEpochs(rows, parts)
        else:
            self.epochs = TorchEpochs(rows, parts)

    @torch.no_grad()
    def estimate_values(self, features: Tensor | None) -> None:
        """Estimate the values of the rollout in the buffer, and prepare to learn from it.

        Args:
            features: ([M,] T, N, size), inputs of the value head; None where acting doesn't compute
                them.
        """
        self._buffer.values[self.rows] = self.epochs.estimate_values(features)

    @property
    def failed(self) -> bool:
        """Whether all members of this learner have failed."""
        return all(member.failure for member in self._members)

    @torch.no_grad()
    def learn(self, update: int) -> None:
        """Train on the rollout after `estimate_values`, and set the members' scalars.

        Sets a member's `failure` if its losses or weights are no longer finite.

        Args:
            update: number of updates done before this one.
        """
        if self._members[0].config.advantage_normalization == "batch":
            self._buffer.normalise_advantages(self.rows)
        rates = [member.scheduled(update) for member in self._members]
        logged = self.epochs.learn(rates)
        means = logged.mean(0).view(-1, len(LOGGED)).tolist()
        # The last step may break the weights after finite losses, and no checkpoint should keep them.
        intact = self._weights.isfinite().all(-1).view(-1).tolist()
        for member, losses, whole, rate in zip(self._members, means, intact, rates, strict=True):
            finite = all(map(math.isfinite, losses))
            if not (finite and whole):
                what = f"a {'weight' if finite else 'loss'} is not finite in update {update + 1}"
                member.fail(TrainingDivergedError(what), update)
            member.scalars = dict(zip(LOGGED, losses, strict=True))
            member.scalars["policy/mini_batches"] = len(logged)
            member.scalars |= {f"schedule/{name}": value for name, value in rate.items()}
