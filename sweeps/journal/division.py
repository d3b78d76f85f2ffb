"""Keeps apart the sweeps that write the same run's files: shards of one run id, and the whole sweep.

Shards may share a folder, also from several machines. SQLite's journals mustn't be read there while
another machine writes them, so a small file of its own says how the runs are divided.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from schema.errors import UserError
from schema.yaml_file import replace_file
from sweeps.journal.journal import journal_path, read_journal
from sweeps.journal.lock import is_locked, lock_path, turn_of
from sweeps.options import SweepOptions
from sweeps.planning.division import difference
from sweeps.search_space.grid import Grid
from sweeps.search_space.identity import Identities
from sweeps.shards import shard_files


def refuse_training_twice(options: SweepOptions, overwrite: bool) -> None:
    """Raise an error if a sweep would train runs that shards train, or the reverse.

    The sweep must hold its own lock, so that of two that start at the same time one sees the other.

    Raises:
        UserError: they are being trained, or shards wait to be merged.
    """
    out, run_id = options.out, options.run_id
    whole = journal_path(out, run_id)
    if options.shard is not None:
        if is_locked(lock_path(whole)):
            raise UserError(f"{whole}: the whole sweep is being trained; wait for it, or stop it")
        return
    for lock in shard_files(out, run_id, ".sqlite.lock"):
        if is_locked(lock):
            raise UserError(
                f"{lock}: a shard of this sweep is being trained; wait for it, or stop it"
            )
    shards = shard_files(out, run_id)
    if shards and not whole.exists() and not overwrite:
        raise UserError(
            f"{shards[0]}: is a shard of this sweep; merge the shards first (--merge), "
            "choose another --run-id or --out, or replace them with --overwrite"
        )


def division_path(options: SweepOptions) -> Path:
    """Return the path of the file that says how the runs of a run id are divided into shards."""
    return options.out / f"{options.run_id}.shards.json"


def agree_on_division(options: SweepOptions, division: dict[str, Any], overwrite: bool) -> None:
    """Write how the runs are divided, unless other shards in the folder have another division.

    Args:
        options: the options of a shard, which holds its lock.
        division: what all shards of the sweep have in common.
        overwrite: whether the shard replaces its own results.

    Raises:
        UserError: the other shards have another division.
    """
    path = division_path(options)
    own = {lock_path(options.journal), *([options.journal] if overwrite else [])}
    journals = shard_files(options.out, options.run_id)
    locks = shard_files(options.out, options.run_id, ".sqlite.lock")
    with turn_of(path):
        if path.exists() and set(journals + locks) - own:
            before = _read(path)
            if line := difference(before, division):
                raise UserError(
                    f"{path}: --shard={options.shard} is a part of another sweep than the shards here: "
                    f"{line}; choose another --run-id or --out"
                )
        with replace_file(path) as file:
            json.dump(division, file)


def _read(path: Path) -> dict[str, Any]:
    try:
        division: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        difference(division, division)
        return division
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: is damaged; remove it once no shard is being trained") from None


def refuse_names_of_another_grid(grid: Grid, identify: Identities, options: SweepOptions) -> None:
    """Raise an error if the whole sweep in a shard's folder gives the permutations other names.

    Args:
        grid: the permutations.
        identify: identifies them.
        options: the options of the shard.

    Raises:
        UserError: the shard would write the files of other runs.
    """
    whole = journal_path(options.out, options.run_id)
    if not whole.is_file():
        return
    with read_journal(options.out, options.run_id) as journal:
        known = journal.identities()
    if any(known.get(identify(index)) != grid.name(index) for index in range(len(grid))):
        raise UserError(
            f"{whole}: holds another grid than --shard={options.shard}; train the rest without --shard, "
            "or choose another --run-id or --out"
        )
