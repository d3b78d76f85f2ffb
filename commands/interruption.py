"""Handles signals during training: the first saves checkpoints and stops, the second stops at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from environments.safety.children import free_children
from environments.safety.output import discard
from sweeps.execution.stop import Stop

STOPPING = "stopping after saving checkpoints; interrupt again to stop at once"
_OUTPUT = (1, 2)  # descriptors of standard output and standard error
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Clusters and people wait ten seconds. Jobs get less time to save, so that the journal can still record
# what they saved.
_SECONDS_TO_SAVE = 6.0
_SECONDS_TO_STOP = 8.0


class Interruption:
    """The signal that interrupted a training, if any.

    Attributes:
        number: the number of the signal; None if there was none.
    """

    def __init__(self, stop: Stop, notice: str) -> None:
        self.number: int | None = None
        self._notice = notice
        self._stop = stop
        self._timer = threading.Timer(_SECONDS_TO_STOP, self._stop_at_once)
        self._timer.daemon = True

    @property
    def exit_code(self) -> int:
        """The exit code with which a shell reports a program that this signal stopped."""
        return 128 + (self.number or 0)

    def receive(self, number: int, _: FrameType | None) -> None:
        """Request the stop at the first signal; raise KeyboardInterrupt at the second."""
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number
        if number == signal.SIGHUP:
            discard(*_OUTPUT)  # writing to a closed terminal fails
        # Not `print`, which isn't reentrant: the signal may have interrupted a `print`.
        with suppress(OSError):  # nobody may read it any more
            os.write(2, f"{self._notice}\n".encode())
        self._stop.request("interrupted", _SECONDS_TO_SAVE)
        self._timer.start()

    def _stop_at_once(self) -> None:
        main = threading.main_thread().ident
        assert main is not None
        # To the main thread, so that it wakes up from any call that blocks.
        signal.pthread_kill(main, signal.SIGINT)

    def cancel(self) -> None:
        """Cancel the timer that stops the training at once."""
        self._timer.cancel()


@contextmanager
def interruptible(stop: Stop, notice: str = STOPPING) -> Iterator[Interruption]:
    """Handle Ctrl-C, SIGTERM and SIGHUP within the context: the first requests `stop`.

    The second one, or the end of the time to save, raises KeyboardInterrupt.

    Args:
        stop: the stop flag.
        notice: printed at the first signal.
    """
    interruption = Interruption(stop, notice)
    free_children()
    before = {number: signal.signal(number, interruption.receive) for number in _SIGNALS}
    try:
        yield interruption
    finally:
        interruption.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
