"""Which observations of a rollout are the same.

In small worlds an agent sees the same again and again, and a network then gives the same. To compute
that once for all repeats, and its gradient from their sum, leads to the same numbers in less time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Share of a rollout's observations below which the distinct ones are few enough to pay.
_SHARE = 0.5


@dataclass(frozen=True)
class Repeats:
    """K observations, D of them distinct.

    Attributes:
        first: (D,) where each distinct one is found first.
        numbers: (K,) which of the distinct ones each is, from 0 to D - 1.
    """

    first: Tensor
    numbers: Tensor

    @property
    def pays(self) -> bool:
        """Whether the distinct ones are few enough."""
        return len(self.first) < _SHARE * len(self.numbers)

    def among(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Which distinct ones (D',) are at some positions (B,), and which of those each is, (B,)."""
        return torch.unique(self.numbers.index_select(0, positions), return_inverse=True)


def find_repeats(observations: dict[str, Tensor]) -> Repeats | None:
    """The repeats among observations (K, ...) of bytes on the CPU; None where they are too few."""
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
