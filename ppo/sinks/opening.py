"""Opens a run's sinks."""

from __future__ import annotations

from pathlib import Path

from ppo.run.summaries import SummaryWriter
from ppo.sinks import TENSORBOARD
from ppo.sinks.interface import Log, Sink
from ppo.sinks.sparing import Sparing


def open_sinks(log: Log, folder: Path, resumed_at: int | None) -> list[Sink]:
    """Open the sinks of a run.

    Args:
        log: the sinks, and the run's name there.
        folder: the run's folder of summaries, where services store their ids of the run, too.
        resumed_at: the environment step from which a training in that folder is resumed; later steps
            are dropped. None keeps everything.
    """
    return [
        SummaryWriter(folder, resumed_at, _trial(log))
        if name == TENSORBOARD
        else Sparing(name, lambda name=name: open_service(name, log, folder))  # type: ignore[misc]
        for name in log.sinks
    ]


def _trial(log: Log) -> str | None:
    """Return the name of a run's permutation, which its repetitions share."""
    permutation = log.name.rpartition("_")[0] or log.name
    return f"{log.group}/{permutation}" if permutation else None


def open_service(name: str, log: Log, folder: Path) -> Sink:
    """Open the sink of a service by its name."""
    # Imported here because each takes seconds to load.
    if name == "wandb":
        from ppo.sinks.wandb_run import WandbRun

        return WandbRun(log, folder)
    from ppo.sinks.mlflow_run import MlflowRun

    return MlflowRun(log, folder)
