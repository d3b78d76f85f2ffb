"""Describes a search and trains its batches, for `tune.py`."""

from __future__ import annotations

from collections.abc import Callable

from commands.notices import warn
from commands.turns import train_turns
from schema.counting import counted
from sweeps.options import SweepOptions
from sweeps.planning.populations import count_steps
from sweeps.searching.plan import BATCH, FIRST_BATCH, LEARNING
from sweeps.searching.search import Search
from sweeps.sweep import Sweep


def describe_search(search: Search, options: SweepOptions) -> str:
    """Return how a search goes on, and the environment steps of all its runs."""
    grid = search.grid
    steps = [count_steps(grid.permutation(index)) for index in range(len(grid))]
    about = "" if len(set(steps)) == 1 else "about "
    total = round(sum(steps) / len(steps) * search.trials) * options.repetitions
    batches = "all at once"
    if search.sampler in LEARNING:
        batches = f"a batch of {FIRST_BATCH}, then batches of {BATCH}"
    most = "" if options.prune is None else "at most "
    return (
        f"search: {search.sampler}, {counted(search.trials, 'trial')} ({batches}), "
        f"{len(grid)} chosen so far; all runs together take {most}{about}{total:,} environment steps"
    )


def run_batches(
    sweep: Sweep,
    search: Search,
    options: SweepOptions,
    train: Callable[[], None],
    say: Callable[[str], None],
) -> None:
    """Train the batches of a search until it is over or stopped (`train_turns`).

    Args:
        sweep: the sweep; its agenda, the first batch or the rest of a later one, is trained.
        search: the search, which chooses the batches.
        options: the sweep's options.
        train: trains the sweep's agenda.
        say: prints a line.
    """

    def begin_next() -> bool:
        if not begin_batch(sweep, search, options):
            return False
        say(
            f"next batch: {counted(sweep.agenda.runs, 'run')}, {sweep.agenda.steps:,} environment "
            f"steps; {counted(search.left, 'trial')} left afterwards"
        )
        return True

    train_turns(sweep, train, say, begin_next)
    if search.notice is not None:
        warn([search.notice])


def begin_batch(sweep: Sweep, search: Search, options: SweepOptions) -> bool:
    """Choose a search's next batch by the scores so far, and return whether there is one."""
    if not (search.left and search.grow(_scores(options), sweep.pruned_scores())):
        return False
    sweep.grow(search.grid)
    return True


def _scores(options: SweepOptions) -> dict[str, float]:
    """Return the mean score of each permutation that has one, as the answer ranks them."""
    # Imported here because reading them is needed between batches only.
    from reports.outcome import read_outcome
    from reports.ranking import known, rank

    ranking = rank(read_outcome(options.out, options.run_id))
    pairs = zip(ranking.outcome.permutations, map(known, ranking.mean), strict=True)
    return {permutation.name: mean for permutation, mean in pairs if mean is not None}
