"""Measures `tune.py --generate-only`: seconds and peak memory against the grid's size.

Usage: python benchmarks/generate_configs.py

Each size runs in its own process, on one core if the system can restrict it.
"""

from __future__ import annotations

import datetime
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIZES = {1_000: (10, 10, 10), 10_000: (10, 100, 10), 100_000: (100, 100, 10)}


def tuning_config(counts: tuple[int, int, int]) -> str:
    """Return a tuning config with the given numbers of choices of three keys."""
    gammas = [0.9 + 0.0001 * i for i in range(counts[0])]
    lamdas = [0.9 + 0.0001 * i for i in range(counts[1])]
    initials = [1e-3 - 1e-6 * i for i in range(counts[2])]
    return (
        f"hyperparameters:\n  gamma: {gammas}\n  lamda: {lamdas}\n"
        f"learning_rate_schedule:\n  initial: {initials}\n"
    )


def measure(counts: tuple[int, int, int]) -> tuple[float, float]:
    """Return seconds (with Python's start) and peak memory in MiB of writing one grid."""
    with tempfile.TemporaryDirectory() as folder:
        tune = Path(folder, "tune.yaml")
        tune.write_text(tuning_config(counts), encoding="utf-8")
        start = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "tune.py", f"--tune={tune}", "--generate-only", f"--out={folder}/out"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
    assert status == 0, status
    return seconds, peak_mebibytes(usage)


def peak_mebibytes(usage: resource.struct_rusage) -> float:
    """Return a child's peak resident memory in MiB; macOS counts bytes, other systems KiB."""
    return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    """Print a Markdown table."""
    if hasattr(os, "sched_setaffinity"):
        # Children inherit the restriction to one core.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores, one used\n")
    print("| permutations | seconds | per second | peak memory |\n| ---: | ---: | ---: | ---: |")
    for size, counts in SIZES.items():
        seconds, memory = measure(counts)
        print(
            f"| {size:,} | {seconds:.1f} | {size / seconds:,.0f} | {memory:.0f} MiB |", flush=True
        )


if __name__ == "__main__":
    main()
