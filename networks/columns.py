"""Selects the columns of a sparse vector observation that a training step needs.

One-hot observations have many columns that are zero throughout a rollout, and many that are always
equal (a wall is always grey, for instance). Zero columns add nothing to a layer's output and get no
gradient. Equal columns act as one column with the sum of their weights, and get equal gradients. So
products with fewer columns give the same numbers in less time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Share of used columns below which a selection saves time.
_SHARE = 0.75


@dataclass(frozen=True)
class Columns:
    """The used columns of a vector of size D, grouped by equality.

    Attributes:
        used: (U,) columns that are nonzero at least once.
        groups: (U,) the group of each used column, from 0 to G - 1.
        first: (G,) one column of each group.
    """

    used: Tensor
    groups: Tensor
    first: Tensor

    def select(self, values: Tensor) -> Tensor:
        """Reduce observations: (..., D) -> (..., G) float32."""
        return values.index_select(-1, self.first).float()

    def merge(self, weight: Tensor) -> Tensor:
        """Reduce a layer's weight: (..., D, outputs) -> (..., G, outputs)."""
        used = weight.index_select(-2, self.used)
        merged = weight.new_zeros(*weight.shape[:-2], len(self.first), weight.shape[-1])
        return merged.index_add(-2, self.groups, used)


def find_columns(values: Tensor) -> Columns | None:
    """Return the columns of a batch (K, D) of bytes that matter, or None if nearly all do."""
    used = values.amax(0).nonzero().squeeze(1)
    if len(used) > _SHARE * values.shape[1]:
        return None
    groups = _group_equal(values.index_select(1, used))
    first = used.new_zeros(int(groups.max()) + 1 if len(groups) else 0)
    return Columns(used, groups, first.index_copy_(0, groups, used))


def _group_equal(values: Tensor) -> Tensor:
    """Return the group of each column of (K, U) values, (U,); equal columns form a group."""
    # Equal columns have equal randomly weighted sums. If unequal columns have equal sums, too, which
    # hardly ever happens, all columns are compared instead.
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(len(values), dtype=torch.float64, generator=generator).to(values.device)
    _, groups = torch.unique(values.double().t() @ weights, return_inverse=True)
    first = groups.new_zeros(values.shape[1]).index_copy_(
        0, groups, torch.arange(values.shape[1], device=values.device)
    )
    if torch.equal(values, values.index_select(1, first.index_select(0, groups))):
        return groups
    return torch.unique(values.t(), dim=0, return_inverse=True)[1]
