"""What `train.py` shows around one training."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import torch
from rich.console import Console

from commands.command import chosen_lines, notify_of_slower_ways
from commands.interruption import interruptible
from commands.terminal.progress import duration, make_console, make_display
from environments import EnvironmentFailure
from environments.safety.watch import watch
from ppo.run.checkpoint import checkpoint_path
from ppo.run.member import FAILURE, Run, TrainingDivergedError
from ppo.sinks import TENSORBOARD
from schema.errors import UserError
from sweeps.execution.stop import Stop
from trainer import PPOTrainer, Progress


def train(
    run: Run,
    worker_id: int,
    low_memory: bool,
    device: torch.device,
    compiled: bool,
    overwrite: bool,
) -> int:
    """Trains one run, prints what it reached and returns the exit code.

    Raises:
        UserError: the run's folders hold an earlier training, which this one neither continues nor
            is to overwrite.
    """
    assert run.summaries and run.checkpoints
    _prepare_folders(run, overwrite)
    notify_of_slower_ways([run.config], device.type == "cpu" and not compiled)
    console = make_console()
    trainer_config = run.config.trainer
    steps = trainer_config.updates * trainer_config.batch_size
    name = run.config.environment.name
    start = time.monotonic()
    plan = f"{trainer_config.updates:,} updates, {steps:,} environment steps on {device}"
    if not run.config.model.load_model:
        # Before the environments are built, which may take long.
        console.print(f"{name}: {plan}", soft_wrap=True)
    failures = _Failures(run, console)
    watch.give_up = failures.show
    stop = Stop()
    try:
        with (
            interruptible(stop) as interruption,
            PPOTrainer([run], worker_id, low_memory, device, compiled) as trainer,
        ):
            failures.trainer = trainer
            if run.config.model.load_model:
                begun = f"goes on after update {trainer.update:,} of {plan}"
                console.print(f"{name}: {begun}", soft_wrap=True)
            for line in chosen_lines([run.config], device.type):
                console.print(line, soft_wrap=True)
            with make_display(console, 0, steps) as display:
                display.show_start(0, [name], trainer_config.updates)

                def on_update(progress: Progress) -> None:
                    display.show_progress(0, progress)
                    if stop.is_requested:
                        trainer.stop()

                trainer.run(on_update)
            if trainer.failures[0] is not None:
                raise trainer.failures[0].error
    except (TrainingDivergedError, EnvironmentFailure) as error:
        if stop.is_requested:
            # What stops a whole group of processes stops those of environments, too.
            print("interrupted", file=sys.stderr)
            return interruption.exit_code
        failures.show(error)
        return 1
    _print_reached(console, run, trainer)
    console.print(f"took {duration(time.monotonic() - start)}")
    if interruption.number and not trainer.is_finished:
        print("interrupted", file=sys.stderr)
        return interruption.exit_code
    return 0


def _print_reached(console: Console, run: Run, trainer: PPOTrainer) -> None:
    record = trainer.records[0]
    episodes = record.episodes
    judged = "the last evaluation" if record.is_evaluated else f"the last {episodes} episodes"
    if record.final is None:
        console.print(
            "no episode ended; train for more updates, or end episodes by "
            "environment.max_episode_steps",
            soft_wrap=True,
        )
    else:
        console.print(f"return {record.final:.4g} ± {record.deviation:.3g} over {judged}")
    assert run.checkpoints
    checkpoint = checkpoint_path(run.checkpoints, trainer.update)
    console.print(f"checkpoint: {checkpoint}", soft_wrap=True)
    if TENSORBOARD in run.log.sinks:
        console.print(f"curves: tensorboard --logdir '{run.summaries}'", soft_wrap=True)


class _Failures:
    """Says on one line what ended a training, and writes the rest beside the run's summaries.

    Attributes:
        trainer: knows how far the training came; None before it begins.
    """

    def __init__(self, run: Run, console: Console) -> None:
        self._run = run
        self._console = console
        self.trainer: PPOTrainer | None = None

    def show(self, error: TrainingDivergedError | EnvironmentFailure) -> None:
        """Prints and writes what happened."""
        update = 0 if self.trainer is None else self.trainer.update
        details = getattr(error, "details", "")
        line = f"failed: {error} (after update {update:,}"
        path = self._run.write_failure(f"{line})", details)
        where = f"; details in {path}" if details else ""
        # The display hides it, and ends only with the training.
        self._console.show_cursor()
        self._console.print(f"{line}{where})", markup=False, soft_wrap=True)


def _prepare_folders(run: Run, overwrite: bool) -> None:
    """Makes sure that a training's folders are empty, or those of the one that it continues.

    A training that failed before it began has left nothing but its failure, which doesn't count.
    """
    assert run.summaries
    if _continues(run):
        (run.summaries / FAILURE).unlink(missing_ok=True)
        return
    for folder in (run.summaries, run.checkpoints):
        if folder is None or not folder.exists():
            continue
        if overwrite or [path.name for path in folder.iterdir()] == [FAILURE]:
            shutil.rmtree(folder)
        elif any(folder.iterdir()):
            raise UserError(
                f"{folder}: holds an earlier training; choose another --run-id or --out, "
                "or replace it with --overwrite"
            )


def _continues(run: Run) -> bool:
    """Whether a training goes on from a checkpoint in its own folder."""
    model = run.config.model
    assert run.checkpoints
    own = run.checkpoints.resolve()
    return model.load_model and own in Path(model.model_path).expanduser().resolve().parents
