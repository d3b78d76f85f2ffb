"""Lists the runs left to train, and the checkpoints that they resume from."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from schema.config import Config
from schema.errors import UserError
from sweeps.execution.worker import CHECKPOINTS
from sweeps.journal.journal import Journal, JournalRow
from sweeps.journal.runs import FAILURES, RunState
from sweeps.options import SweepOptions
from sweeps.planning.order import in_order
from sweeps.planning.populations import Shapes, plan_populations
from sweeps.planning.ram import ram_capacity
from sweeps.planning.resume import Start, find_start
from sweeps.search_space.grid import Grid

# The rung up to which each permutation trains, by name; None trains it to its end, and those that are
# left out don't train.
Targets = Mapping[str, int | None]
# The updates done, the rung, and the shape, which runs must have in common to train together.
_Group = tuple[int, int | None, tuple[str, ...]]


class Agenda:
    """The runs left to train, in populations.

    Args:
        grid: the permutations.
        options: the sweep's options.
        journal: the sweep's journal.
        targets: the rungs up to which permutations train; None trains all to their ends.

    Raises:
        UserError: the grid leaves out all permutations to which `--only` restricts the session.

    Attributes:
        targets: the rungs up to which permutations train; None trains all to their ends.
        permutations: number of permutations of this session, finished ones included.
        populations: the numbers of each population's runs, in the order in which populations start.
        runs: number of runs to train.
        steps: their environment steps in total.
        kept: number of runs not to train: they are finished, or have failed too often.
        pruned: number of runs that don't train because their permutations are pruned.
        finished_left_out: number of finished runs whose permutations the grid leaves out.
        continued: number of runs that resume from a checkpoint.
        notices: reasons why runs with checkpoints start again, with their number of runs.
        kinds: a config of each shape to train, and the size of the shape's largest population.
    """

    def __init__(
        self,
        grid: Grid,
        options: SweepOptions,
        journal: Journal,
        targets: Targets | None = None,
    ) -> None:
        self._grid = grid
        self._options = options
        self._journal = journal
        self.targets = targets
        self._shape_of = Shapes(grid)
        self._starts: dict[int, Start] = {}
        self._rungs: dict[int, int] = {}
        self.kept = 0
        self.pruned = 0
        self.permutations = 0
        _, self.finished_left_out = journal.count_left_out()
        self.notices: Counter[str] = Counter()
        left = in_order(self._left(), grid, options)
        if targets is None and not (left or self.kept or self.pruned):
            raise UserError("--only: the tuning config leaves out all of these permutations")
        self.runs = len(left)
        self.continued = len(self._starts)
        self.populations = plan_populations(
            left, self._group_of, options.together, options.jobs, ram_capacity(grid, options)
        )
        self.kinds, self.steps = self._summarise()

    def start(self, run: int) -> Start:
        """Return where the run of a number starts or resumes."""
        return self._starts.get(run, Start())

    def _left(self) -> Iterator[int]:
        """Yield the numbers of the runs to train."""
        begun = self._begun()
        only = self._options.only
        pruned = self._journal.rungs.pruned()
        for row in self._journal.runs(self._options.run_id, self._options.most_repetitions):
            if only is not None and int(row.run.permutation) not in only:
                continue
            self.permutations += row.run.repetition == 0
            if row.run.permutation in pruned:
                self.pruned += 1
                continue
            if self._is_over(row):
                self.kept += 1
                continue
            if self.targets is not None and not self._is_due(row, self.targets):
                continue
            run = row.run.repetition * len(self._grid) + row.position
            rung = None if self.targets is None else self.targets[row.run.permutation]
            if rung is not None:
                self._rungs[run] = rung
            # Most runs of a large sweep haven't started, and need no closer look.
            if row.run.name in begun:
                self._find_start(run, row.run.name)
            yield run

    def _begun(self) -> set[str]:
        """Return the names of the runs that have a folder of checkpoints."""
        try:
            return set(os.listdir(self._options.out / CHECKPOINTS / self._options.run_id))
        except FileNotFoundError:
            return set()

    def _is_over(self, row: JournalRow) -> bool:
        """Return whether a run has finished all updates, or has failed too often."""
        if row.state in (RunState.FINISHED, RunState.SHORTER):
            return row.state == RunState.FINISHED
        return row.attempts > self._options.retries

    def _is_due(self, row: JournalRow, targets: Targets) -> bool:
        """Return whether a run has yet to come to its permutation's target."""
        if row.run.permutation not in targets:
            return False
        rung = targets[row.run.permutation]
        return rung is None or row.state in FAILURES or row.updates < rung

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

    def until(self, run: int) -> int | None:
        """Return the rung up to which the run of a number trains; None for its end."""
        return self._rungs.get(run)

    def _group_of(self, run: int) -> _Group:
        """Return what runs must have in common to train together."""
        return self.start(run).update, self.until(run), self._shape_of(run % len(self._grid))

    def _summarise(self) -> tuple[list[tuple[Config, int]], int]:
        """Return `kinds` and `steps`."""
        configs: dict[_Group, Config] = {}
        sizes: Counter[_Group] = Counter()
        steps = 0
        for population in self.populations:
            group = self._group_of(population[0])
            if group not in configs:
                configs[group] = self._config(population)
            sizes[group] = max(sizes[group], len(population))
            trainer = configs[group].trainer
            done, until, _ = group
            updates = trainer.updates if until is None else until
            steps += len(population) * max(0, updates - done) * trainer.batch_size
        return [(configs[group], size) for group, size in sizes.items()], steps

    def _config(self, population: Sequence[int]) -> Config:
        return self._grid.permutation(population[0] % len(self._grid)).config
