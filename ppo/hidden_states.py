"""Stores and resets the hidden states of workers that act with recurrent networks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from model import Population


class HiddenStates:
    """The hidden states of M x N workers, now and at each step of the present rollout.

    Args:
        population: the members' networks.
        generators: each member's generator of random initial states.
        shape: members M, steps T and workers N.
        resets: whether the end of an episode resets a worker's hidden state.

    Attributes:
        resets: whether the end of an episode resets a worker's hidden state.
        states: (M, T, N, state_size), hidden states before each step of the rollout.
        initial: (M, T, N) bool, whether each of these is an initial state.
    """

    def __init__(
        self,
        population: Population,
        generators: Sequence[torch.Generator],
        shape: tuple[int, int, int],
        resets: bool,
    ) -> None:
        self._networks = population.each
        self._generators = generators
        self.resets = resets
        device, size = population.weights.device, population.stacked.state_size
        members, _, workers = shape
        self.states = torch.zeros(*shape, size, device=device)
        self.initial = torch.zeros(shape, dtype=torch.bool, device=device)
        self._now = torch.zeros(members, workers, size, device=device)
        self._now_initial = torch.zeros(members, workers, dtype=torch.bool, device=device)

    @torch.no_grad()
    def begin(self) -> None:
        """Reset all workers to initial states."""
        for member in range(len(self._now)):
            self._reset(member, slice(None), self._now.shape[1])

    def now(self) -> Tensor:
        """Return the hidden states (M, N, state_size) before the next step."""
        return self._now

    def store(self, step: int) -> Tensor:
        """Store the present hidden states as those of a step of the rollout, and return them."""
        self.states[:, step] = self._now
        self.initial[:, step] = self._now_initial
        return self.now()

    def advance(self, states: Tensor, ends: np.ndarray) -> None:
        """Replace the present hidden states by those after a step, and reset those of ended episodes.

        Args:
            states: (M, N, state_size), hidden states after the step.
            ends: (M * N,) bool, whether each worker's episode ended with the step.
        """
        self._now.copy_(states)
        self._now_initial.zero_()
        if not self.resets or not ends.any():
            return
        # M * N -> M x N
        for member, ended in enumerate(ends.reshape(self._now_initial.shape)):
            workers = np.flatnonzero(ended)
            if len(workers):
                self._reset(member, torch.from_numpy(workers), len(workers))

    def _reset(self, member: int, workers: Tensor | slice, count: int) -> None:
        drawn = self._networks[member].begin_states(count, self._generators[member])
        self._now[member, workers] = drawn
        self._now_initial[member, workers] = True

    def member_state(self, member: int) -> dict[str, Tensor]:
        """Return one member's present hidden states on the CPU, for a checkpoint."""
        return {
            "hidden_states": self._now[member].cpu().clone(),
            "initial": self._now_initial[member].cpu().clone(),
        }

    def restore(self, member: int, state: dict[str, Tensor]) -> None:
        """Restore one member's hidden states from `member_state`."""
        self._now[member].copy_(state["hidden_states"])
        self._now_initial[member].copy_(state["initial"])
