"""Which cores there are to use, and how jobs share them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise


def core_numbers() -> list[int]:
    """The numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def available_cores() -> int:
    """How many cores this process may use."""
    return len(core_numbers())


def stay_on(cores: Sequence[int]) -> None:
    """Keeps this process, and what it starts from now on, on some cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def share_cores(jobs: int) -> list[list[int]]:
    """The cores that this process may use, divided among jobs; more jobs than cores share them."""
    cores = core_numbers()
    if jobs >= len(cores):
        return [[cores[job % len(cores)]] for job in range(jobs)]
    bounds = [job * len(cores) // jobs for job in range(jobs + 1)]
    return [cores[start:end] for start, end in pairwise(bounds)]
