"""A lock that lets only one process at a time train a sweep."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
from pathlib import Path

from schema.errors import UserError
from schema.os_errors import naming

# `fcntl` rather than the library filelock, which can't tell whether a lock is held without taking it.

# Errors of file systems without locks, or without the server that keeps them.
_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


class SweepLock:
    """A lock on a file; the system releases it when the process exits or is killed.

    Args:
        path: the file to lock. It names the process that holds the lock, and is removed with it.

    Raises:
        UserError: another process holds the lock, or the folder doesn't support locks.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = path.open("a+", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                with file:
                    raise self._refusal(error, file.name) from None
            if _is_at(path, file.fileno()):
                break
            # The process that held the lock removed the file after it was opened here.
            file.close()
        self._file = file
        owner = json.dumps({"host": platform.node(), "process": os.getpid()})
        try:
            with naming(path):
                file.truncate(0)
                os.write(file.fileno(), owner.encode())
        except OSError:
            self.release()
            raise

    def _refusal(self, error: OSError, name: str) -> UserError:
        if error.errno in _WITHOUT_LOCKS:
            return UserError(
                f"{name}: files can't be locked in this folder (a network folder?): "
                f"{error.strerror}; choose an --out on a local disk"
            )
        return UserError(
            f"{name}: this sweep is being trained by {_owner(self._path)}; wait for it, stop it, "
            "or choose another --run-id or --out"
        )

    def release(self) -> None:
        """Release the lock; calling it again does nothing."""
        if not self._file.closed:
            self._path.unlink(missing_ok=True)
            self._file.close()


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock at a path, without disturbing it."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def lock_path(journal: Path) -> Path:
    """Return the path of the lock that belongs to a journal."""
    return journal.with_name(f"{journal.name}.lock")


def _is_at(path: Path, descriptor: int) -> bool:
    """Return whether a path still leads to an open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _owner(path: Path) -> str:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        return f"process {owner['process']} on {owner['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
