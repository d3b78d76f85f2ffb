"""Runs a sweep: plans its populations, trains them and records the results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any

import torch

from environments.cores import share_cores
from schema.config import Config
from schema.errors import UserError
from schema.os_errors import describe
from sweeps.execution.backends.local import Backend, run_in_processes
from sweeps.execution.events import SweepDisplay
from sweeps.execution.recorder import Recorder
from sweeps.execution.stop import Stop
from sweeps.execution.worker import WorkerOptions
from sweeps.journal.division import refuse_training_twice
from sweeps.journal.lock import SweepLock, lock_path, turn_of
from sweeps.journal.opening import grow_journal, open_journal, results_of_others
from sweeps.journal.results import in_one_table, write_results
from sweeps.journal.runs import RunIdentity, RunRecord
from sweeps.options import SweepOptions
from sweeps.planning.agenda import Agenda, Targets
from sweeps.planning.disk import DiskUsage
from sweeps.planning.order import in_order
from sweeps.planning.populations import PlannedRun, RunSteps, count_jobs
from sweeps.planning.promotion import Turn
from sweeps.planning.race import next_round
from sweeps.planning.ram import check_ram
from sweeps.search_space.config_files import write_config, write_index
from sweeps.search_space.grid import Grid
from sweeps.search_space.identity import Identities


class Sweep:
    """Trains a grid into a folder, and resumes what is there already.

    Args:
        grid: the permutations, validated.
        options: the sweep's options.
        overwrite: whether to replace the results of this run id.
        description: description of the session, for the journal.

    Attributes:
        grid: the permutations, which a search adds to.
        agenda: the runs left to train.
        stop: the stop flag, which may be set while the sweep runs.

    Raises:
        UserError: the folder holds another sweep, another process trains this one, or the jobs need more
            RAM than there is. Nothing is changed then.
    """

    def __init__(
        self,
        grid: Grid,
        options: SweepOptions,
        overwrite: bool,
        description: dict[str, Any] | None = None,
    ) -> None:
        self.grid = grid
        self._options = options
        self._overwrite = overwrite
        self._identify = Identities(grid)
        self._has_trained = False
        self.stop = Stop()
        if options.out.exists() and not options.out.is_dir():
            raise UserError(f"{options.out}: is a file; --out must be a folder")
        check_ram(grid, options)
        with ExitStack() as opened:
            lock = SweepLock(lock_path(options.journal))
            opened.callback(lock.release)
            refuse_training_twice(options, overwrite)
            results_of_others(grid, options, overwrite)
            self._journal = open_journal(grid, self._identify, options, overwrite)
            opened.callback(self._journal.close)
            self._journal.begin_session(description or {})
            self.agenda = Agenda(grid, options, self._journal)
            write_index(options.configs, grid.labels, self._index)
            if overwrite or not options.results.exists():
                # From now on, a sweep of other keys is refused here.
                self._write_table()
            self._opened = opened.pop_all()

    def __enter__(self) -> Sweep:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the journal and release the lock; calling it again does nothing."""
        self._opened.close()

    def _index(self) -> Iterator[tuple[str, list[str]]]:
        """Yield the name and choices of each permutation, in the grid's order."""
        for index, name in self._journal.names():
            yield name, self._identify.shown(index)

    def run(
        self,
        display: SweepDisplay,
        disk: DiskUsage | None = None,
        backend: Backend = run_in_processes,
    ) -> None:
        """Train the agenda and end the session; the arguments are those of `train`."""
        with self.session():
            self.train(display, disk, backend)

    @contextmanager
    def session(self) -> Iterator[None]:
        """Record the end of the session and write `results.csv` after the block."""
        try:
            yield
        finally:
            self._journal.end_session()
            self._write_table()

    def train(
        self,
        display: SweepDisplay,
        disk: DiskUsage | None = None,
        backend: Backend = run_in_processes,
    ) -> None:
        """Train the runs of the agenda, until all have ended or `stop` is requested.

        A run that fails or diverges doesn't stop the others. A session may train several agendas.

        Args:
            display: shows the progress.
            disk: the disk to watch; None watches none.
            backend: the sweep backend, which trains populations.
        """
        shortage = (lambda: None) if disk is None else disk.shortage
        recorder = Recorder(
            self._journal,
            self._try_table,
            display,
            self.stop,
            self._options.fail_fast,
            shortage,
            # Later agendas may retry nothing but runs that failed in the same way.
            is_first=not self._has_trained,
        )
        self._has_trained = True
        backend(self._populations(), place_jobs(self._options, self.agenda), recorder, self.stop)

    def plan_again(self, targets: Targets | None = None) -> None:
        """Renew the agenda: list the runs that are left now, with retries of failed ones.

        Args:
            targets: the rungs up to which permutations train; None trains all to their ends.
        """
        self.agenda = Agenda(self.grid, self._options, self._journal, targets)

    def names(self) -> Iterator[tuple[int, str]]:
        """Return the index and the name of each permutation not left out, in the grid's order."""
        return self._journal.names()

    def judged(self, rung: int) -> dict[str, float | None]:
        """Return the permutations judged at a rung or later, with their scores there, by name."""
        return self._journal.rungs.judged(rung)

    def pruned_scores(self) -> dict[str, dict[int, float]]:
        """Return the scores of each pruned permutation at the rungs, by its name and the rung."""
        return self._journal.rungs.pruned_scores()

    def judge(self, rung: int, scores: Mapping[str, float | None], pruned: Iterable[str]) -> None:
        """Record the scores of permutations at a rung, and prune some of them."""
        with self._journal.transaction():
            self._journal.rungs.judge(rung, scores, pruned)

    def pruned(self) -> set[str]:
        """Return the names of the pruned permutations."""
        return self._journal.rungs.pruned()

    def free(self) -> list[str]:
        """Return the permutations that may train and have finished no run, in the order of training."""
        only = self._options.only
        names = {
            index: name
            for index, name in self._journal.rungs.without_finished_run(self._options.retries)
            if only is None or int(name) in only
        }
        return [names[index] for index in in_order(names, self.grid, self._options)]

    @property
    def turn(self) -> Turn:
        """The permutations that train at present, and their rungs, where permutations are promoted."""
        return self._journal["turn"] or {}

    def begin_turn(self, turn: Turn) -> None:
        """Record which permutations train next; those that had been pruned train on."""
        with self._journal.transaction():
            self._journal["turn"] = turn
            self._journal.rungs.promote(turn)

    def end_turns(self, pruned: Iterable[str]) -> None:
        """Record that no permutation is promoted any more, and prune the others."""
        with self._journal.transaction():
            self._journal["turn"] = {}
            self._journal.rungs.prune(pruned)

    @property
    def looks(self) -> int:
        """The number of times that results are judged; in a race, the number of its rounds."""
        return self._journal.looks

    def begin_round(self, contenders: Sequence[str]) -> str | None:
        """Add the next round of a race to the journal and renew the agenda.

        Call it when all runs have ended.

        Args:
            contenders: names of the permutations that could be the best.

        Returns:
            The reason why there is no further round; None if one was added.
        """
        assert self._options.race is not None
        position = {name: index for index, name in self._journal.names()}
        steps_of = RunSteps(self.grid)
        following = next_round(
            self._options.race,
            contenders,
            self._journal.repetitions(),
            lambda name: steps_of(position[name]),
            self._journal.rungs.pruned_steps(),
        )
        if isinstance(following, str):
            return following
        with self._journal.transaction():
            self._journal.add_runs(
                following.repetitions, self._options.seed, following.permutations
            )
        self.plan_again()
        return None

    def grow(self, grid: Grid) -> None:
        """Add the permutations of a grid that has grown to the journal, and renew the agenda."""
        identify = Identities(grid)
        grow_journal(self._journal, grid, identify, self._options)
        self.grid, self._identify = grid, identify
        write_index(self._options.configs, grid.labels, self._index)
        self.plan_again()

    def _populations(self) -> Iterator[list[PlannedRun]]:
        """Yield the populations to train; if one's configs can't be written, stop the sweep."""
        for population in self.agenda.populations:
            try:
                begun = self._begin(population)
            except OSError as error:
                self.stop.request(describe(error))
                return
            yield begun

    def _begin(self, population: Sequence[int]) -> list[PlannedRun]:
        """Write the configs of a population's runs, and return the runs."""
        planned = [self._planned(run) for run in population]
        for each in planned:
            write_config(self._options.configs, each.run.permutation, each.permutation)
        return planned

    def _planned(self, run: int) -> PlannedRun:
        repetition, index = divmod(run, len(self.grid))
        choices = zip(self.grid.labels, self._identify.shown(index), strict=True)
        identity = RunIdentity(
            run_id=self._options.run_id,
            permutation=self._journal.name(index),
            repetition=repetition,
            # The same for all permutations, so that they are compared on common random numbers.
            seed=self._options.seed + repetition,
            choices=dict(choices),
        )
        checkpoint, until = self.agenda.start(run).checkpoint, self.agenda.until(run)
        return PlannedRun(self.grid.permutation(index), identity, checkpoint, until)

    def records(self, by_permutation: bool = False) -> Iterator[RunRecord]:
        """Return the records of all runs, also of those that this session doesn't train."""
        return self._journal.records(self._options.run_id, by_permutation)

    def _try_table(self) -> None:
        """Write `results.csv`; leave a damaged one to the end, as the journal has all records."""
        with suppress(UserError):
            self._write_table()

    def _write_table(self) -> None:
        """Write `results.csv`, with the rows that sweeps with other run ids have there now.

        Raises:
            UserError: another program has damaged the file.
        """
        own, path = self._options.run_id, self._options.results
        with turn_of(path):
            others = results_of_others(self.grid, self._options, self._overwrite)
            # The table keeps what was trained before the grid left it out.
            records = self._journal.records(own, left_out=True)
            write_results(path, self.grid.labels, in_one_table(own, records, others))


def place_jobs(options: SweepOptions, agenda: Agenda) -> list[WorkerOptions]:
    """Give each job that has work its share of the cores, a GPU and its ports."""
    jobs = count_jobs(options.jobs, agenda.populations)
    ports = max((_count_ports(config, size) for config, size in agenda.kinds), default=0)
    return [
        WorkerOptions(
            options.out,
            replace(
                options.placement,
                worker_id=options.placement.worker_id + job * ports,
                device=_device_of(job, options.placement.device),
                cores=tuple(cores),
            ),
            options.sinks,
        )
        for job, cores in enumerate(share_cores(jobs))
    ]


def _count_ports(config: Config, size: int) -> int:
    """Return a population's maximum number of environments; each may need a port."""
    return size * config.trainer.num_workers + config.evaluation.num_workers


def _device_of(job: int, device: torch.device) -> torch.device:
    """Return the device of a job: jobs share all GPUs, unless the user has named one."""
    if device.type != "cuda" or device.index is not None:
        return device
    return torch.device("cuda", job % torch.cuda.device_count())
