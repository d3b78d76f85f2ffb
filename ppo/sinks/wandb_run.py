"""Logs to Weights & Biases: a run there for each run here."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Disable W&B's crash reports.
os.environ.setdefault("WANDB_ERROR_REPORTING", "false")

import wandb

from ppo.sinks.interface import Log
from schema.yaml_file import replace_file

_PROJECT = "ppo-grid"  # unless WANDB_PROJECT names another
_ID = "wandb_run.txt"
_PATIENCE = 30.0  # timeout of connecting and of logging in, in seconds


class WandbRun:
    """A run of Weights & Biases; a resumed training resumes it.

    The service ignores steps that it already has. Offline, each start or resumption of the training
    writes a folder of its own; all have the run's id.

    Args:
        log: the run's names.
        folder: folder of the file with the service's id of the run.
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
        """Write scalars by tag at an environment step."""
        self._run.log(dict(scalars), step=step)

    def add_config(self, config: dict[str, Any], step: int) -> None:
        """Write the config, section by section."""
        self._run.config.update(config, allow_val_change=True)

    def add_hyperparameters(self, values: Mapping[str, str | float], step: int) -> None:
        """Write the tuned values, as a section `tuned`."""
        self._run.config.update({"tuned": dict(values)}, allow_val_change=True)

    def flush(self) -> None:
        """Do nothing: a process of W&B writes each step at once."""

    def close(self, failed: bool = False) -> None:
        """Write everything that is buffered, and finish the run."""
        self._run.finish(exit_code=int(failed))


def _run_id(folder: Path) -> str:
    """Return the run's id from its folder; create and store one if there is none."""
    path = folder / _ID
    if not path.exists():
        with replace_file(path) as file:
            file.write(secrets.token_hex(8))
    return path.read_text(encoding="utf-8")
