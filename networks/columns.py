"""Which places of a sparse vector observation a training step must look at.

One-hot observations have many places that are zero throughout a rollout, and many that are always
equal (a wall is always grey, say). The former add nothing to a layer's output and get no gradient; the
latter act as one place with the sum of their weights, and get the same gradient. So products with fewer
places give the same numbers in less time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Share of a vector's places below which it pays to look at a part of them.
_SHARE = 0.75


@dataclass(frozen=True)
class Columns:
    """The used places of a vector of size D, in groups that are always equal.

    Attributes:
        used: (U,) places that are ever other than zero.
        groups: (U,) the group of each, from 0 to G - 1.
        first: (G,) one place of each group.
    """

    used: Tensor
    groups: Tensor
    first: Tensor

    def select(self, values: Tensor) -> Tensor:
        """Observations (..., D) -> (..., G) float32."""
        return values.index_select(-1, self.first).float()

    def merge(self, weight: Tensor) -> Tensor:
        """A layer's weight (..., D, outputs) -> (..., G, outputs)."""
        used = weight.index_select(-2, self.used)
        merged = weight.new_zeros(*weight.shape[:-2], len(self.first), weight.shape[-1])
        return merged.index_add(-2, self.groups, used)


def find_columns(values: Tensor) -> Columns | None:
    """The places of a batch (K, D) of bytes that matter, or None where nearly all do."""
    used = values.amax(0).nonzero().squeeze(1)
    if len(used) > _SHARE * values.shape[1]:
        return None
    groups = _group_equal(values.index_select(1, used))
    first = used.new_zeros(int(groups.max()) + 1 if len(groups) else 0)
    return Columns(used, groups, first.index_copy_(0, groups, used))


def _group_equal(values: Tensor) -> Tensor:
    """The number of the group of equal columns that each column of (K, U) values belongs to, (U,)."""
    # Equal columns have equal sums of randomly weighted values. Others hardly ever do, and then all
    # columns are compared.
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(len(values), dtype=torch.float64, generator=generator).to(values.device)
    _, groups = torch.unique(values.double().t() @ weights, return_inverse=True)
    first = groups.new_zeros(values.shape[1]).index_copy_(
        0, groups, torch.arange(values.shape[1], device=values.device)
    )
    if torch.equal(values, values.index_select(1, first.index_select(0, groups))):
        return groups
    return torch.unique(values.t(), dim=0, return_inverse=True)[1]
