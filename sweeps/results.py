"""The results of a sweep: one row per run in `results.csv`, kept from one session to the next."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from schema.errors import UserError
from schema.yaml_file import replace_file

FINISHED = "finished"
_AFTER = " (after update "
_LEADING = ["run_id", "permutation", "repetition"]
_TRAILING = [
    "seed",
    "steps",
    "final_return",
    "return_deviation",
    "best_return",
    "wall_time_seconds",
    "status",
    "checkpoint",
]


@dataclass(frozen=True)
class Result:
    """What became of one run.

    Attributes:
        run_id: tag of the training session.
        permutation: name of the permutation, its zero-padded index.
        repetition: from 0.
        choices: the tuned values, as text by label.
        seed: the run's seed.
        steps: environment steps.
        final_return: mean return of the last evaluation or of the last 100 training episodes.
        return_deviation: standard deviation of those returns.
        best_return: the greatest that `final_return` was during the training.
        wall_time_seconds: of the training; members of a population share theirs equally.
        status: `finished`, or what stopped it.
        checkpoint: the last one, relative to the output folder; empty if there is none.
    """

    run_id: str
    permutation: str
    repetition: int
    choices: dict[str, str] = field(repr=False)
    seed: int
    steps: int = 0
    final_return: float | None = None
    return_deviation: float | None = None
    best_return: float | None = None
    wall_time_seconds: float = 0.0
    status: str = FINISHED
    checkpoint: str = ""

    def failed(self, reason: str, updates: int, batch_size: int) -> Result:
        """The same run, which failed.

        Args:
            reason: what happened, on one line.
            updates: how many it had done.
            batch_size: environment steps of each.
        """
        status = f"failed: {reason}{_AFTER}{updates})"
        return replace(self, steps=updates * batch_size, status=status)

    @property
    def reason(self) -> str:
        """The status without when it came about."""
        return self.status.partition(_AFTER)[0]

    @property
    def key(self) -> tuple[str, str, int]:
        """What identifies the run in its folder."""
        return self.run_id, self.permutation, self.repetition


class ResultsFile:
    """`results.csv`, rewritten atomically whenever a run ends.

    Args:
        path: the file; it need not exist.
        labels: the tuned keys, a column each.

    Raises:
        UserError: the file is there but can't be read as results of the same keys.
    """

    def __init__(self, path: Path, labels: list[str]) -> None:
        self._path = path
        self._labels = labels
        self._results = {result.key: result for result in self._read()}

    def _read(self) -> list[Result]:
        if not self._path.exists():
            return []
        with self._path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != [*_LEADING, *self._labels, *_TRAILING]:
                raise UserError(
                    f"{self._path}: holds results of other keys; choose another --out, "
                    "or replace them with --overwrite"
                )
            try:
                return [self._result(row) for row in reader]
            except (ValueError, TypeError):
                raise UserError(
                    f"{self._path}, line {reader.line_num}: is damaged; mend or remove it"
                ) from None

    def _result(self, row: dict[str, str]) -> Result:
        return Result(
            run_id=row["run_id"],
            permutation=row["permutation"],
            repetition=int(row["repetition"]),
            choices={label: row[label] for label in self._labels},
            seed=int(row["seed"]),
            steps=int(row["steps"]),
            final_return=_number(row["final_return"]),
            return_deviation=_number(row["return_deviation"]),
            best_return=_number(row["best_return"]),
            wall_time_seconds=float(row["wall_time_seconds"]),
            status=row["status"],
            checkpoint=row["checkpoint"],
        )

    def finished(self, key: tuple[str, str, int], seed: int) -> Result | None:
        """The result of a run that was finished with that seed before, if there is one."""
        result = self._results.get(key)
        if result and result.status == FINISHED and result.seed == seed:
            return result
        return None

    def refuse_another_seed(self, run_id: str, seed: int) -> None:
        """Makes sure that a session's results are of the seed with which it is to go on.

        Args:
            run_id: tag of the training session.
            seed: of its first repetition.

        Raises:
            UserError: they are of another one, so that going on would replace them.
        """
        seeds = {result.seed - result.repetition for result in self._of(run_id)}
        if seeds - {seed}:
            there = ", ".join(map(str, sorted(seeds)))
            raise UserError(
                f"--seed={seed}: the results of --run-id={run_id} in {self._path} are of --seed="
                f"{there}; choose another --run-id or --out, or replace them with --overwrite"
            )

    def remove(self, run_id: str) -> None:
        """Removes the results of a training session and writes the file, where it had any."""
        removed = self._of(run_id)
        if removed:
            for result in removed:
                del self._results[result.key]
            self.add([])

    def _of(self, run_id: str) -> list[Result]:
        return [result for result in self._results.values() if result.run_id == run_id]

    def add(self, results: Iterable[Result]) -> None:
        """Adds results, in place of earlier ones of the same runs, and writes the file.

        Rows are in the order of the grid, repetition by repetition, whichever run ended first.
        """
        self._results.update((result.key, result) for result in results)
        ordered = sorted(self._results.values(), key=_position)
        with replace_file(self._path) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*_LEADING, *self._labels, *_TRAILING])
            writer.writerows(self._row(result) for result in ordered)

    def _row(self, result: Result) -> list[str]:
        leading = [str(getattr(result, name)) for name in _LEADING]
        trailing = [_text(getattr(result, name)) for name in _TRAILING]
        return [*leading, *(result.choices[label] for label in self._labels), *trailing]


def _position(result: Result) -> tuple[str, int, str]:
    return result.run_id, result.repetition, result.permutation


def _number(text: str) -> float | None:
    return float(text) if text else None


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)
