"""Weights & Biases: a run there for each run here."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Its makers needn't know of errors here.
os.environ.setdefault("WANDB_ERROR_REPORTING", "false")

import wandb

from ppo.sinks.interface import Log

_PROJECT = "ppo-grid"  # unless WANDB_PROJECT names another
_ID = "wandb_run.txt"
_PATIENCE = 30.0  # seconds for the service, or whoever is to log in, to answer


class WandbRun:
    """A run of Weights & Biases, which goes on where the training does.

    The service ignores a step that it has already. What is written offline is in a folder for each time
    that the training went on, all with the run's id.

    Args:
        log: what the run is called.
        folder: where the run's id is noted.
    """

    def __init__(self, log: Log, folder: Path) -> None:
        log.out.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            group=log.group,
            name=log.name,
            id=_run_id(folder),
            resume=None if os.environ.get("WANDB_MODE") == "offline" else "allow",
            # Several members train in one process.
            reinit="create_new",
            dir=str(log.out),
            settings=wandb.Settings(
                silent=True, console="off", init_timeout=_PATIENCE, login_timeout=_PATIENCE
            ),
        )

    def add_scalars(self, scalars: Mapping[str, float], step: int) -> None:
        """Writes scalars by tag at an environment step."""
        self._run.log(dict(scalars), step=step)

    def add_config(self, config: dict[str, Any], step: int) -> None:
        """Writes the config, section by section."""
        self._run.config.update(config, allow_val_change=True)

    def add_hyperparameters(self, values: Mapping[str, str | float], step: int) -> None:
        """Writes the tuned values, as a section `tuned`."""
        self._run.config.update({"tuned": dict(values)}, allow_val_change=True)

    def flush(self) -> None:
        """Does nothing: another process writes at once."""

    def close(self, failed: bool = False) -> None:
        """Writes what is left, and ends the run."""
        self._run.finish(exit_code=int(failed))


def _run_id(folder: Path) -> str:
    """The id of the run whose summaries are in a folder; noted there where it is new."""
    path = folder / _ID
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(secrets.token_hex(8), encoding="utf-8")
    return path.read_text(encoding="utf-8")
