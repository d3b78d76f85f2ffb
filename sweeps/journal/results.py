"""Writes and reads `results.csv`: a row for each run that has ended."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from schema.errors import UserError
from schema.yaml_file import replace_file
from sweeps.journal.runs import ENDED, RunIdentity, RunRecord, RunState

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

_GREATEST = 2**63 - 1  # whole number of SQLite


def write_results(path: Path, labels: Sequence[str], records: Iterable[RunRecord]) -> None:
    """Write a row for each record; an interrupted write leaves the old file."""
    with replace_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_LEADING, *labels, *_TRAILING])
        writer.writerows(_row(record, labels) for record in records)


def in_one_table(
    run_id: str, records: Iterable[RunRecord], others: Sequence[RunRecord]
) -> Iterator[RunRecord]:
    """Yield the records of all runs that have ended, in the order of the table.

    Args:
        run_id: tag of a session.
        records: records of its runs, in order, also of those that haven't ended.
        others: records of other run ids, and of other shards of this one.
    """
    yield from (record for record in others if record.run.run_id < run_id)
    shards = {record.name: record for record in others if record.run.run_id == run_id}
    if shards:
        records = sorted(
            {**shards, **{record.name: record for record in records}}.values(),
            key=lambda record: (record.run.repetition, int(record.run.permutation)),
        )
    yield from (record for record in records if record.state in ENDED)
    yield from (record for record in others if record.run.run_id > run_id)


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
        UserError: the file has other tuned keys, is damaged, or isn't text.
    """
    if not path.exists():
        return
    titles = [*_LEADING, *labels, *_TRAILING]
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        try:
            if next(reader, None) != titles:
                raise UserError(
                    f"{path}: holds results for other tuned keys; choose another --out, "
                    "or replace them with --overwrite"
                )
            for cells in reader:
                if cells:  # not an empty line
                    yield _record(dict(zip(titles, cells, strict=True)), labels)
        except UnicodeDecodeError:
            raise UserError(f"{path}: isn't text in UTF-8; repair or remove it") from None
        except (ValueError, csv.Error):  # a row of another length is a ValueError, too
            raise UserError(
                f"{path}, line {reader.line_num}: is damaged; repair or remove it"
            ) from None


def _record(row: dict[str, str], labels: Sequence[str]) -> RunRecord:
    state, _, error = row["status"].partition(": ")
    _count(row["permutation"])
    return RunRecord(
        run=RunIdentity(
            run_id=row["run_id"],
            permutation=row["permutation"],
            repetition=_count(row["repetition"]),
            seed=_count(row["seed"]),
            choices={label: row[label] for label in labels},
        ),
        state=RunState(state),
        steps=_count(row["steps"]),
        final_return=_number(row["final_return"]),
        return_deviation=_number(row["return_deviation"]),
        best_return=_number(row["best_return"]),
        wall_time_seconds=float(row["wall_time_seconds"]),
        error=error,
        checkpoint=row["checkpoint"],
    )


def _count(text: str) -> int:
    """Return a whole number that the journal can hold; raise a ValueError for other text."""
    number = int(text) if text.isdecimal() else -1
    if not 0 <= number <= _GREATEST:
        raise ValueError(text)
    return number


def _number(text: str) -> float | None:
    return float(text) if text else None
