"""Opens the journal of a sweep, and makes sure that it belongs to the grid."""

from __future__ import annotations

from pathlib import Path

from schema.errors import UserError
from sweeps.execution.worker import CHECKPOINTS, SUMMARIES, remove_folder
from sweeps.journal.division import (
    agree_on_division,
    division_path,
    refuse_names_of_another_grid,
)
from sweeps.journal.journal import Journal
from sweeps.journal.results import read_results
from sweeps.journal.runs import RunRecord, RunState
from sweeps.options import SweepOptions
from sweeps.planning.division import ShardPlan, difference, plan_shard
from sweeps.search_space.grid import Grid
from sweeps.search_space.identity import (
    UPDATES,
    Identities,
    differences,
    updates_of,
    with_values_of,
)
from sweeps.search_space.merging import complete
from sweeps.shards import shard_files

_FORMAT = 1  # version of the journal's format
_REPORTED = 10  # most differences or permutations in an error


def open_journal(
    grid: Grid, identify: Identities, options: SweepOptions, overwrite: bool
) -> Journal:
    """Open the journal of a grid, and add the permutations and runs that it lacks.

    Args:
        grid: the permutations.
        identify: identifies them; from now on by the base config of the sweep's first session.
        options: the sweep's options.
        overwrite: whether to remove everything of this run id first.

    Raises:
        UserError: the journal belongs to another grid, base config or seed, or can't be opened. It isn't
            changed then.
    """
    shard = plan_shard(grid, identify, options)
    if shard is not None:
        refuse_names_of_another_grid(grid, identify, options)
        agree_on_division(options, shard.division, overwrite)
    if overwrite:
        _remove_sweep(grid, options, shard)
    base = complete(grid.base.data)
    journal = Journal(options.journal)
    is_new = False
    try:
        # The file may be there already, from a process that was killed while it filled the journal.
        is_new = journal.is_empty
        with journal.transaction():
            if is_new:
                journal["format"] = _FORMAT
                journal["seed"] = options.seed
            else:
                _refuse_another_shard(journal, options, shard)
                _refuse_another_sweep(journal, grid, options)
            journal["updates"] = updates_of(grid)
            before = base if is_new else complete(journal["base"])
            journal["base"] = with_values_of(before, base, grid)
            identify.identify_by(journal["base"])
            if shard is None:
                _add(journal, grid, identify, options)
            else:
                _place(journal, grid, identify)
                journal["division"] = shard.division
                journal.add_shard(shard.runs, options.seed)
            if options.race is not None:
                journal["raced"] = True
            if options.prune is None:
                journal["prune"] = None
                journal.rungs.release_pruned()
            else:
                journal["prune"] = {"rule": options.prune.rule, "rungs": options.prune.rungs}
                journal.rungs.prune_added_runs()
            if is_new and not overwrite:
                _take_over_older_results(journal, grid, identify, options)
        journal.settle()
    except BaseException:
        journal.close()
        if is_new:
            _remove_journal(options.journal)
        raise
    return journal


def grow_journal(journal: Journal, grid: Grid, identify: Identities, options: SweepOptions) -> None:
    """Add the permutations and runs to an open journal that it lacks.

    Args:
        journal: the journal of an earlier state of the grid.
        grid: the permutations.
        identify: identifies them; from now on by the base config of the sweep's first session.
        options: the sweep's options.
    """
    identify.identify_by(journal["base"])
    with journal.transaction():
        _add(journal, grid, identify, options)


def _add(journal: Journal, grid: Grid, identify: Identities, options: SweepOptions) -> None:
    _place(journal, grid, identify)
    journal.add_runs(options.repetitions, options.seed)
    journal["search"] = grid.search


def _refuse_another_shard(journal: Journal, options: SweepOptions, shard: ShardPlan | None) -> None:
    """Raise an error if a journal belongs to a shard and the sweep doesn't, or to another division."""
    before = journal["division"]
    if (before is None) != (shard is None):
        kind = "the whole of a sweep" if before is None else "a shard of a sweep"
        raise UserError(f"{journal.path}: holds {kind}; choose another --run-id or --out")
    line = "" if shard is None else difference(before, shard.division)
    if line:
        raise UserError(
            f"{journal.path}: --shard={options.shard} belongs to another sweep now: {line}; "
            "choose another --run-id or --out, or replace it with --overwrite"
        )


def _refuse_another_sweep(journal: Journal, grid: Grid, options: SweepOptions) -> None:
    if journal["format"] != _FORMAT:
        raise UserError(
            f"{journal.path}: was written by another version; choose another --run-id or --out"
        )
    if journal["search"] is not None and grid.search is None:
        raise UserError(
            f"{journal.path}: holds a search with --search={journal['search']['sampler']}, not a grid; "
            "choose another --run-id or --out, or replace it with --overwrite"
        )
    _refuse_another_seed(journal.path, journal["seed"], options)
    before = complete(journal["base"])
    lines = differences(before, with_values_of(before, complete(grid.base.data), grid))
    if lines:
        raise UserError(
            [
                f"{journal.path}: was made with another base config than {grid.base.path}; "
                "choose another --run-id or --out, or replace it with --overwrite",
                *lines[:_REPORTED],
            ]
        )
    updates, most = updates_of(grid), journal.most_updates
    if updates is not None and updates < most:
        raise UserError(
            f"{grid.base.where(UPDATES)}: trainer.updates: is {updates}, but runs of "
            f"--run-id={options.run_id} have {most}, and runs of different length aren't compared; "
            f"set at least {most}, choose another --run-id or --out, or replace them with --overwrite"
        )


def _refuse_another_seed(path: Path, seed: int, options: SweepOptions) -> None:
    if seed != options.seed:
        raise UserError(
            f"--seed={options.seed}: the results of --run-id={options.run_id} in {path} are of "
            f"--seed={seed}; choose another --run-id or --out, or replace them with --overwrite"
        )


def _place(journal: Journal, grid: Grid, identify: Identities) -> None:
    missing = journal.place(
        grid.labels,
        ((identify(index), grid.name(index), identify.shown(index)) for index in range(len(grid))),
        grid.leaves_out,
        grid.later_name,
    )
    if missing:
        more = " ..." if len(missing) > _REPORTED else ""
        raise UserError(
            f"{journal.path}: holds another grid, with permutations that this one doesn't have "
            f"({', '.join(missing[:_REPORTED])}{more}); choose another --run-id or --out, or replace "
            "it with --overwrite"
        )


def _take_over_older_results(
    journal: Journal, grid: Grid, identify: Identities, options: SweepOptions
) -> None:
    """Record the finished runs of versions without a journal, which `results.csv` holds."""
    if not options.results.exists():
        return
    for record in read_results(options.results, grid.labels):
        run = record.run
        if run.run_id != options.run_id or record.state != RunState.FINISHED:
            continue
        _refuse_another_seed(options.results, run.seed - run.repetition, options)
        index = int(run.permutation)
        if index >= len(grid) or grid.leaves_out(index):
            continue
        if identify.shown(index) == list(run.choices.values()):
            batch_size = grid.permutation(index).config.trainer.batch_size
            journal.record(record, record.steps // batch_size)


def results_of_others(grid: Grid, options: SweepOptions, overwrite: bool) -> list[RunRecord]:
    """Return the records in `results.csv` of other run ids, and those of this one for a shard.

    Raises:
        UserError: they have other tuned keys (and `overwrite` isn't set), or the file is damaged.
    """
    try:
        found = list(read_results(options.results, grid.labels))
    except UserError:
        text = options.results.read_text(encoding="utf-8", errors="replace")
        lines = text.splitlines()[1:]
        # The rows of this run id are written again from the journal, but not those of other shards.
        own = options.shard is None
        if overwrite or (own and all(line.startswith(f"{options.run_id},") for line in lines)):
            return []
        raise
    if options.shard is not None:
        return found
    return [record for record in found if record.run.run_id != options.run_id]


def _remove_sweep(grid: Grid, options: SweepOptions, shard: ShardPlan | None) -> None:
    """Remove everything of a run id, or of a shard's runs, except the rows in `results.csv`.

    Raises:
        OSError: a file can't be removed. The journal stays then.
    """
    kinds = [options.out / kind / options.run_id for kind in (SUMMARIES, CHECKPOINTS)]
    if shard is not None:
        names = [f"{grid.name(index)}_{repetition}" for repetition, index in shard.runs]
        folders = [kind / name for kind in kinds for name in names]
    else:
        folders = [options.configs, *kinds]
        for path in shard_files(options.out, options.run_id):
            _remove_journal(path)
        division_path(options).unlink(missing_ok=True)
    for folder in folders:
        remove_folder(folder)
    _remove_journal(options.journal)


def _remove_journal(path: Path) -> None:
    """Remove a journal and the files that SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
