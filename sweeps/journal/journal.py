"""The journal of a sweep: one SQLite file with the state and the record of every run.

One process writes it; any number may read it meanwhile. It keeps what was written when that process is
killed. It isn't needed to resume runs: their checkpoints are found in their folders.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schema.errors import UserError
from sweeps.journal.database import NO_SWEEP_YET, SEEN_STATE, Database
from sweeps.journal.rungs import Rungs
from sweeps.journal.runs import FAILURES, PENDING, RunIdentity, RunRecord, RunState

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
        self._database = Database(path, writable)
        self.rungs = Rungs(self._database)
        # What the file does as a whole, its journal does.
        self.transaction = self._database.transaction
        self.settle = self._database.settle
        self.copy_to = self._database.copy_to
        self.close = self._database.close

    @property
    def is_empty(self) -> bool:
        """Whether it holds no sweep, as if the process that created it was killed right then."""
        return self["format"] is None and self._database.one("SELECT 1 FROM run LIMIT 1") is None

    # The sweep as a whole.

    def __getitem__(self, key: str) -> Any:
        """Return a value that belongs to the whole sweep; None if there is none."""
        row = self._database.one("SELECT value FROM sweep WHERE key = ?", key)
        return None if row is None else json.loads(row[0])

    def __setitem__(self, key: str, value: Any) -> None:
        self._database.write("INSERT OR REPLACE INTO sweep VALUES (?, ?)", key, json.dumps(value))

    @property
    def labels(self) -> list[str]:
        """The names of the tuned keys."""
        return self["labels"] or []

    @property
    def most_updates(self) -> int:
        """The greatest number of updates that a run has finished with; 0 without a finished run."""
        row = self._database.one("SELECT max(updates) FROM run WHERE state = ?", RunState.FINISHED)
        return 0 if row is None else row[0] or 0

    def begin_session(self, description: dict[str, Any]) -> None:
        """Add a session, with the process that trains; runs recorded as running wait again."""
        text = json.dumps(description)
        with self.transaction():
            self._database.write(
                "INSERT INTO session (began, description) VALUES (?, ?)", time.time(), text
            )
            self._database.write(
                "UPDATE run SET state = ? WHERE state = ?", RunState.WAITING, RunState.RUNNING
            )

    def end_session(self) -> None:
        """Record the end of the latest session."""
        last = "(SELECT max(number) FROM session)"
        self._database.write(f"UPDATE session SET ended = ? WHERE number = {last}", time.time())

    def sessions(self) -> list[tuple[float, float | None, dict[str, Any]]]:
        """Return each session's start and end in seconds since 1970, and its description."""
        rows = self._database.all("SELECT began, ended, description FROM session ORDER BY number")
        return [(began, ended, json.loads(text)) for began, ended, text in rows]

    def ended_since_session(self) -> int:
        """Return how many runs ended in the latest session."""
        row = self._database.one(
            "SELECT count(*) FROM run WHERE state NOT IN (?, ?, ?) AND "
            "ended >= (SELECT began FROM session ORDER BY number DESC LIMIT 1)",
            *PENDING,
        )
        return 0 if row is None else int(row[0])

    def add_sessions(self, sessions: Iterable[tuple[float, float | None, dict[str, Any]]]) -> None:
        """Add the sessions of other journals that this one lacks; call it in a transaction."""
        for began, ended, description in sessions:
            text = json.dumps(description)
            if not self._database.write(
                "UPDATE session SET ended = ? WHERE began = ? AND description = ?",
                ended,
                began,
                text,
            ):
                self._database.write(
                    "INSERT INTO session VALUES (NULL, ?, ?, ?)", began, ended, text
                )

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
        self._database.write("UPDATE permutation SET position = NULL")
        (known,) = self._database.one("SELECT count(*) FROM permutation") or (0,)
        (following,) = self._database.one(
            "SELECT coalesce(max(number), -1) + 1 FROM permutation"
        ) or (0,)
        for index, (identity, name, choices) in enumerate(permutations):
            position = ~index if leaves_out(index) else index
            text = json.dumps(choices)
            if known and self._database.write(
                "UPDATE permutation SET position = ?, choices = ? WHERE identity = ?",
                *(position, text, identity),
            ):
                continue
            # In a new sweep, the number is the position.
            self._database.write(
                "INSERT INTO permutation VALUES (?, ?, ?, ?, ?)",
                *(following, later_name(following) if known else name, identity, position, text),
            )
            following += 1
        return [
            name
            for (name,) in self._database.all("SELECT name FROM permutation WHERE position IS NULL")
        ]

    def permutations(self) -> list[tuple[Any, ...]]:
        """Return all permutations as rows, for `add_permutations` of another journal."""
        return self._database.all("SELECT * FROM permutation ORDER BY number")

    def add_permutations(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add the permutations of another journal to an empty one; call it in a transaction."""
        for row in rows:
            self._database.write("INSERT INTO permutation VALUES (?, ?, ?, ?, ?)", *row)

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
                self._database.write(
                    "INSERT OR IGNORE INTO run (permutation, repetition, seed, state) "
                    "SELECT number, ?, ?, ? FROM permutation WHERE position >= 0 "
                    f"{'AND name = ? ' if name else ''}ORDER BY number",
                    *(repetition, seed + repetition, RunState.WAITING, *name),
                )
        if self._count_runs_beside_results() > before:
            self["looks"] = self.looks + 1

    def _count_runs_beside_results(self) -> int:
        """Return the number of runs of permutations with a finished run."""
        row = self._database.one(
            "SELECT count(*) FROM run WHERE permutation IN "
            "(SELECT permutation FROM run WHERE state = ?)",
            RunState.FINISHED,
        )
        assert row is not None
        return int(row[0])

    def repetitions(self) -> dict[str, int]:
        """Return how many runs each permutation of the present grid has, by name."""
        return dict(
            self._database.all(
                "SELECT name, count(*) FROM run JOIN permutation ON permutation = number "
                "WHERE position >= 0 GROUP BY number ORDER BY position"
            )
        )

    def add_shard(self, runs: Iterable[tuple[int, int]], seed: int) -> None:
        """Add a shard's runs, by repetition and position, as waiting; call it in a transaction."""
        for repetition, position in runs:
            self._database.write(
                "INSERT OR IGNORE INTO run (permutation, repetition, seed, state) "
                "SELECT number, ?, ?, ? FROM permutation WHERE position = ?",
                *(repetition, seed + repetition, RunState.WAITING, position),
            )

    def names(self) -> Iterator[tuple[int, str]]:
        """Return the index and the name of each permutation not left out, in the grid's order."""
        return self._database.rows(
            "SELECT position, name FROM permutation WHERE position >= 0 ORDER BY position"
        )

    def identities(self) -> dict[str, str]:
        """Return the name of each permutation by its identity, also of those left out."""
        return dict(self._database.all("SELECT identity, name FROM permutation ORDER BY number"))

    def count_left_out(self) -> tuple[int, int]:
        """Return how many permutations the grid leaves out, and how many finished runs they have."""
        row = self._database.one(
            "SELECT count(DISTINCT number), coalesce(sum(state = ?), 0) FROM permutation "
            "LEFT JOIN run ON permutation = number WHERE position < 0",
            RunState.FINISHED,
        )
        assert row is not None
        return row[0], row[1]

    def name(self, position: int) -> str:
        """Return the name of the permutation at a position of the grid."""
        row = self._database.one("SELECT name FROM permutation WHERE position = ?", position)
        assert row is not None
        return str(row[0])

    # Runs.

    def runs(self, run_id: str, repetitions: int) -> Iterator[JournalRow]:
        """Yield all runs of the present grid, in the order of training, repetition by repetition."""
        labels = self.labels
        rows = self._database.rows(
            f"SELECT name, repetition, seed, choices, position, {SEEN_STATE}, attempts, updates "
            "FROM run JOIN permutation ON permutation = number "
            "WHERE position >= 0 AND repetition < ? ORDER BY repetition, position",
            repetitions,
        )
        for name, repetition, seed, choices, position, state, attempts, updates in rows:
            run = RunIdentity(run_id, name, repetition, seed, _by_label(labels, choices))
            yield JournalRow(run, position, RunState(state), attempts, updates)

    def run_rows(self) -> dict[RunKey, RunRow]:
        """Return the rows of all runs, for `put_run` of another journal."""
        rows = self._database.named_rows(
            "SELECT name, run.* FROM run JOIN permutation ON permutation = number"
        )
        return {(row.pop("name"), row["repetition"]): row for row in rows}

    def put_run(self, key: RunKey, row: RunRow) -> None:
        """Replace a run by that of another journal, or add it."""
        name, _ = key
        number = self._database.one("SELECT number FROM permutation WHERE name = ?", name)
        assert number is not None
        values = {**row, "permutation": number[0]}
        places = ", ".join("?" * len(values))
        self._database.write(
            f"INSERT OR REPLACE INTO run ({', '.join(values)}) VALUES ({places})", *values.values()
        )

    def finished(self) -> list[RunKey]:
        """Return the runs of the present grid that are finished."""
        return self._database.all(
            "SELECT name, repetition FROM run JOIN permutation ON permutation = number "
            f"WHERE position >= 0 AND {SEEN_STATE} = ?",
            RunState.FINISHED,
        )

    def ended(self) -> list[RunKey]:
        """Return the runs of the present grid that have ended, in the order in which they did."""
        states = (RunState.FINISHED, RunState.PRUNED, *FAILURES)
        return self._database.all(
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

    def _change(self, run: RunIdentity, assignments: str, *values: Any) -> None:
        self._database.write(
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
        diagnostics = "diagnostics" if self._database.has_diagnostics else "'{}'"
        rows = self._database.rows(
            f"SELECT name, repetition, seed, choices, {SEEN_STATE}, steps, final_return, "
            f"return_deviation, best_return, seconds, error, checkpoint, curve, {diagnostics} FROM run "
            f"JOIN permutation ON permutation = number WHERE position >= {least} ORDER BY {order}"
        )
        for name, repetition, seed, choices, state, *reached, curve, latest in rows:
            run = RunIdentity(run_id, name, repetition, seed, _by_label(labels, choices))
            points = tuple((steps, value) for steps, value in json.loads(curve))
            yield RunRecord(run, RunState(state), *reached, points, json.loads(latest))  # type: ignore[call-arg]

    def counts(self) -> dict[RunState, int]:
        """Return how many runs of the present grid are in each state."""
        rows = self._database.all(
            f"SELECT {SEEN_STATE} AS seen, count(*) FROM run JOIN permutation ON permutation = number "
            "WHERE position >= 0 GROUP BY seen"
        )
        return {RunState(state): count for state, count in rows}


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
            raise UserError(f"{journal.path}: {NO_SWEEP_YET}")
        yield journal
