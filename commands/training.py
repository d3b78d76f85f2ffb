"""Trains one run for `train.py`: prints the plan, the progress and the result."""

from __future__ import annotations

import shutil
import sys
import time

from rich.console import Console

from commands.command import ExitCode
from commands.interruption import interruptible
from commands.notices import (
    chosen_lines,
    compile_beforehand,
    curves_line,
    print_notices,
    print_precision,
)
from commands.terminal.console import make_console, print_sentence
from commands.terminal.progress import duration, make_display
from environments import EnvironmentFailure
from environments.safety.watch import watch
from ppo.placement import Placement
from ppo.run.checkpoint import checkpoint_path
from ppo.run.member import FAILURE, Run, TrainingDivergedError
from ppo.sinks import TENSORBOARD
from schema.config import Config
from schema.errors import UserError
from schema.folders import absolute, shown
from schema.os_errors import describe
from sweeps.execution.stop import Stop
from trainer import PPOTrainer, Progress


def train(
    run: Run,
    placement: Placement,
    overwrite: bool,
) -> int:
    """Train one run, print its return and return the exit code.

    Raises:
        UserError: the run's folders hold an earlier training that this one neither resumes nor replaces.
    """
    assert run.summaries and run.checkpoints
    _prepare_folders(run, overwrite)
    device = placement.device
    numba = device.type == "cpu" and not placement.torch_compile
    print_notices([run.config], numba)
    print_precision(run.config)
    compile_beforehand([run.config], numba)
    console = make_console()
    trainer_config = run.config.trainer
    steps = trainer_config.updates * trainer_config.batch_size
    name = run.config.environment.name
    start = time.monotonic()
    plan = f"{trainer_config.updates:,} updates, {steps:,} environment steps on {device}"
    if not run.config.model.load_model:
        # Printed before the environments are built, which may take long.
        print_sentence(console, f"{name}: {plan}")
    failures = _Failures(run, console)
    watch.give_up = failures.show
    stop = Stop()
    try:
        with (
            interruptible(stop) as interruption,
            PPOTrainer([run], placement) as trainer,
        ):
            failures.trainer = trainer
            if run.config.model.load_model:
                resumed = f"resumes after update {trainer.update:,} of {plan}"
                print_sentence(console, f"{name}: {resumed}")
            for line in chosen_lines([run.config], device.type):
                print_sentence(console, line)
            _run_updates(console, trainer, run.config, stop)
            if trainer.failures[0] is not None:
                raise trainer.failures[0].error
            # Before the environments are closed, which may take long.
            _print_reached(console, run, trainer)
    except (TrainingDivergedError, EnvironmentFailure) as error:
        if stop.is_requested:
            # A signal to the whole process group stops the environments' processes, too.
            print("interrupted", file=sys.stderr)
            return interruption.exit_code
        failures.show(error)
        return ExitCode.FAILED
    console.print(f"took {duration(time.monotonic() - start)}")
    if interruption.number and not trainer.is_finished:
        print("interrupted", file=sys.stderr)
        return interruption.exit_code
    return ExitCode.SUCCESS


def _run_updates(console: Console, trainer: PPOTrainer, config: Config, stop: Stop) -> None:
    """Run the updates and show their progress, until they are done or a stop is requested."""
    updates = config.trainer.updates
    with make_display(console, 0, updates * config.trainer.batch_size) as display:
        display.show_start(0, [config.environment.name], updates)

        def on_update(progress: Progress) -> None:
            display.show_progress(0, progress)
            if stop.is_requested:
                trainer.stop()

        trainer.run(on_update)


def _print_reached(console: Console, run: Run, trainer: PPOTrainer) -> None:
    record = trainer.return_histories[0]
    episodes = record.episodes
    judged = "the last evaluation" if record.is_evaluated else f"the last {episodes} episodes"
    if record.final is None:
        print_sentence(
            console,
            "no episode ended; train for more updates, or limit episodes with "
            "environment.max_episode_steps",
        )
    else:
        console.print(f"return {record.final:.4g} ± {record.deviation:.3g} over {judged}")
    assert run.summaries and run.checkpoints
    checkpoint = checkpoint_path(run.checkpoints, trainer.update)
    console.print(f"checkpoint: {shown(checkpoint)}", soft_wrap=True)
    if TENSORBOARD in run.log.sinks:
        console.print(curves_line(run.summaries), soft_wrap=True)


class _Failures:
    """Prints a failure on one line, and writes its details beside the run's summaries.

    Attributes:
        trainer: the trainer, which knows the number of updates; None before the training starts.
    """

    def __init__(self, run: Run, console: Console) -> None:
        self._run = run
        self._console = console
        self.trainer: PPOTrainer | None = None

    def show(self, error: TrainingDivergedError | EnvironmentFailure) -> None:
        """Print and write a failure."""
        update = 0 if self.trainer is None else self.trainer.update
        details = getattr(error, "details", "")
        line = f"failed: {error} (after update {update:,}"
        try:
            path = self._run.write_failure(f"{line})", details)
            where = f"; details in {shown(path)}" if details else ""
        except OSError as fault:
            where = f"; details are lost: {describe(fault)}"
        # The live display hides the cursor, and is closed only later, if at all.
        self._console.show_cursor()
        print_sentence(self._console, f"{line}{where})")


def _prepare_folders(run: Run, overwrite: bool) -> None:
    """Raise an error if the run's folders hold another training, or delete that with `overwrite`.

    A training that failed before its first update leaves only a record of the failure, which is
    deleted.
    """
    assert run.summaries
    if _resumes(run):
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


def _resumes(run: Run) -> bool:
    """Return whether the run resumes from a checkpoint in its own folder."""
    model = run.config.model
    assert run.checkpoints
    own = run.checkpoints.resolve()
    return model.load_model and own in absolute(model.model_path).resolve().parents
