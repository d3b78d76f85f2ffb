"""Trains one population of a sweep, in the process of a job."""

from __future__ import annotations

import errno
import shutil
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from environments.cores import core_numbers
from ppo.placement import Placement
from ppo.run.checkpoint import last_intact_checkpoint
from ppo.run.member import FAILURE, Run, TrainingDivergedError
from ppo.sinks import TENSORBOARD
from ppo.sinks.interface import Log
from schema.os_errors import describe, file_of
from sweeps.journal.runs import RunRecord, RunState
from sweeps.planning.populations import PlannedRun
from sweeps.search_space.choices import number_or_text
from trainer import PPOTrainer, Progress

SUMMARIES, CHECKPOINTS = "summaries", "checkpoints"

Report = Callable[[Progress], None]
IsStopped = Callable[[], bool]
# Errors that say that nothing can be written, whichever run tries.
_STORAGE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
_PERMISSION_ERRORS = {errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR}


@dataclass(frozen=True)
class WorkerOptions:
    """The options of a worker process.

    Attributes:
        out: the sweep's output folder.
        placement: the job's device, ports and cores.
        sinks: the services to log to.
        stays_on_cores: whether the job is bound to the cores of its placement; if not, only their
            number matters.
    """

    out: Path
    placement: Placement
    sinks: tuple[str, ...] = (TENSORBOARD,)
    stays_on_cores: bool = True

    def among_others(self, cores: int) -> WorkerOptions:
        """Return the options of a job on a machine whose other jobs it doesn't know.

        Args:
            cores: the number of cores that it may use; the system chooses which.
        """
        placement = replace(self.placement, cores=tuple(core_numbers()[:cores]))
        return replace(self, placement=placement, stays_on_cores=False)


def train_population(
    population: Sequence[PlannedRun],
    options: WorkerOptions,
    report: Report,
    is_stopped: IsStopped,
) -> list[RunRecord] | None:
    """Train runs of equal shape together, and return their records in the same order.

    A run that fails or diverges has a record that says so. Return None if an error stops a population of
    several runs: each has to be trained alone, so that only the run that caused the error fails.

    Args:
        population: the runs.
        options: where to train, and where to write.
        report: called with the progress after each update.
        is_stopped: returns whether to save checkpoints and stop after the present update.
    """
    if is_stopped():
        return [RunRecord(planned.run, RunState.INTERRUPTED) for planned in population]
    start = time.perf_counter()
    done = population[0].update

    def note(progress: Progress) -> None:
        nonlocal done
        done = progress.update
        report(progress)

    try:
        results = _train(population, options, note, is_stopped)
    except Exception as error:
        if is_stopped():
            # A signal to the whole process group stops the processes of environments, too.
            return [RunRecord(planned.run, RunState.INTERRUPTED) for planned in population]
        if isinstance(error, OSError) and _nothing_can_be_written(error, options.out):
            why = describe(error)
            return [RunRecord(each.run, RunState.INTERRUPTED, error=why) for each in population]
        if len(population) > 1:
            return None
        # No error of one run stops the others. The details are written beside its summaries.
        details = getattr(error, "details", "") or traceback.format_exc()
        results = [
            record_failure(population[0], options.out, RunState.FAILED, _line(error), done, details)
        ]
    seconds = (time.perf_counter() - start) / len(population)
    return [replace(result, wall_time_seconds=seconds) for result in results]


def part(population: Sequence[PlannedRun], out: Path) -> list[list[PlannedRun]]:
    """Return each run of a population alone, resumed from its latest checkpoint."""
    folders = [run_folder(planned, out / CHECKPOINTS) for planned in population]
    return [
        [replace(planned, interrupted_at=last_intact_checkpoint(folder))]
        for planned, folder in zip(population, folders, strict=True)
    ]


def regroup(
    population: Sequence[PlannedRun], out: Path, has_started: bool
) -> list[list[PlannedRun]]:
    """Return the runs of a lost job, resumed from their latest checkpoints.

    They stay together if they have done equally many updates; else each is alone.

    Args:
        population: the runs.
        out: the output folder.
        has_started: whether the job has started any. If not, and they begin anew, the checkpoints that
            are there belong to earlier trainings.
    """
    if not has_started and not any(planned.interrupted_at for planned in population):
        return [list(population)]
    alone = part(population, out)
    if len({planned.update for [planned] in alone}) > 1:
        return alone
    return [[planned for [planned] in alone]]


def _nothing_can_be_written(error: OSError, out: Path) -> bool:
    """Return whether the output folder caused an error, so that all other runs would fail, too."""
    path = file_of(error)
    is_ours = path is not None and path.resolve().is_relative_to(out.resolve())
    return error.errno in _STORAGE_ERRORS or (is_ours and error.errno in _PERMISSION_ERRORS)


def _train(
    population: Sequence[PlannedRun],
    options: WorkerOptions,
    report: Report,
    is_stopped: IsStopped,
) -> list[RunRecord]:
    runs = [_prepare(planned, options) for planned in population]
    with PPOTrainer(runs, options.placement) as trainer:

        def on_update(progress: Progress) -> None:
            report(progress)
            if is_stopped() or _is_at_rung(population[0], progress.update):
                trainer.stop()

        if _is_at_rung(population[0], trainer.update):
            # A lost journal may have no record of what the checkpoints hold.
            trainer.stop()
        trainer.run(on_update)
        return [
            _result(planned, number, trainer, options.out)
            for number, planned in enumerate(population)
        ]


def _result(planned: PlannedRun, number: int, trainer: PPOTrainer, out: Path) -> RunRecord:
    """Return the record of a member of a population."""
    record, failure = trainer.return_histories[number], trainer.failures[number]
    if failure:
        diverged = isinstance(failure.error, TrainingDivergedError)
        state = RunState.DIVERGED if diverged else RunState.FAILED
        details = getattr(failure.error, "details", "")
        return record_failure(planned, out, state, str(failure.error), failure.updates, details)
    state = RunState.FINISHED if trainer.is_finished else RunState.INTERRUPTED
    if state == RunState.INTERRUPTED and _is_at_rung(planned, trainer.update):
        state = RunState.PAUSED
    return RunRecord(
        planned.run,
        state,
        steps=trainer.steps,
        final_return=record.final,
        return_deviation=record.deviation,
        best_return=record.best,
        checkpoint=_last_checkpoint(planned, out),
        curve=tuple(record.curve),
        diagnostics=trainer.diagnostics[number],
    )


def _is_at_rung(planned: PlannedRun, update: int) -> bool:
    """Return whether a run pauses after a number of updates, to be judged."""
    return planned.until is not None and update >= planned.until


def record_failure(
    planned: PlannedRun, out: Path, state: RunState, error: str, updates: int, details: str = ""
) -> RunRecord:
    """Write the error that ended a run beside its summaries, and return the run's record.

    Args:
        planned: the run.
        out: the output folder.
        state: failed or diverged.
        error: the error, on one line.
        updates: number of updates that the run had finished.
        details: the traceback or the environment's own details; may be empty.
    """
    batch_size = planned.permutation.config.trainer.batch_size
    result = RunRecord(
        planned.run,
        state,
        steps=updates * batch_size,
        error=error,
        checkpoint=_last_checkpoint(planned, out),
    )
    # The record tells the error, too; on a full disk only the details are lost.
    with suppress(OSError):
        _run(planned, out).write_failure(f"{result.status} (after update {updates})", details)
    return result


def _last_checkpoint(planned: PlannedRun, out: Path) -> str:
    """Return the run's last intact checkpoint, relative to the output folder; empty without one."""
    path = last_intact_checkpoint(run_folder(planned, out / CHECKPOINTS))
    return "" if path is None else str(path.relative_to(out))


def _line(error: Exception) -> str:
    """Return an error on one line."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _prepare(planned: PlannedRun, options: WorkerOptions) -> Run:
    log = Log(options.sinks, options.out, planned.run.run_id, planned.name)
    run = replace(_run(planned, options.out), log=log)
    assert run.summaries
    clear([planned], options.out)
    (run.summaries / FAILURE).unlink(missing_ok=True)
    return run


def clear(population: Iterable[PlannedRun], out: Path) -> None:
    """Remove the files of earlier trainings of the runs that start from the beginning.

    Raises:
        OSError: something can't be removed.
    """
    for planned in population:
        if planned.interrupted_at is None:
            for kind in (SUMMARIES, CHECKPOINTS):
                remove_folder(run_folder(planned, out / kind))


def remove_folder(folder: Path) -> None:
    """Remove a folder if it exists; of a symbolic link, remove what the link's folder contains.

    Raises:
        OSError: something can't be removed.
    """
    if not folder.is_symlink():
        if folder.exists():
            shutil.rmtree(folder)
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _run(planned: PlannedRun, out: Path) -> Run:
    summaries, checkpoints = (run_folder(planned, out / kind) for kind in (SUMMARIES, CHECKPOINTS))
    config, seed = planned.permutation.config, planned.run.seed
    tuned = {label: number_or_text(text) for label, text in planned.run.choices.items()}
    return Run(config, seed, summaries, checkpoints, planned.interrupted_at, tuned)


def run_folder(planned: PlannedRun, kind: Path) -> Path:
    """Return the folder of a run's summaries or checkpoints."""
    return kind / planned.run.run_id / planned.name
