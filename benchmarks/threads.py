"""Compares threads with processes for training several populations at once.

Usage:
    threads.py [options]
    threads.py --help

Options:
    --work=<name>    Workload to train [default: cartpole].
    --members=<n>    Members of each population [default: 8].
    --updates=<n>    Updates to measure [default: 60].
    --rounds=<n>     Number of rounds; the median counts [default: 3].
    -h --help        Show this text.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from docopt import docopt
from works import WORKS

from ppo.placement import Placement
from ppo.run.member import Run
from schema.config import Config
from trainer import PPOTrainer, Progress

_WARM_UP = 5
_SPAWN = multiprocessing.get_context("spawn")


def train(work: str, members: int, updates: int, seed: int, wait: Callable[[], Any]) -> None:
    """Train a population, and wait for all others after the warm-up and after the last update."""
    config = Config.model_validate(WORKS[work].config(_WARM_UP + updates))

    def note(progress: Progress) -> None:
        if progress.update in (_WARM_UP, progress.updates):
            wait()

    runs = [Run(config, seed + number) for number in range(members)]
    with PPOTrainer(runs, Placement(torch.device("cpu"), 0, cores=(0,))) as trainer:
        trainer.run(note)


def rate(kind: str, count: int, work: str, members: int, updates: int) -> float:
    """Return the steps per second of several populations at once.

    Args:
        kind: "threads" or "processes".
        count: number of populations.
        work: the workload.
        members: members of each population.
        updates: updates to measure.
    """
    threads = kind == "threads"
    barrier = (threading if threads else _SPAWN).Barrier(count + 1)
    make = threading.Thread if threads else _SPAWN.Process
    workers = [
        make(target=train, args=(work, members, updates, 1000 * number, barrier.wait))
        for number in range(count)
    ]
    for worker in workers:
        worker.start()
    barrier.wait()
    begin = time.perf_counter()
    barrier.wait()
    seconds = time.perf_counter() - begin
    for worker in workers:
        worker.join()
    return count * members * updates * WORKS[work].batch / seconds


def main() -> None:
    """Print a table."""
    arguments = docopt(__doc__)
    work = arguments["--work"]
    members, updates = int(arguments["--members"]), int(arguments["--updates"])
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(1)
    cases = [("threads", 1), ("threads", cores), ("processes", cores)]
    measured: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
    for _ in range(int(arguments["--rounds"])):
        for kind, count in cases:
            measured[kind, count].append(rate(kind, count, work, members, updates))
    medians = {case: statistics.median(rates) for case, rates in measured.items()}
    print(f"| {work}, populations of {members} | steps/s | times one |\n| --- | ---: | ---: |")
    for (kind, count), median in medians.items():
        print(f"| {count} {kind} | {median:,.0f} | {median / medians[cases[0]]:.2f} |")


if __name__ == "__main__":
    main()
