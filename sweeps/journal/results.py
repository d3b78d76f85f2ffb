"""What became of each run, and the table of all of them in `results.csv`."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from schema.errors import UserError
from schema.yaml_file import replace_file

FINISHED, FAILED, DIVERGED, INTERRUPTED = "finished", "failed", "diverged", "interrupted"
ENDED = (FINISHED, FAILED, DIVERGED)
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


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one run.

    Attributes:
        run_id: tag of the training session.
        permutation: name of the permutation, its number.
        repetition: from 0.
        choices: the tuned values, as text by label.
        seed: the run's seed.
        steps: environment steps.
        final_return: mean return of the last evaluation or of the last 100 training episodes.
        return_deviation: standard deviation of those returns.
        best_return: the greatest that `final_return` was during the training.
        wall_time_seconds: of the training; members of a population share theirs equally.
        state: `finished`, `failed`, `diverged` or `interrupted`.
        error: why it isn't finished.
        checkpoint: the last one, relative to the output folder; empty if there is none.
        curve: environment steps, and `final_return` then, of some of its updates.
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
    state: str = FINISHED
    error: str = ""
    checkpoint: str = ""
    curve: tuple[tuple[int, float], ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """The permutation's name and the repetition."""
        return f"{self.permutation}_{self.repetition}"

    @property
    def status(self) -> str:
        """The state, and why it isn't `finished`."""
        return f"{self.state}: {self.error}" if self.error else self.state


def write_results(path: Path, labels: Sequence[str], results: Iterable[Result]) -> None:
    """Writes a row for each result, at once or not at all."""
    with replace_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_LEADING, *labels, *_TRAILING])
        writer.writerows(_row(result, labels) for result in results)


def _row(result: Result, labels: Sequence[str]) -> list[str]:
    leading = [str(getattr(result, name)) for name in _LEADING]
    trailing = [_text(getattr(result, name)) for name in _TRAILING]
    return [*leading, *(result.choices[label] for label in labels), *trailing]


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)


def read_results(path: Path, labels: Sequence[str]) -> Iterator[Result]:
    """The results in a file that need not exist.

    Raises:
        UserError: the file is of other keys, or damaged.
    """
    if not path.exists():
        return
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != [*_LEADING, *labels, *_TRAILING]:
            raise UserError(
                f"{path}: holds results of other keys; choose another --out, "
                "or replace them with --overwrite"
            )
        try:
            for row in reader:
                yield _result(row, labels)
        except (ValueError, TypeError):
            raise UserError(
                f"{path}, line {reader.line_num}: is damaged; mend or remove it"
            ) from None


def _result(row: dict[str, str], labels: Sequence[str]) -> Result:
    state, _, error = row["status"].partition(": ")
    return Result(
        run_id=row["run_id"],
        permutation=row["permutation"],
        repetition=int(row["repetition"]),
        choices={label: row[label] for label in labels},
        seed=int(row["seed"]),
        steps=int(row["steps"]),
        final_return=_number(row["final_return"]),
        return_deviation=_number(row["return_deviation"]),
        best_return=_number(row["best_return"]),
        wall_time_seconds=float(row["wall_time_seconds"]),
        state=state,
        error=error,
        checkpoint=row["checkpoint"],
    )


def _number(text: str) -> float | None:
    return float(text) if text else None
