"""Splits a rollout into training sequences for recurrent layers.

Truncated backpropagation through time (Williams and Peng, 1990): a sequence never crosses an episode's
end, and starts with the hidden state stored for its first step.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from networks.recurrence import Sequences


def split(ends: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the start and the length of each sequence.

    Args:
        ends: (T, N) bool, whether a step ends an episode.
        length: the greatest length; 0 or less: whole episodes, as far as they lie in the rollout.

    Returns:
        Positions (S,) of the sequences' first steps in the batch of T * N steps, and lengths (S,).
    """
    steps, workers = ends.shape
    begins = np.ones((steps, workers), bool)
    begins[1:] = ends[:-1]
    if length > 0:
        step = np.arange(steps)[:, np.newaxis]
        since_begin = step - np.maximum.accumulate(np.where(begins, step, 0), axis=0)
        begins |= since_begin % length == 0
    # T x N -> N x T, in which a sequence's steps lie one after another.
    first = np.flatnonzero(begins.T)
    lengths = np.diff(first, append=ends.size)
    worker, step = np.divmod(first, steps)
    return step * workers + worker, lengths


def deal(lengths: np.ndarray, order: np.ndarray, count: int) -> list[np.ndarray]:
    """Divide sequences into at most `count` groups with nearly equal numbers of steps.

    Args:
        lengths: (S,), of all sequences.
        order: (S,), the sequences in the order in which they are dealt.
        count: number of groups; sequences that are too long make fewer.

    Returns:
        The numbers of the sequences in each group.
    """
    shuffled = lengths[order]
    middles = np.cumsum(shuffled) - shuffled / 2
    groups = (middles * count / shuffled.sum()).astype(np.int64)
    return np.split(order, np.flatnonzero(np.diff(groups)) + 1)


class RolloutSequences:
    """The sequences of one member's rollout.

    Args:
        ends: (T, N) bool, whether a step ends an episode.
        length: the greatest length; 0 or less: whole episodes.
        states: (T, N, state_size), hidden states before each step.
        initial: (T, N) bool, whether that is an episode's initial hidden state.
    """

    def __init__(self, ends: Tensor, length: int, states: Tensor, initial: Tensor) -> None:
        self._workers = ends.shape[1]
        self._first, self._lengths = split(ends.cpu().numpy(), length)
        first = torch.from_numpy(self._first).to(states.device)
        self._states = states.flatten(0, 1)[first]
        self._initial = initial.flatten()[first]

    def mini_batches(
        self, generator: torch.Generator, count: int
    ) -> Iterator[tuple[Tensor, Sequences]]:
        """Deal sequences at random; yield their steps' positions (B,) in the batch, and their order."""
        order = torch.randperm(len(self._first), generator=generator).numpy()
        for chosen in deal(self._lengths, order, count):
            step = np.arange(self._lengths[chosen].max())
            mask = step < self._lengths[chosen, np.newaxis]
            # S x L -> B
            positions = (self._first[chosen, np.newaxis] + step * self._workers)[mask]
            device = self._states.device
            rows = torch.from_numpy(chosen).to(device)
            yield (
                torch.from_numpy(positions),
                Sequences(
                    self._states[rows], self._initial[rows], torch.from_numpy(mask).to(device)
                ),
            )
