"""Where a run goes on that was interrupted, or that is to be trained for longer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from environments.building import probe
from ppo.run.checkpoint import last_intact_checkpoint, load_checkpoint
from schema.config import Config
from schema.errors import UserError
from schema.schedules import DecaySchedule
from schema.trainer import TrainerConfig


@dataclass(frozen=True)
class Start:
    """Where a run begins or goes on.

    Attributes:
        checkpoint: at which it goes on; None begins it.
        update: how many updates are done then.
        notice: why it begins although there are checkpoints; empty where there is no such reason.
    """

    checkpoint: Path | None = None
    update: int = 0
    notice: str = ""


def find_start(folder: Path, config: Config, seed: int) -> Start:
    """Where a run goes on by the checkpoints in its folder.

    Args:
        folder: of its checkpoints.
        config: what is to be trained.
        seed: of the run.
    """
    path = last_intact_checkpoint(folder)
    if path is None:
        return Start(notice="its checkpoints are damaged" if any(folder.glob("*.pt")) else "")
    try:
        checkpoint = load_checkpoint(path)
        saved = checkpoint.read_config(path)
    except UserError as error:
        return Start(notice=error.lines[0])
    # A checkpoint says what was chosen where the config leaves that to the observations.
    config = config.resolved(probe(config.environment).spaces.has_images)
    if checkpoint.seed != seed or _without_updates(saved) != _without_updates(config):
        return Start(notice="its checkpoints are of another config or seed")
    if saved.trainer.updates != config.trainer.updates:
        bound = _schedule_bound_to_updates(config.trainer)
        if bound is not None:
            return Start(
                notice=f"trainer.updates is {config.trainer.updates}, was {saved.trainer.updates}, and "
                f"trainer.{bound}.max_decay_steps is null, so that the schedule was another one"
            )
    if checkpoint.update > config.trainer.updates:
        return Start(notice="its checkpoints are of more updates")
    return Start(path, checkpoint.update)


def _without_updates(config: Config) -> Config:
    """The config but for what may grow while the training stays the same."""
    trainer = config.trainer.model_copy(update={"updates": 1})
    return config.model_copy(update={"trainer": trainer})


def _schedule_bound_to_updates(trainer: TrainerConfig) -> str | None:
    """The first schedule that would run otherwise with another number of updates."""
    for name in TrainerConfig.model_fields:
        schedule = getattr(trainer, name)
        if (
            isinstance(schedule, DecaySchedule)
            and schedule.max_decay_steps is None
            and schedule.final not in (None, schedule.initial)
        ):
            return name
    return None
