"""Asks what becomes of Slurm's jobs when `tune.py` is interrupted, and keeps others off their runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schema.counting import counted
from schema.errors import UserError
from sweeps.execution.backends.by_slurm.leftovers import cancel_jobs, count_jobs, refuse_jobs
from sweeps.journal.lock import is_locked, lock_path
from sweeps.options import SweepOptions

LEAVING = "stopping; the jobs in Slurm's queue aren't touched"


@contextmanager
def beside_jobs(
    options: SweepOptions, arrays: Path, is_slurm: bool, overwrite: bool
) -> Iterator[None]:
    """Make sure that no job trains what the block trains elsewhere or anew; ask about jobs after it.

    Args:
        options: the sweep's options.
        arrays: the folder of the sweep's job arrays.
        is_slurm: whether the command itself trains in jobs of Slurm, which it finds again.
        overwrite: whether it replaces the sweep, so that its jobs are cancelled.

    Raises:
        UserError: jobs of Slurm train the sweep.
    """
    # Another command that trains the sweep keeps its jobs; this one is going to be refused.
    if (overwrite or not is_slurm) and not is_locked(lock_path(options.journal)):
        refuse_jobs(arrays, overwrite)
    yield
    if is_slurm:
        _ask_about_jobs(arrays)


def _ask_about_jobs(arrays: Path) -> None:
    """Ask whether the jobs that are left go on, and cancel them if not; without a terminal, they do."""
    jobs = count_jobs(arrays)
    if not jobs:
        return
    if sys.stdin.isatty() and sys.stdout.isatty():
        try:
            answer = input(f"Shall {counted(jobs, 'job')} in Slurm's queue go on? [Y/n] ")
        except (EOFError, KeyboardInterrupt):
            answer = ""
            print()
        if answer.strip().lower().startswith("n"):
            try:
                cancel_jobs(arrays)
            except UserError as error:
                print(error.lines[0], file=sys.stderr)
                return
            print("cancelled them; they save checkpoints, from which the same command resumes")
            return
    go = "goes" if jobs == 1 else "go"
    print(f"{counted(jobs, 'job')} in Slurm's queue {go} on; the same command follows them again")
