"""Locks: one process at a time trains a sweep, and one writes a table that sweeps share."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

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
        try:
            self._file = _open_locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{path}: this sweep is being trained by {_owner(path)}; wait for it, stop it, "
                "or choose another --run-id or --out"
            ) from None
        owner = json.dumps({"host": platform.node(), "process": os.getpid()})
        try:
            with naming(path):
                self._file.truncate(0)
                os.write(self._file.fileno(), owner.encode())
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Release the lock; calling it again does nothing."""
        if not self._file.closed:
            self._path.unlink(missing_ok=True)
            self._file.close()


@contextmanager
def turn_of(path: Path) -> Iterator[None]:
    """Wait for the turn of this process to change a file that several sweeps share.

    Args:
        path: the shared file. The lock is a file beside it, which is removed afterwards.

    Raises:
        UserError: the folder doesn't support locks, or a symbolic link is in the lock's place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = lock_path(path)
    with _open_locked(lock, fcntl.LOCK_EX):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _open_locked(path: Path, operation: int) -> IO[str]:
    """Open a lock's file, create it if need be, and lock it.

    Raises:
        BlockingIOError: another process holds the lock, and the operation doesn't wait.
        UserError: the folder doesn't support locks, or the path is a symbolic link.
    """
    while True:
        file = _open(path)
        try:
            fcntl.flock(file, operation)
            if _is_at(path, file.fileno()):
                return file
        except OSError as error:
            file.close()
            if error.errno not in _WITHOUT_LOCKS:
                raise
            raise UserError(
                f"{path}: files can't be locked in this folder (a network folder?): "
                f"{error.strerror}; choose an --out on a local disk"
            ) from None
        except BaseException:
            file.close()
            raise
        # The process that held the lock removed the file after it was opened here.
        file.close()


def _open(path: Path) -> IO[str]:
    # A link may lead to a file that isn't ours, if others may write into the folder.
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return open(os.open(path, flags, 0o666), "a+", encoding="utf-8")
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise UserError(f"{path}: is a symbolic link, which a lock mustn't be; remove it") from None


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
    """Return the path of the lock that belongs to a journal, or to another file."""
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
