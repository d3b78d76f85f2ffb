"""Logs to MLflow: a run there for each run here, in one experiment for each run id."""

from __future__ import annotations

import fcntl
import os
import posixpath
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

# Send no telemetry, print no messages about the database, and don't wait minutes for a server that is
# down. MLflow reads these variables when it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from ppo.sinks.interface import Log
from schema.yaml_file import replace_file

DATABASE = "mlflow.db"
_ID = "mlflow_run.txt"
_ALWAYS_LOGGED = "time/steps_per_second"
# MLflow's limits: metrics and parameters of a request, characters of a parameter's value and of a key.
_METRICS, _PARAMETERS, _LONGEST_VALUE, _LONGEST_KEY = 1000, 100, 6000, 250
# A request after each update would slow down trainings with short updates.
_SECONDS_BETWEEN = 5.0


class MlflowRun:
    """A run of MLflow; a resumed training resumes it and logs no step twice.

    Args:
        log: the run's names.
        folder: folder of the file with MLflow's id of the run.
    """

    def __init__(self, log: Log, folder: Path) -> None:
        with _locked(log.out):
            self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or _database(log.out))
            experiment = _experiment(self._client, log.group)
        note = folder / _ID
        self._is_resumed = note.exists()
        if self._is_resumed:
            self._id = note.read_text(encoding="utf-8")
            self._client.update_run(self._id, status="RUNNING")
        else:
            self._id = self._client.create_run(experiment, run_name=log.name).info.run_id
            with replace_file(note) as file:
                file.write(self._id)
        self._logged_until = self._last_step() if self._is_resumed else -1
        self._pending: list[Metric] = []
        self._written_at = time.monotonic()

    def add_scalars(self, scalars: Mapping[str, float], step: int) -> None:
        """Buffer scalars by tag at an environment step, and write the buffer every few seconds."""
        if step <= self._logged_until:
            return
        now = int(time.time() * 1000)
        self._pending += [
            Metric(_key(tag), float(value), now, step) for tag, value in scalars.items()
        ]
        if time.monotonic() - self._written_at > _SECONDS_BETWEEN:
            self.flush()

    def add_config(self, config: dict[str, Any], step: int) -> None:
        """Write the config as parameters, `section.key`."""
        self._add_parameters(dict(_flat(config)))

    def add_hyperparameters(self, values: Mapping[str, str | float], step: int) -> None:
        """Write the tuned values as parameters, `tuned.key`."""
        self._add_parameters({f"tuned.{key}": value for key, value in values.items()})

    def flush(self) -> None:
        """Write the buffered scalars."""
        pending, self._pending = iter(self._pending), []
        while part := list(islice(pending, _METRICS)):
            self._client.log_batch(self._id, metrics=part)
        self._written_at = time.monotonic()

    def close(self, failed: bool = False) -> None:
        """Write the buffered scalars, and mark the run as finished or failed."""
        self.flush()
        self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")

    def _last_step(self) -> int:
        history = self._client.get_metric_history(self._id, _ALWAYS_LOGGED)
        return max((metric.step for metric in history), default=-1)

    def _add_parameters(self, values: Mapping[str, object]) -> None:
        if self._is_resumed:
            return  # MLflow's parameters can't change.
        parameters = iter(
            [Param(_key(key), str(value)[:_LONGEST_VALUE]) for key, value in values.items()]
        )
        while part := list(islice(parameters, _PARAMETERS)):
            self._client.log_batch(self._id, params=part)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Lock a folder, so that only one job at a time creates the database and the experiment."""
    out.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _database(out: Path) -> str:
    return f"sqlite:///{out.resolve() / DATABASE}"


def _experiment(client: MlflowClient, name: str) -> str:
    """Return the id of an experiment, and create it if it doesn't exist."""
    found = client.get_experiment_by_name(name)
    return client.create_experiment(name) if found is None else found.experiment_id


def _key(name: str) -> str:
    """Return a name as MLflow allows it: other characters, and paths that aren't plain, are replaced."""
    key = re.sub(r"[^\w\-. /:]", "_", name)[:_LONGEST_KEY]
    is_plain = posixpath.normpath(key) == key and not key.startswith(("/", ".."))
    return key if is_plain else key.replace("/", "_")


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested sections, each with its dotted key."""
    for key, value in section.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
