"""Opens a run's sinks."""

from __future__ import annotations

from pathlib import Path

from ppo.run.summaries import SummaryWriter
from ppo.sinks import TENSORBOARD
from ppo.sinks.interface import Log, Sink
from ppo.sinks.sparing import Sparing


def open_sinks(log: Log, folder: Path, resumed_at: int | None) -> list[Sink]:
    """The sinks that a run is logged to.

    Args:
        log: which, and what the run is called there.
        folder: of the run's summaries, where services note which of their runs it is, too.
        resumed_at: the environment step at which an earlier training in that folder goes on; None
            keeps everything.
    """
    return [
        SummaryWriter(folder, resumed_at)
        if name == TENSORBOARD
        else Sparing(name, lambda name=name: _open_service(name, log, folder))  # type: ignore[misc]
        for name in log.sinks
    ]


def _open_service(name: str, log: Log, folder: Path) -> Sink:
    # Imported here because each takes seconds to load.
    if name == "wandb":
        from ppo.sinks.wandb_run import WandbRun

        return WandbRun(log, folder)
    from ppo.sinks.mlflow_run import MlflowRun

    return MlflowRun(log, folder)
