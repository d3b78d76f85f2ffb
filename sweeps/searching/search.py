"""A search: chooses permutations batch by batch, and resumes what the journal holds."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from schema.errors import UserError
from sweeps.journal.journal import Journal
from sweeps.search_space.choices import canonical
from sweeps.search_space.trials import TrialGrid, Values
from sweeps.searching.plan import SearchPlan
from utils import Stream, derive_seed


class Search:
    """The permutations that a search has chosen, and how it chooses further ones.

    Args:
        plan: what to search, and how.
        journal: path of the sweep's journal.
        seed: the sweep's seed.
        overwrite: whether to begin again, whatever the journal holds.

    Attributes:
        notice: why the search ends before its number of trials; None if it doesn't.

    Raises:
        UserError: the journal holds a grid, another search or more trials, or no permutation is valid.
    """

    def __init__(self, plan: SearchPlan, journal: Path, seed: int, overwrite: bool) -> None:
        self._plan = plan
        self._seed = derive_seed(seed, Stream.SEARCH)
        self._chosen = [] if overwrite else _read_trials(plan, journal)
        self.notice: str | None = None
        if not self._chosen:
            self._choose({}, {})

    @property
    def grid(self) -> TrialGrid:
        """The permutations chosen so far."""
        return TrialGrid(self._plan.space, self._chosen, self._plan.sampler, self.trials)

    @property
    def left(self) -> int:
        """Number of permutations to choose later."""
        return 0 if self.notice else self._plan.trials - len(self._chosen)

    @property
    def sampler(self) -> str:
        """Name of the sampler."""
        return self._plan.sampler

    @property
    def trials(self) -> int:
        """Number of permutations in the end."""
        return len(self._chosen) + self.left

    @property
    def later_batches(self) -> list[int]:
        """Sizes of the batches to choose later."""
        sizes: list[int] = []
        while sum(sizes) < self.left:
            sizes.append(self._plan.batch_size(len(self._chosen) + sum(sizes)))
        return sizes

    def grow(
        self,
        scores: Mapping[str, float],
        pruned: Mapping[str, Mapping[int, float]] | None = None,
    ) -> bool:
        """Choose the next batch, and return whether there is one.

        Args:
            scores: the mean score of each permutation that has one, by name; greater is better.
            pruned: the mean scores of pruned permutations at the rungs, by name and updates.
        """
        before = len(self._chosen)
        if self.left:
            self._choose(scores, pruned or {})
        return len(self._chosen) > before

    def _choose(
        self, scores: Mapping[str, float], pruned: Mapping[str, Mapping[int, float]]
    ) -> None:
        # Loaded here, because Optuna takes a while, and resuming the last batch doesn't need it.
        from sweeps.searching.sampler import Tried, propose

        grid = self.grid if self._chosen else None
        names = [] if grid is None else map(grid.name, range(len(grid)))
        tried = [
            Tried(values, scores.get(name), pruned.get(name, {}))
            for name, values in zip(names, self._chosen, strict=True)
        ]
        size = self._plan.batch_size(len(self._chosen))
        first = self._first_ones()[:size]
        # They are neither asked for nor scored yet.
        tried += [Tried(values, None) for values in first]
        space, sampler = self._plan.space, self._plan.sampler
        self._chosen += first + propose(space, sampler, self._seed, tried, size - len(first))
        if not self._chosen:
            raise space.nothing_left()
        if len(self._chosen) < size + (0 if grid is None else len(grid)):
            self.notice = (
                f"{space.tune.path}: the search ends after {len(self._chosen)} of {self._plan.trials} "
                "trials, because hardly any other permutation is valid"
            )

    def _first_ones(self) -> list[Values]:
        """Return what is tried before anything is drawn, without what was chosen already."""
        space = self._plan.space
        wanted = [*space.tried, *([] if space.usual is None else [space.usual])]
        seen = {canonical(list(values)) for values in self._chosen}
        distinct = {canonical(list(values)): values for values in wanted}
        return [
            values for key, values in distinct.items() if key not in seen and space.allows(values)
        ]


def _read_trials(plan: SearchPlan, path: Path) -> list[Values]:
    """Return the permutations that a journal holds; none if there is no journal yet.

    Raises:
        UserError: it holds a grid, another search or more trials.
    """
    if not path.is_file():
        return []
    with closing(Journal(path, writable=False)) as journal:
        if journal.is_empty:
            return []
        stored = journal["search"]
    problem = _difference(plan, stored)
    if problem is not None:
        raise UserError(
            f"{path}: {problem}; choose another --run-id or --out, or replace it with --overwrite"
        )
    return [tuple(values) for values in stored["trials"]]


def _difference(plan: SearchPlan, stored: dict[str, Any] | None) -> str | None:
    """Return why a search can't continue what a journal holds; None if it can."""
    if stored is None:
        return "holds a grid, which no search can continue"
    if stored["sampler"] != plan.sampler:
        return f"holds a search with --search={stored['sampler']}, not {plan.sampler}"
    if canonical(stored["space"]) != canonical(plan.space.described()):
        return f"holds a search of other keys, choices or ranges than {plan.space.tune.path}"
    if len(stored["trials"]) > plan.trials:
        return f"holds {len(stored['trials'])} trials, more than --trials={plan.trials}"
    return None
