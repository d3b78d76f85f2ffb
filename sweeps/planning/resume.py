"""Finds the checkpoint that an interrupted or extended run resumes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from environments.building import probe
from ppo.run.checkpoint import load_last_intact
from schema.config import Config
from schema.errors import UserError
from schema.schedules import DecaySchedule
from schema.trainer import TrainerConfig


@dataclass(frozen=True)
class Start:
    """The point at which a run starts or resumes.

    Attributes:
        checkpoint: the checkpoint to resume from; None starts from the beginning.
        update: number of updates done by then.
        notice: why the run starts again although it has checkpoints; empty otherwise.
    """

    checkpoint: Path | None = None
    update: int = 0
    notice: str = ""


def find_start(folder: Path, config: Config, seed: int) -> Start:
    """Find where a run starts or resumes, by the checkpoints in its folder.

    Args:
        folder: the folder of the run's checkpoints.
        config: the config to train.
        seed: the run's seed.
    """
    found = load_last_intact(folder)
    if found is None:
        return Start(notice="their checkpoints are damaged" if any(folder.glob("*.pt")) else "")
    path, checkpoint = found
    try:
        saved = checkpoint.read_config(path)
    except UserError as error:
        return Start(notice=error.lines[0])
    # A checkpoint holds values also for defaults that depend on the observations.
    config = config.resolved(probe(config.environment).spaces.has_images)
    if checkpoint.seed != seed or _without_updates(saved) != _without_updates(config):
        return Start(notice="their checkpoints belong to another config or seed")
    if saved.trainer.updates != config.trainer.updates:
        bound = _schedule_bound_to_updates(config.trainer)
        if bound is not None:
            return Start(
                notice=f"trainer.updates is {config.trainer.updates}, was {saved.trainer.updates}, and "
                f"trainer.{bound}.max_decay_steps is null, so the schedule has changed"
            )
    if checkpoint.update > config.trainer.updates:
        return Start(notice="their checkpoints have more updates")
    return Start(path, checkpoint.update)


def _without_updates(config: Config) -> Config:
    """Return the config without the number of updates, which may grow."""
    trainer = config.trainer.model_copy(update={"updates": 1})
    return config.model_copy(update={"trainer": trainer})


def _schedule_bound_to_updates(trainer: TrainerConfig) -> str | None:
    """Return the first schedule that depends on the number of updates; None if none does."""
    for name in TrainerConfig.model_fields:
        schedule = getattr(trainer, name)
        if (
            isinstance(schedule, DecaySchedule)
            and schedule.max_decay_steps is None
            and schedule.final not in (None, schedule.initial)
        ):
            return name
    return None
