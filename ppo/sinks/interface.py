"""The interface of sinks, and the names under which they log a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ppo.sinks import TENSORBOARD


@dataclass(frozen=True)
class Log:
    """The sinks that log a run, and the run's name there.

    Attributes:
        sinks: names of the sinks.
        out: folder of the files that services keep on this machine.
        group: the run id, shared by all runs of a sweep.
        name: the run's name.
    """

    sinks: tuple[str, ...] = (TENSORBOARD,)
    out: Path = Path()
    group: str = ""
    name: str = ""


class Sink(Protocol):
    """Logs a run; steps are environment steps."""

    def add_scalars(self, scalars: Mapping[str, float], step: int) -> None:
        """Write scalars by tag."""

    def add_config(self, config: dict[str, Any], step: int) -> None:
        """Write the config."""

    def add_hyperparameters(self, values: Mapping[str, str | float], step: int) -> None:
        """Write the values of the tuned keys by name."""

    def flush(self) -> None:
        """Write everything that is buffered, so that a killed process loses nothing."""

    def close(self, failed: bool = False) -> None:
        """Write everything that is buffered, and close the sink.

        Args:
            failed: whether the run failed.
        """
