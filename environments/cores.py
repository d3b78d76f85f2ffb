"""Finds the cores of this machine and divides them among jobs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise


def core_numbers() -> list[int]:
    """Return the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(core_numbers())


def stay_on(cores: Sequence[int]) -> None:
    """Bind this process and its later children to some cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def share_cores(jobs: int) -> list[list[int]]:
    """Return each job's cores, a part of this process's; with too few cores, jobs share them."""
    cores = core_numbers()
    if jobs >= len(cores):
        return [[cores[job % len(cores)]] for job in range(jobs)]
    bounds = [job * len(cores) // jobs for job in range(jobs + 1)]
    return [cores[start:end] for start, end in pairwise(bounds)]
