"""The rungs of a sweep that prunes: how permutations were judged there, and which ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sweeps.journal.database import SEEN_STATE, Database
from sweeps.journal.runs import FAILURES, RunState


class Rungs:
    """The rungs in a journal.

    Args:
        database: the journal's file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def judged(self, updates: int) -> dict[str, float | None]:
        """Return the permutations that were judged at a rung or a later one, by name.

        Args:
            updates: the rung.

        Returns:
            Their scores at this rung; None without one.
        """
        return dict(
            self._database.all(
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
            self._database.write(
                "INSERT OR REPLACE INTO judged SELECT number, ?, ? FROM permutation WHERE name = ?",
                *(updates, score, name),
            )
        self.prune(pruned)

    def prune(self, names: Iterable[str]) -> None:
        """Prune permutations, so that their runs end where they are; call it in a transaction."""
        for name in names:
            self._database.write(
                f"UPDATE run SET state = ? WHERE {SEEN_STATE} IN (?, ?) AND permutation = "
                "(SELECT number FROM permutation WHERE name = ?)",
                *(RunState.PRUNED, RunState.WAITING, RunState.SHORTER, name),
            )

    def promote(self, names: Iterable[str]) -> None:
        """Let the runs of permutations wait again if they were pruned; call it in a transaction."""
        for name in names:
            self._database.write(
                "UPDATE run SET state = ? WHERE state = ? AND permutation = "
                "(SELECT number FROM permutation WHERE name = ?)",
                *(RunState.WAITING, RunState.PRUNED, name),
            )

    def without_finished_run(self, retries: int) -> list[tuple[int, str]]:
        """Return the index and the name of each permutation that may train, and has finished no run.

        Args:
            retries: number of retries of a failed run.
        """
        return self._database.all(
            "SELECT position, name FROM run JOIN permutation ON permutation = number "
            "WHERE position >= 0 GROUP BY number "
            f"HAVING NOT max({SEEN_STATE} = ?) AND max(state NOT IN (?, ?) OR attempts <= ?) "
            "ORDER BY position",
            *(RunState.FINISHED, *FAILURES, retries),
        )

    def pruned(self) -> set[str]:
        """Return the names of the pruned permutations."""
        return {
            name
            for (name,) in self._database.all(
                "SELECT DISTINCT name FROM run JOIN permutation ON permutation = number "
                "WHERE state = ?",
                RunState.PRUNED,
            )
        }

    def pruned_at(self) -> dict[int, tuple[str, ...]]:
        """Return the names of the permutations pruned at each rung, by the rung's updates."""
        # Journals of earlier versions lack the table, and this one may be read-only.
        if self._database.one("SELECT 1 FROM sqlite_master WHERE name = 'judged'") is None:
            return {}
        rows = self._database.all(
            "SELECT max(updates), name FROM judged JOIN permutation ON permutation = number "
            "WHERE position >= 0 AND permutation IN (SELECT permutation FROM run WHERE state = ?) "
            "GROUP BY number ORDER BY number",
            RunState.PRUNED,
        )
        return {
            updates: tuple(name for at, name in rows if at == updates)
            for updates in sorted({at for at, _ in rows})
        }

    def counts(self) -> list[tuple[int, int, int]]:
        """Return each rung, the number of permutations judged there, and how many of them ended."""
        pruned = self.pruned_at()
        judged = self._database.all(
            "SELECT updates, count(*) FROM judged JOIN permutation ON permutation = number "
            "WHERE position >= 0 GROUP BY updates ORDER BY updates"
        )
        return [(updates, number, len(pruned.get(updates, ()))) for updates, number in judged]

    def pruned_steps(self) -> dict[str, int]:
        """Return the environment steps of all runs of each pruned permutation, by name."""
        return dict(
            self._database.all(
                "SELECT name, sum(steps) FROM run JOIN permutation ON permutation = number "
                "WHERE position >= 0 GROUP BY number HAVING max(state = ?)",
                RunState.PRUNED,
            )
        )

    def pruned_scores(self) -> dict[str, dict[int, float]]:
        """Return the scores of each pruned permutation at the rungs, by its name and the rung."""
        found: dict[str, dict[int, float]] = {}
        for name, updates, score in self._database.all(
            "SELECT name, updates, score FROM judged JOIN permutation ON permutation = number "
            "WHERE score NOT NULL AND number IN (SELECT permutation FROM run WHERE state = ?) "
            "ORDER BY number, updates",
            RunState.PRUNED,
        ):
            found.setdefault(name, {})[updates] = score
        return found

    def prune_added_runs(self) -> None:
        """Prune waiting runs of pruned permutations, which got more repetitions."""
        self._database.write(
            "UPDATE run SET state = ? WHERE state = ? AND permutation IN "
            "(SELECT permutation FROM run WHERE state = ?)",
            *(RunState.PRUNED, RunState.WAITING, RunState.PRUNED),
        )

    def release_pruned(self) -> None:
        """Let pruned runs wait again, and forget how their permutations were judged."""
        self._database.write(
            "DELETE FROM judged WHERE permutation IN (SELECT permutation FROM run WHERE state = ?)",
            RunState.PRUNED,
        )
        self._database.write(
            "UPDATE run SET state = ? WHERE state = ?", RunState.WAITING, RunState.PRUNED
        )
