"""Measures how the cost of training grows, and its shares of environments and products.

Usage:
    scaling.py [options]
    scaling.py --help

Options:
    --work=<names>   Workloads to train, separated by commas [default: cartpole,minigrid].
    --seconds=<n>    Least duration of each measurement after the warm-up [default: 5].
    --rounds=<n>     Number of rounds; the median counts [default: 3].
    --members=<n>    Greatest population size [default: 48].
    --updates=<n>    Updates of the grid that is trained on one core and on all [default: 20].
    -h --help        Show this text.

Everything but the grid runs on a single core. The number of products, divided by the rate of the
largest products on a core, gives the physical limit. It counts the products of whole networks. Training
skips inputs that are zero throughout a rollout, which is common in one-hot observations, and repeated
observations; so it may take less than that limit, and the rest may be negative.
"""

from __future__ import annotations

import datetime
import os
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from contenders import measure_grid
from docopt import docopt
from environment_stepping import processor
from populations import seconds_of_an_update
from time_shares import shares
from works import WORKS, Work

_WORKERS = (8, 16, 32, 64, 128, 256)
_STEPS = (32, 64, 128, 256, 512)
_MEMBERS = (1, 2, 4, 8, 16, 24, 32, 48)


def print_growth(heading: str, rates: dict[int, Callable[[], float]], rounds: int) -> None:
    """Print the median rate for each value; within a round, all values take turns.

    Args:
        heading: heading of the values.
        rates: for each value, a function that measures steps per second.
        rounds: number of rounds.
    """
    measured: dict[int, list[float]] = {value: [] for value in rates}
    for _ in range(rounds):
        for value, measure in rates.items():
            measured[value].append(measure())
    medians = {value: statistics.median(several) for value, several in measured.items()}
    first = next(iter(medians.values()))
    print(f"\n| {heading} | steps/s | times the first |\n| ---: | ---: | ---: |")
    for value, rate in medians.items():
        print(f"| {value} | {rate:,.0f} | {rate / first:.2f} |", flush=True)


def training_rate(work: Work, members: int, seconds: float) -> Callable[[], float]:
    """Return a function that measures a population's steps per second."""
    return lambda: members * work.batch / seconds_of_an_update(work, members, seconds)


def grid_rate(work: Work, updates: int, cores: Sequence[int]) -> Callable[[], float]:
    """Return a function that measures a grid's steps per second with a job on each core."""
    options = [f"--jobs={len(cores)}", "--device=cpu"]
    return lambda: measure_grid(work, updates, "auto", options, cores).rate


def print_shares(work: Work, members: Sequence[int], seconds: float) -> None:
    """Print the shares of an update's time."""
    print(
        "\n| members | ms per update | environments | limit of acting | limit of learning | rest |"
    )
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for count in members:
        update = seconds_of_an_update(work, count, seconds)
        parts = shares(work, count)
        parts.append(update - sum(parts))
        cells = [f"{1000 * part:.1f} ({part / update:.0%})" for part in parts]
        print("|", " | ".join([f"{count}", f"{1000 * update:.1f}", *cells]), "|", flush=True)


def main() -> None:
    """Print all tables of each workload."""
    arguments = docopt(__doc__)
    seconds, rounds = float(arguments["--seconds"]), int(arguments["--rounds"])
    works = arguments["--work"].split(",")
    if any(WORKS[name].visual for name in works):
        sys.exit("--work: only works with fully connected networks, so without images")
    members = [count for count in _MEMBERS if count <= int(arguments["--members"])]
    cores = sorted(os.sched_getaffinity(0))
    torch.set_num_threads(1)
    print(
        f"{datetime.date.today()}, {processor()}, {len(cores)} cores, Python "
        f"{platform.python_version()}, torch {torch.__version__}. Medians of {rounds} rounds."
    )
    for work in map(WORKS.__getitem__, works):
        print(f"\n## {work.title}")
        os.sched_setaffinity(0, cores[-1:])
        growths = {
            "workers": {n: training_rate(replace(work, workers=n), 1, seconds) for n in _WORKERS},
            "worker_steps": {n: training_rate(replace(work, steps=n), 1, seconds) for n in _STEPS},
            "members": {n: training_rate(work, n, seconds) for n in members},
        }
        for heading, rates in growths.items():
            print_growth(heading, rates, rounds)
        print_shares(work, (members[0], members[-1]), seconds)
        os.sched_setaffinity(0, cores)
        counts = sorted({1, len(cores)})
        grids = {
            count: grid_rate(work, int(arguments["--updates"]), cores[:count]) for count in counts
        }
        print_growth("cores, a grid of 48", grids, rounds)


if __name__ == "__main__":
    main()
