"""Finds repeated observations in a rollout.

In small environments an agent sees the same observation many times, and a network answers it alike each
time. Computing the answer once for all repeats, and its gradient from the sum of their gradients, gives
the same numbers in less time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Share of distinct observations below which computing each once saves time.
_SHARE = 0.5


@dataclass(frozen=True)
class Repeats:
    """K observations, D of them distinct.

    Attributes:
        first: (D,) the first position of each distinct observation.
        numbers: (K,) the distinct observation at each position, from 0 to D - 1.
    """

    first: Tensor
    numbers: Tensor

    @property
    def pays(self) -> bool:
        """Whether few enough observations are distinct to save time."""
        return len(self.first) < _SHARE * len(self.numbers)

    def among(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distinct observations (D',) at positions (B,), and the one of them at each (B,)."""
        return torch.unique(self.numbers.index_select(0, positions), return_inverse=True)


def find_repeats(observations: dict[str, Tensor]) -> Repeats | None:
    """Return the repeats among observations (K, ...) of bytes on the CPU; None if there are too few."""
    parts = [values.flatten(1) for values in observations.values()]
    rows = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
    content, size = rows.numpy().tobytes(), rows.shape[1]
    limit = int(_SHARE * len(rows))
    numbers: list[int] = []
    known: dict[bytes, int] = {}
    first: list[int] = []
    for position in range(len(rows)):
        begin = position * size
        number = known.setdefault(content[begin : begin + size], len(known))
        if number == len(first):
            if number == limit:
                return None
            first.append(position)
        numbers.append(number)
    return Repeats(torch.tensor(first), torch.tensor(numbers))
