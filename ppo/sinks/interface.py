"""What all sinks do, and what they are told of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ppo.sinks import TENSORBOARD


@dataclass(frozen=True)
class Log:
    """Where a run is logged, and what it is called there.

    Attributes:
        sinks: names of sinks.
        out: the folder of what services keep on this machine.
        group: what belongs together: the run id.
        name: of the run.
    """

    sinks: tuple[str, ...] = (TENSORBOARD,)
    out: Path = Path()
    group: str = ""
    name: str = ""


class Sink(Protocol):
    """Takes what a run logs; steps are environment steps."""

    def add_scalars(self, scalars: Mapping[str, float], step: int) -> None:
        """Writes scalars by tag."""

    def add_config(self, config: dict[str, Any], step: int) -> None:
        """Writes the config."""

    def add_hyperparameters(self, values: Mapping[str, str | float], step: int) -> None:
        """Writes the tuned values by their names."""

    def flush(self) -> None:
        """Sees to it that a kill loses nothing of what was written."""

    def close(self, failed: bool = False) -> None:
        """Writes what is left.

        Args:
            failed: whether the training ended by a failure.
        """
