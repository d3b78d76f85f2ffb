"""Measures sweep backends: what a run costs besides its training, and how many workers a driver serves.

Usage:
    backends.py overhead [--backends=<names>] [--jobs=<n>]
    backends.py driver [--runs=<n>] [--workers=<n>] [--window=<seconds>] [--call=<us>] [--wait=<us>]
    backends.py --help

Options:
    --backends=<names>   sweep backends, separated by commas; ray needs Ray here [default: local,ray]
    --jobs=<n>           number of jobs [default: 2]
    --runs=<n>           number of runs of the sweep, 1000, 10000 or 100000 [default: 100000]
    --workers=<n>        number of simulated workers [default: 1000]
    --window=<seconds>   simulated seconds to measure [default: 60]
    --call=<us>          CPU time of a call in Ray and of its answer, microseconds [default: 550]
    --wait=<us>          CPU time of `ray.wait` for each answer it waits for, microseconds [default: 0.7]

`overhead` sleeps instead of training, in the real jobs of a real sweep. `driver` is a sweep whose Ray
and nodes are simulated in this process (`simulated_ray.py`); the grid, the journal, the table, the
display and the driver's loop are the real ones. The defaults of `--call` and `--wait` were measured with
Ray 2.60 and 1,000 answers under way.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from docopt import docopt
from rich.console import Console

from benchmarks.simulated_ray import Clock, Scenario, SimulatedRay
from benchmarks.sleeping import SleepingRun
from benchmarks.sweep_overhead import write_grid
from commands.terminal.progress import PlainDisplay
from ppo.placement import Placement
from sweeps.execution.backends.by_ray import driver
from sweeps.execution.backends.by_ray.cluster import RayOptions
from sweeps.execution.backends.choosing import choose_backend
from sweeps.execution.backends.local import Backend, Observer
from sweeps.execution.stop import Stop
from sweeps.journal.database import Database
from sweeps.options import SweepOptions
from sweeps.search_space.grid import load_grid
from sweeps.sweep import Sweep

# Seconds of a run, and its number of updates.
_SCENARIOS = ((600.0, 60), (600.0, 600), (60.0, 60))
# Seconds that runs sleep, and number of runs.
_SLEEPS = ((0.01, 100), (1.0, 10))


@contextmanager
def opened(runs: int, jobs: int) -> Iterator[tuple[Sweep, PlainDisplay]]:
    """Open a sweep of its own in a temporary folder, with a display that prints nowhere."""
    with tempfile.TemporaryDirectory() as name, open(os.devnull, "w") as nowhere:
        folder = Path(name)
        write_grid(folder, runs)
        grid = load_grid(folder / "base.yaml", folder / "space.yaml")
        grid.validate()
        placement = Placement(torch.device("cpu"), 2)
        options = SweepOptions(folder / "out", "a", 1, 0, placement, jobs=jobs, elsewhere=True)
        with Sweep(grid, options, overwrite=False) as sweep:
            yield sweep, PlainDisplay(Console(file=nowhere), runs, sweep.agenda.steps)


class _Ends:
    """An observer that notes the time and the driver's CPU time at each end, and passes events on."""

    def __init__(self, observer: Observer) -> None:
        self.started = observer.started
        self.progressed = observer.progressed
        self._observer = observer
        self.marks: list[tuple[float, float]] = []

    def ended(self, *event: Any) -> None:
        """Note and pass on that a population ended."""
        self._observer.ended(*event)
        times = os.times()
        self.marks.append((time.perf_counter(), times.user + times.system))


def measure_overhead(backend: Backend, seconds: float, runs: int, jobs: int) -> str:
    """Return the cost of a run, in which jobs sleep instead of training, as columns of the table."""
    begun = 2 * jobs  # runs that have ended when all jobs have started
    observers: list[_Ends] = []

    def asleep(populations: Any, options: Any, observer: Observer, stop: Stop) -> None:
        observers.append(_Ends(observer))
        sleeping = (
            [SleepingRun(each.permutation, each.run, seconds=seconds) for each in population]
            for population in islice(populations, begun + runs)
        )
        backend(sleeping, options, observers[0], stop)

    with opened(1000, jobs) as (sweep, display):
        sweep.run(display, backend=asleep)
    [ends] = observers
    passed, cpu = np.subtract(ends.marks[-1], ends.marks[begun - 1])
    beyond = passed * jobs / runs - seconds
    return f"{1000 * seconds:,.0f} ms | {1000 * beyond:.1f} ms | {1000 * cpu / runs:.1f} ms"


class _Writes:
    """Counts the journal's transactions, and their CPU time."""

    def __init__(self, clock: Clock) -> None:
        self.number, self.seconds = 0, 0.0
        transaction = Database.transaction

        @contextmanager
        def counted(database: Database) -> Iterator[None]:
            begun = clock.own
            with transaction(database):
                yield
            self.number += 1
            self.seconds += clock.own - begun

        Database.transaction = counted  # type: ignore[method-assign, assignment]


def simulate(scenario: Scenario, runs: int, workers: int, window: float) -> str:
    """Return a row of the table: what the driver does in a window of the simulated time."""
    clock = Clock()
    writes = _Writes(clock)
    marks: list[np.ndarray] = []

    with opened(runs, workers) as (sweep, display):

        def on_wait() -> None:
            done = ray.measured
            if not marks and done.begun < workers:
                return
            now = clock()
            if not marks or (len(marks) == 1 and now > marks[0][0] + window):
                counts = (done.answers, done.updates, done.ends, writes.number, writes.seconds)
                marks.append(np.array([now, clock.own, clock.of_ray, *counts]))
                done.gaps[:] = done.gaps if len(marks) == 2 else []
            if len(marks) == 2 and not sweep.stop.is_requested:
                sweep.stop.request("enough", 0.0)

        ray = SimulatedRay(clock, scenario, on_wait)
        sys.modules["ray"] = ray
        monotonic, time.monotonic = time.monotonic, clock
        try:
            backend: Backend = driver.RayBackend(RayOptions(), workers)
            gaps = ray.measured.gaps
            sweep.train(display, backend=backend)
        finally:
            time.monotonic = monotonic
    passed, own, of_ray, answers, updates, ends, commits, in_commits = marks[1] - marks[0]
    median, most = np.quantile(gaps, (0.5, 0.95)) if gaps else (np.nan, np.nan)
    peak = getrusage(RUSAGE_SELF).ru_maxrss / 2**10
    return (
        f"| {scenario.seconds:,.0f} s, {scenario.updates} | {ends / passed:.2f} | "
        f"{updates / passed:,.0f} | {answers / passed:,.0f} | {100 * own / passed:.1f} % | "
        f"{100 * of_ray / passed:.1f} % | {commits / passed:.2f} | {100 * in_commits / own:.0f} % | "
        f"{1000 * median:,.0f} ms | {1000 * most:,.0f} ms | {peak:,.0f} MiB |"
    )


def main() -> None:
    """Print a Markdown table."""
    arguments = docopt(__doc__ or "")
    if arguments["overhead"]:
        print("| backend | a run sleeps | beyond the sleep | CPU time of the driver |")
        print("| --- | ---: | ---: | ---: |")
        # Ray's jobs need the project, too.
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        jobs = int(arguments["--jobs"])
        for name in arguments["--backends"].split(","):
            cluster = RayOptions() if name == "ray" else None
            backend, _ = choose_backend(cluster, jobs, arrays=Path())  # only Slurm has arrays
            for seconds, runs in _SLEEPS:
                row = measure_overhead(backend, seconds, runs, jobs)
                print(f"| {name} | {row} |", flush=True)
        return
    print(
        "| a run: duration, updates | ends/s | updates/s | answers/s | driver | Ray | writes/s | "
        "writes' share | gap, median | gap, 95 % | peak memory |"
    )
    print("| --- |" + " ---: |" * 10)
    for seconds, updates in _SCENARIOS:
        costs = (float(arguments[name]) * 1e-6 for name in ("--call", "--wait"))
        scenario = Scenario(seconds, updates, *costs)
        runs, workers = (int(arguments[name]) for name in ("--runs", "--workers"))
        print(simulate(scenario, runs, workers, window=float(arguments["--window"])), flush=True)


if __name__ == "__main__":
    main()
