"""The journal of a sweep: one SQLite file with the state and the record of every run.

One process writes it; any number may read it meanwhile. It keeps what was written when that process is
killed. It isn't needed to resume runs: their checkpoints are found in their folders.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schema.errors import UserError
from sweeps.journal.runs import FAILURES, PENDING, RunIdentity, RunRecord, RunState

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
_STATE = (
    f"CASE WHEN state = '{RunState.FINISHED}' AND updates < "
    "(SELECT CAST(value AS INTEGER) FROM sweep WHERE key = 'updates') "
    f"THEN '{RunState.SHORTER}' ELSE state END"
)

_NO_SWEEP_YET = "holds no sweep yet; if one is just starting, try again in a moment"
_LEAST_SPACE = 2**17  # bytes


# A run's columns by name, as the table has them.
RunRow = dict[str, Any]
# A permutation's name, and a repetition.
RunKey = tuple[str, int]


def journal_path(out: Path, run_id: str) -> Path:
    """Return the path of a sweep's journal."""
    return out / f"{run_id}.sqlite"


@dataclass(frozen=True, slots=True)
class JournalRow:
    """A run as planning sees it, without its results.

    Attributes:
        run: which run it is.
        position: its permutation's index in the grid.
        state: its state; an interrupted run is waiting again.
        attempts: number of trainings that failed or diverged.
        updates: number of updates when its training last ended or paused.
    """

    run: RunIdentity
    position: int
    state: RunState
    attempts: int
    updates: int = 0


class Journal:
    """The journal of one sweep.

    Args:
        path: the file; it is created if `writable` is set.
        writable: whether this process writes it.

    Raises:
        UserError: the file can't be opened, is damaged, or isn't a journal.
    """

    def __init__(self, path: Path, writable: bool = True) -> None:
        self.path = path
        with self._explained():
            self._database = self._created() if writable else self._read_only()

    def _created(self) -> sqlite3.Connection:
        """Open the file for writing, and create its tables."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self.path, isolation_level=None)
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
        if not self.path.is_file():
            raise UserError(f"{self.path}: no such sweep here")
        try:
            return self._opened("mode=ro")
        except sqlite3.OperationalError:
            # SQLite creates files beside it even for a reader, but needs none without a log.
            log = self.path.with_name(f"{self.path.name}-wal")
            if log.exists() and log.stat().st_size:
                raise
            return self._opened("mode=ro&immutable=1")

    def _opened(self, parameters: str) -> sqlite3.Connection:
        address = f"{self.path.resolve().as_uri()}?{parameters}"
        database = sqlite3.connect(address, uri=True, isolation_level=None)
        with _closed_on_error(database):
            database.execute("SELECT name FROM sqlite_master LIMIT 1").fetchone()
        return database

    def settle(self) -> None:
        """Write what the journal holds to the disk; from then on, commits don't wait for the disk.

        A power failure may lose the latest records then, but the checkpoints have their contents, too.
        """
        with self._explained():
            self._database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self._database.execute("PRAGMA synchronous = NORMAL")

    def copy_to(self, path: Path) -> None:
        """Write a copy of the journal, also while another process writes it."""
        with self._explained(), closing(sqlite3.connect(path)) as copy:
            self._database.backup(copy)

    @property
    def is_empty(self) -> bool:
        """Whether it holds no sweep, as if the process that created it was killed right then."""
        return self["format"] is None and self._one("SELECT 1 FROM run LIMIT 1") is None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn SQLite's errors into a line that says what to do."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise UserError(f"{self.path}: {_advice(error, self.path)}") from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write everything within the block, or nothing if it raises an exception."""
        with self._explained():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def close(self) -> None:
        """Close the file; calling it again does nothing."""
        self._database.close()

    # The sweep as a whole.

    def __getitem__(self, key: str) -> Any:
        """Return a value that belongs to the whole sweep; None if there is none."""
        row = self._one("SELECT value FROM sweep WHERE key = ?", key)
        return None if row is None else json.loads(row[0])

    def __setitem__(self, key: str, value: Any) -> None:
        self._write("INSERT OR REPLACE INTO sweep VALUES (?, ?)", key, json.dumps(value))

    @property
    def labels(self) -> list[str]:
        """The names of the tuned keys."""
        return self["labels"] or []

    @property
    def most_updates(self) -> int:
        """The greatest number of updates that a run has finished with; 0 without a finished run."""
        row = self._one("SELECT max(updates) FROM run WHERE state = ?", RunState.FINISHED)
        return 0 if row is None else row[0] or 0

    def begin_session(self, description: dict[str, Any]) -> None:
        """Add a session, with the process that trains; runs recorded as running wait again."""
        text = json.dumps(description)
        with self.transaction():
            self._write("INSERT INTO session (began, description) VALUES (?, ?)", time.time(), text)
            self._write(
                "UPDATE run SET state = ? WHERE state = ?", RunState.WAITING, RunState.RUNNING
            )

    def end_session(self) -> None:
        """Record the end of the latest session."""
        last = "(SELECT max(number) FROM session)"
        self._write(f"UPDATE session SET ended = ? WHERE number = {last}", time.time())

    def sessions(self) -> list[tuple[float, float | None, dict[str, Any]]]:
        """Return each session's start and end in seconds since 1970, and its description."""
        rows = self._all("SELECT began, ended, description FROM session ORDER BY number")
        return [(began, ended, json.loads(text)) for began, ended, text in rows]

    def ended_since_session(self) -> int:
        """Return how many runs ended in the latest session."""
        row = self._one(
            "SELECT count(*) FROM run WHERE state NOT IN (?, ?, ?) AND "
            "ended >= (SELECT began FROM session ORDER BY number DESC LIMIT 1)",
            *PENDING,
        )
        return 0 if row is None else int(row[0])

    def add_sessions(self, sessions: Iterable[tuple[float, float | None, dict[str, Any]]]) -> None:
        """Add the sessions of other journals that this one lacks; call it in a transaction."""
        for began, ended, description in sessions:
            text = json.dumps(description)
            if not self._update(
                "UPDATE session SET ended = ? WHERE began = ? AND description = ?",
                ended,
                began,
                text,
            ):
                self._write("INSERT INTO session VALUES (NULL, ?, ?, ?)", began, ended, text)

    # Permutations.

    def place(
        self,
        labels: Sequence[str],
        permutations: Iterable[tuple[str, str, Sequence[str]]],
        leaves_out: Callable[[int], bool] = lambda _: False,
        later_name: Callable[[int], str] = str,
    ) -> list[str]:
        """Set the position of each permutation of the present grid; call it in a transaction.

        Args:
            labels: the names of the tuned keys.
            permutations: each permutation's identity, name in a new sweep and choices as text, in the
                grid's order.
            leaves_out: maps an index in the grid to whether the grid leaves the permutation out. It has
                a name all the same, so that it is found again if the grid includes it later.
            later_name: maps the number of a permutation that joins the sweep now to its name.

        Returns:
            The names of the permutations in the journal that the grid lacks.
        """
        self["labels"] = list(labels)
        self._write("UPDATE permutation SET position = NULL")
        (known,) = self._one("SELECT count(*) FROM permutation") or (0,)
        (following,) = self._one("SELECT coalesce(max(number), -1) + 1 FROM permutation") or (0,)
        for index, (identity, name, choices) in enumerate(permutations):
            position = ~index if leaves_out(index) else index
            text = json.dumps(choices)
            if known and self._update(
                "UPDATE permutation SET position = ?, choices = ? WHERE identity = ?",
                *(position, text, identity),
            ):
                continue
            # In a new sweep, the number is the position.
            self._write(
                "INSERT INTO permutation VALUES (?, ?, ?, ?, ?)",
                *(following, later_name(following) if known else name, identity, position, text),
            )
            following += 1
        return [
            name for (name,) in self._all("SELECT name FROM permutation WHERE position IS NULL")
        ]

    def permutations(self) -> list[tuple[Any, ...]]:
        """Return all permutations as rows, for `add_permutations` of another journal."""
        return self._all("SELECT * FROM permutation ORDER BY number")

    def add_permutations(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add the permutations of another journal to an empty one; call it in a transaction."""
        for row in rows:
            self._write("INSERT INTO permutation VALUES (?, ?, ?, ?, ?)", *row)

    @property
    def looks(self) -> int:
        """The number of times that results are judged: a sweep may grow by repetitions in between."""
        return self["looks"] or 1

    @property
    def is_race(self) -> bool:
        """Whether rounds of a race added repetitions, or may do so."""
        return bool(self["raced"])

    def add_runs(
        self, repetitions: int, seed: int, permutations: Sequence[str] | None = None
    ) -> None:
        """Add the runs that permutations lack, as waiting; call it in a transaction.

        If permutations with results get more repetitions, the sweep is looked at once more.

        Args:
            repetitions: number of repetitions that permutations have afterwards, unless they have more.
            seed: seed of the first repetition.
            permutations: names of the permutations; None means all that the grid doesn't leave out.
        """
        before = self._count_runs_beside_results()
        names = [] if permutations is None else [(name,) for name in permutations]
        for repetition in range(repetitions):
            for name in names if permutations is not None else [()]:
                self._write(
                    "INSERT OR IGNORE INTO run (permutation, repetition, seed, state) "
                    "SELECT number, ?, ?, ? FROM permutation WHERE position >= 0 "
                    f"{'AND name = ? ' if name else ''}ORDER BY number",
                    *(repetition, seed + repetition, RunState.WAITING, *name),
                )
        if self._count_runs_beside_results() > before:
            self["looks"] = self.looks + 1

    def _count_runs_beside_results(self) -> int:
        """Return the number of runs of permutations with a finished run."""
        row = self._one(
            "SELECT count(*) FROM run WHERE permutation IN "
            "(SELECT permutation FROM run WHERE state = ?)",
            RunState.FINISHED,
        )
        assert row is not None
        return int(row[0])

    def repetitions(self) -> dict[str, int]:
        """Return how many runs each permutation of the present grid has, by name."""
        return dict(
            self._all(
                "SELECT name, count(*) FROM run JOIN permutation ON permutation = number "
                "WHERE position >= 0 GROUP BY number ORDER BY position"
            )
        )

    def add_shard(self, runs: Iterable[tuple[int, int]], seed: int) -> None:
        """Add a shard's runs, by repetition and position, as waiting; call it in a transaction."""
        for repetition, position in runs:
            self._write(
                "INSERT OR IGNORE INTO run (permutation, repetition, seed, state) "
                "SELECT number, ?, ?, ? FROM permutation WHERE position = ?",
                *(repetition, seed + repetition, RunState.WAITING, position),
            )

    def names(self) -> Iterator[tuple[int, str]]:
        """Return the index and the name of each permutation not left out, in the grid's order."""
        return self._database.execute(
            "SELECT position, name FROM permutation WHERE position >= 0 ORDER BY position"
        )

    def identities(self) -> dict[str, str]:
        """Return the name of each permutation by its identity, also of those left out."""
        return dict(self._all("SELECT identity, name FROM permutation ORDER BY number"))

    def count_left_out(self) -> tuple[int, int]:
        """Return how many permutations the grid leaves out, and how many finished runs they have."""
        row = self._one(
            "SELECT count(DISTINCT number), coalesce(sum(state = ?), 0) FROM permutation "
            "LEFT JOIN run ON permutation = number WHERE position < 0",
            RunState.FINISHED,
        )
        assert row is not None
        return row[0], row[1]

    def name(self, position: int) -> str:
        """Return the name of the permutation at a position of the grid."""
        row = self._one("SELECT name FROM permutation WHERE position = ?", position)
        assert row is not None
        return str(row[0])

    # Runs.

    def runs(self, run_id: str, repetitions: int) -> Iterator[JournalRow]:
        """Yield all runs of the present grid, in the order of training, repetition by repetition."""
        labels = self.labels
        rows = self._database.execute(
            f"SELECT name, repetition, seed, choices, position, {_STATE}, attempts, updates FROM run "
            "JOIN permutation ON permutation = number "
            "WHERE position >= 0 AND repetition < ? ORDER BY repetition, position",
            (repetitions,),
        )
        for name, repetition, seed, choices, position, state, attempts, updates in rows:
            run = RunIdentity(run_id, name, repetition, seed, _by_label(labels, choices))
            yield JournalRow(run, position, RunState(state), attempts, updates)

    def run_rows(self) -> dict[RunKey, RunRow]:
        """Return the rows of all runs, for `put_run` of another journal."""
        with self._explained():
            found = self._database.execute(
                "SELECT name, run.* FROM run JOIN permutation ON permutation = number"
            )
            columns = [column for column, *_ in found.description]
            rows = [dict(zip(columns, row, strict=True)) for row in found]
        return {(row.pop("name"), row["repetition"]): row for row in rows}

    def put_run(self, key: RunKey, row: RunRow) -> None:
        """Replace a run by that of another journal, or add it."""
        name, _ = key
        number = self._one("SELECT number FROM permutation WHERE name = ?", name)
        assert number is not None
        values = {**row, "permutation": number[0]}
        places = ", ".join("?" * len(values))
        self._write(
            f"INSERT OR REPLACE INTO run ({', '.join(values)}) VALUES ({places})", *values.values()
        )

    def finished(self) -> list[RunKey]:
        """Return the runs of the present grid that are finished."""
        return self._all(
            "SELECT name, repetition FROM run JOIN permutation ON permutation = number "
            f"WHERE position >= 0 AND {_STATE} = ?",
            RunState.FINISHED,
        )

    def ended(self) -> list[RunKey]:
        """Return the runs of the present grid that have ended, in the order in which they did."""
        states = (RunState.FINISHED, RunState.PRUNED, *FAILURES)
        return self._all(
            "SELECT name, repetition FROM run JOIN permutation ON permutation = number "
            f"WHERE position >= 0 AND ended IS NOT NULL AND state IN ({', '.join('?' * len(states))}) "
            "ORDER BY ended, repetition, position",
            *states,
        )

    def begin(self, population: Iterable[RunIdentity]) -> None:
        """Record that runs are in training."""
        machine = f"{platform.node()}, process {os.getpid()}"
        with self.transaction():
            for run in population:
                self._change(
                    run,
                    "state = ?, began = ?, machine = ?, updates = 0",
                    *(RunState.RUNNING, time.time(), machine),
                )

    def show(self, run: RunIdentity, steps: int, curve: Sequence[tuple[int, float]]) -> None:
        """Record the progress of a run; call it in a transaction."""
        self._change(run, "steps = ?, curve = ?", steps, json.dumps(curve))

    def record(self, record: RunRecord, updates: int) -> None:
        """Record the results of a run; call it in a transaction.

        Args:
            record: the run's record.
            updates: number of updates done.
        """
        # An interrupted run waits for the next session, which resumes it; a paused one for its rung.
        waits = record.state in (RunState.INTERRUPTED, RunState.PAUSED)
        state = RunState.WAITING if waits else record.state
        self._change(
            record.run,
            "state = ?, attempts = attempts + ?, ended = ?, updates = ?, steps = ?, final_return = ?, "
            "return_deviation = ?, best_return = ?, seconds = seconds + ?, checkpoint = ?, curve = ?, "
            "error = ?, diagnostics = ?",
            *(state, state in FAILURES, time.time(), updates, record.steps),
            *(record.final_return, record.return_deviation, record.best_return),
            *(record.wall_time_seconds, record.checkpoint, json.dumps(record.curve), record.error),
            json.dumps(dict(record.diagnostics)),
        )

    # Rungs, at which permutations are judged and may be pruned.

    def judged(self, updates: int) -> dict[str, float | None]:
        """Return the permutations that were judged at a rung or a later one, by name.

        Args:
            updates: the rung.

        Returns:
            Their scores at this rung; None without one.
        """
        return dict(
            self._all(
                "SELECT name, max(CASE WHEN judged.updates = ? THEN score END) FROM judged "
                "JOIN permutation ON permutation = number WHERE judged.updates >= ? "
                "GROUP BY number ORDER BY number",
                *(updates, updates),
            )
        )

    def judge(
        self, updates: int, scores: Mapping[str, float | None], pruned: Iterable[str]
    ) -> None:
        """Record that permutations were judged at a rung; call it in a transaction.

        Args:
            updates: the rung.
            scores: their scores by name; None without one.
            pruned: names of those that end here.
        """
        for name, score in scores.items():
            self._write(
                "INSERT OR REPLACE INTO judged SELECT number, ?, ? FROM permutation WHERE name = ?",
                *(updates, score, name),
            )
        self.prune(pruned)

    def prune(self, names: Iterable[str]) -> None:
        """Prune permutations, so that their runs end where they are; call it in a transaction."""
        for name in names:
            self._write(
                f"UPDATE run SET state = ? WHERE {_STATE} IN (?, ?) AND permutation = "
                "(SELECT number FROM permutation WHERE name = ?)",
                *(RunState.PRUNED, RunState.WAITING, RunState.SHORTER, name),
            )

    def promote(self, names: Iterable[str]) -> None:
        """Let the runs of permutations wait again if they were pruned; call it in a transaction."""
        for name in names:
            self._write(
                "UPDATE run SET state = ? WHERE state = ? AND permutation = "
                "(SELECT number FROM permutation WHERE name = ?)",
                *(RunState.WAITING, RunState.PRUNED, name),
            )

    def without_finished_run(self, retries: int) -> list[tuple[int, str]]:
        """Return the index and the name of each permutation that may train, and has finished no run.

        Args:
            retries: number of retries of a failed run.
        """
        return self._all(
            "SELECT position, name FROM run JOIN permutation ON permutation = number "
            "WHERE position >= 0 GROUP BY number "
            f"HAVING NOT max({_STATE} = ?) AND max(state NOT IN (?, ?) OR attempts <= ?) "
            "ORDER BY position",
            *(RunState.FINISHED, *FAILURES, retries),
        )

    def pruned(self) -> set[str]:
        """Return the names of the pruned permutations."""
        return {
            name
            for (name,) in self._all(
                "SELECT DISTINCT name FROM run JOIN permutation ON permutation = number "
                "WHERE state = ?",
                RunState.PRUNED,
            )
        }

    def pruned_at(self) -> dict[int, tuple[str, ...]]:
        """Return the names of the permutations pruned at each rung, by the rung's updates."""
        # Journals of earlier versions lack the table, and this one may be read-only.
        if self._one("SELECT 1 FROM sqlite_master WHERE name = 'judged'") is None:
            return {}
        rows = self._all(
            "SELECT max(updates), name FROM judged JOIN permutation ON permutation = number "
            "WHERE position >= 0 AND permutation IN (SELECT permutation FROM run WHERE state = ?) "
            "GROUP BY number ORDER BY number",
            RunState.PRUNED,
        )
        return {
            updates: tuple(name for at, name in rows if at == updates)
            for updates in sorted({at for at, _ in rows})
        }

    def rungs(self) -> list[tuple[int, int, int]]:
        """Return each rung, the number of permutations judged there, and how many of them ended."""
        pruned = self.pruned_at()
        judged = self._all(
            "SELECT updates, count(*) FROM judged JOIN permutation ON permutation = number "
            "WHERE position >= 0 GROUP BY updates ORDER BY updates"
        )
        return [(updates, number, len(pruned.get(updates, ()))) for updates, number in judged]

    def pruned_steps(self) -> dict[str, int]:
        """Return the environment steps of all runs of each pruned permutation, by name."""
        return dict(
            self._all(
                "SELECT name, sum(steps) FROM run JOIN permutation ON permutation = number "
                "WHERE position >= 0 GROUP BY number HAVING max(state = ?)",
                RunState.PRUNED,
            )
        )

    def pruned_scores(self) -> dict[str, dict[int, float]]:
        """Return the scores of each pruned permutation at the rungs, by its name and the rung."""
        found: dict[str, dict[int, float]] = {}
        for name, updates, score in self._all(
            "SELECT name, updates, score FROM judged JOIN permutation ON permutation = number "
            "WHERE score NOT NULL AND number IN (SELECT permutation FROM run WHERE state = ?) "
            "ORDER BY number, updates",
            RunState.PRUNED,
        ):
            found.setdefault(name, {})[updates] = score
        return found

    def prune_added_runs(self) -> None:
        """Prune waiting runs of pruned permutations, which got more repetitions."""
        self._write(
            "UPDATE run SET state = ? WHERE state = ? AND permutation IN "
            "(SELECT permutation FROM run WHERE state = ?)",
            *(RunState.PRUNED, RunState.WAITING, RunState.PRUNED),
        )

    def release_pruned(self) -> None:
        """Let pruned runs wait again, and forget how their permutations were judged."""
        self._write(
            "DELETE FROM judged WHERE permutation IN (SELECT permutation FROM run WHERE state = ?)",
            RunState.PRUNED,
        )
        self._write("UPDATE run SET state = ? WHERE state = ?", RunState.WAITING, RunState.PRUNED)

    def _change(self, run: RunIdentity, assignments: str, *values: Any) -> None:
        self._write(
            f"UPDATE run SET {assignments} WHERE repetition = ? AND permutation = "
            "(SELECT number FROM permutation WHERE name = ?)",
            *(*values, run.repetition, run.permutation),
        )

    def records(
        self, run_id: str, by_permutation: bool = False, left_out: bool = False
    ) -> Iterator[RunRecord]:
        """Yield the records of all runs of the present grid, also of those that wait or run.

        Args:
            run_id: tag of the training session.
            by_permutation: whether to go through the grid permutation by permutation, rather than
                repetition by repetition.
            left_out: whether to include the runs of permutations that the grid leaves out.
        """
        labels = self.labels
        index, least = ("max(position, ~position)", "position") if left_out else ("position", "0")
        order = f"{index}, repetition" if by_permutation else f"repetition, {index}"
        diagnostics = "diagnostics" if _has_diagnostics(self._database) else "'{}'"
        rows = self._database.execute(
            f"SELECT name, repetition, seed, choices, {_STATE}, steps, final_return, return_deviation, "
            f"best_return, seconds, error, checkpoint, curve, {diagnostics} FROM run "
            f"JOIN permutation ON permutation = number WHERE position >= {least} ORDER BY {order}"
        )
        for name, repetition, seed, choices, state, *reached, curve, latest in rows:
            run = RunIdentity(run_id, name, repetition, seed, _by_label(labels, choices))
            points = tuple((steps, value) for steps, value in json.loads(curve))
            yield RunRecord(run, RunState(state), *reached, points, json.loads(latest))  # type: ignore[call-arg]

    def counts(self) -> dict[RunState, int]:
        """Return how many runs of the present grid are in each state."""
        rows = self._all(
            f"SELECT {_STATE} AS seen, count(*) FROM run JOIN permutation ON permutation = number "
            "WHERE position >= 0 GROUP BY seen"
        )
        return {RunState(state): count for state, count in rows}

    def _one(self, statement: str, *values: Any) -> tuple[Any, ...] | None:
        with self._explained():
            row: tuple[Any, ...] | None = self._database.execute(statement, values).fetchone()
            return row

    def _all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._explained():
            return self._database.execute(statement, values).fetchall()

    def _write(self, statement: str, *values: Any) -> None:
        with self._explained():
            self._database.execute(statement, values)

    def _update(self, statement: str, *values: Any) -> bool:
        """Execute a statement, and return whether it changed a row."""
        with self._explained():
            return self._database.execute(statement, values).rowcount > 0


def _has_diagnostics(database: sqlite3.Connection) -> bool:
    """Return whether the table of runs has the column, which earlier versions didn't write."""
    columns = database.execute("PRAGMA table_info(run)").fetchall()
    return any(name == "diagnostics" for _, name, *_ in columns)


def _by_label(labels: Sequence[str], choices: str) -> dict[str, str]:
    """Return a permutation's choices, which the file holds as a list in JSON, by label."""
    return dict(zip(labels, json.loads(choices), strict=True))


@contextmanager
def read_journal(out: Path, run_id: str) -> Iterator[Journal]:
    """Open the journal of a sweep for reading, within the context.

    Raises:
        UserError: there is no sweep yet, or its journal can't be read.
    """
    with closing(Journal(journal_path(out, run_id), writable=False)) as journal:
        if journal.is_empty:
            raise UserError(f"{journal.path}: {_NO_SWEEP_YET}")
        yield journal


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
        return _NO_SWEEP_YET
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
