"""Kills players that outlive the process that started them.

A player ends by itself when its connection does, unless it hangs, and a process that is killed can't
end what hangs. So each process that has players also has a small one that waits for its end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable

_GRACE = 3.0  # seconds in which players may leave by themselves
_PAUSE = 0.05
_HAS_GROUPS = os.name == "posix"  # of processes; without them, players are on their own


class Guard:
    """Watches players from a process of its own, which is started when it is first needed."""

    def __init__(self) -> None:
        self._pipe: int | None = None
        self._lock = threading.Lock()  # players are started by several threads

    def watch(self, player: int) -> None:
        """Has a player killed as soon as this process has ended.

        Args:
            player: its process id, which is also that of its group.
        """
        with self._lock:
            if _HAS_GROUPS and self._pipe is None:
                self._pipe = _start()
        self._tell(f"+{player}\n")

    def release(self, player: int) -> None:
        """Forgets a player that has ended."""
        self._tell(f"-{player}\n")

    def _tell(self, line: str) -> None:
        # A guard that somebody killed is no reason to fail.
        with contextlib.suppress(BrokenPipeError):
            if self._pipe is not None:
                os.write(self._pipe, line.encode())


def _start() -> int:
    """Starts the process and returns the end of the pipe that it reads, which no other one inherits."""
    import subprocess  # the guard itself is to start quickly

    theirs, ours = os.pipe()
    try:
        # Apart from the terminal, whose Ctrl-C isn't meant for it, and from whoever reads what this
        # process prints until nobody can print there any more.
        guard = subprocess.Popen(
            [sys.executable, "-IS", __file__],
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        # It is to outlive this process, of which Python would warn if it had not ended by its account.
        guard.returncode = 0
    finally:
        os.close(theirs)
    return ours


def kill_group(leader: int) -> None:
    """Kills a process and all that it started, whichever of them are left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if _HAS_GROUPS:
            os.killpg(leader, signal.SIGKILL)


def _watch(lines: Iterable[str]) -> None:
    """Follows who is to be watched until the pipe ends, and then ends all of them."""
    players: set[int] = set()
    for line in lines:
        player = int(line[1:])
        if line.startswith("+"):
            players.add(player)
        else:
            players.discard(player)
    deadline = time.monotonic() + _GRACE
    while any(map(_lives, players)) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    for player in players:
        kill_group(player)


def _lives(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    _watch(sys.stdin)
