"""A watchdog: stops calls of environments' code that never return.

Before such a call, the caller sets two attributes of `watch`. A thread checks periodically whether the
same call is still running. It counts its checks instead of reading a clock, so that a process that was
suspended doesn't seem to hang.

After the call's time limit, a signal interrupts it: the handler raises `Hung` within the call, which
stops Python code and most system calls. Compiled code, and code that catches the exception, keeps
running; then the watchdog exits the process, with a line that says why. Code that never releases
Python's lock stops the thread, too. Then the process's heartbeat stops, and its parent kills it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from environments.interface import EnvironmentFailure
from environments.safety.failures import keep_details
from schema.environment import EnvironmentConfig

# Ignored by default, hardly used by other programs, and it interrupts system calls.
_SIGNAL: signal.Signals | None = getattr(signal, "SIGURG", None)
_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_OF_GRACE = 5.0  # between the interrupt and the exit of the process
_FAILED = 1  # exit code


class Hung(BaseException):
    """Raised within a call that exceeds its time limit.

    It isn't an `Exception`, so that fewer environments catch it.
    """


@dataclass(frozen=True)
class Call:
    """A call of an environment's code.

    Attributes:
        what: the environment's name and the call, `CartPole-v1: step`.
        limit: the time limit in s; None is no limit.
        key: the config's key of the limit.
    """

    what: str
    limit: float | None
    key: str

    def hung(self, details: str) -> EnvironmentFailure:
        """Return the failure to raise when the call exceeds its time limit."""
        return EnvironmentFailure(
            f"{self.what} gave no answer for {self.limit:g} s, {self.key}", details
        )


class Watch:
    """Watches the calls of this process's main thread.

    Attributes:
        call: the running call; None between calls.
        calls: the number of calls so far. Callers increase it when they set `call`.
        give_up: called with the failure before the process exits.
        heartbeat: a byte that changes as long as Python runs; other processes may watch it.
    """

    def __init__(self) -> None:
        self.call: Call | None = None
        self.calls = 0
        self.give_up: Callable[[EnvironmentFailure], None] = _print_failure
        self.heartbeat: Any = bytearray(1)
        self._pause = _SECONDS_BETWEEN_LOOKS
        self._thread: threading.Thread | None = None
        self._hung = 0  # the number of the call to interrupt

    def start(self, limit: float | None = None) -> None:
        """Start the watchdog, unless it runs already.

        Args:
            limit: the time limit of later calls in s, which sets how often the watchdog checks.
        """
        if limit is not None:
            self._pause = min(self._pause, limit / 4)
        if self._thread is None and threading.current_thread() is threading.main_thread():
            if _SIGNAL is not None:
                signal.signal(_SIGNAL, self._interrupt)
            self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
            self._thread.start()

    def _look(self) -> None:
        seen, waited = -1, 0.0
        while True:
            pause = self._pause
            time.sleep(pause)
            self.heartbeat[0] = (self.heartbeat[0] + 1) % 128
            call = self.call
            if call is None or call.limit is None or self.calls != seen:
                seen, waited = self.calls, 0.0
                continue
            waited += pause
            if waited >= call.limit + min(_SECONDS_OF_GRACE, call.limit):
                self._end(call)
            elif waited >= call.limit:
                self._hung = seen
                if _SIGNAL is not None:
                    signal.pthread_kill(threading.main_thread().ident or 0, _SIGNAL)

    def _interrupt(self, *_: object) -> None:
        # The call may have returned meanwhile.
        if self.call is not None and self.calls == self._hung:
            raise Hung

    def _end(self, call: Call) -> None:
        frame = sys._current_frames().get(threading.main_thread().ident or 0)
        self.give_up(call.hung("".join(traceback.format_stack(frame))))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_FAILED)


class Heartbeat:
    """Tells whether Python runs in another process; the `Watch` there writes to the same byte.

    Args:
        memory: one byte, which both processes share.

    Attributes:
        limit: the seconds without a heartbeat after which the process counts as stopped; None is
            no limit.
    """

    pause = _SECONDS_BETWEEN_LOOKS

    def __init__(self, memory: Any) -> None:
        self.memory = memory
        self.limit: float | None = None
        self._seen = memory[0]
        self._looked_at = 0.0
        self._silent = 0.0

    def begin(self, config: EnvironmentConfig) -> None:
        """Start to listen, with a limit that follows from the config's time limits."""
        self._silent = 0.0
        self.limit = None
        if config.launch_timeout is not None and config.step_timeout is not None:
            longest = max(config.launch_timeout, config.step_timeout)
            # Leaves the process time to exit by itself.
            self.limit = longest + 2 * min(_SECONDS_OF_GRACE, longest) + 2 * self.pause

    def stopped(self) -> bool:
        """Return whether the heartbeat stopped; call it at least once per `pause`."""
        now = time.monotonic()
        if now - self._looked_at < self.pause:
            return False
        self._looked_at = now
        self._silent = self._silent + self.pause if self.memory[0] == self._seen else 0.0
        self._seen = self.memory[0]
        return self.limit is not None and self._silent >= self.limit

    def failure(self, what: str) -> EnvironmentFailure:
        """Return the failure to raise when the heartbeat stopped."""
        return EnvironmentFailure(
            f"{what} gave no sign of life for {self.limit:g} s: an environment keeps it from running"
        )


def _print_failure(failure: EnvironmentFailure) -> None:
    print(f"failed: {keep_details(failure)}", file=sys.stderr)


watch = Watch()
