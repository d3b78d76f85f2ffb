"""What signals do while something is trained: it saves its state and ends, or ends at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sweeps.execution.stop import Stop

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Ten seconds are what clusters and people wait for. Processes get less, so that what they did in them
# can still be noted down.
_SECONDS_TO_SAVE = 6.0
_SECONDS_TO_END = 8.0


class Interruption:
    """Whether a signal ended the training.

    Attributes:
        number: of the signal; None if there was none.
    """

    def __init__(self, stop: Stop) -> None:
        self.number: int | None = None
        self._stop = stop
        self._timer = threading.Timer(_SECONDS_TO_END, self._end_at_once)
        self._timer.daemon = True

    @property
    def exit_code(self) -> int:
        """What a shell reports of a program that such a signal ended."""
        return 128 + (self.number or 0)

    def receive(self, number: int, _: FrameType | None) -> None:
        """Ends the training gently, and at once the second time."""
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number
        if number == signal.SIGHUP:
            _let_output_go()
        # Not by `print`, which may be what the signal interrupted.
        os.write(2, b"stopping after saving checkpoints; interrupt again to stop at once\n")
        self._stop.request("interrupted", _SECONDS_TO_SAVE)
        self._timer.start()

    def _end_at_once(self) -> None:
        main = threading.main_thread().ident
        assert main is not None
        # In the main thread, so that it wakes up from whatever it waits for.
        signal.pthread_kill(main, signal.SIGINT)

    def end(self) -> None:
        """Forgets what was to happen if the training hadn't ended in time."""
        self._timer.cancel()


def _let_output_go() -> None:
    """Writes to a terminal that is gone fail, and nobody reads them."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


@contextmanager
def interruptible(stop: Stop) -> Iterator[Interruption]:
    """While it lasts, Ctrl-C, SIGTERM and SIGHUP request `stop`, and the second of them ends at once."""
    interruption = Interruption(stop)
    before = {number: signal.signal(number, interruption.receive) for number in _SIGNALS}
    try:
        yield interruption
    finally:
        interruption.end()
        for number, handler in before.items():
            signal.signal(number, handler)
