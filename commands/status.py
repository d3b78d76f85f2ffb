"""Shows the state of a sweep while it runs or afterwards, for `tune.py --status`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from commands.terminal.console import make_console, print_sentence
from commands.terminal.progress import duration
from commands.terminal.tables import failure_lines, ranked_table
from reports.outcome import Outcome, read_outcome
from reports.ranking import rank
from schema.counting import counted
from schema.folders import shown
from sweeps.journal.journal import Journal, read_journal
from sweeps.journal.lock import is_locked, lock_path
from sweeps.journal.runs import ENDED, FAILURES, PENDING, RunRecord, RunState

_LEADERS = 5
_ROWS = 24  # running runs


def show_status(out: Path, run_id: str) -> int:
    """Print what the journal of a sweep knows and return the exit code.

    Raises:
        UserError: there is no journal, or it can't be read.
    """
    console = make_console()
    with read_journal(out, run_id) as journal:
        counts = journal.counts()
        console.print(f"{run_id}: {_counted(counts)}")
        left_out, finished = journal.count_left_out()
        if left_out:
            of_them = counted(finished, "finished run")
            kept = f" ({of_them} kept, but not ranked)" if finished else ""
            print_sentence(console, f"{counted(left_out, 'permutation')} left out{kept}")
        if journal.is_race:
            console.print(_race(journal))
        outcome = read_outcome(out, run_id)
        if outcome.search is not None:
            console.print(_search(outcome.search, outcome))
        if journal["prune"] is not None:
            print_sentence(console, _pruning(journal, **journal["prune"]))
        if session := _session(journal, counts):
            print_sentence(console, session)
        _print_runs(console, outcome)
    return 0


def show_shards(folders: Sequence[Path], run_id: str) -> int:
    """Print what the journals of a sweep's shards know together, and return the exit code.

    Args:
        folders: the output folders of the shards.
        run_id: tag of the training session.

    Raises:
        UserError: a folder has no shard, or the shards belong to different sweeps.
    """
    # Imported here because it loads torch, which takes seconds.
    from sweeps.journal.merging import survey

    console = make_console()
    with survey(folders, run_id) as found:
        with read_journal(found.folder, run_id) as journal:
            console.print(f"{run_id}: {_counted(journal.counts())}")
        total = len(found.sizes)
        for each in found.shards:
            counts = each.journal.counts()
            told = "; ".join(filter(None, [_counted(counts), _session(each.journal, counts)]))
            print_sentence(console, f"shard {each.number}/{total} in {shown(each.out)}: {told}")
        for number in found.absent:
            runs = counted(found.sizes[number - 1], "run")
            print_sentence(console, f"shard {number}/{total}: not in these folders; {runs}")
        _print_runs(console, read_outcome(found.folder, run_id))
    return 0


def _counted(counts: dict[RunState, int]) -> str:
    """Return how many runs are in each state: "3 finished, 1 running of 4 runs"."""
    states = (RunState.FINISHED, *PENDING, RunState.PRUNED, *FAILURES)
    line = ", ".join(f"{counts[state]:,} {state}" for state in states if counts.get(state))
    return f"{line} of {counted(sum(counts.values()), 'run')}"


def _print_runs(console: Console, outcome: Outcome) -> None:
    """Print the runs in training, the failures and the leaders."""
    runs = sorted(outcome.runs, key=lambda record: record.run.repetition)
    _print_under_way(console, runs)
    for failure in failure_lines(runs):
        print_sentence(console, failure)
    best = rank(outcome).best(_LEADERS)
    if best and best[0].mean is not None:
        console.print(ranked_table(console, best, outcome.labels))
        more = len(outcome.permutations) - len(best)
        if more:
            console.print(f"... and {more:,} more; report.py shows them")


def _race(journal: Journal) -> str:
    """Return a race's present round, and how unequal its repetitions are."""
    numbers = journal.repetitions().values()
    least, most = min(numbers), max(numbers)
    spread = f"{least} to {most} repetitions" if least < most else counted(most, "repetition")
    return f"race: round {journal.looks}, {spread} of a permutation"


def _search(search: dict[str, Any], outcome: Outcome) -> str:
    """Return how many trials of a search were chosen, and how many have ended."""
    chosen = len(search["trials"])
    ended = sum(all(run.state in ENDED for run in each.runs) for each in outcome.permutations)
    # Older journals don't know how many there will be.
    return (
        f"search: {search['sampler']}, {chosen:,} of "
        f"{counted(search.get('planned', chosen), 'trial')} chosen, {ended:,} ended"
    )


def _pruning(journal: Journal, rule: str, rungs: Sequence[int]) -> str:
    """Return up to which rungs permutations train now, and how many were pruned at each rung."""
    targets: Counter[int | None] = Counter((journal["turn"] or {}).values())
    if not targets:
        pruned = journal.rungs.pruned()
        judged = {rung: journal.rungs.judged(rung) for rung in rungs}
        for _, name in journal.rungs.without_finished_run(retries=0):
            if name not in pruned:
                targets[next((rung for rung in rungs if name not in judged[rung]), None)] += 1
    training = [
        f"{counted(targets[target], 'permutation')} "
        + ("to the end" if target is None else f"up to update {target}")
        for target in (*rungs, None)
        if targets[target]
    ]
    ended = [
        f"after update {rung}, {pruned:,} of {counted(there, 'permutation')} pruned"
        for rung, there, pruned in journal.rungs.counts()
    ]
    return f"--prune={rule}: {'; '.join([', '.join(training) or 'all ended', *ended])}"


def _session(journal: Journal, counts: dict[RunState, int]) -> str:
    """Return which process trains the sweep and the time left, or when it stopped."""
    sessions = journal.sessions()
    if not sessions:  # it is just starting
        return ""
    began, ended, session = sessions[-1]
    who = f"process {session.get('process')} on {session.get('host')}"
    if ended is None and is_locked(lock_path(journal.path)):
        left = _time_left(journal, time.time() - began, counts)
        return f"trained since {_date(began)} by {who}{left}"
    if ended is None:
        return f"was trained from {_date(began)} by {who}, which was killed"
    return f"was trained until {_date(ended)} by {who}"


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _time_left(journal: Journal, seconds: float, counts: dict[RunState, int]) -> str:
    """Return the time left, estimated from the runs that ended in this session; "" if none has."""
    ended = journal.ended_since_session()
    left = sum(counts.get(state, 0) for state in PENDING)
    if not ended or not left:
        return ""
    return f", about {duration(seconds / ended * left)} left"


def _print_under_way(console: Console, runs: Iterable[RunRecord]) -> None:
    under_way = [result for result in runs if result.state == RunState.RUNNING]
    for result in under_way[:_ROWS]:
        reached = f"return {result.curve[-1][1]:.3g}" if result.curve else "no episode ended yet"
        console.print(f"{result.name}: {result.steps:,} steps, {reached}")
    if len(under_way) > _ROWS:
        console.print(f"... and {len(under_way) - _ROWS:,} more")
