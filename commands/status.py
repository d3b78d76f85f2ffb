"""Shows the state of a sweep while it runs or afterwards, for `tune.py --status`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from commands.terminal.progress import duration, make_console
from commands.terminal.tables import failure_lines, ranked_table
from reports.outcome import read_outcome
from reports.ranking import rank
from schema.counting import counted
from sweeps.journal.journal import Journal, read_journal
from sweeps.journal.lock import is_locked, lock_path
from sweeps.journal.runs import FAILURES, PENDING, RunRecord, RunState

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
        states = (RunState.FINISHED, *PENDING, RunState.PRUNED, *FAILURES)
        line = ", ".join(f"{counts[state]:,} {state}" for state in states if counts.get(state))
        console.print(f"{run_id}: {line} of {counted(sum(counts.values()), 'run')}")
        left_out, finished = journal.count_left_out()
        if left_out:
            of_them = counted(finished, "finished run")
            kept = f" ({of_them} kept, but not ranked)" if finished else ""
            console.print(f"{counted(left_out, 'permutation')} left out{kept}", soft_wrap=True)
        if journal.is_race:
            console.print(_race(journal))
        _print_session(console, journal, counts)
        outcome = read_outcome(out, run_id)
        runs = sorted(outcome.runs, key=lambda record: record.run.repetition)
        _print_under_way(console, runs)
        for failure in failure_lines(runs):
            console.print(failure, soft_wrap=True)
        best = rank(outcome).best(_LEADERS)
        if best and best[0].mean is not None:
            console.print(ranked_table(console, best, outcome.labels))
            more = len(outcome.permutations) - len(best)
            if more:
                console.print(f"... and {more:,} more; report.py shows them")
    return 0


def _race(journal: Journal) -> str:
    """Return a race's present round, and how unequal its repetitions are."""
    numbers = journal.repetitions().values()
    least, most = min(numbers), max(numbers)
    spread = f"{least} to {most} repetitions" if least < most else counted(most, "repetition")
    return f"race: round {journal.looks}, {spread} of a permutation"


def _print_session(console: Console, journal: Journal, counts: dict[RunState, int]) -> None:
    """Print which process trains the sweep and the time left, or when it stopped."""
    sessions = journal.sessions()
    if not sessions:  # it is just starting
        return
    began, ended, session = sessions[-1]
    who = f"process {session.get('process')} on {session.get('host')}"
    if ended is None and is_locked(lock_path(journal.path)):
        left = _time_left(journal, time.time() - began, counts)
        console.print(f"trained since {_date(began)} by {who}{left}", soft_wrap=True)
    elif ended is None:
        console.print(f"was trained from {_date(began)} by {who}, which was killed", soft_wrap=True)
    else:
        console.print(f"was trained until {_date(ended)} by {who}", soft_wrap=True)


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
