"""The state that a trainer shares with its sampler and its learners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from buffer import RolloutBuffer
from model import MemberSelection, Population
from ppo import by_numba
from ppo.by_torch.optimiser import AdamW
from ppo.hidden_states import HiddenStates
from ppo.run.member import Member


@dataclass(frozen=True)
class Parts:
    """A population in training: its members and the arrays that they share.

    Attributes:
        members: the members, in the order of the arrays' axis M.
        population: the members' networks.
        buffer: the members' rollouts.
        optimiser: the optimiser of all networks.
        hidden_states: the hidden states of all workers; None without recurrent layers.
        torch_compile: whether to compile the losses with `torch.compile`.
    """

    members: Sequence[Member]
    population: Population
    buffer: RolloutBuffer
    optimiser: AdamW
    hidden_states: HiddenStates | None = None
    torch_compile: bool = False

    @property
    def uses_numba(self) -> bool:
        """Whether the networks act and learn by Numba."""
        return not self.torch_compile and by_numba.can_train(self.population)

    def selected(self, rows: MemberSelection) -> Sequence[Member]:
        """Return the members that an index or a slice selects."""
        return [self.members[rows]] if isinstance(rows, int) else self.members[rows]
