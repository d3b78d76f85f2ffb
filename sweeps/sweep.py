"""Runs a grid: plans its populations, trains them and keeps the results."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from environments.cores import share_cores
from schema.errors import UserError
from sweeps.backends.local import run_in_processes
from sweeps.files import write_grid
from sweeps.grid import Grid
from sweeps.plan import PlannedRun, plan_populations, plan_runs
from sweeps.progress import SweepDisplay
from sweeps.results import Result, ResultsFile
from sweeps.task import CHECKPOINTS, SUMMARIES, Placement
from trainer import Progress

CONFIGS, RESULTS = "configs", "results.csv"


@dataclass(frozen=True)
class SweepOptions:
    """How a grid is run.

    Attributes:
        out: folder of everything that is written.
        run_id: tag of the training session, in the names of summaries and checkpoints.
        repetitions: how often each permutation is trained.
        seed: a run's seed is this plus its repetition.
        worker_id: offset of the environments' communication ports.
        low_memory: move one mini-batch at a time to the device.
        device: where networks are trained.
        together: how many runs of equal shape train as one population at most.
        jobs: how many populations are trained in parallel.
        compiled: whether to compile the losses.
    """

    out: Path
    run_id: str
    repetitions: int
    seed: int
    worker_id: int
    low_memory: bool
    device: torch.device
    together: int = 1
    jobs: int = 1
    compiled: bool = False


class Sweep:
    """A grid that is trained into a folder; what was finished there before is kept.

    Args:
        grid: the permutations, validated.
        options: how they are run.
        overwrite: replace what the folder holds.

    Attributes:
        populations: what is trained together, in the order in which it is begun.
        finished_before: results that are kept.

    Raises:
        UserError: the folder holds another grid, or results of it or of another seed; nothing was
            written.
    """

    def __init__(self, grid: Grid, options: SweepOptions, overwrite: bool) -> None:
        self._options = options
        self._file = (_replace if overwrite else _continue)(grid, options)
        self._runs = list(plan_runs(grid, options.run_id, options.repetitions, options.seed))
        left, self.finished_before = [], []
        for run in self._runs:
            finished = self._file.finished(run.result.key, run.result.seed)
            if finished is None:
                left.append(run)
            else:
                self.finished_before.append(finished)
        self.populations = plan_populations(left, options.together, options.jobs)
        self.steps = sum(run.steps for run in left)
        self.runs = len(left)

    def run(self, display: SweepDisplay) -> list[Result]:
        """Trains what isn't finished yet and returns the results of all runs in the grid's order.

        A run that fails or diverges is recorded as such and doesn't stop the others.
        """
        results = {result.key: result for result in self.finished_before}
        recorder = _Recorder(self._file, display, results)
        placements = place_jobs(self._options, self.populations)
        run_in_processes(self.populations, placements, recorder)
        return [results[run.result.key] for run in self._runs]


def _continue(grid: Grid, options: SweepOptions) -> ResultsFile:
    """The results that a folder holds, which are of the same grid and seed, or none."""
    file = ResultsFile(options.out / RESULTS, grid.labels)
    file.refuse_another_seed(options.run_id, options.seed)
    write_grid(grid, options.out / CONFIGS)
    return file


def _replace(grid: Grid, options: SweepOptions) -> ResultsFile:
    """The results that a folder holds, without those of this session.

    Results of other sessions are kept where they are of the same grid; those of another grid would
    name permutations that there are no configs of any more.
    """
    path = options.out / RESULTS
    try:
        write_grid(grid, options.out / CONFIGS)
        file = ResultsFile(path, grid.labels)
    except UserError:
        write_grid(grid, options.out / CONFIGS, overwrite=True)
        path.unlink(missing_ok=True)
        file = ResultsFile(path, grid.labels)
    file.remove(options.run_id)
    for kind in (SUMMARIES, CHECKPOINTS):
        shutil.rmtree(options.out / kind / options.run_id, ignore_errors=True)
    return file


class _Recorder:
    """Writes results as they come, and tells the display what happens."""

    def __init__(
        self,
        file: ResultsFile,
        display: SweepDisplay,
        results: dict[tuple[str, str, int], Result],
    ) -> None:
        self._file = file
        self._display = display
        self._results = results

    def started(self, job: int, population: Sequence[PlannedRun]) -> None:
        names = [run.name for run in population]
        updates = population[0].permutation.config.trainer.updates
        self._display.started(job, names, updates)

    def progressed(self, job: int, progress: Progress) -> None:
        self._display.progressed(job, progress)

    def ended(self, job: int, population: Sequence[PlannedRun], results: list[Result]) -> None:
        self._file.add(results)
        self._results.update((result.key, result) for result in results)
        names = [run.name for run in population]
        self._display.ended(job, names, results, sum(run.steps for run in population))


def place_jobs(
    options: SweepOptions, populations: Sequence[Sequence[PlannedRun]]
) -> list[Placement]:
    """One place for each job that there is work for: its share of the cores, a GPU, its ports."""
    jobs = max(1, min(options.jobs, len(populations)))
    ports = max(map(_count_ports, populations), default=0)
    return [
        Placement(
            out=options.out,
            worker_id=options.worker_id + job * ports,
            low_memory=options.low_memory,
            device=_device_of(job, options.device),
            compiled=options.compiled,
            cores=cores,
        )
        for job, cores in enumerate(share_cores(jobs))
    ]


def _count_ports(population: Sequence[PlannedRun]) -> int:
    """How many environments a population has at most, each of which may need a port."""
    config = population[0].permutation.config
    return len(population) * config.trainer.num_workers + config.evaluation.num_workers


def _device_of(job: int, device: torch.device) -> torch.device:
    """Spreads jobs over all GPUs, unless the user named one of them."""
    if device.type != "cuda" or device.index is not None:
        return device
    return torch.device("cuda", job % torch.cuda.device_count())
