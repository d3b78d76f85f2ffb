"""One task of a sweep: a population that is trained, wherever that happens."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ppo.checkpoint import checkpoint_path
from ppo.member import Run
from sweeps.plan import PlannedRun
from sweeps.results import Result
from trainer import PPOTrainer, Progress

SUMMARIES, CHECKPOINTS = "summaries", "checkpoints"

Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Placement:
    """Where and how a population is trained.

    Attributes:
        out: folder of everything that is written.
        worker_id: offset of the environments' communication ports.
        low_memory: move one mini-batch at a time to the device.
        device: where networks are trained.
        compiled: whether to compile the losses.
        cores: the numbers of the cores that the training may use.
    """

    out: Path
    worker_id: int
    low_memory: bool
    device: torch.device
    compiled: bool
    cores: list[int]


def train_population(
    population: Sequence[PlannedRun], placement: Placement, report: Report
) -> list[Result]:
    """Trains runs of equal shape together and returns their results in the same order.

    A run that fails or diverges is recorded as such. Where a failure stopped the whole population,
    its runs are trained one by one, so that it stops the one alone whose it is.
    """
    start = time.perf_counter()
    done = 0

    def note(progress: Progress) -> None:
        nonlocal done
        done = progress.update
        report(progress)

    try:
        results = _train(population, placement, note)
    except Exception as error:
        if len(population) > 1:
            return [
                result
                for planned in population
                for result in train_population([planned], placement, report)
            ]
        # Whatever stops one run, the others go on; what it was stands beside its summaries.
        details = getattr(error, "details", "") or traceback.format_exc()
        results = [record_failure(population[0], placement.out, _reason(error), done, details)]
    seconds = (time.perf_counter() - start) / len(population)
    return [replace(result, wall_time_seconds=seconds) for result in results]


def record_failure(
    planned: PlannedRun, out: Path, reason: str, updates: int, details: str = ""
) -> Result:
    """Writes why a run failed beside its summaries, and returns its result.

    Args:
        planned: the run.
        out: folder of everything that is written.
        reason: what happened, on one line.
        updates: how many it had done.
        details: where it happened; may be empty.
    """
    batch_size = planned.permutation.config.trainer.batch_size
    result = planned.result.failed(reason, updates, batch_size)
    _run(planned, out).write_failure(result.status, details)
    return result


def _train(population: Sequence[PlannedRun], placement: Placement, report: Report) -> list[Result]:
    runs = [_prepare(planned, placement.out) for planned in population]
    with PPOTrainer(
        runs,
        placement.worker_id,
        placement.low_memory,
        placement.device,
        compiled=placement.compiled,
        cores=len(placement.cores),
    ) as trainer:
        trainer.run(report)
        records, failures, steps = trainer.records, trainer.failures, trainer.steps
        updates_done = trainer.updates_done
    results = []
    for planned, run, record, failure, updates in zip(
        population, runs, records, failures, updates_done, strict=True
    ):
        if failure:
            results.append(record_failure(planned, placement.out, failure, updates))
            continue
        assert run.checkpoints is not None
        checkpoint = checkpoint_path(run.checkpoints, run.config.trainer.updates)
        result = replace(
            planned.result,
            steps=steps,
            final_return=record.final,
            return_deviation=record.deviation,
            best_return=record.best,
            checkpoint=str(checkpoint.relative_to(placement.out)),
        )
        results.append(result)
    return results


def _prepare(planned: PlannedRun, out: Path) -> Run:
    run = _run(planned, out)
    assert run.summaries and run.checkpoints
    for folder in (run.summaries, run.checkpoints):
        # What an unfinished training of the same run left would mix with this one's.
        shutil.rmtree(folder, ignore_errors=True)
    return run


def _run(planned: PlannedRun, out: Path) -> Run:
    summaries, checkpoints = (run_folder(planned, out / kind) for kind in (SUMMARIES, CHECKPOINTS))
    return Run(planned.permutation.config, planned.result.seed, summaries, checkpoints)


def run_folder(planned: PlannedRun, kind: Path) -> Path:
    """Where a run's summaries or checkpoints lie."""
    return kind / planned.result.run_id / planned.name


def _reason(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
