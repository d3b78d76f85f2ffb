"""Spares a training the failures of a service that it is logged to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from ppo.sinks.interface import Sink

# Services that failed in this process. Waiting for them again in each run would take long.
_failed: set[str] = set()


class Sparing:
    """A sink that is left alone after its first failure, which is one warning.

    Args:
        name: of the sink.
        open_sink: opens it.
    """

    def __init__(self, name: str, open_sink: Callable[[], Sink]) -> None:
        self._name = name
        self._sink: Sink | None = None
        self._attempt(lambda: setattr(self, "_sink", open_sink()))

    def add_scalars(self, scalars: Mapping[str, float], step: int) -> None:
        """Writes scalars by tag at an environment step."""
        self._ask(lambda sink: sink.add_scalars(scalars, step))

    def add_config(self, config: dict[str, Any], step: int) -> None:
        """Writes the config."""
        self._ask(lambda sink: sink.add_config(config, step))

    def add_hyperparameters(self, values: Mapping[str, str | float], step: int) -> None:
        """Writes the tuned values by their names."""
        self._ask(lambda sink: sink.add_hyperparameters(values, step))

    def flush(self) -> None:
        """Sees to it that a kill loses nothing of what was written."""
        self._ask(lambda sink: sink.flush())

    def close(self, failed: bool = False) -> None:
        """Writes what is left."""
        self._ask(lambda sink: sink.close(failed))

    def _ask(self, request: Callable[[Sink], None]) -> None:
        sink = self._sink
        if sink is not None:
            self._attempt(lambda: request(sink))

    def _attempt(self, action: Callable[[], None]) -> None:
        if self._name in _failed:
            return
        try:
            action()
        except Exception as error:  # Whatever a service raises, the training goes on.
            _failed.add(self._name)
            reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
            reason = reason.rstrip(".")
            print(
                f"warning: --log={self._name}: {reason}; training goes on without it",
                file=sys.stderr,
            )
