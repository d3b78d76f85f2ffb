"""Trains networks on a rollout: epochs of mini-batches, PPO's losses, gradients, optimiser steps.

A learner has either one member or all of a population. On a CPU members learn one after the other,
as a member's weights and mini-batch then stay in the cache; on a GPU all learn at once, as there the
time goes into launching kernels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from buffer import RolloutBuffer
from model import MemberSelection, Population
from ppo.by_numba import serves
from ppo.by_torch.epochs import RecordedEpochs
from ppo.by_torch.optimiser import AdamW
from ppo.epochs import LOGGED, Epochs
from ppo.hidden_states import Memory
from ppo.run.member import Member, TrainingDivergedError


class Learner:
    """Trains one member, or all at once.

    Args:
        rows: which members.
        members: these members; all have the same epochs, mini-batches and normalisation.
        population: the networks of all members.
        buffer: the rollouts of all members.
        optimiser: of all members.
        compiled: whether to compile the losses with `torch.compile`.
        memory: the hidden states of the rollout, for a single member with recurrent layers; else None.

    Attributes:
        rows: which members.
    """

    def __init__(
        self,
        rows: MemberSelection,
        members: Sequence[Member],
        population: Population,
        buffer: RolloutBuffer,
        optimiser: AdamW,
        compiled: bool,
        memory: Memory | None = None,
    ) -> None:
        self.rows = rows
        self._members = members
        self._weights = population.weights[rows]
        self._buffer = buffer
        self._epochs: Epochs
        if isinstance(rows, int) and serves(population, compiled):
            # Loading Numba takes half a second, which others needn't wait for.
            from ppo.by_numba.epochs import CompiledEpochs

            self._epochs = CompiledEpochs(members[0], population, buffer, optimiser)
        else:
            self._epochs = RecordedEpochs(
                rows, members, population, buffer, optimiser, compiled, memory
            )

    @torch.no_grad()
    def estimate_values(self, features: Tensor | None) -> None:
        """Estimates the values of the rollout in the buffer, and prepares to learn from it.

        Args:
            features: ([M,] T, N, size), where acting gave those that values are made of; else None.
        """
        self._buffer.values[self.rows] = self._epochs.estimate_values(features)

    @property
    def failed(self) -> bool:
        """Whether no member is left to be trained."""
        return all(member.failure for member in self._members)

    @torch.no_grad()
    def learn(self, update: int) -> None:
        """Trains on the rollout whose values were estimated, and notes what is logged.

        A member whose losses or weights are no longer finite gets a `failure`.

        Args:
            update: how many updates are done before this one.
        """
        if self._members[0].config.advantage_normalization == "batch":
            self._buffer.normalise_advantages(self.rows)
        rates = [member.scheduled(update) for member in self._members]
        logged = self._epochs.learn(rates)
        means = logged.mean(0).view(-1, len(LOGGED)).tolist()
        # A last step may break what its losses don't show, and no checkpoint is to keep that.
        intact = self._weights.isfinite().all(-1).view(-1).tolist()
        for member, losses, whole, rate in zip(self._members, means, intact, rates, strict=True):
            finite = all(map(math.isfinite, losses))
            if not (finite and whole):
                what = f"a {'weight' if finite else 'loss'} is not finite in update {update + 1}"
                member.fail(TrainingDivergedError(what), update)
            member.scalars = dict(zip(LOGGED, losses, strict=True))
            member.scalars["policy/mini_batches"] = len(logged)
            member.scalars |= {f"schedule/{name}": value for name, value in rate.items()}
