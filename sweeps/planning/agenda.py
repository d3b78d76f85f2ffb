"""What of a sweep is still to be trained, and which of that goes on from a checkpoint."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence

from schema.config import Config
from sweeps.execution.worker import CHECKPOINTS
from sweeps.journal.journal import Journal, JournalRow
from sweeps.journal.runs import RunState
from sweeps.options import SweepOptions
from sweeps.planning.populations import Shapes, plan_populations
from sweeps.planning.ram import ram_capacity
from sweeps.planning.resume import Start, find_start
from sweeps.search_space.grid import Grid


class Agenda:
    """The runs that are left, in populations.

    Args:
        grid: the permutations.
        options: how they are run.
        journal: what is known of their runs.

    Attributes:
        populations: the numbers of the runs that train together, in the order in which they begin.
        runs: how many runs there are to be trained.
        steps: environment steps of them.
        kept: how many runs are finished, or failed too often, and are not trained.
        continued: how many runs go on from a checkpoint.
        notices: why runs begin again that have checkpoints, and how many do.
        kinds: a config for each shape that is trained, and the size of its largest population.
    """

    def __init__(self, grid: Grid, options: SweepOptions, journal: Journal) -> None:
        self._grid = grid
        self._options = options
        self._journal = journal
        self._shape_of = Shapes(grid)
        self._starts: dict[int, Start] = {}
        self.kept = 0
        self.notices: Counter[str] = Counter()
        left = list(self._left())
        self.runs = len(left)
        self.continued = len(self._starts)
        self.populations = plan_populations(
            left, self._group_of, options.together, options.jobs, ram_capacity(grid, options)
        )
        self.kinds, self.steps = self._summarise()

    def start(self, run: int) -> Start:
        """Where the run of that number begins or goes on."""
        return self._starts.get(run, Start())

    def _left(self) -> Iterator[int]:
        """The numbers of the runs that are to be trained."""
        begun = self._begun()
        only = self._options.only
        for row in self._journal.runs(self._options.run_id, self._options.repetitions):
            if only is not None and int(row.run.permutation) not in only:
                continue
            if self._is_over(row):
                self.kept += 1
                continue
            run = row.run.repetition * len(self._grid) + row.position
            # Most runs of a large sweep haven't begun, and needn't be looked at closely.
            if row.run.name in begun:
                self._find_start(run, row.run.name)
            yield run

    def _begun(self) -> set[str]:
        """The names of runs that have a folder of checkpoints."""
        try:
            return set(os.listdir(self._options.out / CHECKPOINTS / self._options.run_id))
        except FileNotFoundError:
            return set()

    def _is_over(self, row: JournalRow) -> bool:
        """Whether a run has all of its updates, or has failed too often."""
        if row.state == RunState.FINISHED:
            return row.updates >= self._grid.permutation(row.position).config.trainer.updates
        return row.attempts > self._options.retries

    def _find_start(self, run: int, name: str) -> None:
        repetition, position = divmod(run, len(self._grid))
        start = find_start(
            self._options.out / CHECKPOINTS / self._options.run_id / name,
            self._grid.permutation(position).config,
            self._options.seed + repetition,
        )
        if start.checkpoint is not None:
            self._starts[run] = start
        elif start.notice:
            self.notices[start.notice] += 1

    def _group_of(self, run: int) -> tuple[int, tuple[str, ...]]:
        """What runs that may train together have in common: where they are, and their shape."""
        return self.start(run).update, self._shape_of(run % len(self._grid))

    def _summarise(self) -> tuple[list[tuple[Config, int]], int]:
        """`kinds` and `steps`."""
        configs: dict[tuple[int, tuple[str, ...]], Config] = {}
        sizes: Counter[tuple[int, tuple[str, ...]]] = Counter()
        steps = 0
        for population in self.populations:
            group = self._group_of(population[0])
            if group not in configs:
                configs[group] = self._config(population)
            sizes[group] = max(sizes[group], len(population))
            trainer = configs[group].trainer
            steps += len(population) * (trainer.updates - group[0]) * trainer.batch_size
        return [(configs[group], size) for group, size in sizes.items()], steps

    def _config(self, population: Sequence[int]) -> Config:
        return self._grid.permutation(population[0] % len(self._grid)).config
