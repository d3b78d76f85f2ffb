"""Measures the answer of a large sweep: seconds and memory of each step from the journal to the page.

Usage:
  large_answer.py [options]
  large_answer.py --help

No sweep is trained: the returns in its journal are random numbers.

Options:
  --permutations=<n>    number of permutations, rounded up to a complete grid [default: 20000]
  --repetitions=<n>     number of repetitions [default: 5]
  --points=<n>          number of points of each learning curve [default: 200]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from math import ceil
from multiprocessing import Process
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from docopt import docopt

from commands.reporting import save_page
from commands.status import show_status
from reports.answer import answer
from reports.outcome import read_outcome
from reports.words import sentences
from sweeps.journal.journal import Journal, journal_path
from tests.reports.example_outcome import BASE, SESSION, example_outcome

_RUN_ID = "default"
_T = TypeVar("_T")


def main() -> None:
    """Print a line for each step."""
    options = docopt(__doc__)
    sizes = [int(options[f"--{name}"]) for name in ("permutations", "repetitions", "points")]
    with TemporaryDirectory() as folder:
        # Each step has its own process, because a process's peak memory never sinks.
        for step in (_write_journal, _measure_answer, _measure_status):
            process = Process(target=step, args=(Path(folder), *sizes))
            process.start()
            process.join()
            if process.exitcode:
                sys.exit(process.exitcode)


def _write_journal(out: Path, permutations: int, repetitions: int, points: int) -> None:
    """Write the journal of a complete sweep."""
    choices = {
        "learning_rate_schedule.initial": tuple(f"{0.0003 * 10 ** (i / 4):.2g}" for i in range(5)),
        "gamma": ("0.99", "0.999"),
        "epochs": ("4", "8"),
        "worker_steps": tuple(str(64 * (place + 1)) for place in range(ceil(permutations / 20))),
    }
    outcome = example_outcome(choices, repetitions, points=points)
    journal = Journal(journal_path(out, _RUN_ID))
    with journal.transaction():
        names = ((each.name, each.name, each.choices) for each in outcome.permutations)
        journal.place(list(choices), names)
        journal.add_runs(repetitions, 0)
        journal["base"] = BASE
        for run in outcome.runs:
            journal.record(run, points)
    journal.begin_session(SESSION)
    journal.end_session()
    journal.close()
    megabytes = journal_path(out, _RUN_ID).stat().st_size / 1e6
    print(f"{len(outcome.runs):,} runs, journal {megabytes:,.0f} MB", flush=True)


def _measure_answer(out: Path, *_: int) -> None:
    _report("before", 0.0)
    outcome = _timed("read", lambda: read_outcome(out, _RUN_ID))
    found = _timed("answer", lambda: answer(outcome))
    _timed("words", lambda: sentences(found))
    page = _timed("page", lambda: save_page(found))
    print(f"page: {page.stat().st_size / 1e6:.1f} MB", flush=True)


def _measure_status(out: Path, *_: int) -> None:
    stdout = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        began = perf_counter()
        show_status(out, _RUN_ID)
        seconds = perf_counter() - began
        sys.stdout.flush()
    os.dup2(stdout, 1)
    _report("status", seconds)


def _timed(name: str, step: Callable[[], _T]) -> _T:
    began = perf_counter()
    result = step()
    _report(name, perf_counter() - began)
    return result


def _report(name: str, seconds: float) -> None:
    """Print a step's duration, and the process's peak memory so far."""
    peak = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name}: {seconds:.1f} s, peak {peak:,.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
