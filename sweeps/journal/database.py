"""The SQLite file of a journal: its tables, how it is opened, and errors that say what to do."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from schema.errors import UserError
from sweeps.journal.runs import RunState

# A permutation's position is its index in the present grid; ~index, which is negative, if the grid
# leaves it out; NULL if the grid lacks it. Its name stays the same when the grid grows.
_TABLES = """
CREATE TABLE IF NOT EXISTS sweep (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS session (
    number INTEGER PRIMARY KEY, began REAL, ended REAL, description TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS permutation (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, identity TEXT NOT NULL UNIQUE,
    position INTEGER, choices TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS permutation_position ON permutation (position);
CREATE TABLE IF NOT EXISTS run (
    permutation INTEGER NOT NULL REFERENCES permutation, repetition INTEGER NOT NULL,
    seed INTEGER NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    began REAL, ended REAL, machine TEXT, updates INTEGER NOT NULL DEFAULT 0,
    steps INTEGER NOT NULL DEFAULT 0, final_return REAL, return_deviation REAL, best_return REAL,
    seconds REAL NOT NULL DEFAULT 0, checkpoint TEXT NOT NULL DEFAULT '',
    curve TEXT NOT NULL DEFAULT '[]', error TEXT NOT NULL DEFAULT '',
    diagnostics TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (permutation, repetition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS judged (
    permutation INTEGER NOT NULL REFERENCES permutation, updates INTEGER NOT NULL, score REAL,
    PRIMARY KEY (permutation, updates)
) WITHOUT ROWID;
"""
# The state of a run as others see it, by the number of updates that the sweep has now.
SEEN_STATE = (
    f"CASE WHEN state = '{RunState.FINISHED}' AND updates < "
    "(SELECT CAST(value AS INTEGER) FROM sweep WHERE key = 'updates') "
    f"THEN '{RunState.SHORTER}' ELSE state END"
)

NO_SWEEP_YET = "holds no sweep yet; if one is just starting, try again in a moment"
_LEAST_SPACE = 2**17  # bytes


class Database:
    """The file of a journal.

    Args:
        path: the file; it is created if `writable` is set.
        writable: whether this process writes it.

    Raises:
        UserError: the file can't be opened, is damaged, or isn't a journal.
    """

    def __init__(self, path: Path, writable: bool) -> None:
        self._path = path
        with self._explained():
            self._connection = self._created() if writable else self._read_only()

    def _created(self) -> sqlite3.Connection:
        """Open the file for writing, and create its tables."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._path, isolation_level=None)
        with _closed_on_error(database):
            _refuse_others_tables(database)
            (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise sqlite3.OperationalError("locking protocol")
            # Until `settle` is called, each commit waits for the disk.
            database.execute("PRAGMA synchronous = FULL")
            database.executescript(_TABLES)
            if not _has_diagnostics(database):
                database.execute(
                    "ALTER TABLE run ADD COLUMN diagnostics TEXT NOT NULL DEFAULT '{}'"
                )
        return database

    def _read_only(self) -> sqlite3.Connection:
        """Open the file for reading, also in a folder that can't be written."""
        if not self._path.is_file():
            raise UserError(f"{self._path}: no such sweep here")
        try:
            return self._opened("mode=ro")
        except sqlite3.OperationalError:
            # SQLite creates files beside it even for a reader, but needs none without a log.
            log = self._path.with_name(f"{self._path.name}-wal")
            if log.exists() and log.stat().st_size:
                raise
            return self._opened("mode=ro&immutable=1")

    def _opened(self, parameters: str) -> sqlite3.Connection:
        address = f"{self._path.resolve().as_uri()}?{parameters}"
        database = sqlite3.connect(address, uri=True, isolation_level=None)
        with _closed_on_error(database):
            database.execute("SELECT name FROM sqlite_master LIMIT 1").fetchone()
        return database

    def settle(self) -> None:
        """Write what the journal holds to the disk; from then on, commits don't wait for the disk.

        A power failure may lose the latest records then, but the checkpoints have their contents, too.
        """
        with self._explained():
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self._connection.execute("PRAGMA synchronous = NORMAL")

    def copy_to(self, path: Path) -> None:
        """Write a copy of the journal, also while another process writes it."""
        with self._explained(), closing(sqlite3.connect(path)) as copy:
            self._connection.backup(copy)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn SQLite's errors into a line that says what to do."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise UserError(f"{self._path}: {_advice(error, self._path)}") from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write everything within the block, or nothing if it raises an exception."""
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file; calling it again does nothing."""
        self._connection.close()

    def one(self, statement: str, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row that a statement finds; None without one."""
        with self._explained():
            row: tuple[Any, ...] | None = self._connection.execute(statement, values).fetchone()
            return row

    def all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return all rows that a statement finds."""
        with self._explained():
            return self._connection.execute(statement, values).fetchall()

    def rows(self, statement: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Yield the rows that a statement finds."""
        with self._explained():
            yield from self._connection.execute(statement, values)

    def named_rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Return all rows that a statement finds, with their values by the names of the columns."""
        with self._explained():
            found = self._connection.execute(statement, values)
            columns = [column for column, *_ in found.description]
            return [dict(zip(columns, row, strict=True)) for row in found]

    def write(self, statement: str, *values: Any) -> int:
        """Execute a statement, and return the number of rows that it changed."""
        with self._explained():
            return self._connection.execute(statement, values).rowcount

    @property
    def has_diagnostics(self) -> bool:
        """Whether runs have a column of diagnostics; files of earlier versions lack it."""
        with self._explained():
            return _has_diagnostics(self._connection)


def _has_diagnostics(database: sqlite3.Connection) -> bool:
    columns = database.execute("PRAGMA table_info(run)").fetchall()
    return any(name == "diagnostics" for _, name, *_ in columns)


@contextmanager
def _closed_on_error(database: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        database.close()
        raise


def _refuse_others_tables(database: sqlite3.Connection) -> None:
    """Raise an error if a file has tables, but not those of a journal."""
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master")]
    if tables and "sweep" not in tables:
        raise sqlite3.DatabaseError(f"it has other tables ({tables[0]})")


def _advice(error: sqlite3.DatabaseError, path: Path) -> str:
    said = str(error)
    if "full" in said or ("disk I/O error" in said and _is_full(path)):
        return "the disk is full; free some, then run the same command again to resume"
    # No other process writes the journal, so it is never locked where locks work.
    if any(words in said for words in ("locking protocol", "disk I/O error", "is locked")):
        return (
            f"SQLite can't work in this folder (a network folder?): {said}; "
            "choose an --out on a local disk"
        )
    if "no such table" in said:
        return NO_SWEEP_YET
    if "readonly" in said or "unable to open" in said:
        return (
            f"can't be opened or written: {said}; to read it, copy it and the files beside it to a "
            "folder that you may write into"
        )
    if isinstance(error, sqlite3.OperationalError):
        return f"can't be opened or written: {said}"
    return (
        f"is damaged, or isn't a sweep's journal: {said}; move it away, then run the same command again "
        "to resume from the checkpoints"
    )


def _is_full(path: Path) -> bool:
    """Return whether the disk of a file lacks the space for the files that SQLite keeps beside it."""
    return path.parent.is_dir() and shutil.disk_usage(path.parent).free < _LEAST_SPACE
