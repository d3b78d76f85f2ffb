"""Forecasts the environment steps of a sweep whose results decide how much it trains."""

from __future__ import annotations

from sweeps.journal.journal import Journal
from sweeps.options import SweepOptions
from sweeps.planning.populations import RunSteps
from sweeps.planning.prune import ASHA, steps_at_least
from sweeps.search_space.grid import Grid
from sweeps.search_space.identity import updates_of
from sweeps.searching.search import Search


def forecast(
    grid: Grid, options: SweepOptions, journal: Journal, search: Search | None = None
) -> str:
    """Return how a sweep races and prunes, and its least and most steps, trained ones included.

    Args:
        grid: the permutations.
        options: the sweep's options, with a race or a plan to prune.
        journal: the sweep's journal, with the runs so far.
        search: the search that adds permutations to the grid; None without one.
    """
    parts = []
    if options.race is not None:
        fewest = min(journal.repetitions().values())
        parts.append(f"race: {fewest} to {options.race.most} repetitions of a permutation")
    if options.prune is not None:
        rungs = ", ".join(map(str, options.prune.rungs))
        parts.append(
            f"--prune={options.prune.rule}: judged after update {rungs} of {updates_of(grid)}"
        )
    least, most = _bounds(grid, options, journal, search)
    about = "about " if search is not None and search.later_batches and _differ(grid) else ""
    parts.append(f"at least {about}{least:,} and at most {about}{most:,} environment steps in all")
    return "; ".join(parts)


def _bounds(
    grid: Grid, options: SweepOptions, journal: Journal, search: Search | None
) -> tuple[int, int]:
    """Return the least and the most environment steps of a sweep."""
    steps_of, repetitions = RunSteps(grid), journal.repetitions()
    pruned = journal.rungs.pruned_steps()
    finished = {name for name, _ in journal.finished()}
    most_repetitions, only = options.most_repetitions, options.only
    least, most, settled = 0, 0, 0
    open_ones = []
    for index, name in journal.names():
        if only is not None and int(name) not in only:
            continue
        own = repetitions[name] * steps_of(index)
        is_over = name in pruned and options.prune is not None and options.prune.rule != ASHA
        most += pruned[name] if is_over else max(own, most_repetitions * steps_of(index))
        if name in pruned or name in finished:
            least += pruned.get(name, own)
            settled += 1
        else:
            open_ones.append(own)
    later = [] if search is None else _later(grid, options, search)
    most += sum(map(sum, later))
    batches = [open_ones, *later]
    if options.prune is None:
        least += sum(map(sum, batches))
    else:
        updates = updates_of(grid)
        assert updates is not None
        least += steps_at_least(options.prune, batches, updates, settled)
    if options.race is not None and options.race.steps is not None:
        most = max(least, min(most, options.race.steps))
    return least, most


def _differ(grid: Grid) -> bool:
    """Return whether permutations take different numbers of steps."""
    return len(set(map(RunSteps(grid), grid.indices()))) > 1


def _later(grid: Grid, options: SweepOptions, search: Search) -> list[list[int]]:
    """Return the steps of the permutations in each later batch of a search, which are alike."""
    steps_of = RunSteps(grid)
    mean = sum(map(steps_of, range(len(grid)))) * options.repetitions // len(grid)
    return [[mean] * size for size in search.later_batches]
