"""Kills players that outlive the process that started them.

A player quits when its connection closes, unless it hangs, and a process that was killed can't kill a
player that hangs. So each process with players starts a small guard process, which waits for its end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable

_GRACE = 3.0  # seconds in which players may quit by themselves
_PAUSE = 0.05
_HAS_GROUPS = os.name == "posix"  # process groups; without them, players aren't guarded


class Guard:
    """Watches players from a guard process, which starts with the first player."""

    def __init__(self) -> None:
        self._pipe: int | None = None
        self._lock = threading.Lock()  # several threads start players

    def watch(self, player: int) -> None:
        """Kill a player soon after this process ends.

        Args:
            player: the player's process id, which is also its process group's id.
        """
        with self._lock:
            if _HAS_GROUPS and self._pipe is None:
                self._pipe = _start()
        self._tell(f"+{player}\n")

    def release(self, player: int) -> None:
        """Stop watching a player that has ended."""
        self._tell(f"-{player}\n")

    def _tell(self, line: str) -> None:
        # If somebody killed the guard, training continues without it.
        with contextlib.suppress(BrokenPipeError):
            if self._pipe is not None:
                os.write(self._pipe, line.encode())


def _start() -> int:
    """Start the guard process; return the pipe to it, which no other process inherits."""
    import subprocess  # here, so that the guard process itself starts quickly

    theirs, ours = os.pipe()
    try:
        # In a session of its own, as Ctrl-C must not stop it. Without output, as a reader of this
        # process's output would otherwise wait for the guard, too.
        guard = subprocess.Popen(
            [sys.executable, "-IS", __file__],
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        # The guard outlives this process. Without a return code, Python would warn of that.
        guard.returncode = 0
    finally:
        os.close(theirs)
    return ours


def kill_group(leader: int) -> None:
    """Kill a process and everything that it started, as far as they still run."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if _HAS_GROUPS:
            os.killpg(leader, signal.SIGKILL)


def _watch(lines: Iterable[str]) -> None:
    """Keep a list of players, one change a line, until the pipe closes; then kill them.

    Args:
        lines: "+" or "-", and a player's process id.
    """
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
