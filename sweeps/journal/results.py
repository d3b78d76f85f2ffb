"""Writes and reads `results.csv`: a row for each run that has ended."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from schema.errors import UserError
from schema.yaml_file import replace_file
from sweeps.journal.runs import RunIdentity, RunRecord, RunState

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


def write_results(path: Path, labels: Sequence[str], records: Iterable[RunRecord]) -> None:
    """Write a row for each record; an interrupted write leaves the old file."""
    with replace_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_LEADING, *labels, *_TRAILING])
        writer.writerows(_row(record, labels) for record in records)


def _row(record: RunRecord, labels: Sequence[str]) -> list[str]:
    run = record.run
    leading = [run.run_id, run.permutation, str(run.repetition)]
    choices = [run.choices[label] for label in labels]
    reached = [_text(getattr(record, name)) for name in _TRAILING[1:]]
    return [*leading, *choices, str(run.seed), *reached]


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)


def read_results(path: Path, labels: Sequence[str]) -> Iterator[RunRecord]:
    """Yield the records in a file; a file that doesn't exist has none.

    Raises:
        UserError: the file has other tuned keys, or is damaged.
    """
    if not path.exists():
        return
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != [*_LEADING, *labels, *_TRAILING]:
            raise UserError(
                f"{path}: holds results for other tuned keys; choose another --out, "
                "or replace them with --overwrite"
            )
        try:
            for row in reader:
                yield _record(row, labels)
        except (ValueError, TypeError):
            raise UserError(
                f"{path}, line {reader.line_num}: is damaged; repair or remove it"
            ) from None


def _record(row: dict[str, str], labels: Sequence[str]) -> RunRecord:
    state, _, error = row["status"].partition(": ")
    return RunRecord(
        run=RunIdentity(
            run_id=row["run_id"],
            permutation=row["permutation"],
            repetition=int(row["repetition"]),
            seed=int(row["seed"]),
            choices={label: row[label] for label in labels},
        ),
        state=RunState(state),
        steps=int(row["steps"]),
        final_return=_number(row["final_return"]),
        return_deviation=_number(row["return_deviation"]),
        best_return=_number(row["best_return"]),
        wall_time_seconds=float(row["wall_time_seconds"]),
        error=error,
        checkpoint=row["checkpoint"],
    )


def _number(text: str) -> float | None:
    return float(text) if text else None
