"""Merges the shards of a sweep into one sweep: their runs, checkpoints, summaries and configs.

Merging again takes what the shards have trained since, and changes nothing else. A merge that was killed
is completed by the next one, because the files of a run are in place before the journal names them.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ppo.run.checkpoint import update_of
from schema.errors import UserError
from sweeps.execution.worker import CHECKPOINTS, SUMMARIES, remove_folder
from sweeps.journal.journal import Journal, RunKey, RunRow, journal_path
from sweeps.journal.lock import SweepLock, is_locked, lock_path, turn_of
from sweeps.journal.results import in_one_table, read_results, write_results
from sweeps.journal.runs import FAILURES, RunState
from sweeps.planning.division import difference
from sweeps.search_space.config_files import INDEX
from sweeps.search_space.identity import differences
from sweeps.shards import shard_files

_CONFIGS = "configs"


@dataclass(frozen=True)
class ShardJournal:
    """The journal of a shard, open for reading.

    Attributes:
        out: the output folder of the shard.
        number: the shard's number.
        journal: its journal.
    """

    out: Path
    number: int
    journal: Journal


@dataclass
class Merged:
    """The findings of a merge.

    Attributes:
        shards: number of shards of the sweep.
        runs: number of runs of the merged sweep.
        finished: number of them that are finished.
        missing: a shard and its number of runs that aren't finished, for shards that have some.
        training: the shards that are being trained, so that they are merged later.
        absent: the shards without a journal in the folders.
    """

    shards: int
    runs: int
    finished: int
    missing: dict[int, int] = field(default_factory=dict)
    training: list[int] = field(default_factory=list)
    absent: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Survey:
    """The shards of a sweep, and the sweep that merging would make of their journals now.

    Attributes:
        folder: a temporary folder with a journal of all runs, and nothing else.
        shards: the shards that were found, in the order of their numbers.
        sizes: number of runs of each shard of the sweep.
    """

    folder: Path
    shards: list[ShardJournal]
    sizes: list[int]

    @property
    def absent(self) -> list[int]:
        """The numbers of the shards that have runs, and no journal in the folders."""
        present = {each.number for each in self.shards}
        return [number for number in _nonempty(self.sizes) if number not in present]


@contextmanager
def survey(folders: Sequence[Path], run_id: str) -> Iterator[Survey]:
    """Read the journals of shards, also while they train, and write nothing into their folders.

    Args:
        folders: the output folders of the shards.
        run_id: tag of the training session.

    Raises:
        UserError: a folder has no shard, or the shards belong to different sweeps.
    """
    paths = _find(folders, run_id)
    with ExitStack() as opened:
        shards = _open(paths, opened)
        if not shards:
            raise UserError(f"{next(iter(paths))}: has just begun; try again in a moment")
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="ppo-grid-")))
        journal = opened.enter_context(closing(Journal(journal_path(folder, run_id))))
        _adopt(journal, shards)
        furthest: dict[RunKey, RunRow] = {}
        for each in shards:
            for key, row in each.journal.run_rows().items():
                # A shard may be there twice, such as in its folder and in a copy.
                if key not in furthest or _recorded(furthest[key]) < _recorded(row):
                    furthest[key] = row
        with journal.transaction():
            for key, row in furthest.items():
                journal.put_run(key, row)
        yield Survey(folder, shards, shards[0].journal["division"]["sizes"])


def merge(folders: Sequence[Path], out: Path, run_id: str) -> Merged:
    """Merge the shards of a run id into one sweep, and return what is missing.

    Args:
        folders: the output folders of the shards; `out` may be one of them.
        out: the output folder of the merged sweep.
        run_id: tag of the training session.

    Raises:
        UserError: a folder has no shard, the shards belong to different sweeps, or `out` holds another
            sweep or is being trained. Nothing is changed then.
    """
    paths = _find(folders, run_id)
    locked = [path for path in paths if is_locked(lock_path(path))]
    with ExitStack() as opened:
        shards = _open({path: paths[path] for path in paths if path not in locked}, opened)
        if not shards:
            raise UserError(
                f"{next(iter(paths))}: is being trained, or has just begun; merge it later"
            )
        table = out / "results.csv"
        # Refuses a table of other keys before anything is written.
        list(read_results(table, shards[0].journal.labels))
        lock = SweepLock(lock_path(journal_path(out, run_id)))
        opened.callback(lock.release)
        journal = opened.enter_context(closing(Journal(journal_path(out, run_id))))
        _adopt(journal, shards)
        journal.settle()
        for each in shards:
            _take_runs(journal, each, out, run_id)
            _copy_configs(each.out / _CONFIGS / run_id, out / _CONFIGS / run_id)
        with turn_of(table):
            labels = journal.labels
            found = read_results(table, labels)
            others = [record for record in found if record.run.run_id != run_id]
            records = journal.records(run_id, left_out=True)
            write_results(table, labels, in_one_table(run_id, records, others))
        return _summary(journal, shards, [_number(path) for path in locked])


def _find(folders: Sequence[Path], run_id: str) -> dict[Path, Path]:
    """Return the journals of shards, each with its folder.

    Raises:
        UserError: a folder has none.
    """
    found: dict[Path, Path] = {}
    for folder in folders:
        journals = shard_files(folder, run_id)
        if not journals:
            raise UserError(
                f"--merge={folder}: has no journal of a shard, {run_id}.shard-<i>-of-<n>.sqlite; "
                "--merge must be the --out of a shard, and --run-id its run id"
            )
        found |= dict.fromkeys(journals, folder)
    return found


def _open(paths: dict[Path, Path], opened: ExitStack) -> list[ShardJournal]:
    """Open the journals of shards, by number; leave out those that have just begun.

    Raises:
        UserError: they belong to different sweeps.
    """
    shards = []
    for path in sorted(paths, key=_number):
        journal = opened.enter_context(closing(Journal(path, writable=False)))
        if not journal.is_empty:
            shards.append(ShardJournal(paths[path], _number(path), journal))
    for each in shards:
        _refuse_another_division(shards[0], each)
    return shards


def _number(path: Path) -> int:
    numbers = re.findall(r"\.shard-(\d+)-of-", path.name)
    return int(numbers[-1])


def _refuse_another_division(first: ShardJournal, other: ShardJournal) -> None:
    before, now = first.journal["division"], other.journal["division"]
    for each, division in ((first, before), (other, now)):
        if division is None:
            raise UserError(f"{each.journal.path}: isn't the journal of a shard; move it away")
    if line := difference(before, now):
        raise UserError(
            f"{other.journal.path}: belongs to another sweep than {first.journal.path}: {line}"
        )


def _adopt(journal: Journal, shards: Sequence[ShardJournal]) -> None:
    """Make a journal that of the merged sweep, or make sure that it is.

    Raises:
        UserError: it holds another sweep.
    """
    first = shards[0].journal
    is_new = journal.is_empty
    if not is_new:
        _refuse_another_sweep(journal, first)
    with journal.transaction():
        if is_new:
            for key in ("format", "seed", "base", "labels", "updates"):
                journal[key] = first[key]
            journal.add_permutations(first.permutations())
            journal.add_runs(first["division"]["repetitions"], first["seed"])
        for each in shards:
            updates = each.journal["updates"]
            if updates is not None and updates > (journal["updates"] or 0):
                journal["updates"], journal["base"] = updates, each.journal["base"]
            journal.add_sessions(each.journal.sessions())


def _refuse_another_sweep(journal: Journal, first: Journal) -> None:
    known = journal.identities()
    lines = differences(journal["base"], first["base"])
    if journal["division"] is not None:
        line = "is the journal of a shard"
    elif journal["format"] != first["format"]:
        line = "was written by another version"
    elif journal["seed"] != first["seed"]:
        line = f"--seed: was {journal['seed']}, is {first['seed']}"
    elif lines:
        line = lines[0]
    elif any(known.get(identity) != name for identity, name in first.identities().items()):
        line = "holds another grid"
    else:
        return
    raise UserError(
        f"{journal.path}: belongs to another sweep than {first.path}: {line}; choose another --out"
    )


def _take_runs(journal: Journal, shard: ShardJournal, out: Path, run_id: str) -> None:
    """Take each run of a shard that got further there than in the merged sweep."""
    known = journal.run_rows()
    for key, row in shard.journal.run_rows().items():
        name = f"{key[0]}_{key[1]}"
        there, here = (each / CHECKPOINTS / run_id / name for each in (shard.out, out))
        if key in known and _progress(row, there) <= _progress(known[key], here):
            continue
        if shard.out.resolve() != out.resolve():
            for kind in (CHECKPOINTS, SUMMARIES):
                _copy_folder(shard.out / kind / run_id / name, out / kind / run_id / name)
        # Its shard was killed.
        waits = {"state": RunState.WAITING} if row["state"] == RunState.RUNNING else {}
        with journal.transaction():
            journal.put_run(key, row | waits)


def _recorded(row: RunRow) -> tuple[bool, int, int, bool]:
    """Return how far a run got by its journal alone, as something that can be compared."""
    finished = row["state"] == RunState.FINISHED
    return finished, row["updates"], row["steps"], row["state"] in FAILURES


def _progress(row: RunRow, checkpoints: Path) -> tuple[bool, int, int, bool]:
    """Return how far a run got, as something that can be compared."""
    finished = row["state"] == RunState.FINISHED
    last = max(map(update_of, checkpoints.glob("update_*.pt")), default=0)
    return finished, row["updates"] if finished else 0, last, row["state"] in FAILURES


def _copy_folder(source: Path, target: Path) -> None:
    """Replace a folder by a copy of another one, unless that doesn't exist."""
    if not source.is_dir():
        return
    temporary = target.with_name(f".{target.name}.merging")
    remove_folder(temporary)
    shutil.copytree(source, temporary)
    remove_folder(target)
    temporary.rename(target)


def _copy_configs(source: Path, target: Path) -> None:
    """Copy the configs of the permutations that have begun, and the index."""
    if source.resolve() == target.resolve():
        return
    target.mkdir(parents=True, exist_ok=True)
    for path in [*source.glob("[0-9]*.yaml"), *source.glob(INDEX)]:
        if not (target / path.name).exists():
            shutil.copy2(path, target)


def _summary(journal: Journal, shards: Sequence[ShardJournal], training: list[int]) -> Merged:
    """Return what the merged sweep has, and what it lacks."""
    division = shards[0].journal["division"]
    finished = set(journal.finished())
    counts = journal.counts()
    found = Merged(division["shards"], sum(counts.values()), counts.get(RunState.FINISHED, 0))
    present = {each.number for each in shards}
    found.training = sorted(set(training) - present)
    found.absent = sorted(set(_nonempty(division["sizes"])) - present - set(training))
    for each in shards:
        left = set(each.journal.run_rows()) - finished
        if left:
            found.missing[each.number] = len(left)
    return found


def _nonempty(sizes: Sequence[int]) -> Iterator[int]:
    """Yield the numbers of the shards that have runs."""
    return (number for number, size in enumerate(sizes, 1) if size)
