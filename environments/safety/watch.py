"""Ends calls of environments' code that never return.

Whoever calls such code says so beforehand, which is a matter of setting two attributes. A thread looks
now and then whether the same call is still under way. It counts how often it has looked rather than
reading a clock, so that a process that was suspended in the meantime isn't taken for one that hangs.

A call that takes too long is interrupted by a signal, whose handler raises an exception within it: that
ends Python code and most system calls. What goes on in spite of that is compiled code, or keeps the
exception to itself; then the whole process is ended, with a line that says why. Only code that keeps
Python's lock for ever stops the thread, too; whoever waits for a process's answers sees by its heartbeat
that nothing in there runs any more.
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

# Its default is to be ignored, hardly anything uses it, and system calls end with an error.
_SIGNAL: signal.Signals | None = getattr(signal, "SIGURG", None)
_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_OF_GRACE = 5.0  # between an interrupt and the end of the process
_FAILED = 1  # exit code


class Hung(BaseException):
    """Is raised within a call that takes too long.

    It is no `Exception`, so that fewer environments take it for one of their own.
    """


@dataclass(frozen=True)
class Call:
    """A call of an environment's code.

    Attributes:
        what: the environment's name and what is called, `CartPole-v1: step`.
        limit: seconds that it may take; None is no limit.
        key: of the config, where the limit comes from.
    """

    what: str
    limit: float | None
    key: str

    def hung(self, details: str) -> EnvironmentFailure:
        """The failure that it is to take longer."""
        return EnvironmentFailure(
            f"{self.what} gave no answer for {self.limit:g} s, {self.key}", details
        )


class Watch:
    """Watches the calls of this process's main thread.

    Attributes:
        call: what is under way; None while nothing is.
        calls: how many were begun. Whoever sets `call` to one increases it.
        give_up: is told of the failure before the process is ended.
        heartbeat: a byte that changes as long as Python runs, for other processes to see.
    """

    def __init__(self) -> None:
        self.call: Call | None = None
        self.calls = 0
        self.give_up: Callable[[EnvironmentFailure], None] = _print_failure
        self.heartbeat: Any = bytearray(1)
        self._pause = _SECONDS_BETWEEN_LOOKS
        self._thread: threading.Thread | None = None
        self._hung = 0  # the number of the call that is to be interrupted

    def start(self, limit: float | None = None) -> None:
        """Begins to watch, where that hasn't begun yet.

        Args:
            limit: of the calls to come, for which it must look often enough.
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
    """Tells whether Python runs in another process, whose watch has the same memory.

    Args:
        memory: one byte, which both processes share.

    Attributes:
        limit: seconds of silence after which it counts as stopped; None is no limit.
    """

    pause = _SECONDS_BETWEEN_LOOKS

    def __init__(self, memory: Any) -> None:
        self.memory = memory
        self.limit: float | None = None
        self._seen = memory[0]
        self._looked_at = 0.0
        self._silent = 0.0

    def begin(self, config: EnvironmentConfig) -> None:
        """Begins to listen while such environments are played."""
        self._silent = 0.0
        self.limit = None
        if config.launch_timeout is not None and config.step_timeout is not None:
            longest = max(config.launch_timeout, config.step_timeout)
            # No sooner than the process would have ended itself.
            self.limit = longest + 2 * min(_SECONDS_OF_GRACE, longest) + 2 * self.pause

    def stopped(self) -> bool:
        """Whether there was no heartbeat for too long; to be asked after each pause, or more often."""
        now = time.monotonic()
        if now - self._looked_at < self.pause:
            return False
        self._looked_at = now
        self._silent = self._silent + self.pause if self.memory[0] == self._seen else 0.0
        self._seen = self.memory[0]
        return self.limit is not None and self._silent >= self.limit

    def failure(self, what: str) -> EnvironmentFailure:
        """The failure that it is to have stopped."""
        return EnvironmentFailure(
            f"{what} gave no sign of life for {self.limit:g} s: an environment keeps it from running"
        )


def _print_failure(failure: EnvironmentFailure) -> None:
    print(f"failed: {keep_details(failure)}", file=sys.stderr)


watch = Watch()
