"""The plan of a search, without Optuna and torch, which take a while to load."""

from __future__ import annotations

from dataclasses import dataclass

from sweeps.search_space.trials import SearchSpace

GRID = "grid"  # no search: all combinations
# They choose by what earlier permutations have scored.
LEARNING = ("tpe", "gp")
SAMPLERS = ("random", "qmc", *LEARNING)
# Sizes of their batches. They don't depend on the number of jobs, so that neither do the results.
FIRST_BATCH = 16
BATCH = 8


@dataclass(frozen=True)
class SearchPlan:
    """The space of a search, its sampler and its size.

    Attributes:
        space: the search space, validated.
        sampler: name of the sampler, one of `SAMPLERS`.
        trials: number of permutations.
    """

    space: SearchSpace
    sampler: str
    trials: int

    def batch_size(self, chosen: int) -> int:
        """Return the number of permutations to choose next, after so many."""
        left = self.trials - chosen
        if self.sampler not in LEARNING:
            return left
        later = chosen - FIRST_BATCH
        return min(left, BATCH - later % BATCH if later >= 0 else -later)
