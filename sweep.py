"""Runs a grid: each permutation, and then each again for the next repetition."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from checkpoint import checkpoint_path
from grid import Grid, Permutation, show
from grid_files import write_grid
from member import Run
from progress import SweepDisplay
from results import Result, ResultsFile
from trainer import PPOTrainer
from yaml_file import replace_file

CONFIGS, RESULTS, SUMMARIES, CHECKPOINTS = "configs", "results.csv", "summaries", "checkpoints"
FAILURE = "failure.txt"


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
    """

    out: Path
    run_id: str
    repetitions: int
    seed: int
    worker_id: int
    low_memory: bool
    device: torch.device


@dataclass(frozen=True)
class _PlannedRun:
    permutation: Permutation
    result: Result  # what is known of it before it is trained

    @property
    def name(self) -> str:
        return f"{self.result.permutation}_{self.result.repetition}"

    @property
    def steps(self) -> int:
        return count_steps(self.permutation)


def count_steps(permutation: Permutation) -> int:
    """Environment steps of one training of a permutation."""
    trainer = permutation.config.trainer
    return trainer.updates * trainer.batch_size


class Sweep:
    """A grid that is trained into a folder; what was finished there before is kept.

    Args:
        grid: the permutations, validated.
        options: how they are run.
        overwrite: replace what the folder holds.

    Raises:
        UserError: the folder holds another grid or its results; nothing was written.
    """

    def __init__(self, grid: Grid, options: SweepOptions, overwrite: bool) -> None:
        self._grid = grid
        self._options = options
        path = options.out / RESULTS
        if overwrite:
            path.unlink(missing_ok=True)
            for kind in (SUMMARIES, CHECKPOINTS):
                shutil.rmtree(options.out / kind / options.run_id, ignore_errors=True)
        self._file = ResultsFile(path, grid.labels)
        write_grid(grid, options.out / CONFIGS, overwrite)
        self.finished_before = [
            finished
            for run in self._plan()
            if (finished := self._file.finished(run.result.key, run.result.seed))
        ]
        finished_steps = sum(result.steps for result in self.finished_before)
        self.steps = options.repetitions * sum(map(count_steps, grid.permutations()))
        self.steps -= finished_steps
        self.runs = options.repetitions * len(grid) - len(self.finished_before)

    def run(self, display: SweepDisplay) -> list[Result]:
        """Trains what isn't finished yet and returns the results of all runs.

        A run that fails or diverges is recorded as such and doesn't stop the others.
        """
        results = []
        steps_left = self.steps
        for run in self._plan():
            result = self._file.finished(run.result.key, run.result.seed)
            if result is None:
                display.run_started(run.name, run.permutation.config.trainer.updates)
                result = self._train(run, display)
                self._file.add(result)
                steps_left -= run.steps
                display.run_ended(run.name, result, steps_left)
            results.append(result)
        return results

    def _plan(self) -> Iterator[_PlannedRun]:
        for repetition in range(self._options.repetitions):
            for permutation in self._grid.permutations():
                choices = {label: show(value) for label, value in permutation.choices.items()}
                yield _PlannedRun(
                    permutation,
                    Result(
                        run_id=self._options.run_id,
                        permutation=self._grid.name(permutation.index),
                        repetition=repetition,
                        choices=choices,
                        # The same for all permutations, so that they are compared on common
                        # random numbers.
                        seed=self._options.seed + repetition,
                    ),
                )

    def _train(self, planned: _PlannedRun, display: SweepDisplay) -> Result:
        start = time.perf_counter()
        run = self._run_of(planned)
        options = self._options
        out, run_id = options.out, options.run_id
        try:
            with PPOTrainer(
                [run], options.worker_id, options.low_memory, options.device
            ) as trainer:
                trainer.run(display.run_progressed)
                record, steps = trainer.records[0], trainer.steps
        except Exception as error:
            # Whatever stops one run, the others go on; what it was stands beside its summaries.
            with replace_file(out / SUMMARIES / run_id / planned.name / FAILURE) as file:
                file.write(traceback.format_exc())
            seconds = time.perf_counter() - start
            return replace(planned.result, status=_reason(error), wall_time_seconds=seconds)
        assert run.checkpoints is not None
        checkpoint = checkpoint_path(run.checkpoints, run.config.trainer.updates)
        return replace(
            planned.result,
            steps=steps,
            final_return=record.final,
            return_deviation=record.deviation,
            best_return=record.best,
            wall_time_seconds=time.perf_counter() - start,
            checkpoint=str(checkpoint.relative_to(options.out)),
        )

    def _run_of(self, planned: _PlannedRun) -> Run:
        out, run_id = self._options.out, self._options.run_id
        summaries = out / SUMMARIES / run_id / planned.name
        checkpoints = out / CHECKPOINTS / run_id / planned.name
        for folder in (summaries, checkpoints):
            # What an unfinished training of the same run left would mix with this one's.
            shutil.rmtree(folder, ignore_errors=True)
        return Run(planned.permutation.config, planned.result.seed, summaries, checkpoints)


def _reason(error: Exception) -> str:
    text = str(error).strip()
    return f"failed: {text.splitlines()[0] if text else type(error).__name__}"
