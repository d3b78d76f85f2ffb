"""Keeps a training running when a service that logs it fails."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from ppo.sinks.interface import Sink

# Names of the services that failed in this process. Waiting for them again in each run would take long.
failed_services: set[str] = set()


class Sparing:
    """A sink that prints one warning at its first failure, and ignores all calls from then on.

    Args:
        name: name of the sink.
        open_sink: opens the sink.
    """

    def __init__(self, name: str, open_sink: Callable[[], Sink]) -> None:
        self._name = name
        self._sink: Sink | None = None
        self._attempt(lambda: setattr(self, "_sink", open_sink()))

    def add_scalars(self, scalars: Mapping[str, float], step: int) -> None:
        """Write scalars by tag at an environment step."""
        self._ask(lambda sink: sink.add_scalars(scalars, step))

    def add_config(self, config: dict[str, Any], step: int) -> None:
        """Write the config."""
        self._ask(lambda sink: sink.add_config(config, step))

    def add_hyperparameters(self, values: Mapping[str, str | float], step: int) -> None:
        """Write the values of the tuned keys by name."""
        self._ask(lambda sink: sink.add_hyperparameters(values, step))

    def flush(self) -> None:
        """Write everything that is buffered, so that a killed process loses nothing."""
        self._ask(lambda sink: sink.flush())

    def close(self, failed: bool = False) -> None:
        """Write everything that is buffered, and close the sink."""
        self._ask(lambda sink: sink.close(failed))

    def _ask(self, request: Callable[[Sink], None]) -> None:
        sink = self._sink
        if sink is not None:
            self._attempt(lambda: request(sink))

    def _attempt(self, action: Callable[[], None]) -> None:
        if self._name in failed_services:
            return
        try:
            action()
        except Exception as error:  # A service may raise anything; training continues.
            failed_services.add(self._name)
            reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
            reason = reason.rstrip(".")
            print(
                f"warning: --log={self._name}: {reason}; training continues without it",
                file=sys.stderr,
            )
