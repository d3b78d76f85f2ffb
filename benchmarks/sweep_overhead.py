"""Measures a sweep's overhead besides training, against its number of runs.

Usage:
    sweep_overhead.py [options]
    sweep_overhead.py --help

Options:
    --runs=<n>   sizes of the sweeps, separated by commas [default: 1000,10000,100000]

Each sweep runs in its own process. Its trainings are replaced by a function that returns at once;
planning, journal, configs and table are the real ones. "Start" is the time until the first run starts,
including imports, validation and planning; "again" is the same when all runs are finished; "dry run" is
`tune.py --dry-run`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from docopt import docopt

from ppo.placement import Placement

ROOT = Path(__file__).resolve().parents[1]
BASE = "environment: {type: CartPole, name: CartPole-v1}\n"


def write_grid(folder: Path, runs: int) -> list[str]:
    """Write configs for the given number of permutations and return the options that name them."""
    sizes = {1_000: (10, 10, 10), 10_000: (10, 100, 10), 100_000: (100, 100, 10)}[runs]
    gammas, lamdas, rates = (
        [start + 0.0001 * number for number in range(size)]
        for start, size in zip((0.9, 0.9, 0.001), sizes, strict=True)
    )
    (folder / "base.yaml").write_text(BASE, encoding="utf-8")
    (folder / "space.yaml").write_text(
        f"hyperparameters:\n  gamma: {gammas}\n  lamda: {lamdas}\n"
        f"learning_rate_schedule:\n  initial: {rates}\n",
        encoding="utf-8",
    )
    return [f"--config={folder}/base.yaml", f"--tune={folder}/space.yaml"]


def run_sweep(folder: Path) -> None:
    """Run a whole sweep in this process and print the times of its first run and of its end."""
    began = float(sys.argv[3])
    import torch

    from commands.terminal.console import make_console
    from commands.terminal.progress import PlainDisplay
    from sweeps.journal.runs import RunRecord, RunState
    from sweeps.options import SweepOptions
    from sweeps.search_space.grid import load_grid
    from sweeps.sweep import Sweep

    first: list[float] = []

    def train_at_once(populations: Any, placements: Any, observer: Any, stop: Any) -> None:
        first.append(time.time())
        for population in populations:
            observer.started(0, population)
            results = [
                RunRecord(planned.run, RunState.FINISHED, 1, final_return=1.0, return_deviation=0.0)
                for planned in population
            ]
            observer.ended(0, population, results)

    grid = load_grid(folder / "base.yaml", folder / "space.yaml")
    grid.validate()
    options = SweepOptions(folder / "out", "a", 1, 0, Placement(torch.device("cpu"), 2))
    with Sweep(grid, options, overwrite=False) as sweep:
        sweep.run(PlainDisplay(make_console(), 1, 1), backend=train_at_once)
    print(f"{first[0] - began} {time.time() - first[0]}", file=sys.stderr)


def spawn(command: list[str]) -> tuple[str, float, float]:
    """Return a command's standard error, its seconds and its peak memory in MiB."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(child.pid, 0)
        errors.seek(0)
        said = errors.read()
    assert status == 0, said
    peak = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return said, time.perf_counter() - start, peak


def measure(runs: int) -> str:
    """Return a row of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = write_grid(folder, runs)
        _, dry, _ = spawn([sys.executable, "tune.py", "--dry-run", *options])
        command = [sys.executable, __file__, "--run", name]
        said, _, peak = spawn([*command, str(time.time())])
        start, seconds = map(float, said.split()[-2:])
        again, _, _ = spawn([*command, str(time.time())])
        return (
            f"| {runs:,} | {1000 * seconds / runs:.2f} ms | {peak:.0f} MiB | {start:.1f} s | "
            f"{float(again.split()[-2]):.1f} s | {dry:.1f} s |"
        )


def main() -> None:
    """Print a Markdown table."""
    arguments = docopt(__doc__ or "")
    print("| runs | per run | peak memory | start | again | dry run |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for runs in str(arguments["--runs"]).split(","):
        print(measure(int(runs)), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run_sweep(Path(sys.argv[2]))
    else:
        main()
