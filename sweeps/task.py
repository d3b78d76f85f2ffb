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
from schema.yaml_file import replace_file
from sweeps.plan import PlannedRun
from sweeps.results import Result
from trainer import PPOTrainer, Progress

SUMMARIES, CHECKPOINTS, FAILURE = "summaries", "checkpoints", "failure.txt"

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
    try:
        results = _train(population, placement, report)
    except Exception as error:
        if len(population) > 1:
            return [
                result
                for planned in population
                for result in train_population([planned], placement, report)
            ]
        # Whatever stops one run, the others go on; what it was stands beside its summaries.
        _write_failure(population[0], placement.out, traceback.format_exc())
        results = [replace(population[0].result, status=_reason(error))]
    seconds = (time.perf_counter() - start) / len(population)
    return [replace(result, wall_time_seconds=seconds) for result in results]


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
    results = []
    for planned, run, record, failure in zip(population, runs, records, failures, strict=True):
        if failure:
            _write_failure(planned, placement.out, f"{failure}\n")
            results.append(replace(planned.result, status=f"failed: {failure}"))
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
    summaries, checkpoints = (run_folder(planned, out / kind) for kind in (SUMMARIES, CHECKPOINTS))
    for folder in (summaries, checkpoints):
        # What an unfinished training of the same run left would mix with this one's.
        shutil.rmtree(folder, ignore_errors=True)
    return Run(planned.permutation.config, planned.result.seed, summaries, checkpoints)


def run_folder(planned: PlannedRun, kind: Path) -> Path:
    """Where a run's summaries or checkpoints lie."""
    return kind / planned.result.run_id / planned.name


def _write_failure(planned: PlannedRun, out: Path, text: str) -> None:
    with replace_file(run_folder(planned, out / SUMMARIES) / FAILURE) as file:
        file.write(text)


def _reason(error: Exception) -> str:
    text = str(error).strip()
    return f"failed: {text.splitlines()[0] if text else type(error).__name__}"
