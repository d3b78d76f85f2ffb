"""Gives processes that environments fork Python's own signal handlers.

Our processes handle the signals that stop them: they save checkpoints first. A forked child would
inherit these handlers, so that `terminate()` wouldn't end it.
"""

from __future__ import annotations

import os
import signal
import threading
from functools import cache

# Names, as Windows lacks some; it doesn't fork either.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_SIGNALS = {getattr(signal, name) for name in _NAMES if hasattr(signal, name)}


@cache
def free_children() -> None:
    """Reset the signal handlers in each child that this process forks from now on.

    Children of children keep the handlers that their own parent sets.
    """
    if hasattr(os, "register_at_fork"):
        hooks = _ForkHooks(os.getpid())
        os.register_at_fork(
            before=hooks.before,
            after_in_parent=hooks.in_parent,
            after_in_child=hooks.in_child,
        )


class _ForkHooks(threading.local):
    """Blocks signals during a fork, so that none reaches a child with its parent's handlers.

    Each thread that forks has a state of its own.

    Args:
        owner: the id of the process that registers the hooks.
    """

    def __init__(self, owner: int) -> None:
        self._owner = owner
        self._blocked: set[int] = set()

    def before(self) -> None:
        self._blocked = set(signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS))

    def in_parent(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)

    def in_child(self) -> None:
        if os.getppid() != self._owner:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)
            return
        for number in _SIGNALS:
            own = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, own)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked - _SIGNALS)
