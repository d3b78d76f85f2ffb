"""Shards: disjoint parts of a sweep's runs, each trained by a command of its own, on any machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from schema.errors import UserError


@dataclass(frozen=True)
class Shard:
    """A part of a sweep's runs.

    Attributes:
        number: which part, counted from 1.
        count: number of parts.
    """

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_shard(text: str) -> Shard:
    """Parse `2/3`, the second of three parts.

    Raises:
        UserError: the text has another form, or there is no such part.
    """
    found = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", text.strip())
    if found is None or int(found[1]) > int(found[2]):
        raise UserError(
            f"--shard={text}: must be <i>/<n>, part i of n, from 1/n to n/n, such as 1/3"
        )
    return Shard(int(found[1]), int(found[2]))


def shard_id(run_id: str, shard: Shard | None) -> str:
    """Return the name of a shard's journal without its suffix; the run id without a shard."""
    return run_id if shard is None else f"{run_id}.shard-{shard.number}-of-{shard.count}"


def shard_files(out: Path, run_id: str, suffix: str = ".sqlite") -> list[Path]:
    """Return the journals of a sweep's shards in a folder, or other files beside them, by suffix."""
    path = out / run_id
    form = re.compile(rf"{re.escape(path.name)}\.shard-\d+-of-\d+{re.escape(suffix)}")
    if not path.parent.is_dir():
        return []
    return sorted(each for each in path.parent.iterdir() if form.fullmatch(each.name))
